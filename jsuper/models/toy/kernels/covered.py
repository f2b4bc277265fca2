"""What the kernel trains; everything else is trained by the vmapped plan."""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import files

from jsuper.models.toy.config import Static
from jsuper.models.toy.ending import STEPS
from jsuper.models.toy.kernels.segment import kernel_of
from jsuper.models.toy.kernels.slopes import NotCoveredError
from jsuper.models.toy.kernels.source import most_models, source_of
from jsuper.models.toy.widths import needs_whole_batch
from jsuper.training import keys


@functools.cache
def version() -> str:
    """Return a digest of the files of which kernels and the plain steps are made."""
    found = hashlib.sha256()
    for package in ("jsuper.models.toy", "jsuper.models.toy.kernels", "jsuper.training"):
        for file in sorted(files(package).iterdir(), key=lambda f: f.name):
            if file.name.endswith((".py", ".cu", ".cc")):
                found.update(file.read_bytes())
    return found.hexdigest()


def reason(static: Static) -> str:
    """Return why a program is not covered, in a few words; "" if it is."""
    many = len(static.activations) > 1
    cases = {
        "several activations that do not share rows": many and not static.slots,
        "random gates": static.stochastic,
        "gated decoders": static.gated,
        "untied decoders": not static.tied,
        "dropout": static.dropout,
        "hidden layers, targets and losses of other kinds": not static.net.is_plain,
        f"dtype {static.dtype}": static.dtype != "float32",
        f"optimizer {static.optimizer}": static.optimizer != "adamw",
        f"until={static.until!r}": static.until != STEPS,
        "norm_pull": static.norm_pulled,
    }
    if keys.platform() == "tpu":
        cases |= {
            f"a batch size of {static.batch_size}, no multiple of 8": static.batch_size % 8 > 0,
            "models without bias": not static.bias,
            "decay of W alone": static.decay_on == "W",
            "losses that are sums": static.reduction == "sum",
        }
    for text, applies in cases.items():
        if applies:
            return text
    if keys.platform() != "tpu":
        try:
            most_models(static.n_features, static.n_hidden)
            for activation in range(len(static.activations)):
                source_of(kernel_of(static, activation, 1))
        except NotCoveredError as error:
            return str(error)
    coupled = any(needs_whole_batch(a, static.n_features) for a in static.activations)
    return "activations that couple the samples of a batch" if coupled else ""
