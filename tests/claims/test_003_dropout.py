"""Claims of source 003: true, false and unclear by construction."""

import made_up
import numpy as np
import pytest
import xarray as xr

from jsuper.claims import _003_dropout as claims
from jsuper.claims import sweeps
from jsuper.claims.judging import judge

CLAIMS = {c.name: c for c in claims.CLAIMS}
SEEDS, UNITS, FEATURES = 10, 8, 20
FORM = sweeps.dropout(SEEDS)
AXES = {
    "activation": ["relu"],
    "sparsity": list(FORM.values_of("sparsity")),
    "dropout": list(FORM.values_of("dropout")),
    "importance_decay": list(FORM.values_of("importance_decay")),
    "seed": list(range(SEEDS)),
}
SAMPLES, ACROSS_UNITS = "neuron_kurtosis", "basis_kurtosis"


def noise(ds, spread, *inner):
    """Normal numbers over the sweep's axes and others of its dimensions."""
    dims = (*ds["status"].dims, *inner)
    shape = tuple(ds.sizes[d] for d in dims)
    return xr.DataArray(spread * np.random.default_rng(len(dims)).normal(size=shape), dims=dims)


def plane():
    """A sweep like `dropout`, in which the rate changes nothing."""
    shape = tuple(len(v) for v in AXES.values())
    ds = xr.Dataset({"status": (tuple(AXES), np.ones(shape, np.int8))}, coords=AXES)
    ds = ds.assign_coords(n_hidden=UNITS, n_features=FEATURES)
    ds["W"] = (
        (*AXES, "hidden", "feature"),
        np.broadcast_to(own_units(), (*shape, UNITS, FEATURES)),
    )
    ds["mean_dimensionality"] = 0.5 + noise(ds, 0.01)
    ds["basis_kurtosis"] = 2 + noise(ds, 0.01)
    ds["neuron_kurtosis"] = 5 + noise(ds, 0.01, "hidden")
    return with_norms(ds, 0)


def with_norms(ds, slope, where=True):
    """The sweep with 15 long features, more along the rate by the slope."""
    more = xr.where(where, slope, 0) * ds["dropout"]
    number = 15 + more + noise(ds, 0.5)
    place = xr.DataArray(np.arange(FEATURES), dims="feature")
    return ds.assign(feature_norm=xr.where(place < number, 1.0, 0.2))


def superposed(slope, where=lambda ds: True):
    """Along the rate more dimensions per feature by the slope, and fewer long features."""
    ds = plane()
    here = where(ds)
    more = xr.where(here, slope, 0) * ds["dropout"]
    ds = with_norms(ds, -20 * slope, here)
    return ds.assign(mean_dimensionality=ds["mean_dimensionality"] + more)


def exception(ds):
    """Where it is said to be."""
    return (ds["importance_decay"] == 0.9) & (ds["sparsity"] == 0)


def kurtosis(name, slope, where=lambda ds: True):
    """A kurtosis that grows along the rate."""
    ds = plane()
    return ds.assign({name: ds[name] + xr.where(where(ds), slope, 0) * ds["dropout"]})


def shown(sign):
    """Both kurtoses are higher where dimensionality is higher (or lower)."""
    ds = plane()
    more = ds["dropout"] + ds["sparsity"] / 10
    ds = ds.assign(mean_dimensionality=ds["mean_dimensionality"] + more)
    change = sign * 10 * ds["mean_dimensionality"]
    return ds.assign({name: 20 + ds[name] + change for name in (SAMPLES, ACROSS_UNITS)})


def first_units():
    """A unit for every feature, shared by some."""
    return np.eye(UNITS)[:, np.arange(FEATURES) % UNITS]


def own_units():
    """Every feature on three units."""
    W = first_units()
    return W + 0.5 * np.roll(W, 1, axis=0) + 0.3 * np.roll(W, 2, axis=0)


def smeared(features=FEATURES):
    """Features on one unit, and a little on all others: none above a tenth of its length."""
    W = own_units()
    all_over = 0.1 + 0.9 * first_units()
    W[:, :features] = all_over[:, :features]
    return W


def with_weights(W):
    ds = plane()
    return ds.assign(W=ds["W"].copy(data=np.broadcast_to(W, ds["W"].shape)))


def basis(relu=0.0, identity=0.0):
    """A sweep like `basis` where dropout moves z by so much."""
    form = sweeps.basis(SEEDS)
    axes = {
        "activation": list(form.values_of("activation")),
        "optimizer": list(form.values_of("optimizer")),
        "sparsity": list(form.values_of("sparsity")),
        "dropout": list(form.values_of("dropout")),
        "seed": list(range(SEEDS)),
    }
    shape = tuple(len(v) for v in axes.values())
    ds = xr.Dataset({"status": (tuple(axes), np.ones(shape, np.int8))}, coords=axes)
    more = xr.where(ds["activation"] == "relu", relu, identity) * (ds["dropout"] > 0)
    return ds.assign(alignment_z=(noise(ds, 0.5) + more).transpose(*axes))


