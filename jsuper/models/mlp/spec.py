"""A sweep of MLPs: the rules between its fields.

With `jsuper.models.mlp.results`, this is what the family "mlp" provides as its `Spec`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from jsuper.core.errors import SpecError
from jsuper.core.fields import Omitted
from jsuper.core.limits import check_representable, rounding_notes, settings_of_numbers
from jsuper.models.mlp.fields import SPARSITY, Fields
from jsuper.models.mlp.results import ATTRIBUTES as ATTRIBUTES
from jsuper.models.mlp.results import FINITE as FINITE
from jsuper.models.mlp.results import SUMMARY as SUMMARY
from jsuper.models.mlp.results import coordinates as coordinates
from jsuper.models.mlp.results import layout as layout
from jsuper.models.mlp.results import work as work
from jsuper.models.mlp.targets import PAIRS, functions_of
from jsuper.models.toy.inputs.names import DEFAULT_SUPPORT, support_of
from jsuper.models.toy.limits import MOST_DRAWS, check_drawable
from jsuper.training.limits import check_training, training_notes
from jsuper.training.optimizer_texts import default_decay
from jsuper.training.schedules import warmup_steps


@dataclass(frozen=True, kw_only=True)
class Sweep(Fields):
    """A grid of MLPs that compute a function of each of n sparse features, often with m < n units.

    A fixed random matrix E embeds the features in a stream of d dimensions, r_0 = E^T x; each layer
    adds W_out act(W_in r + b) to the stream; the outputs are x_hat = E r. Training minimizes the
    mean over samples and features of I_i (y_i - x_hat_i)², where y = x + f(x) + target_noise M x.

    All fields are keyword arguments. Those marked "axis" accept one value or several. The defaults
    are the one-layer model of Braun et al. (2025) and Bushnaq et al. (2025), with the settings of
    their code: 100 features that are uniform on [-1, 1] with probability 0.01, d = 1000, 50 ReLU
    units, y = x + ReLU(x).

    Parameters
    ----------
    seeds, unpaired, zipped
        As in `jsuper.Sweep`.
    n_hidden
        Axis. Number of hidden units of all layers together; each has n_hidden / n_layers.
    sparsity
        Axis. Probability that a feature is zero, in [0, 1 - 2^-23).
    learning_rate
        Axis, > 0.
    weight_decay
        Axis, >= 0. If omitted, the run folder's value, else 0.01 for adamw and 0 for others.
    importance_decay
        Axis, > 0. Feature i has importance I_i = importance_decay^i.
    target_noise
        Axis, >= 0. Scale of a mixing matrix M in the target, with independent N(0, 1) entries and 0
        on the diagonal, fixed for a seed, as in Bhagat et al. (2025).
    n_features
        Axis. Number of features n.
    d_embed
        Axis. Width d of the stream. 0: there is no embedding, and the stream is x.
    n_layers
        Axis. Number of layers.
    activation
        Axis. Elementwise activation of the hidden units: a name, or `elu(0.25)`.
    target
        Axis. f: abs, square, an elementwise activation, or and_pairs, the product of features 2k
        and 2k + 1 at both of them (Hänni et al. 2024).
    target_residual
        Axis. Whether the target contains x itself.
    residual
        Axis. Whether a layer is added to the stream; if False, it replaces the stream.
    bias
        Axis. Whether hidden units have a bias.
    support, values
        Axes. The law of the data, as in `jsuper.Sweep`.
    batch_size, steps, optimizer, dtype
        Axes, as in `jsuper.Sweep`.
    schedule, momentum, records
        As in `jsuper.Sweep`.
    init, init_scale
        Initial weights; see `jsuper.models.mlp.model.init_params`.

    Raises
    ------
    SpecError
        A value is not allowed, or fields contradict each other.

    References
    ----------
    Braun et al. (2025), "Interpretability in Parameter Space: Minimizing Mechanistic Description
    Length with Attribution-based Parameter Decomposition", <https://arxiv.org/abs/2501.14926>.

    Bushnaq et al. (2025), "Stochastic Parameter Decomposition", <https://arxiv.org/abs/2506.20790>.

    Bhagat et al. (2025), "Compressed Computation is (probably) not Computation in Superposition",
    <https://arxiv.org/abs/2606.14673>.

    Hänni et al. (2024), "Mathematical Models of Computation in Superposition",
    <https://arxiv.org/abs/2408.05451>.

    Examples
    --------
    >>> from jsuper.mlp import Sweep
    >>> Sweep(n_hidden=(25, 50), sparsity=(0.9, 0.99)).axes
    {'n_hidden': (25, 50), 'sparsity': (0.9, 0.99)}
    """

    def fill_in(self) -> None:
        """Set an omitted weight decay to the optimizers' default, if they share one."""
        decays = tuple({default_decay(text) for text in self.values_of("optimizer")})
        if isinstance(self.weight_decay, Omitted) and len(decays) == 1:
            self._set("weight_decay", Omitted(decays))

    def no_value(self, name: str) -> str:
        """Return the message for optimizers whose defaults of the weight decay differ."""
        optimizers = self.values_of("optimizer")
        defaults = ", ".join(f"{default_decay(text):g} for {text}" for text in optimizers)
        return (
            f"{name} is omitted, and optimizer={', '.join(optimizers)} have different defaults "
            f"({defaults}): give one value for all of them, for example {name}=0"
        )

    def check(self) -> None:
        """Raise SpecError if layers, targets, laws or steps do not fit the sizes."""
        for m, layers in itertools.product(self.values_of("n_hidden"), self.values_of("n_layers")):
            if m % layers:
                raise SpecError(
                    f"n_hidden={m} does not divide into n_layers={layers}: it is the number of "
                    f"units of all layers; give a multiple of {layers}, for example "
                    f"{layers * math.ceil(m / layers)}"
                )
        odd = [n for n in self.values_of("n_features") if n % 2]
        if PAIRS in self.values_of("target") and odd:
            raise SpecError(
                f"target={PAIRS} needs pairs of features, and n_features={odd[0]} is odd; give an "
                "even number"
            )
        self._check_laws()
        if (rising := warmup_steps(self.schedule)) >= min(self.values_of("steps")):
            raise SpecError(
                f"schedule={self.schedule} rises for {rising} steps, and steps="
                f"{min(self.values_of('steps'))} are not more; train longer, or give fewer steps "
                "of warm-up"
            )

    def _check_laws(self) -> None:
        """Check that every support exists for every size and sparsity, which it may determine."""
        supports = self.values_of("support")
        if supports == (DEFAULT_SUPPORT,):
            return
        for text, n in itertools.product(supports, self.values_of("n_features")):
            law = support_of(text)
            if self.sparsity == SPARSITY and (only := law.sparsity(n)) is not None:
                self._set("sparsity", (only,))
            for sparsity in self.values_of("sparsity"):
                try:
                    law.check_densities(np.asarray(1 - sparsity), n)
                except SpecError as error:
                    of = f"support={text}, n_features={n}, sparsity={sparsity:g}"
                    raise SpecError(f"{of}: {error}") from None

    def check_new(self) -> None:
        """Raise SpecError for values that cannot be drawn or represented."""
        check_training(self)
        for value in self.values_of("sparsity"):
            check_drawable("sparsity", value)
        if self.init == "normal":
            check_representable("init_scale", self.init_scale, "float32", drawn=True)
        for dtype in self.values_of("dtype"):
            for name in ("importance_decay", "target_noise"):
                for value in self.values_of(name):
                    check_representable(name, value, dtype)
            last = max(self.values_of("importance_decay")), max(self.values_of("n_features")) - 1
            if last[1] * math.log(last[0]) > math.log(float(np.finfo(dtype).max)):
                raise SpecError(
                    f"importance_decay={last[0]:g}: the importance of the last feature, decay^"
                    f"{last[1]}, is infinite in {dtype}; give a decay of at most 1, for example"
                )
        n = max(self.values_of("n_features"))
        for name in ("batch_size", "d_embed"):
            if n * (other := max(self.values_of(name))) >= MOST_DRAWS:
                raise SpecError(
                    f"n_features={n} times {name}={other} is 2^32 or more, but fewer random "
                    "numbers than that can be drawn at once; reduce one of them"
                )

    def notes(self) -> list[str]:
        """Return notes on models with a hidden unit for every function, and more."""
        sizes = itertools.product(
            self.values_of("n_hidden"), self.values_of("n_features"), self.values_of("target")
        )
        notes = [
            f"n_hidden={m} is a unit for each of the {count} functions of target={f}, "
            f"n_features={n}: none have to share"
            for m, n, f in sizes
            if m >= (count := functions_of(f, n))
        ]
        for name in settings_of_numbers(self):
            density = name == "sparsity"
            notes += rounding_notes(self, name, (lambda v: 1 - v) if density else (lambda v: v))
        return notes + training_notes(self)
