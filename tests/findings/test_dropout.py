"""Findings on dropout and kurtosis: made-up sweeps in which each is so, or the opposite."""

import itertools

import made_up_dropout as made
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from made_up_findings import check
from scipy import stats

from jsuper.findings import dropout, judge, kurtosis
from jsuper.plots import findings_dropout

FINDINGS = {f.name: f for f in dropout.FINDINGS + kurtosis.FINDINGS}
RISES = "dropout-raises-kurtosis-across-"
UNITS, FEATURES = made.UNITS, made.FEATURES


def superposed(slope):
    """Along the rate more features by the slope."""
    data = made.both()
    ds = data["dropout"]
    return data | {"dropout": made.with_features(ds, 15 + slope * ds["dropout"])}


def dense_apart():
    """Along the rate fewer features, where they are sparse."""
    data = superposed(-10)
    ds, none = data["dropout"], superposed(0)["dropout"]
    kept = {k: xr.where(ds["sparsity"] > 0, ds[k], none[k]) for k in ("feature_norm", "r_squared")}
    share = xr.where(ds["sparsity"] > 0, ds["dimensionality"], none["dimensionality"])
    found = {k: v.transpose(*ds[k].dims) for k, v in (kept | {"dimensionality": share}).items()}
    return data | {"dropout": ds.assign(found)}


def weighted(W_of, names=("dropout", "dropout_basis"), **more):
    """Sweeps with weights that are a function of the rate."""
    data = made.both()
    for name in names:
        ds = data[name]
        W = xr.concat([W_of(q) for q in ds["dropout"].values], ds["dropout"])
        data[name] = made.with_weights(ds, W).assign(**more)
    return data


def matrix(W):
    return xr.DataArray(W, dims=("hidden", "feature"))


def shared(*shares):
    """A feature with these parts of its square for every column of W, again and again."""
    parts = np.zeros((UNITS, FEATURES))
    for i in range(FEATURES):
        own = shares[i % len(shares)]
        parts[: len(own), i] = own
    return matrix(np.sqrt(parts))


def one_unit(spread):
    """Every feature on one unit, and to some extent on all others."""
    W = np.eye(UNITS)[:, np.arange(FEATURES) % UNITS]
    return matrix(W + spread * (1 - W))


def first_five(length):
    return matrix(length * np.eye(UNITS, FEATURES))


def bent(slope, *names):
    """Both sweeps, with variables of theirs that grow along the rate."""
    data = made.both()
    for name in names:
        data = {k: made.raised(ds, name, slope) for k, ds in data.items()}
    return data


def shown(sign):
    """Both kurtoses are higher where there are fewer features (or more)."""
    data = made.both()
    ds = data["dropout"]
    ds = made.with_features(ds, 8 + 30 * (1 - ds["sparsity"]).clip(0, 0.3) - 10 * ds["dropout"])
    number = (ds["feature_norm"] > 0.5).sum("feature")
    names = kurtosis.VARIABLES.values()
    more = {v: (30 - sign * number + ds[v] / 100).transpose(*ds[v].dims) for v in names}
    return data | {"dropout": ds.assign(more)}


def aligned(relu, identity=0.0):
    """Dropout moves the alignment of the two outputs by so many standard deviations."""
    data = made.both()
    ds = data["dropout_basis"]
    more = xr.where(ds["activation"] == "relu", relu, identity) * (ds["dropout"] > 0)
    z = (ds["alignment_z"] + more).transpose(*ds["alignment_z"].dims)
    return data | {"dropout_basis": ds.assign(alignment_z=z)}


