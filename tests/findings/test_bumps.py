"""Findings on bumps: made-up sweeps in which each is so, or the opposite."""

import made_up_low_rank as made
import numpy as np
import pytest
import xarray as xr
from made_up_findings import check
from made_up_low_rank import ADAM, SGD
from scipy.signal import find_peaks

from jsuper.analysis import plateaus
from jsuper.findings import bumps

FINDINGS = {f.name: f for f in bumps.FINDINGS}
AXES = {"rank": [1, 4], "pairs": [4, 8], "optimizer": [SGD, ADAM]}


def bumpy(number=lambda seed, **_: 1 + seed % 3):
    """A sweep like "scurves", with so many bumps at each point."""

    def curves(optimizer, **point):
        aligned, outside = made.flow(**point)
        return made.with_bumps(aligned, number(optimizer=optimizer, **point)), outside

    return {"scurves": made.sweep(AXES, curves)}


def above_rank_one(seed, rank, **_):
    return (1 + seed % 3) * (rank > 1)


def at_most(kind):
    """One or two bumps with one optimizer, none with the other."""
    return lambda seed, optimizer, rank, **_: (1 + seed % 2) * (rank > 1) * (optimizer == kind)


def plateau_until(end):
    """All bumps peak before 10; the loss falls at a time."""
    ds = bumpy(above_rank_one)["scurves"]
    late = ds["time"] > end + ds["seed"] % 3 / 4
    return {"scurves": ds.assign(loss_curve=ds["loss_curve"].isel(step=0) * xr.where(late, 0.1, 1))}


def spread_out(sgd, adam):
    """Half times and widths with such standard deviations of their logarithm."""
    ds = bumpy(above_rank_one)["scurves"]
    rng = np.random.default_rng(0)
    wide = xr.where(ds["optimizer"] == SGD, sgd, adam)
    drawn = (ds["half_time"].copy(data=rng.normal(size=ds[v].shape)) for v in bumps.TIMES.values())
    return {"scurves": ds.assign({v: np.exp(x * wide) for v, x in zip(TIMES, drawn, strict=True)})}


TIMES = tuple(bumps.TIMES.values())


def rivals(at_bump):
    """Pair 0 rises in component 0 and falls; pair 3 falls a little in component 3, without a bump.

    At one of these there is a rival, which takes over, and the pair moves to another component.
    """

    def curves(seed, **_):
        t, height = made.TIME, 0.25 + 0.005 * seed
        rise, later = 1 / (1 + np.exp(4 - t)), 1 / (1 + np.exp(12 - t))
        aligned = np.zeros((4, 4, len(t)))
        aligned[0, 0] = height * rise * (1 - later)
        aligned[3, 3] = (height + 0.02 + 0.01 * (seed % 3)) * (rise - 0.1 * later)
        r = 0 if at_bump else 3
        aligned[r, 1] = 0.9 * height * rise + (0.9 - height) * later
        aligned[2, r] = (0.9 - 0.004 * seed) * later
        return aligned, np.zeros(len(t))

    axes = {"rank": [4], "pairs": [4], "optimizer": [SGD, ADAM]}
    return {"scurves": made.sweep(axes, curves)}


