"""The study of S-curves on made-up sweeps, in which effects are there or not by construction."""

import itertools
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from jsuper.analysis.lowrank import exact
from jsuper.analysis.metrics import factorization
from jsuper.studies import (
    _scurves_bumps,
    _scurves_decay,
    _scurves_optimizers,
    _scurves_plateau,
    _scurves_softmax,
    answer,
)
from jsuper.studies import scurves as study

SEEDS = 10
T = np.linspace(0, 25, 201)
U0 = np.geomspace(1e-3, 1e-2, SEEDS)  # of the seeds, larger with more pairs
RHO0 = 0.5
SGD, ADAM = "sgd(0.005)", "adam(0.0002)"


def sweep(axes, curves, time=T):
    """A sweep whose models have the curves (alignment, outside) of one point of the axes."""
    axes = axes | {"seed": list(range(SEEDS))}
    R, K = max(axes.get("rank", [1])), max(axes.get("pairs", [1]))
    dims, shape = tuple(axes), tuple(len(v) for v in axes.values())
    found = {
        "alignment": (("component", "pair", "step"), np.full((*shape, R, K, len(time)), np.nan)),
        "loss_curve": (("step",), np.full((*shape, len(time)), np.nan)),
        "norm_outside": (("side", "step"), np.full((*shape, 2, len(time)), np.nan)),
        "norm_inside": (("side", "step"), np.full((*shape, 2, len(time)), np.nan)),
        "strengths": (("component",), np.full((*shape, R), np.nan)),
        "time": (("step",), np.broadcast_to(time, (*shape, len(time))).copy()),
        "zero_loss": ((), np.full(shape, np.nan)),
    }
    for place in itertools.product(*(range(n) for n in shape)):
        point = {d: v[i] for (d, v), i in zip(axes.items(), place, strict=True)}
        rank, pairs = point.get("rank", 1), point.get("pairs", 1)
        aligned, outside = curves(**point)
        learned = aligned.sum(axis=1)
        extra = outside * (2 * learned.sum(axis=0) + outside)
        for name, values in {
            "alignment": aligned,
            "loss_curve": (((1 - learned) ** 2).sum(axis=0) + extra) / 2,
            "norm_outside": np.stack([outside, outside]),
            "norm_inside": np.stack([learned.sum(axis=0)] * 2),
        }.items():
            found[name][1][place][tuple(slice(n) for n in values.shape)] = values
        found["strengths"][1][place][:rank] = 1
        found["zero_loss"][1][place] = rank / 2
        assert aligned.shape == (rank, pairs, len(time))
    ds = xr.Dataset(coords={d: v for d, v in axes.items()})
    ds["status"] = (dims, np.ones(shape, np.int8))
    for name, (inner, values) in found.items():
        ds[name] = ((*dims, *inner), values)
    return ds.assign(factorization.measure(ds))


def flow_of(rank=1, pairs=1, seed=0, faster=1.0, decay=0.0, bumps=0):
    """Every component learned by the closed form of one pair, in equal parts by `rank` pairs.

    The first `bumps` components are learned by pair 0, which then leaves half of them to pair 1.
    """
    found = exact.rank_one(T * faster, U0[seed] * pairs, RHO0, weight_decay=decay)
    aligned = np.zeros((rank, pairs, len(T)))
    aligned[:, : min(rank, pairs)] = found.u / min(rank, pairs)
    handed = 0.5 / (1 + np.exp(12 - T))
    for r in range(bumps):
        aligned[r] = 0
        aligned[r, 0], aligned[r, 1] = found.u * (1 - handed), found.u * handed
    return aligned, found.rho


def scurves(bumpy=lambda **point: 0, faster=1.0):
    axes = {"rank": [1, 4], "pairs": [1, 4, 8], "optimizer": [SGD, ADAM]}

    def curves(optimizer, **point):
        many = bumpy(optimizer=optimizer, **point) if point["pairs"] > 1 else 0
        return flow_of(**point, bumps=many, faster=faster)

    return sweep(axes, curves)


