"""Claims of source 004: true, false and unclear by construction."""

import itertools

import made_up
import made_up_low_rank as made
import numpy as np
import pytest
from made_up_low_rank import ADAM, ADAMW, SGD

from jsuper.analysis.lowrank import exact
from jsuper.claims import _004_bumps, _004_low_rank
from jsuper.claims.judging import judge

CLAIMS = {c.name: c for c in (*_004_low_rank.CLAIMS, *_004_bumps.CLAIMS)}
LOW_RANK = {"rank": [1, 4], "pairs": [1, 4, 8], "optimizer": [SGD, ADAM]}
LONG = np.linspace(0, 100, 1001)


def low_rank(bumps=lambda **point: 0, of=made.flow, exchange=True, **more):
    """A sweep like `low_rank`, with so many bumps at each point."""

    def curves(optimizer, **point):
        aligned, outside = of(**point, **more)
        number = bumps(optimizer=optimizer, **point)
        return made.with_bumps(aligned, number, exchange), outside

    return made.sweep(LOW_RANK, curves)


def at_4(number, optimizer=SGD, pairs=(4,)):
    """Bumps at rank 4 alone: so many by seed."""

    def bumps(**point):
        here = point["rank"] == 4 and point["pairs"] in pairs and point["optimizer"] == optimizer
        return number(point["seed"]) if here else 0

    return bumps


def by_pairs(power):
    """The start is better by a power of the number of pairs."""
    return low_rank(of=lambda pairs, **point: made.flow(pairs=pairs, more=pairs**power, **point))


def unclear_pairs():
    ds = by_pairs(0)
    half = ds["loss_half_time"]
    scale = np.array([[1, 1, 1], [1, 0.8, 0.64]])
    shares = [half * half["pairs"].copy(data=row).astype(float) for row in scale]
    return made_up.unclear(*(ds.assign(loss_half_time=s.transpose(*half.dims)) for s in shares))


def decay(felt=1.0, uneven=0.0):
    """A sweep like `low_rank_decay` where only a part of the decay is felt, and not by all."""

    def curves(seed, weight_decay, **_):
        pace = 1 + (uneven if seed % 2 else -uneven) * (weight_decay > 0)
        start = 1e-5 * (2 + seed % 5)
        found = exact.rank_one(LONG * pace, start, 0.01, weight_decay=weight_decay * felt)
        return found.u[None, None], found.rho

    axes = {"rank": [1], "pairs": [1], "weight_decay": [0.0, 0.25, 0.5, 1.25]}
    return made.sweep(axes, curves, LONG)


def optimizers(of_adamw=made.flow, faster=1.5):
    """A sweep like `low_rank_adamw`; with Adam it is always 1.5 times as fast."""

    def curves(optimizer, **point):
        if optimizer == SGD:
            return made.flow(**point)
        return (
            made.flow(**point, faster=1.5)
            if optimizer == ADAM
            else of_adamw(**point, faster=faster)
        )

    return made.sweep({"rank": [1], "pairs": [1], "optimizer": [SGD, ADAM, ADAMW]}, curves)


def uneven_adamw(variable, low, high):
    """AdamW's value is low and high times that of Adam, in turn."""
    ds = optimizers()
    values = ds[variable]
    of_adam = values.sel(optimizer=ADAM, drop=True)
    two = (values.where(values["optimizer"] != ADAMW, of_adam * f) for f in (low, high))
    return made_up.unclear(*(ds.assign({variable: v.transpose(*values.dims)}) for v in two))


def softmax(power):
    """A sweep like `low_rank_softmax`; decay under cross-entropy is a power of the other."""

    def curves(objective, **point):
        aligned, outside = made.flow(**point)
        share = outside / outside[0]
        return aligned, outside[0] * share ** (power if objective == "cross_entropy" else 1)

    axes = {"rank": [1, 4], "pairs": [4], "objective": ["squared", "cross_entropy"]}
    return made.sweep(axes, curves)


def adam_bumps(number):
    return low_rank(at_4(number, ADAM, (4, 8)))


