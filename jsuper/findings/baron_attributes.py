"""Baron (2025) in general: activations as functions, and which attributes help superposition.

Distances of functions and attributes are under z ~ N(0, 1); see `functions`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from jsuper.analysis.statistics import spearman
from jsuper.findings.baron_general import SEEN, asked_of, bought, mean, models
from jsuper.findings.finding import Data, Finding
from jsuper.findings.placebo import ACTIVATIONS as SHUFFLED
from jsuper.findings.rules import above, below, between
from jsuper.models.toy.activations.names import ACTIVATIONS

NORMALISED = ("softmax", "solu", "log_softmax", "softmin")
FUNCTIONS = tuple(a for a in ACTIVATIONS if a not in NORMALISED)  # of one number
PAIRS = np.triu_indices(len(FUNCTIONS), 1)
ATTRIBUTES = ("non-negative", "asymmetric", "smooth")
SOME = 0.25  # features, the least difference in X that counts
FIRST, LAST = 0.25, 0.75  # quarters of all pairs: the closest, and the most distant
WEAK = 0.3  # a correlation that explains less than a tenth of the variance
EVEN = 0.5  # the least even share of E f² of an asymmetric function


@functools.cache
def functions() -> tuple[np.ndarray, np.ndarray]:
    """Return ATTRIBUTES of FUNCTIONS, (functions, 3), and the distances of PAIRS, (pairs,).

    Asymmetric is the even part's share of E f², smooth is no jump of the slope, and the distance is
    the root of E (f - g)², all under z ~ N(0, 1).
    """
    from jsuper.analysis.gating import profile
    from jsuper.analysis.scalar import derivatives, normal_nodes

    found = [profile(name) for name in FUNCTIONS]
    z, weights = normal_nodes(np.unique(np.concatenate([p.kinks for p in found])))
    values = np.array([derivatives(name)(z) for name in FUNCTIONS]) * np.sqrt(weights)
    attributes = [
        (p.infimum.value >= 0, 1 - p.odd_share, p.continuous_derivatives >= 1) for p in found
    ]
    return np.array(attributes, float), np.linalg.norm(values[PAIRS[0]] - values[PAIRS[1]], axis=1)


def distances(data: Data, **reading: Any) -> list[np.ndarray]:
    """Return the pairs' root mean squares over sparsities of differences in X and in log10 loss.

    Both (seeds, pairs); NaN for pairs with a model that has no value.
    """
    found = [v.values for v in models(data, **reading, names=FUNCTIONS)]
    return [np.sqrt(((v[PAIRS[0]] - v[PAIRS[1]]) ** 2).mean(axis=1)).T for v in found]


def celu_gelu(data: Data, **reading: Any) -> dict[str, np.ndarray]:
    """Return the share of pairs that are closer than CELU and GELU, in three ways."""
    one, other = sorted(map(FUNCTIONS.index, ("celu", "gelu")))
    place = int(((PAIRS[0] == one) & (PAIRS[1] == other)).argmax())
    ways = (functions()[1][None], *distances(data, **reading))
    labels = ("closer as functions", "closer in X", "closer in loss")
    return {label: percentile(way, place) for label, way in zip(labels, ways, strict=True)}


def percentile(values: np.ndarray, place: int) -> np.ndarray:
    """Return the share of a row's other values below that at a place, ties by half: (rows,)."""
    own, others = values[:, [place]], np.delete(values, place, axis=1)
    lower = ((others < own) + (others == own) / 2).sum(axis=1)
    return lower / np.isfinite(others).sum(axis=1) + 0 * own[:, 0]  # NaN where it is


def related(data: Data, **reading: Any) -> dict[str, np.ndarray]:
    """Return Spearman's correlations of the pairs' distances, within each seed."""
    x, loss = distances(data, **reading)
    return {"function and X": spearman(functions()[1], x), "X and loss": spearman(x, loss)}


def best(data: Data, **reading: Any) -> dict[str, Any]:
    """Return the mean of non-negative, asymmetric FUNCTIONS less that of the others."""
    positive, even, _ = functions()[0].T
    chosen = (positive == 1) & (even >= EVEN - 1e-9)  # of relu it is 1/2, to rounding
    x, loss = (v.values for v in models(data, **reading, names=FUNCTIONS))
    return {
        "X more than others": mean(mean(x[chosen]) - mean(x[~chosen])),
        "log10 loss over others": mean(mean(loss[chosen]) - mean(loss[~chosen])),
    }


def helps(data: Data, attribute: int, **reading: Any) -> dict[str, Any]:
    """Return the least-squares coefficient of one attribute among all, of X, in sd of each."""
    x, _ = models(data, **reading, names=FUNCTIONS)
    given = functions()[0]
    basis = np.column_stack([np.ones(len(given)), (given - given.mean(0)) / given.std(0)])

    def fitted(x: np.ndarray) -> float:
        fine = np.isfinite(x)
        enough = fine.sum() > basis.shape[1]
        return np.linalg.lstsq(basis[fine], x[fine])[0][1 + attribute] if enough else np.nan

    return {"X per sd of it": mean(np.apply_along_axis(fitted, 0, x.values))}


FINDINGS: tuple[Finding, ...] = (
    asked_of("celu-gelu", "TL;DR",
        "CELU and GELU differ little as functions, much in superposition, and little in loss.",
        "Are CELU and GELU close as functions and in loss, and far apart in superposition?",
        effect=celu_gelu,
        rules={"closer as functions": between(0, FIRST, "exact"),
               "closer in X": above(LAST, bounds=(0, 1)),
               "closer in loss": below(FIRST, bounds=(0, 1))},
        placebo=SHUFFLED, unit="share of pairs of activations",
        note="Of the pairs of activations, {closer as functions:.0%} are closer as functions, "
        "{closer in X:.0%} in X and {closer in loss:.0%} in loss."),
    asked_of("distances-unrelated", "TL;DR",
        "How alike two functions are says little of superposition, and that little of losses.",
        "Is the distance of two functions unrelated to that in X, and that to the one in loss?",
        effect=related, rules={"function and X": below(WEAK), "X and loss": below(WEAK)},
        placebo=bought, unit="Spearman's correlation of distances",
        note="Distances in function and in X correlate at {function and X:.2f}, those in X and in "
        "loss at {X and loss:.2f}."),
    asked_of("non-negative-asymmetric-best", "Conclusion",
        "Non-negative, asymmetric activations superpose most and have the lowest losses.",
        "Do non-negative, asymmetric activations superpose most, with the lowest losses?",
        effect=best,
        rules={"X more than others": above(SOME), "log10 loss over others": below(-SEEN)},
        placebo=SHUFFLED, unit="features beyond m; log10 of a ratio",
        note="Symmetry is that about 0, so that all non-negative ones are asymmetric; GELU, which "
        "the text counts, dips below 0. They differ from the others by {X more than others:+.2f} "
        "features and {log10 loss over others:+.2f} orders of magnitude of loss."),
    *(asked_of(f"{word}-helps", "Discussion", f"Being {word} helps superposition.",
        f"Do {word} activations superpose more, the other attributes being equal?",
        effect=functools.partial(helps, attribute=k), rules={"X per sd of it": above(SOME)},
        placebo=SHUFFLED, unit="features beyond m per sd of the attribute",
        note="The coefficient is {X per sd of it:.2f}, fitted with those of the other attributes. "
        "Log-sigmoid, which fits nothing, is left out.")
      for k, word in enumerate(ATTRIBUTES)),
)  # fmt: skip
