"""Jermyn and Shlegeris (2022) on bumps: when they form, how many there are, and who competes.

The alignment of pair k with component r is (u_r · a_k)(v_r · b_k), in units of s_r. A bump is an
interior maximum of it that stands out by at least 5 % of s_r, where nothing else is said.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.plateaus import PLATEAU, aligned, losses_at_bumps, of, peaks
from jsuper.findings.finding import Data, Finding
from jsuper.findings.notes import crossed, numbers
from jsuper.findings.rules import above, below
from jsuper.findings.scurves import per_seed, swapped

if TYPE_CHECKING:
    import xarray

FALL = 0.01  # of s_r, the least by which a pair falls
MOST, LIKELY = 0.5, 0.5  # of bumps; chance from which two runs rather differ than agree
SIZES = {"5 %": "bumps", "2 %": "bumps_2"}
OF = ("sgd", "adam")
TIMES = {"half times": "half_time", "10-90 % widths": "rise_width"}

DIFFER = "chance that two runs differ"
DURING = "share of bumps on the plateau"
GAIN = "bumps with Adam less with SGD"
SPREAD = "spread over components, Adam less SGD"
OTHERS = "gained by other pairs in that component"
ELSEWHERE = "gained by the pair in other components"
RIVAL = "the part of the largest rival"


def varied(data: Data, kind: str, size: str) -> dict[str, np.ndarray]:
    """Return `differing` of the numbers of bumps at rank 4 with 4 pairs."""
    return {DIFFER: differing(per_seed(of(data["scurves"], kind), SIZES[size], 4, 4))}


def differing(numbers: np.ndarray) -> np.ndarray:
    """Return 2 hᵢ - h, hᵢ the share of other seeds that differ from seed i and h its mean.

    The mean is the chance that two seeds differ, and the values have the spread that belongs to it:
    that of the hᵢ is half as large, as two seeds make a pair.
    """
    found, known = np.full(numbers.shape, np.nan), np.isfinite(numbers)
    given = numbers[known]
    share = (given[:, None] != given).sum(axis=1) / max(given.size - 1, 1)
    found[known] = 2 * share - share.mean() if given.size else np.nan
    return found


def alike(data: Data, rng: np.random.Generator) -> Data:
    """Return the data with the bumps of one run in all."""
    ds = data["scurves"]
    kept = ds[[*SIZES.values(), "status"]]
    one = rng.integers(ds.sizes["seed"], size=1)
    found = kept.isel(seed=np.repeat(one, ds.sizes["seed"])).assign_coords(seed=ds["seed"])
    return {"scurves": found}


def four(data: Data, kind: str) -> xarray.Dataset:
    """Return the models of an optimizer at rank 4 with 4 pairs."""
    return of(data["scurves"], kind).sel(rank=4, pairs=4).isel(pair=slice(4))


def during(data: Data, kind: str, loss: str, when: str) -> dict[str, np.ndarray]:
    """Return the share of a seed's bumps on the plateau; NaN for a seed without bumps."""
    found = losses_at_bumps(four(data, kind), loss, when)
    return {DURING: np.array([np.mean(np.array(s) > PLATEAU) if s else np.nan for s in found])}


def random_losses(data: Data, rng: np.random.Generator) -> Data:
    """Return the data with the losses of every model in random order, the start apart."""
    loss = data["scurves"]["loss_curve"].transpose(..., "step")
    first, rest = loss.values[..., :1], loss.values[..., 1:]
    mixed = np.concatenate([first, rng.permuted(rest, axis=-1)], axis=-1)
    return {"scurves": data["scurves"].assign(loss_curve=loss.copy(data=mixed))}


def more(data: Data, size: str, pairs: int) -> dict[str, np.ndarray]:
    """Return the bumps at rank 4 with Adam less those with plain descent."""
    both = (of(data["scurves"], kind) for kind in OF)
    plain, adam = (per_seed(ds, SIZES[size], 4, pairs) for ds in both)
    return {GAIN: adam - plain}


def spread(data: Data, times: str, pairs: int) -> dict[str, np.ndarray]:
    """Return Adam's less plain descent's standard deviation over components of ln of a time.

    The times are those until half of a component is learned, or from 10 to 90 % of it. A logarithm
    does not depend on the unit of time.
    """
    both = (of(data["scurves"], kind) for kind in OF)
    plain, adam = (np.log(per_seed(ds, TIMES[times], 4, pairs)).std(axis=1, ddof=1) for ds in both)
    return {SPREAD: adam - plain}


def exchanges(values: np.ndarray) -> np.ndarray:
    """Return what is gained around a pair, and its rival, at every time: (3, *shape).

    They are the gains until the end of other pairs in the component and of the pair in other
    components, and the largest part that another pair has in the component.

    Parameters
    ----------
    values
        Alignments, (..., component, pair, step), in units of s_r.
    """
    change = values[..., -1:] - values
    others = change.sum(-2, keepdims=True) - change
    elsewhere = change.sum(-3, keepdims=True) - change
    pairs = values.shape[-2]
    rival = [np.delete(values, k, axis=-2).max(-2) for k in range(pairs)]
    return np.stack([others, elsewhere, np.stack(rival, axis=-2)])


