"""Findings on S-curves: made-up sweeps in which each is so, or the opposite, and the pictures."""

import math

import made_up_low_rank as made
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from made_up_findings import check
from made_up_low_rank import ADAM, SGD

from jsuper.analysis import plateaus
from jsuper.analysis.lowrank import exact
from jsuper.findings import judge, scurves
from jsuper.plots import findings_scurves

FINDINGS = {f.name: f for f in scurves.FINDINGS}
LONG = np.linspace(0, 100, 1001)
RATES = (0.0001, 0.0002, 0.0004)


def low_rank(of=made.flow):
    """A sweep like "scurves"."""

    def curves(optimizer, **point):
        return of(**point)

    axes = {"rank": [1, 4], "pairs": [1, 4, 8, 16], "optimizer": [SGD, ADAM]}
    return {"scurves": made.sweep(axes, curves)}


def decay(felt):
    """A sweep like "scurves_decay" where only a part of the decay is felt."""

    def curves(seed, weight_decay, **_):
        start = 1e-5 * (2 + seed % 5)
        found = exact.rank_one(LONG, start, 0.01, weight_decay=weight_decay * felt)
        return found.u[None, None], found.rho

    axes = {"rank": [1], "pairs": [1], "weight_decay": [0.0, 0.25, 0.5, 1.25]}
    return {"scurves_decay": made.sweep(axes, curves, LONG)}


def optimizers(of_adamw=made.flow, power=0.0):
    """A sweep like "scurves_adamw"; half times in steps go with the rate to the power - 1."""

    def curves(optimizer, seed, **point):
        if optimizer == SGD:
            return made.flow(seed=seed, **point)
        rate = plateaus.rate_of(optimizer)
        faster = 1.5 * (rate / RATES[1]) ** -power * (1 + 0.01 * math.sin(seed + 1e5 * rate))
        return (of_adamw if "adamw" in optimizer else made.flow)(seed=seed, **point, faster=faster)

    names = [f"{kind}({rate})" for kind in ("adamw", "adam") for rate in RATES]
    axes = {"rank": [1, 4], "pairs": [1, 4], "optimizer": [SGD, *names]}
    return {"scurves_adamw": made.sweep(axes, curves)}


def softmax(power):
    """Sweeps like "scurves_softmax"; decay under cross-entropy is a power of the other."""

    def curves(objective, seed, **point):
        aligned, outside = made.flow(seed=seed, **point)
        share = outside / outside[0]
        exponent = power + seed / 100 if objective == "cross_entropy" else 1
        return aligned, outside[0] * share**exponent

    axes = {"rank": [1, 4], "pairs": [4], "objective": ["squared", "cross_entropy"]}
    ds = made.sweep(axes, curves)
    return {name: ds.assign_coords(strength=float(s)) for s, name in scurves.STRENGTHS.items()}


PREDICTED = low_rank()
MADE = {  # finding -> data in which it is so, and in which the opposite is
    "factors-give-an-s-curve": (PREDICTED, lambda: low_rank(made.exponential)),
    "decay-extends-the-exponential-phase": (decay(1.0), lambda: decay(0.0)),
    "adamw-only-accelerates": (optimizers(), lambda: optimizers(made.exponential)),
    "no-decay-under-cross-entropy": (softmax(0.1), lambda: softmax(0.9)),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_verdicts_and_placebos_are_those_of_the_construction(name):
    true, false = MADE[name]
    check(FINDINGS[name], true, false())


def test_readings_that_differ_are_mixed():
    entropy = softmax(0.9) | {"scurves_softmax_1000": softmax(0.1)["scurves_softmax_1000"]}
    (found,) = judge([FINDINGS["no-decay-under-cross-entropy"]], entropy)
    assert found.verdict == "depends"
    assert "strength 1000, 0.195" in found.note  # the mean of .1 to .29


def test_the_exponential_starts_where_the_model_does():
    ds = PREDICTED["scurves"].copy(deep=True)
    time = np.linspace(0, 30, 30_001)
    for start, rank in ((1.97, 1), (5.0, 4)):
        loss = start * np.exp(-0.7 * time)
        expected = time[np.argmax(loss <= 0.9)] / time[np.argmax(loss <= 0.1)]
        ds["loss_curve"].loc[{"step": 0}] = start * ds["zero_loss"]
        found = plateaus.exponential_ratio(ds).sel(rank=rank, pairs=4)
        np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert scurves.s_curve({"scurves": ds}, 1, 4)[scurves.RATIO] == pytest.approx(
        ds["plateau_ratio"].sel(rank=1, pairs=4, optimizer=SGD).values
        / (math.log(5 / 0.9) / math.log(5 / 0.1))
    )


def test_optimizers_are_found_by_kind_and_rate():
    names = ["adam(0.0004)", "adamw(0.1)", "adam(0.0001)", "sgd(1.0)"]
    ds = xr.Dataset({"x": ("optimizer", [0, 1, 2, 3])}, {"optimizer": names})
    assert [int(plateaus.of(ds, "adam", i)["x"]) for i in (0, -1)] == [2, 0]
    assert int(plateaus.of(ds, "adamw")["x"]) == 1


def test_unfinished_models_are_left_out():
    ds = PREDICTED["scurves"].copy(deep=True)
    ds["status"][{"seed": 3}] = 0
    (found,) = judge([FINDINGS["factors-give-an-s-curve"]], {"scurves": ds})
    assert (found.readings[0].parts[0].left_out, found.verdict) == (1, "supported")


def test_titles_of_the_picture_say_what_is_found():
    figure = findings_scurves.main(PREDICTED | softmax(0.1))
    titles = [ax.get_title() for ax in figure.axes]
    ratio = scurves.s_curve(PREDICTED, 1, 8)[scurves.RATIO].mean()
    assert f"rank 1, pairs 8: plateau {ratio:.2f} times" in titles[1]
    assert "sgd, rank 4, pairs 4: 0 of 0 bumps" in titles[3]
    assert "0.2, 0.2, 0.2 times" in titles[5]
    assert not any(np.isnan(line.get_ydata()).any() for ax in figure.axes for line in ax.lines)
    plt.close(figure)