GROWING = ((0.5, 0.5), (0.96, 0.02, 0.02), (0.961, 0.013, 0.013, 0.013))
EVEN = ((1.0,), (0.5, 0.5), (0.25,) * 4)
MADE = {  # finding -> data in which it is so, and in which the opposite is
    "dropout-less-superposition": (lambda: superposed(-10), lambda: superposed(6)),
    "dropout-exception": (dense_apart, lambda: superposed(-10)),
    "spreading-exposes": (
        lambda: weighted(lambda q: shared(*GROWING)),
        lambda: weighted(lambda q: shared(*EVEN)),
    ),
    RISES + "samples": (lambda: bent(5, "neuron_kurtosis"), lambda: bent(-5, "neuron_kurtosis")),
    RISES + "units": (lambda: bent(20, "basis_kurtosis_z"), made.both),
    "kurtosis-shows-superposition": (lambda: shown(1), lambda: shown(-1)),
    "dropout-privileged-basis": (lambda: aligned(6), lambda: aligned(0)),
}


def verdict(name, data):
    (found,) = judge([FINDINGS[name]], data)
    assert found.why and found.note
    return found.verdict


def test_every_trained_finding_has_data_made_for_it():
    assert set(MADE) == {f.name for f in FINDINGS.values() if f.placebo}


@pytest.mark.parametrize("name", MADE)
def test_verdicts_and_placebos_are_those_of_the_construction(name):
    true, false = MADE[name]
    check(FINDINGS[name], true(), false())


def test_a_shorter_w_is_no_less_superposition():
    data = superposed(2)
    ds = data["dropout"]
    shorter = ds.assign(feature_norm=ds["feature_norm"] * (0.9 - ds["dropout"]))
    (found,) = judge([FINDINGS["dropout-less-superposition"]], {"dropout": shorter})
    leans = {r.label.split(", ")[0]: r.leans for r in found.readings}
    assert found.verdict == "depends"
    assert [m for m, lean in leans.items() if lean == "supported"] == ["|W_i| > 1/2"]


def test_the_chance_is_exact_for_equal_parts_alone():
    data = weighted(lambda q: one_unit(0.04))
    (found,) = judge([FINDINGS["dropout-leaves-alone"]], data)
    equal, used, all_units = (r.parts[0].value for r in found.readings)
    assert found.verdict == "right within limits"
    assert equal < 1e-12 and used < 0.02 < 0.1 < all_units


def test_left_alone_sums_over_all_masks():
    share = np.random.default_rng(1).dirichlet(np.ones(4), size=3).T
    q, lost, chance = 0.3, 0.4, np.zeros(3)
    for mask in itertools.product((0, 1), repeat=4):
        for i in range(3):
            taken = sum(share[j, i] for j in range(4) if mask[j])
            chance[i] += (taken <= lost) * np.prod([q if d else 1 - q for d in mask])
    assert dropout.left_alone(share, q, lost) == pytest.approx(chance)
    assert dropout.left_alone(np.array([[0.9], [0.1]]), 0.5, 0.1) == pytest.approx(0.5)


def test_slopes_are_least_squares_and_lack_what_a_model_lacks():
    values = made.noise(made.sweep(made.PLANE), 1)[0, 0, :, 0]
    values = values.assign_coords(dropout=made.RATES)
    wanted = np.polyfit(made.RATES, values.values, 1)[0]
    assert dropout.slope(values) == pytest.approx(wanted)
    values[2, 3] = np.nan
    assert np.isnan(dropout.slope(values)).nonzero()[0].tolist() == [3]


def test_features_that_the_dimensions_hold_by_hand():
    ds = superposed(0)["dropout"].isel(activation=0, importance_decay=0)
    norms = np.array([1.0, 0.6, 0.4, *[0.0] * 17])
    each = np.array([0.5, 0.25, 0.9, *[0.0] * 17])
    given = {"feature_norm": norms, "dimensionality": each}
    ds = ds.assign({k: ds[k].copy(data=np.broadcast_to(v, ds[k].shape)) for k, v in given.items()})
    ds["status"][1, 2, 3] = 2
    found = dropout.features(ds, dropout.SHARING).transpose("sparsity", "dropout", "seed")
    assert np.isnan(found[1, 2, 3]) and int(found.isnull().sum()) == 1
    assert float(found[0, 0, 0]) == pytest.approx(UNITS / 0.375)


