"""How activations gate what flows through them: profiles, and gates under given pre-activations.

Back-propagation multiplies an error by the slope f'(z) of the unit that it passes. ReLU has slope 0
for every z < 0; other activations let some error through, and reverse it where the slope is
negative:

    inactive units' share of the squared gradient = E[f'(z)²; z < 0] / E[f'(z)²].

Reference: Hendrycks and Gimpel (2016), "Gaussian Error Linear Units (GELUs)",
<https://arxiv.org/abs/1606.08415>, which gate by value instead of by sign.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jsuper.analysis.gates import (
    Gate,
    Normality,
    gate_under,
    normality,
    preactivations,
    weighted_gate,
)
from jsuper.analysis.scalar import (
    NOISE,
    Activation,
    Derivatives,
    Jumps,
    core_points,
    derivatives,
    find_jumps,
    limits,
    normal_nodes,
    sign_changes,
)
from jsuper.models.toy.activations.names import ACTIVATIONS, EXTRA_ACTIVATIONS, canonical_activation
from jsuper.training.jax_config import shielded

if TYPE_CHECKING:
    import xarray

__all__ = ["ELEMENTWISE", "Extremum", "Gate", "Normality", "Profile", "gate_under", "normality"]
__all__ += ["preactivations", "profile", "profile_table", "profiles"]

NORMALISED = ("softmax", "solu", "log_softmax", "softmin")
ELEMENTWISE: tuple[str, ...] = tuple(
    a for a in ACTIVATIONS + EXTRA_ACTIVATIONS if a.removesuffix("_batch") not in NORMALISED
)
"""The registered activations that are functions of one number."""


class Extremum(NamedTuple):
    """The least or the largest value of a function, and its position.

    `value` is infinite if the function is unbounded. `at` is the z nearest to 0 at which the value
    is reached (or next to which, at a jump), and -inf or inf if it is only approached.
    """

    value: float
    at: float


@dataclasses.dataclass(frozen=True)
class Profile:
    """An activation f as a function of one number; means are over z ~ N(0, 1).

    Attributes
    ----------
    name
        As in a sweep, or the name of the user's function.
    infimum, supremum
        Of f. The infimum is a minimum where its `at` is finite.
    smallest_slope, largest_slope
        Of f', one-sided slopes at kinks included.
    value_at_zero, slope_at_zero
        f(0), f'(0), the latter as training takes it.
    monotone
        f nowhere falls, or nowhere rises.
    injective
        f is monotone and nowhere flat, so that no two z share a value.
    separatrix
        The largest z < 0 at which f has a minimum between a falling and a rising piece;
        None where there is none. Below, more output means less z.
    continuous_derivatives
        How many derivatives are continuous: -1 where f jumps, 0 where f'
        does, 1 where f'' does, inf where none of them does ("smooth").
    kinks
        Where f, f' or f'' jumps, rising.
    mean, mean_square
        E f and E f².
    mean_slope, mean_square_slope
        E f' and E f'².
    odd_share
        E[((f(z) - f(-z))/2)²] / E f², in [0, 1]: 1 for an odd f.
    gate
        What units with z < 0 pass back.
    """

    name: str
    infimum: Extremum
    supremum: Extremum
    smallest_slope: Extremum
    largest_slope: Extremum
    value_at_zero: float
    slope_at_zero: float
    monotone: bool
    injective: bool
    separatrix: float | None
    continuous_derivatives: float
    kinks: tuple[float, ...]
    mean: float
    mean_square: float
    mean_slope: float
    mean_square_slope: float
    odd_share: float
    gate: Gate


@shielded()
def profile(activation: Activation) -> Profile:
    """Return the properties of an activation, computed numerically in float64.

    Kinks, roots and extrema are located within |z| <= 12, to 12 decimals. f'' is JAX's derivative,
    so f must be twice differentiable by JAX.

    Parameters
    ----------
    activation
        A registered name (also with parameters, `elu(0.25)`), or an elementwise function from
        (n_features, batch) to the same shape.

    Raises
    ------
    ValueError
        The name is unknown, or the activation is not a function of one number (softmax and its kin,
        gates with a second matrix, random gates).
    """
    name = canonical_activation(activation) if isinstance(activation, str) else activation
    return _profile_of_name(name) if isinstance(name, str) else _profile(name)


def profiles(activations: Iterable[Activation] | None = None) -> dict[str, Profile]:
    """Return name -> `profile`, by default of all registered elementwise activations.

    Raises
    ------
    ValueError
        As `profile`; or two activations have the same name.
    """
    given = ELEMENTWISE if activations is None else activations
    if isinstance(given, str):
        raise ValueError(f"activations={given!r} is one name; give a list, e.g. [{given!r}]")
    each = [profile(a) for a in given]
    found = {p.name: p for p in each}
    if len(found) < len(each):
        names = [p.name for p in each]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two activations are named {twice!r}; give each a name, with def")
    return found


def profile_table(activations: Iterable[Activation] | None = None) -> xarray.Dataset:
    """Return `profiles` as a Dataset along "activation", with one variable per number.

    An extremum gives two variables, e.g. `infimum` and `infimum_at`. Those of `gate` are prefixed
    with "inactive_". A missing separatrix is NaN. `kinks` is left out.

    Raises
    ------
    ValueError
        As `profiles`.
    """
    import xarray as xr

    found = profiles(activations)
    rows = [_numbers(p) for p in found.values()]
    names = rows[0] if rows else {}
    columns = {k: ("activation", np.array([row[k] for row in rows])) for k in names}
    return xr.Dataset(columns, coords={"activation": list(found)})


def _profile(activation: Activation) -> Profile:
    f = derivatives(activation)
    found = [find_jumps(f, order) for order in range(3)]
    kinks = np.unique(np.concatenate([j.at for j in found]))
    turns = sign_changes(f, 1)
    minima = sign_changes(f, 1, rising=True)
    minima = minima[minima < 0]
    monotone, flat = _direction(f, found[0])
    breaks = np.concatenate([kinks, turns])
    z, w = normal_nodes(np.concatenate([breaks, -breaks]))
    value, opposite, slope = f(z), f(-z), f(z, 1)
    square, odd = w @ value**2, w @ ((value - opposite) / 2) ** 2
    return Profile(
        name=activation if isinstance(activation, str) else _name_of(activation),
        infimum=_extremum(f, 0, found, turns, least=True),
        supremum=_extremum(f, 0, found, turns, least=False),
        smallest_slope=_extremum(f, 1, found, sign_changes(f, 2), least=True),
        largest_slope=_extremum(f, 1, found, sign_changes(f, 2), least=False),
        value_at_zero=float(f(0.0)),
        slope_at_zero=float(f(0.0, 1)),
        monotone=monotone,
        injective=monotone and not flat,
        separatrix=float(minima.max()) if minima.size else None,
        continuous_derivatives=next((o - 1.0 for o in range(3) if found[o].at.size), math.inf),
        kinks=tuple(kinks.tolist()),
        mean=float(w @ value),
        mean_square=float(square),
        mean_slope=float(w @ slope),
        mean_square_slope=float(w @ slope**2),
        odd_share=float(odd / square) if square else math.nan,
        gate=Gate(*map(float, weighted_gate(z, slope, w, np.ones_like(z), None))),
    )


_profile_of_name = functools.lru_cache(maxsize=256)(_profile)


def _name_of(function: Activation) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _direction(f: Derivatives, steps: Jumps) -> tuple[bool, bool]:
    """Return whether f is monotone, and whether it has a flat piece."""
    slope = f(core_points(), 1)
    step = np.concatenate([slope, steps.above - steps.below])
    flat = (slope[1:] == 0) & (slope[:-1] == 0)
    return bool((step >= -1e-13).all() or (step <= 1e-13).all()), bool(flat.any())


def _extremum(
    f: Derivatives, order: int, found: list[Jumps], turns: np.ndarray, *, least: bool
) -> Extremum:
    """Return the least or largest of a derivative: at 0, at jumps and turns, or at ±inf."""
    sign = 1 if least else -1
    points = np.concatenate([[0.0], turns, *(j.at for j in found)])
    at = np.concatenate([points, found[order].at, found[order].at])
    values = np.concatenate([f(points, order), found[order].below, found[order].above])
    best = (sign * values).min()
    ends = np.nan_to_num(sign * limits(f, order), nan=math.inf, neginf=-math.inf)
    if ends.min() < best - NOISE * (1 + abs(best)):
        return Extremum(float(sign * ends.min()) + 0.0, (-math.inf, math.inf)[ends.argmin()])
    near = at[sign * values <= best + 1e-12 * (1 + abs(best))]
    return Extremum(float(sign * best) + 0.0, float(near[np.abs(near).argmin()]))


def _numbers(p: Profile) -> dict[str, float]:
    """Return a profile's numbers under one name each."""
    row: dict[str, float] = {}
    for key in (field.name for field in dataclasses.fields(p)):
        value = getattr(p, key)
        if isinstance(value, Extremum):
            row |= {key: value.value, f"{key}_at": value.at}
        elif isinstance(value, Gate):
            row |= {f"inactive_{k}": v for k, v in value._asdict().items() if k != "inactive"}
        elif key == "separatrix":
            row[key] = math.nan if value is None else value
        elif key not in ("name", "kinks"):
            row[key] = value
    return row
