"""Losses of fixed solutions of the smallest models, as in the published phase diagrams."""

from __future__ import annotations

from typing import NamedTuple

from jsuper.analysis.arrays import (
    Array,
    floating,
    in_range,
    namespace,
)
from jsuper.training.jax_config import shielded


class TwoToOne(NamedTuple):
    """Losses of the three solutions for two features in one hidden unit."""

    drop_first: Array
    drop_last: Array
    antipodal: Array


class ThreeToTwo(NamedTuple):
    """Losses of the four solutions for three features in two hidden units."""

    drop_first: Array
    drop_last: Array
    first_two_antipodal: Array
    last_two_antipodal: Array


class Boundary(NamedTuple):
    """Densities below which a pair is better than dropping its last or its first feature."""

    over_drop_last: Array
    over_drop_first: Array


@shielded()
def two_to_one(density: Array, relative_importance: Array) -> TwoToOne:
    """Return the losses of W = (0, 1), (1, 0) and (1, -1) with ReLU output, summed over features.

    A dropped feature costs its importance times p/3 - p²/4, at b = p/2. The antipodal pair costs
    (1 + r) p²/6 at norm 1 and b = 0, an upper bound on the best pair.

    Parameters
    ----------
    density
        p of all features, in [0, 1].
    relative_importance
        r >= 0, importance of the last feature; the others have 1. Broadcasts against p.

    Raises
    ------
    ValueError
        A value is out of its range.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, the theoretical phase diagrams.
    Wattenberg, "Exploring Exact Toy Models".
    """
    p = in_range("density", density, "[0, 1]")
    r = in_range("relative_importance", relative_importance, "[0, inf)")
    dropped = p / 3 - p * p / 4
    return TwoToOne(dropped + 0 * r, dropped * r, (1 + r) * p * p / 6)


@shielded()
def three_to_two(density: Array, relative_importance: Array) -> ThreeToTwo:
    """Return the losses of four solutions for three features in two units, summed over features.

    One feature is dropped, or the first two (p²/3) or the last two share a dimension. The third
    feature has importance r; see `two_to_one` for the other terms.

    Parameters
    ----------
    density
        p of all features, in [0, 1].
    relative_importance
        r >= 0, importance of the last feature; the others have 1. Broadcasts against p.

    Raises
    ------
    ValueError
        A value is out of its range.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, the theoretical phase diagrams.
    Wattenberg, "Exploring Exact Toy Models".
    """
    first, last, antipodal = two_to_one(density, relative_importance)
    p = floating(density)
    return ThreeToTwo(first, last, p * p / 3 + 0 * first, antipodal)


@shielded()
def construction_boundary(relative_importance: Array) -> Boundary:
    """Return the densities below which the pair W = (1, -1), b = 0 wins over dropping a feature.

    They are 2r / (1 + 2.5r), below which it beats dropping the last feature, and 2 / (2.5 + r),
    below which it beats dropping the first. The two meet at r = 1, p = 4/7. They hold for the last
    two features of `three_to_two` as well. The best pair has other norms and biases and holds both
    features up to higher densities: see `two_to_one_boundary`.

    Parameters
    ----------
    relative_importance
        r >= 0, importance of the last feature of the pair; the first has 1.

    Raises
    ------
    ValueError
        A value is negative.
    """
    r = in_range("relative_importance", relative_importance, "[0, inf)")
    return Boundary(2 * r / (1 + 2.5 * r), 2 / (2.5 + r))


@shielded()
def best_solution(losses: TwoToOne | ThreeToTwo) -> Array:
    """Return the index of the smallest loss, the first one if several are equal.

    Parameters
    ----------
    losses
        Result of `two_to_one` or `three_to_two`; `losses._fields[index]` is the solution's name.
    """
    xp = namespace(losses[0])
    return xp.argmin(xp.stack(losses), axis=0)