def competing(data: Data, kind: str, control: str) -> dict[str, np.ndarray]:
    """Return `exchanges` at a seed's bumps less those at its controls.

    Controls are curves without a bump: at all times from which they fall until the end, or when
    they first are as large as a bump at its peak. Means over a seed; NaN if it has not both.
    """
    values = aligned(four(data, kind))
    bumps, measured = peaks(values), exchanges(values)
    falls = np.greater(values - values[..., -1:], FALL)
    without = bumps.sum(axis=-1, keepdims=True) == 0
    found = np.full((3, len(values)), np.nan)
    for seed in np.flatnonzero((bumps & falls).any((1, 2, 3))):
        at = bumps[seed] & falls[seed]
        if control == "other falls":
            chosen = falls[seed] * without[seed]
        else:
            like = [_first_at(values[seed], height) for height in values[seed][at]]
            chosen = np.sum(like, axis=0) * without[seed]
        if np.any(chosen):
            here = measured[:, seed]
            random = (here * chosen).sum((1, 2, 3)) / chosen.sum()
            found[:, seed] = here[:, at].mean(1) - random
    return dict(zip((OTHERS, ELSEWHERE, RIVAL), found, strict=True))


def _first_at(values: np.ndarray, level: float) -> np.ndarray:
    """Return where curves (..., step) first are at a level, if ever."""
    return (values >= level) & (np.cumsum(values >= level, axis=-1) == 1)


def other_places(data: Data, rng: np.random.Generator) -> Data:
    """Return the data with the curves of a model at random components and pairs."""
    ds = data["scurves"].sel(rank=[4], pairs=[4]).isel(pair=slice(4))
    ds = ds[["alignment", "strengths", "status"]]
    curve = ds["alignment"].transpose(..., "component", "pair", "step")
    flat = curve.values.reshape(*curve.shape[:-3], -1, curve.shape[-1])
    order = rng.permuted(np.broadcast_to(np.arange(flat.shape[-2]), flat.shape[:-1]), axis=-1)
    mixed = np.take_along_axis(flat, order[..., None], axis=-2)
    return {"scurves": ds.assign(alignment=curve.copy(data=mixed.reshape(curve.shape)))}


WHICH = crossed("{kind}, {size}", size=tuple(SIZES), kind=OF)
said = partial(Finding, source="jermyn-2022", place="comment", sweeps=("scurves",))

FINDINGS: tuple[Finding, ...] = (
    said(
        "plateau-is-bump-formation",
        "Is the plateau a period of much bump formation?",
        sentence="The plateau corresponds to a period with a lot of bump formation.",
        effect=during,
        rules={DURING: above(MOST, bounds=(0, 1))},
        readings=crossed(
            "{kind}, {when}, loss of the {loss}",
            when=("peak", "half risen"),
            loss=("start", "zero model"),
            kind=OF,
        ),
        placebo=random_losses,
        unit="share of bumps",
        note=numbers("Rank 4, 4 pairs. Shares of bumps while the loss is above 90 %"),
    ),
    said(
        "bumps-vary-by-seed",
        "Does the number of bumps vary so much by seed that single runs mislead?",
        sentence="There is a good chance that the number of bumps varies significantly by seed.",
        effect=varied,
        rules={DIFFER: above(LIKELY, bounds=(-1, 2))},
        readings=WHICH,
        placebo=alike,
        unit="chance",
        note=numbers("Rank 4, 4 pairs. Chance that two runs differ"),
    ),
    said(
        "adam-more-bumps",
        "Does Adam make more bumps than plain descent?",
        sentence="Adam produces more competition of vectors, and with it more bumps.",
        effect=more,
        rules={GAIN: above(0, kind="skewed")},
        readings=crossed("{size}, {pairs} pairs", size=tuple(SIZES), pairs=(4, 8)),
        placebo=swapped("optimizer", *SIZES.values()),
        unit="bumps per model",
        note=numbers("Rank 4, same target and start. Adam less SGD", "+.2f"),
    ),
    said(
        "adam-similar-rates",
        "Does Adam make different vectors learn at more similar rates?",
        sentence="Adam may make different vectors learn at more similar rates.",
        effect=spread,
        rules={SPREAD: below(0)},
        readings=crossed("{times}, {pairs} pairs", times=tuple(TIMES), pairs=(4, 8)),
        placebo=swapped("optimizer", *TIMES.values()),
        unit="standard deviation of ln of a time",
        note=numbers("Rank 4. Adam less SGD", "+.3f"),
    ),
    said(
        "bumps-are-competition",
        "At a bump, do two pairs compete until one lets go and moves elsewhere?",
        sentence="Bumps are a sign of vectors that compete to represent parts of a subspace.",
        effect=competing,
        rules={OTHERS: above(0), ELSEWHERE: above(0), RIVAL: above(0)},
        readings=crossed("{kind}, {control}", kind=OF, control=("other falls", "pairs as large")),
        placebo=other_places,
        unit="part of s_r, bumps less controls",
        note=numbers("Rival's part at bumps less that of the same model elsewhere", "+.3f", RIVAL),
    ),
)
