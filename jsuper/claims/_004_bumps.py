"""Jermyn and Shlegeris (2022) on bumps: rank, single runs, Adam, and competition."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import find_peaks

from jsuper.analysis.reading import finished_values
from jsuper.claims.claim import Claim, Runs
from jsuper.claims.rules import Above, Exactly, Rate, Rule
from jsuper.studies._scurves_bumps import each_seed
from jsuper.studies._scurves_plateau import descent

if TYPE_CHECKING:
    import xarray

PROMINENCE = 0.05  # of s_r, from which a maximum is a bump
SEEN = 0.25  # share of runs: an effect that shows in fewer would not have been noticed in a few
LIKELY = 0.5  # chance from which two single runs rather differ than agree
SOME = 0.25  # bumps per model, the least difference that counts: one in four models
HALF = 0.5  # of what a pair loses, or holds: less is no exchange between two
CASES = (4, 8)  # numbers of pairs at rank 4

NONE, THERE = "bumps, rank 1", "runs with bumps, rank 4, 4 pairs"
DIFFER = "chance that two runs differ, rank 4, 4 pairs"
GAIN = "gained by others in that component, over what the pair loses"
MOVE = "gained by the pair in other components, over that"
RIVAL = "another pair's part in the component at the peak, over the pair's"


def counts(ds: xarray.Dataset, name: str = "bumps") -> xarray.DataArray:
    """Bumps per model: (optimizer, rank, pairs, seed)."""
    return finished_values(ds, name, "optimizer", "rank", "pairs", "seed")


def _ranks(runs: Runs) -> dict[str, np.ndarray]:
    ds = runs["low_rank"]
    bumps = counts(ds).sel(optimizer=descent(ds))
    some = bumps.sel(rank=4, pairs=4)
    return {
        NONE: bumps.sel(rank=1).max("pairs", skipna=False).values,
        THERE: np.where(some.isnull(), np.nan, some > 0),
    }


def _differ(runs: Runs) -> dict[str, np.ndarray]:
    ds = runs["low_rank"]
    return {DIFFER: differing(counts(ds).sel(optimizer=descent(ds), rank=4, pairs=4).values)}


def differing(numbers: np.ndarray) -> np.ndarray:
    """One value per seed, whose mean is the chance that two seeds, drawn at random, differ.

    2 hᵢ - h, with hᵢ the share of seeds that differ from seed i and h its mean: these values have
    the spread that belongs to h, while that of the hᵢ is half as large, as two seeds make a pair.
    """
    known = np.isfinite(numbers)
    given = numbers[known]
    found = np.full(numbers.shape, np.nan)
    if given.size:
        share = (given[:, None] != given).mean(axis=1)
        found[known] = 2 * share - share.mean()
    return found


def _more(name: str, rules: dict[str, Rule], runs: Runs) -> dict[str, np.ndarray]:
    """Bumps with Adam less those with plain descent, rank 4, same seed."""
    ds = runs["low_rank"]
    plain = descent(ds)
    adam = next(str(o) for o in ds["optimizer"].values if str(o).startswith("adam("))
    bumps = counts(ds, name).sel(rank=4)
    more = bumps.sel(optimizer=adam) - bumps.sel(optimizer=plain)
    return {label: more.sel(pairs=k).values for label, k in zip(rules, CASES, strict=True)}


def more(size: str) -> dict[str, Rule]:
    """Return the rules of one size of bump."""
    return {f"bumps of {size}, Adam less plain descent, {k} pairs": Above(SOME) for k in CASES}


def _compete(runs: Runs) -> dict[str, np.ndarray]:
    """Means over a seed's bumps; NaN for a seed without any."""
    ds = runs["low_rank"]
    seeds = [exchanges(a) for a, _, _ in each_seed(ds.sel(optimizer=descent(ds), rank=4, pairs=4))]
    means = np.array([np.mean(s, axis=0) if s else np.full(3, np.nan) for s in seeds])
    return {GAIN: means[:, 0], MOVE: means[:, 1], RIVAL: means[:, 2]}


def exchanges(aligned: np.ndarray) -> list[tuple[float, float, float]]:
    """Of every bump what others and the pair gain until the end, and what a rival has at the peak.

    Parameters
    ----------
    aligned
        Parts (component, pair, step) of one model, in units of s_r.
    """
    found = []
    for r, k in np.ndindex(aligned.shape[:2]):
        for peak in find_peaks(aligned[r, k], prominence=PROMINENCE)[0]:
            change = aligned[:, :, -1] - aligned[:, :, peak]
            lost = -change[r, k]
            if lost > 0:
                others = (change[r].sum() + lost) / lost
                elsewhere = (change[:, k].sum() + lost) / lost
                rival = np.delete(aligned[r, :, peak], k).max() / aligned[r, k, peak]
                found.append((float(others), float(elsewhere), float(rival)))
    return found


STRICT, LOOSE = more("5 %"), more("2 %")
_claim = partial(Claim, source="004", sweeps=("low_rank",))

CLAIMS = (
    _claim(
        name="bumps-need-rank-above-one",
        sentence="Bumps occur at a rank above 1 only.",
        statistic=_ranks,
        rules={NONE: Exactly(0), THERE: Rate(SEEN)},
        unit="bumps, or share of runs",
        note="A bump is an interior maximum of a pair's alignment that stands out by 5 % of s_r. "
        "Plain descent; 1, 4 and 8 pairs at rank 1.",
    ),
    _claim(
        name="bumps-vary-by-seed",
        sentence="The number of bumps varies so much by seed that single runs mislead.",
        statistic=_differ,
        rules={DIFFER: Above(LIKELY)},
        unit="chance",
        note="Plain descent.",
    ),
    _claim(
        name="adam-more-bumps",
        sentence="Adam makes more bumps than plain descent.",
        statistic=partial(_more, "bumps", STRICT),
        rules=STRICT,
        unit="bumps per model",
        note="Rank 4, same seed, target and start.",
    ),
    _claim(
        name="adam-more-small-bumps",
        sentence="Adam makes more bumps than plain descent, small ones counted as well.",
        statistic=partial(_more, "bumps_2", LOOSE),
        rules=LOOSE,
        unit="bumps per model",
        note="The text does not say what counts as a bump: here it is 2 % of s_r.",
    ),
    _claim(
        name="bumps-are-competition",
        sentence="At a bump two pairs grow toward one component, until one lets go and moves to "
        "another.",
        statistic=_compete,
        rules={GAIN: Above(HALF), MOVE: Above(HALF), RIVAL: Above(HALF)},
        unit="ratio",
        note="Rank 4, 4 pairs, plain descent, from the peak to the end, means over the bumps of "
        "each seed that has one. The component is still being learned, so others gain far more.",
    ),
)