MADE = {  # finding -> data in which it is so, and in which the opposite is
    "plateau-is-bump-formation": (plateau_until(10), lambda: plateau_until(2)),
    "bumps-vary-by-seed": (bumpy(above_rank_one), lambda: bumpy(lambda rank, **_: rank > 1)),
    "adam-more-bumps": (bumpy(at_most(ADAM)), lambda: bumpy(at_most(SGD))),
    "adam-similar-rates": (spread_out(0.3, 0.1), lambda: spread_out(0.1, 0.3)),
    "bumps-are-competition": (rivals(True), lambda: rivals(False)),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_verdicts_and_placebos_are_those_of_the_construction(name):
    true, false = MADE[name]
    check(FINDINGS[name], true, false())


def test_seeds_without_bumps_have_no_share():
    data = plateau_until(10)
    none = bumpy(lambda **_: 0)["scurves"]
    few = {"scurves": xr.where(none["seed"] < 4, none, data["scurves"], keep_attrs=True)}
    share = bumps.during(few, "sgd", "start", "peak")[bumps.DURING]
    assert np.flatnonzero(np.isnan(share)).tolist() == [0, 1, 2, 3]
    assert np.nanmean(share) == 1


def test_bumps_are_placed_at_their_peak_and_at_half_of_it():
    ds = bumpy(lambda rank, **_: rank > 1)["scurves"]
    loss = xr.zeros_like(ds["loss_curve"]) + np.arange(ds.sizes["step"])
    data = {"scurves": ds.assign(loss_curve=loss)}
    values = plateaus.aligned(bumps.four(data, "sgd"))[5, 0, 0]  # of component 0 and pair 0
    peak = int(values.argmax())
    half = next(i for i, v in enumerate(values) if v >= values[peak] / 2)
    for when, step in (("peak", peak), ("half risen", half)):
        found = plateaus.losses_at_bumps(bumps.four(data, "sgd"), "zero model", when)[5]
        assert found == [pytest.approx(step / 2)]  # the zero model's loss is 2


def test_peaks_and_first_passages_are_those_of_a_search():
    rng = np.random.default_rng(0)
    curves = np.cumsum(rng.normal(size=(3, 4, 60)), axis=-1) / 20
    found, first = plateaus.peaks(curves), bumps._first_at(curves, 0.2)
    for place in np.ndindex(3, 4):
        expected = find_peaks(curves[place], prominence=plateaus.PROMINENCE)[0]
        assert np.flatnonzero(found[place]).tolist() == expected.tolist()
        steps = [i for i, v in enumerate(curves[place]) if v >= 0.2][:1]
        assert np.flatnonzero(first[place]).tolist() == steps
    assert found.sum() > 20


def test_the_chance_that_two_seeds_differ():
    numbers = np.array([0.0, 2, 1, 0, np.nan, 3, 0, 1])
    found = bumps.differing(numbers)
    known = numbers[np.isfinite(numbers)]
    pairs = [a != b for i, a in enumerate(known) for b in known[i + 1 :]]
    assert np.nanmean(found) == pytest.approx(np.mean(pairs))
    assert np.isnan(found).tolist() == np.isnan(numbers).tolist()
    # as pseudo-values of the jackknife, up to their spread of order 1/n
    drawn = np.random.default_rng(0).integers(0, 3, 200).astype(float)
    n, whole = 200, np.mean(bumps.differing(drawn))
    without = [np.mean(bumps.differing(np.delete(drawn, i))) for i in range(n)]
    pseudo = n * whole - (n - 1) * np.array(without)
    np.testing.assert_allclose(bumps.differing(drawn).std(), pseudo.std(), rtol=0.02)


def test_exchanges_by_loops():
    values = np.random.default_rng(0).normal(size=(3, 4, 6))
    found = bumps.exchanges(values)
    for r, k, t in np.ndindex(3, 4, 6):
        gain = values[:, :, -1] - values[:, :, t]
        assert found[0, r, k, t] == pytest.approx(sum(gain[r, j] for j in range(4) if j != k))
        assert found[1, r, k, t] == pytest.approx(sum(gain[q, k] for q in range(3) if q != r))
        assert found[2, r, k, t] == max(values[r, j, t] for j in range(4) if j != k)


def test_competition_by_hand():
    """One bump, at .3 with a rival of .2; a fall elsewhere from .5 to .4 without one."""
    values = np.zeros((4, 4, 5))
    values[0, 0] = [0, 0.1, 0.3, 0.2, 0.1]
    values[0, 1] = [0, 0.1, 0.2, 0.5, 0.9]
    values[2, 0] = [0, 0, 0.1, 0.3, 0.5]
    values[3, 3] = [0.44, 0.43, 0.42, 0.41, 0.405]

    ds = made.sweep(
        {"rank": [4], "pairs": [4], "optimizer": [SGD]},
        lambda **_: (values, np.zeros(5)),
        np.arange(5.0),
    )
    found = bumps.competing({"scurves": ds}, "sgd", "other falls")
    np.testing.assert_allclose(found[bumps.OTHERS], 0.7)
    np.testing.assert_allclose(found[bumps.ELSEWHERE], 0.4)
    np.testing.assert_allclose(found[bumps.RIVAL], 0.2)
    # those as large: pair 1 at its .5, beside pair 0's .2; 0 of [2, 0] at .3; 3 of [3, 3] at .44
    found = bumps.competing({"scurves": ds}, "sgd", "pairs as large")
    np.testing.assert_allclose(found[bumps.RIVAL], 0.2 - 0.2 / 3)
    np.testing.assert_allclose(found[bumps.OTHERS], 0.7 - (0.1 - 0.2) / 3)