MADE = {  # claim -> sweep, and its form in which it is true and false; half of the seeds: unclear
    "dropout-less-superposition": ("dropout", lambda: superposed(0.5), lambda: superposed(-0.5)),
    "dropout-exception": (
        "dropout",
        lambda: superposed(-0.5, exception),
        lambda: superposed(0.5, exception),
    ),
    "dropout-raises-kurtosis-across-samples": (
        "dropout",
        lambda: kurtosis(SAMPLES, 5),
        lambda: kurtosis(SAMPLES, -5),
    ),
    "dropout-raises-kurtosis-across-units": (
        "dropout",
        lambda: kurtosis(ACROSS_UNITS, 5),
        lambda: kurtosis(ACROSS_UNITS, -5),
    ),
    "kurtosis-shows-superposition": ("dropout", lambda: shown(1), lambda: shown(-1)),
    "untouched-by-dropout": (
        "dropout",
        lambda: with_weights(own_units()),
        lambda: with_weights(smeared()),
    ),
    "dropout-privileged-basis": ("basis", lambda: basis(relu=6), lambda: basis(relu=-1)),
}


def verdict(name, ds):
    (found,) = judge([CLAIMS[name]], {MADE[name][0]: ds})
    assert found.why and all(np.isfinite(p.value) for p in found.parts)
    return found.verdict


def test_every_claim_has_sweeps_made_for_it():
    assert set(MADE) == {c.name for c in CLAIMS.values() if c.sweeps}
    assert all(c.sweeps == (MADE[n][0],) for n, c in CLAIMS.items() if c.sweeps)


@pytest.mark.parametrize("name", MADE)
def test_verdicts_are_those_of_the_construction(name):
    true, false = (make() for make in MADE[name][1:])
    other = with_weights(smeared(2)) if name == "untouched-by-dropout" else false
    wanted = {"supported": true, "contradicted": false, "undecided": made_up.unclear(true, other)}
    assert {v: verdict(name, ds) for v, ds in wanted.items()} == {v: v for v in wanted}


def test_the_exception_is_of_its_cell_alone():
    elsewhere = superposed(0.5, lambda ds: ~exception(ds))
    assert verdict("dropout-exception", elsewhere) == "supported"
    assert verdict("dropout-less-superposition", elsewhere) == "supported"


def test_a_sign_that_depends_on_density_contradicts():
    ds = kurtosis(SAMPLES, 5, lambda ds: ds["sparsity"] > 0)
    ds = ds.assign({SAMPLES: ds[SAMPLES] - 5 * ds["dropout"] * (ds["sparsity"] == 0)})
    assert verdict("dropout-raises-kurtosis-across-samples", ds) == "contradicted"


def test_kurtosis_that_follows_sparsity_alone_is_no_evidence():
    ds = shown(1)
    ds = ds.assign({SAMPLES: ds[SAMPLES] - 100 * ds["sparsity"]})
    assert verdict("kurtosis-shows-superposition", ds) == "contradicted"


def test_a_basis_in_the_control_contradicts():
    assert verdict("dropout-privileged-basis", basis(relu=6, identity=6)) == "contradicted"


def test_models_that_are_not_finite_leave_their_seed_out():
    for name, (sweep, true, _) in MADE.items():
        ds = true()
        lost = {d: 0 for d in ds["status"].dims if d != "seed"} | {"seed": 3}
        everywhere = {"seed": 3}
        for where, least in ((lost, 0), (everywhere, 1)):
            broken = ds.copy(deep=True)
            broken["status"][where] = 2
            (found,) = judge([CLAIMS[name]], {sweep: broken})
            assert all(p.left_out >= least for p in found.parts), name


def test_kurtosis_of_gaussian_units_is_about_three_where_there_are_many():
    verdicts = {m: judge([claims.about_three(m)], {})[0].verdict for m in (2, 5, 10, 100)}
    assert verdicts.pop(100) == "supported"
    assert set(verdicts.values()) == {"contradicted"}
    assert CLAIMS["kurtosis-three-without-basis"].statistic({}) == {claims.THREE.format(5): 2}


def test_what_no_model_decides_says_what_would():
    rest = [c for c in CLAIMS.values() if c.untestable]
    assert len(rest) == 3
    assert all(j.verdict == "not testable" and j.why for j in judge(rest, {}))