def test_exposure_by_loops():
    data = made.both()
    found = dropout.exposure(data, sparsity=0.9, dropout=0.2)[dropout.HITS]
    ds = data["dropout"].sel(activation="relu", sparsity=0.9, dropout=0.2).isel(seed=4)
    rho = []
    for decay in range(2):
        W, norm = ds["W"].values[decay], ds["feature_norm"].values[decay]
        u = W[:, norm > norm.max() / 2]
        u = u / np.sqrt((u**2).sum(axis=0))
        hit = [1 - 0.8 ** (abs(column) > 0.1).sum() for column in u.T]
        rho.append(stats.spearmanr(hit, (u**4).sum(axis=0))[0])
    assert found[4] == pytest.approx(np.mean(rho))


def test_a_rise_that_depends_on_density_depends():
    data = bent(5, "neuron_kurtosis")
    ds = data["dropout"]
    other = ds["neuron_kurtosis"] - 10 * ds["dropout"] * (ds["sparsity"] == 0)
    other = other.transpose(*ds["neuron_kurtosis"].dims)
    (found,) = judge([FINDINGS[RISES + "samples"]], {"dropout": ds.assign(neuron_kurtosis=other)})
    assert found.verdict == "depends"
    assert "For it: S 0.9, 2 of 2;" in found.why and "; S 0, 0 of 2;" in found.why
    assert "importance 0.9, S 0, -1.00" in found.note


def test_a_basis_of_the_linear_model_contradicts():
    assert verdict("dropout-privileged-basis", aligned(6, 6)) == "contradicted"


def test_a_basis_at_one_sparsity_depends_on_it():
    data, none = aligned(6), aligned(0)
    ds = data["dropout_basis"]
    z = ds["alignment_z"].where(ds["sparsity"] < 0.9, none["dropout_basis"]["alignment_z"])
    data["dropout_basis"] = ds.assign(alignment_z=z)
    assert verdict("dropout-privileged-basis", data) == "depends"


def test_kurtosis_of_gaussian_units_is_about_three_where_there_are_many():
    (found,) = judge([FINDINGS["kurtosis-three-without-basis"]], {})
    values = {r.label: r.parts[0].value for r in found.readings}
    assert found.verdict == "right within limits"
    assert values == pytest.approx({f"m = {m}": 3 * (m - 1) / (m + 1) for m in (512, 20, 10, 5)})


def test_evidence_by_loops_and_without_an_unfinished_model():
    data = shown(1)
    data["dropout"]["status"][{"sparsity": 2, "dropout": 1, "seed": 3}] = 2
    given = {"name": "across units", "measure": "|W_i| > half of the longest"}
    found = kurtosis.evidence(data, along="along density", **given)[kurtosis.LESS]
    ds = data["dropout"].sel(activation="relu", importance_decay=1.0).isel(sparsity=slice(1, None))
    number = (ds["feature_norm"] > 0.5).sum("feature")
    for seed in (0, 3):
        rho = []
        for q in range(len(made.RATES)):
            at = {"seed": seed, "dropout": q}
            fine = ds["status"].isel(at).values == 1
            pairs = (ds["basis_kurtosis"].isel(at).values[fine], -number.isel(at).values[fine])
            rho.append(stats.spearmanr(*pairs)[0])
        assert found[seed] == pytest.approx(np.mean(rho))


def test_the_picture_has_six_panels_with_their_numbers():
    figure = findings_dropout.main(superposed(-10))
    titles = [ax.get_title() for ax in figure.axes]
    assert len(titles) == 6 and "S 0.97: 15." in titles[0]
    assert not any("nan" in title for title in titles)
    assert tuple(figure.get_size_inches()) == (10, 6)
    plt.close(figure)
