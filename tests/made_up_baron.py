"""Made-up sweeps of Baron's activations: X and losses that are given, the same in all counts."""

import made_up
import numpy as np

from jsuper.findings import sweeps

NAMES = sweeps.NAMES
LOSS = "loss_over_constant"


def made(x, log_loss, seeds=10, noise=0.02):
    """Both trainings of models with X, (activations,), and log10 losses that X gives.

    X > 0 is one higher in about half of the models.
    """
    ds = made_up.study(seeds=seeds, activations=NAMES)[["status"]]
    rng = np.random.default_rng(1)
    shape = tuple(ds.sizes[d] for d in ("activation", "sparsity", "seed"))
    x = np.broadcast_to(np.asarray(x, float)[:, None, None], shape)
    x = x + rng.integers(2, size=shape) * (x > 0)
    inside = (np.arange(20) < x[..., None] + 5).astype(float)
    loss = 10 ** (log_loss(x) + noise * rng.normal(size=shape))
    dims = ("activation", "sparsity", "seed")
    new = {"feature_norm": ((*dims, "feature"), inside), "r_squared": ((*dims, "feature"), inside)}
    new |= {LOSS: (dims, loss), "loss": (dims, loss), "failed_fit": (dims, np.zeros(shape))}
    ds = ds.assign(new)
    return {"fitted": ds, "roe": ds}


def each(data, change):
    """The sweeps, each of them changed."""
    return {name: change(ds) for name, ds in data.items()}
