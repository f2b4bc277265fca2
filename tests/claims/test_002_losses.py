"""Claims of source 002 on losses: true, false and unclear by construction."""

import made_up
import numpy as np
import pytest
import xarray as xr

from jsuper.claims import _002_losses as claims
from jsuper.claims.judging import judge
from jsuper.models.toy.activations.names import ACTIVATIONS

CLAIMS = {c.name: c for c in claims.CLAIMS}
NONE = ("tanh", "hardtanh", "identity", "selu")


def times(ds, factor, activations=ACTIVATIONS):
    """The sweep with the losses of some activations multiplied."""
    chosen = ds["activation"].isin(list(activations))
    by = xr.where(chosen, factor, 1.0)
    return ds.assign({k: ds[k] * by for k in ("loss", "loss_over_constant")})


def falling(slope, beyond=0.0, threshold=4.0):
    """log10 L = slope min(X, threshold) + beyond max(X - threshold, 0), and a little noise."""
    ds = made_up.study()
    x = ds["excess"].round()
    line = slope * x.clip(max=threshold) + beyond * (x - threshold).clip(min=0)
    loss = ds["loss_over_constant"] ** 0.1 * 10**line
    return ds.assign(excess=x, loss_over_constant=loss)


def costly(factor):
    """Four models without superposition, and the others with so much less loss."""
    ds = made_up.put(made_up.study(), "excess", NONE, 0.0)
    return times(ds, 1 / factor, [a for a in ACTIVATIONS if a not in NONE])


def costly_somewhere(factor):
    """The same at one sparsity alone."""
    ds, single = made_up.study(), costly(factor)
    return xr.where(ds["sparsity"] == 0.97, single, costly(1)).transpose(*ds.sizes)


MADE = {  # claim -> sweeps in which it is true, and false
    "losses-in-range": [made_up.study(), times(made_up.study(), 100)],
    "losses-alike": [made_up.study(), times(made_up.study(), 4, ["relu"])],
    "more-superposition-less-loss": [falling(-0.3), falling(0.3)],
    "at-most-one-order": [costly(3), costly(40)],
    "no-gain-beyond-threshold": [falling(-0.3), falling(-0.3, -0.3)],
    "cheap-without-superposition": [costly(3), costly(40)],
    "free-without-superposition": [costly(1), costly(2)],
}


def test_every_claim_has_sweeps_made_for_it():
    assert set(MADE) == set(CLAIMS)


@pytest.mark.parametrize("name", MADE)
def test_verdicts_are_those_of_the_construction(name):
    true, false = MADE[name]
    wanted = {"supported": true, "contradicted": false, "undecided": made_up.unclear(true, false)}
    for verdict, ds in wanted.items():
        (found,) = judge([CLAIMS[name]], {"study": ds})
        assert found.verdict == verdict, found.why
        assert found.why and all(np.isfinite(p.value) for p in found.parts)


def test_models_without_a_loss_are_outside_of_the_range_and_left_out_elsewhere():
    ds = made_up.put(made_up.study(), "status", ["exp", "softmax"], 2)
    found = {c.name: c.statistic({"study": ds}) for c in claims.CLAIMS}
    (share,) = found["losses-in-range"].values()
    assert (share <= 25 / 27).all() and (share > 0.9).all()
    (span,) = found["losses-alike"].values()
    assert np.isfinite(span).all()
    (cost,) = found["free-without-superposition"].values()
    assert np.isnan(cost).all()  # no model has X <= 0


@pytest.mark.parametrize("ds", [falling(-0.6, -0.6), costly_somewhere(40)])
def test_either_way_of_gaining_more_than_an_order_of_magnitude_contradicts(ds):
    (found,) = judge([CLAIMS["at-most-one-order"]], {"study": ds})
    assert found.verdict == "contradicted"


def test_log_sigmoid_and_log_softmax_are_not_compared():
    ds = times(made_up.study(), 1000, ["log_sigmoid", "log_softmax"])
    (found,) = judge([CLAIMS["losses-alike"]], {"study": ds})
    assert found.verdict == "supported"


def test_a_sweep_without_finished_models_has_no_values():
    ds = made_up.study(seeds=2)
    ds["status"] = ds["status"] * 0
    for claim in claims.CLAIMS[1:]:
        assert all(np.isnan(v).all() for v in claim.statistic({"study": ds}).values()), claim.name


@pytest.mark.parametrize("missing", [0, 3])
def test_the_broken_line_is_the_best_of_all_least_squares_fits(missing):
    rng = np.random.default_rng(0)
    x = rng.integers(-1, 12, size=(4, 25)).astype(float)
    y = -0.2 * np.minimum(x, 5) + 0.03 * np.maximum(x - 5, 0) + 0.05 * rng.normal(size=x.shape)
    y[:, :missing] = np.nan
    found = np.array(claims.broken_line(x, y)).T
    for row, (a, b) in enumerate(zip(x, y, strict=True)):
        a, b = a[np.isfinite(b)], b[np.isfinite(b)]
        fits = []
        for tau in np.unique(a):
            if min((a < tau).sum(), (a > tau).sum()) >= claims.LEAST:
                basis = np.c_[np.ones_like(a), np.minimum(a, tau), np.maximum(a - tau, 0)]
                solution, *_ = np.linalg.lstsq(basis, b, rcond=None)
                fits.append((((basis @ solution - b) ** 2).sum(), *solution[1:]))
        np.testing.assert_allclose(found[row], min(fits)[1:], atol=1e-9)


def test_a_line_without_room_for_a_threshold_has_no_slopes():
    below, above = claims.broken_line(np.repeat([0.0, 1.0], 10), np.arange(20.0))
    assert np.isnan(below) and np.isnan(above)