PLAIN = low_rank()
S_CURVE = "plateau_ratio"
MADE = {  # claim -> sweep, and how to make it so that it is true, false and unclear
    "factors-give-an-s-curve": (
        "low_rank",
        lambda: PLAIN,
        lambda: low_rank(of=made.exponential),
        lambda: made.alternating(PLAIN, S_CURVE, 0.04, 0.15),
    ),
    "decay-extends-the-exponential-phase": (
        "low_rank_decay",
        decay,
        lambda: decay(felt=0),
        lambda: decay(uneven=0.15),
    ),
    "adamw-only-accelerates": (
        "low_rank_adamw",
        lambda: optimizers(faster=2.0),
        lambda: optimizers(made.exponential),
        lambda: uneven_adamw(S_CURVE, 0.85, 1.15),
    ),
    "adam-stands-in-for-adamw": (
        "low_rank_adamw",
        optimizers,
        lambda: optimizers(faster=1.65),
        lambda: uneven_adamw("loss_half_time", 0.9, 1.1),
    ),
    "more-pairs-shorten-the-plateau": (
        "low_rank",
        lambda: by_pairs(2),
        lambda: by_pairs(0),
        unclear_pairs,
    ),
    "no-decay-under-cross-entropy": (
        "low_rank_softmax",
        lambda: softmax(0.0),
        lambda: softmax(1.0),
        lambda: made_up.unclear(softmax(0.0), softmax(1.0)),
    ),
    "bumps-need-rank-above-one": (
        "low_rank",
        lambda: low_rank(at_4(lambda s: s % 3)),
        lambda: PLAIN,
        lambda: low_rank(at_4(lambda s: s % 10 < 3)),
    ),
    "bumps-vary-by-seed": (
        "low_rank",
        lambda: low_rank(at_4(lambda s: s % 4)),
        lambda: low_rank(at_4(lambda s: 2)),
        lambda: low_rank(at_4(lambda s: s % 9 % 2)),
    ),
    "adam-more-bumps": (
        "low_rank",
        lambda: adam_bumps(lambda s: 1 + s % 2),
        lambda: PLAIN,
        lambda: adam_bumps(lambda s: s % 10 < 3),
    ),
    "adam-more-small-bumps": (
        "low_rank",
        lambda: adam_bumps(lambda s: 1 + s % 2),
        lambda: PLAIN,
        lambda: adam_bumps(lambda s: s % 10 < 3),
    ),
    "bumps-are-competition": (
        "low_rank",
        lambda: low_rank(at_4(lambda s: s % 3)),
        lambda: low_rank(at_4(lambda s: s % 3), exchange=False),
        lambda: made_up.unclear(*(low_rank(at_4(lambda s: 1), exchange=e) for e in (True, False))),
    ),
}


def test_every_claim_has_sweeps_made_for_it():
    assert set(MADE) == {c.name for c in CLAIMS.values() if c.sweeps}
    assert all(c.sweeps == (MADE[n][0],) for n, c in CLAIMS.items() if c.sweeps)


@pytest.mark.parametrize("name", MADE)
def test_verdicts_are_those_of_the_construction(name):
    sweep, *makers = MADE[name]
    for verdict, make in zip(("supported", "contradicted", "undecided"), makers, strict=True):
        (found,) = judge([CLAIMS[name]], {sweep: make()})
        assert found.verdict == verdict, found.why
        assert found.why
        assert all(np.isfinite(p.value) for p in found.parts if verdict != "contradicted")


def test_one_bump_at_rank_one_contradicts():
    ds = low_rank(lambda rank, pairs, **point: int(pairs > 1 and (rank == 4 or point["seed"] == 3)))
    (found,) = judge([CLAIMS["bumps-need-rank-above-one"]], {"low_rank": ds})
    assert found.verdict == "contradicted" and "bumps, rank 1" in found.why


@pytest.mark.parametrize("numbers", [[0, 1, 2, 3, 0, 0, 1], [2, 2, 2, 2], [0, 1, 1, 1, 1, 1]])
def test_the_chance_that_two_runs_differ_and_its_spread(numbers):
    numbers = np.array([*numbers, np.nan])
    found = _004_bumps.differing(numbers)
    known = numbers[:-1]
    pairs = [x != y for x, y in itertools.product(known, known)]
    assert np.isnan(found[-1]) and found[:-1].mean() == pytest.approx(np.mean(pairs))
    draws = np.random.default_rng(0).choice(known, (4000, known.size))
    chances = (draws[:, :, None] != draws[:, None]).mean(axis=(1, 2))
    assert found[:-1].std() / known.size**0.5 == pytest.approx(chances.std(), abs=0.04)


def test_models_that_are_not_finite_have_no_value():
    ds = low_rank(at_4(lambda s: s % 3))
    ds["status"][:, :, :, 5] = 2
    for name, claim in CLAIMS.items():
        if claim.sweeps == ("low_rank",):
            (found,) = judge([claim], {"low_rank": ds})
            assert found.verdict == judge([claim], {"low_rank": ds.drop_sel(seed=5)})[0].verdict
            assert all(p.left_out >= (name != "bumps-are-competition") for p in found.parts), name


def test_what_no_model_decides_says_what_would():
    rest = [c for c in CLAIMS.values() if not c.sweeps]
    assert len(rest) == 2
    assert all(j.verdict == "not testable" and j.why for j in judge(rest, {}))