def test_a_sigmoid_is_an_s_curve_and_its_start_predicts_it():
    answers = _scurves_plateau.answers(scurves())
    curve, spread, start, pairs, _ = answers
    assert curve.finding.startswith("Yes: 0.")
    assert "in 5 of 5 cases of rank and pairs" in curve.finding
    assert start.rows[1].value > 0.99 and abs(start.rows[0].value) < 0.2
    expected = np.std(exact.half_time(U0, RHO0), ddof=1)
    assert spread.rows[0].value == pytest.approx(expected, abs=0.02)
    assert spread.rows[0].low < expected < spread.rows[0].high
    shift = exact.half_time(4 * U0, RHO0) - exact.half_time(U0, RHO0)
    assert pairs.rows[0].value == pytest.approx(shift.mean(), abs=0.02)


def test_an_exponential_is_none():
    ds = scurves()
    ds["loss_curve"][:] = np.exp(-T) * ds["zero_loss"].values[..., None]
    ds = ds.assign(factorization.measure(ds))
    found = _scurves_plateau.sigmoid(ds.sel(optimizer=SGD))
    assert found.finding.startswith("Not shown: 0.04")
    assert found.rows[0].value == pytest.approx(np.log(0.9) / np.log(0.1), abs=0.01)


def test_decay_slows_the_exponential_phase_as_the_closed_form_says():
    global_time = np.linspace(0, 100, 1001)
    axes = {"rank": [1], "pairs": [1], "weight_decay": [0.0, 0.25, 0.5, 1.25]}

    def curves(seed, weight_decay, **point):
        found = exact.rank_one(global_time, 1e-5 * (seed + 1), 0.01, weight_decay=weight_decay)
        return found.u[None, None], found.rho

    ds = sweep(axes, curves, global_time)
    slope, end, longer = _scurves_decay.answers(ds)
    assert [r.value for r in slope.rows] == pytest.approx([2, 1.5, 1], rel=0.03)
    assert slope.finding.startswith("Yes")
    assert [r.value for r in end.rows] == pytest.approx([1, 0.75, 0.5, 0], abs=1e-4)
    assert "For λ >= s nothing is learned" in end.finding
    assert [r.value for r in longer.rows] == pytest.approx([r.null for r in longer.rows], rel=0.02)
    wrong = ds.assign(alignment=ds["alignment"] ** 2)  # grows at twice the rate
    assert _scurves_decay.slope(wrong).finding.startswith("Not as theory says")


def test_bumps_are_counted_by_seed_and_compared_within_it():
    def bumpy(optimizer, rank, pairs, seed):
        return (seed % 3 + (optimizer == ADAM)) if (rank, pairs) == (4, 4) else 0

    ds = scurves(bumpy)
    none, many, misleads, _, adam = _scurves_bumps.answers(ds)
    assert none.finding.startswith("No: none in 30 models")
    assert [r.value for r in many.rows] == [pytest.approx(0.9), 0.0]
    counts = np.arange(SEEDS) % 3
    by_case = {r.case: r.value for r in misleads.rows}
    assert by_case["rank 4, 4 pairs: share of runs without any"] == pytest.approx(0.4)
    assert by_case["rank 4, 4 pairs: Fano factor"] == pytest.approx(counts.var(ddof=1) / 0.9)
    pairs = [a != b for a, b in itertools.combinations(counts, 2)]
    differ = by_case["rank 4, 4 pairs: chance that two runs differ in number"]
    assert differ == pytest.approx(np.mean(pairs))
    assert "40 % of runs show no bump, the others 1 to 2" in misleads.finding
    rows = {r.case: r for r in adam.rows}
    assert rows["rank 4, 4 pairs, prominence 5 %"].value == 1
    assert rows["rank 4, 8 pairs, prominence 5 %"].value == 0
    assert "has more in 1 of 4 cases" in adam.finding
    table = _scurves_bumps.tables(ds)[0]
    assert len(table.rows) == 2 * 5 and table.rows[3][:4] == (SGD, "4", "4", "0.9")


def test_a_rank_one_bump_would_be_said():
    ds = scurves(lambda **point: int(point["rank"] == 1 and point["seed"] == 3))
    found = _scurves_bumps.none_at_rank_one(ds.sel(optimizer=SGD))
    assert found.finding.startswith("Yes, up to 1 in 30 models")


def test_who_gains_what_a_pair_loses():
    ds = scurves(lambda **point: 1)
    found = _scurves_bumps.competition(ds.sel(optimizer=SGD))
    assert found.rows[0].value == pytest.approx(1, rel=0.05)  # its stand-in, in the same component
    assert found.rows[1].value == pytest.approx(0, abs=0.05)
    assert found.rows[3].value == 1
    assert f"{SEEDS} of {SEEDS} seeds have bumps" in found.finding


