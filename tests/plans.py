"""Plans of a run, and what is promised of all of them: for several files of tests."""

import jax
import pytest

from jsuper.engine import devices as plan

TINY = {"n_features": 6, "n_hidden": 2, "batch_size": 64}
CPU = jax.devices("cpu")[0]
VMAPPED = plan.Plan("cpu", (CPU,), "vmapped")


def agree(a, b):
    """Weights to 1e-5 of the largest, loss to 1e-3: what is promised of any batching."""
    a, b = a.transpose(*b.dims), b
    assert float(abs(a.W - b.W).max()) <= 1e-5 * float(abs(b.W).max())
    assert a.loss.values == pytest.approx(b.loss.values, rel=1e-3)
    assert (a.status == b.status).all()