def adamw_sweep(exponent=-1.0):
    rates = {"adam": (1e-4, 2e-4, 4e-4), "adamw": (1e-4, 2e-4, 4e-4)}
    names = [SGD, "sgdw(0.005)", *(f"{n}({r:g})" for n, rs in rates.items() for r in rs)]
    axes = {"rank": [1, 4], "pairs": [1, 4], "optimizer": names}

    def curves(optimizer, **point):
        rate = float(optimizer.split("(")[1][:-1])
        plain = optimizer.startswith("sgd")
        # steps go as rate^exponent, so time goes as rate^(1 + exponent)
        faster = 1.0 if plain else 1.5 * (rate / 1e-4) ** -(1 + exponent)
        return flow_of(**point, faster=faster * (1.1 if "w" in optimizer and not plain else 1))

    return sweep(axes, curves)


def test_adam_that_only_accelerates_has_the_same_shape():
    shape, rates, overlap, decoupled, _ = _scurves_optimizers.answers(adamw_sweep())
    assert shape.finding.startswith("No other curve is shown")
    assert all(abs(r.value) < 0.02 for r in shape.rows)
    assert [r.value for r in rates.rows] == pytest.approx([-1] * len(rates.rows), abs=0.01)
    plain, adam, _ = overlap.rows
    assert plain.value == pytest.approx(adam.value, rel=0.1) and plain.high < 0
    assert overlap.finding.startswith("As much")
    changes = {r.case: r.value for r in decoupled.rows}
    found = changes["adamw(0.0002) less adam(0.0002), rank 1, 1 pair"]
    assert found == pytest.approx(-np.log(1.1), abs=0.01)
    assert changes["sgdw(0.005) less sgd(0.005), rank 1, 1 pair"] == 0


def test_another_exponent_is_found():
    rows = _scurves_optimizers.rates(adamw_sweep(exponent=-0.5)).rows
    assert [r.value for r in rows] == pytest.approx([-0.5] * len(rows), abs=0.02)


@pytest.mark.parametrize(("power", "words"), [(1.0, "Not at small"), (0.0, "Yes")])
def test_the_decay_term_is_there_or_gone(power, words):
    def curves(objective, rank, **point):
        aligned, outside = flow_of(rank, **point)
        share = outside / outside[0]
        return aligned, outside[0] * share ** (power if objective == "cross_entropy" else 1)

    axes = {"rank": [1, 4], "pairs": [4], "objective": ["squared", "cross_entropy"]}
    ds = sweep(axes, curves).assign_coords(strength=1.0, size=100)
    decay, curve = _scurves_softmax.answers([ds])
    assert decay.finding.startswith(words)
    assert [r.value for r in decay.rows] == pytest.approx([power] * 2, abs=1e-6)
    assert ("Within 1 % in 4 of 4" in curve.finding) == (power == 1)


def test_the_page_needs_every_sweep_and_says_what_it_finds():
    softmax = {"rank": [1, 4], "pairs": [4], "objective": ["squared", "cross_entropy"]}
    made = sweep(softmax, lambda objective, **point: flow_of(**point))
    decay = sweep(
        {"rank": [1], "pairs": [1], "weight_decay": [0.0, 0.5, 1.25]},
        lambda weight_decay, **point: flow_of(**point, decay=weight_decay),
    )
    runs = {"scurves": scurves(lambda **point: point["seed"] % 2), "scurves_decay": decay}
    with pytest.raises(ValueError, match="runs has no scurves_adamw, scurves_softmax"):
        study.answers(runs)
    runs["scurves_adamw"] = adamw_sweep()
    for name, s in zip(study.SOFTMAX, (1.0, 100.0, 1000.0), strict=True):
        runs[name] = made.assign_coords(strength=s, size=100)
    answers = study.answers(runs)
    assert len({a.question for a in answers}) == len(answers) == 20
    for a in answers:
        assert a.question.endswith("?") and a.statistic and a.finding and a.rows
        assert "nan" not in a.finding
    json.dumps(answer.as_data(answers), allow_nan=False)
    drawings = study.figures(runs)
    assert len(drawings) == 6
    for drawing in drawings:
        for ax in drawing.figure.axes:
            assert ax.get_title() and ax.get_xlabel()
        plt.close(drawing.figure)
