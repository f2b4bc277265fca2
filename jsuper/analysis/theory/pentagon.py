"""Five features in a plane, of which the first has another density: pentagon or two digons."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
import scipy

from jsuper.analysis.arrays import in_range
from jsuper.analysis.theory.pairs import pair_model

N, M = 5, 2
_ACTIVE = np.array([*product((0.0, 1.0), repeat=N)])  # which features are active, (32, 5)
POINTS = 512  # for the values of active features


class PentagonModel(NamedTuple):
    """W (2, 5), b (5,), and the expected loss, summed over the five features."""

    W: np.ndarray
    b: np.ndarray
    loss: float


def pentagon_model(density: float, relative_density: float) -> PentagonModel:
    """Return the minimum of the expected loss that is reached from a regular pentagon.

    x̂ = relu(Wᵀ W x + b), with equal importances. The expectation is a sum over the 32 sets of
    active features, and over 512 Sobol points for their values, which gives the loss to about
    0.1 %.

    Parameters
    ----------
    density
        p of four features, in (0, 1].
    relative_density
        Density of the first feature over p; their product is in [0, 1].

    Returns
    -------
    PentagonModel
        The model.

    Raises
    ------
    ValueError
        A value is out of its range.
    """
    weights = _weights(density, relative_density)
    angles = 2 * np.pi * np.arange(N) / N
    start = np.concatenate([np.cos(angles), np.sin(angles), np.full(N, -0.05)])
    x = _samples()
    scale = float((weights * x * x).sum())  # the loss of x̂ = 0, so that tolerances are relative

    def relative_loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        loss, slope = _loss(at, x, weights)
        return loss / scale, slope / scale

    options = {"maxiter": 500, "ftol": 1e-10, "gtol": 1e-7}
    found = scipy.optimize.minimize(
        relative_loss, start, method="L-BFGS-B", jac=True, options=options
    )
    return PentagonModel(found.x[: M * N].reshape(M, N), found.x[M * N :], found.fun * scale)


def digons_loss(density: float, relative_density: float) -> float:
    """Return the expected loss of two antipodal pairs without the first feature.

    It is exact: twice that of `pair_model`, and the variance of the first feature. Arguments and
    errors are those of `pentagon_model`.
    """
    _weights(density, relative_density)
    q = density * relative_density
    return 2 * pair_model(density, 1.0).loss + q / 3 - q * q / 4


@lru_cache(maxsize=64)
def pentagon_boundary(density: float) -> float:
    """Return the relative density of the first feature below which two digons are better.

    There the losses of `pentagon_model` and `digons_loss` are equal. It takes about a second, and
    is kept.

    Parameters
    ----------
    density
        p of the other four features, in (0, 0.2].

    Raises
    ------
    ValueError
        The density is out of range. At higher ones the pentagon is not the best model of five
        features of equal density.

    References
    ----------
    Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>, "Non-Uniform Superposition", where
    the change is "about 2.5 times" less density.
    """
    if not 0 < density <= 0.2:
        raise ValueError(f"density={density!r}: give one above 0 and up to 0.2, such as 0.05")

    def difference(relative: float) -> float:
        return pentagon_model(density, relative).loss / digons_loss(density, relative) - 1

    return scipy.optimize.root_scalar(difference, bracket=(0.05, 1), xtol=1e-3).root


@cache
def _samples() -> np.ndarray:
    """Return inputs: POINTS of each set of active features, (5, samples)."""
    values = scipy.stats.qmc.Sobol(N, scramble=False).random(POINTS)
    values += 0.5 / POINTS  # midpoints of a grid
    return np.ascontiguousarray((_ACTIVE[:, None] * values).reshape(-1, N).T)


def _weights(density: float, relative_density: float) -> np.ndarray:
    """Return the probability of each of `_samples`."""
    p = float(in_range("density", density, "(0, 1]"))
    q = float(in_range("relative_density", relative_density, "[0, inf)")) * p
    first = float(in_range("density * relative_density", q, "[0, 1]"))
    densities = np.array([first, p, p, p, p])
    chances = np.where(_ACTIVE > 0, densities, 1 - densities).prod(1)
    return np.repeat(chances / POINTS, POINTS)


def _loss(at: np.ndarray, x: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the loss and its gradient by the entries of W and b."""
    W, b = at[: M * N].reshape(M, N), at[M * N :]
    h = np.einsum("mi,is->ms", W, x)  # einsum: the threads of a product would wait for busy cores
    z = np.einsum("mi,ms->is", W, h) + b[:, None]
    error = np.maximum(z, 0) - x
    dz = 2 * weights * error * (z > 0)
    dh = np.einsum("mi,is->ms", W, dz)
    dW = np.einsum("ms,is->mi", h, dz) + np.einsum("ms,is->mi", dh, x)
    loss = float((weights * error * error).sum())
    return loss, np.concatenate([dW.ravel(), dz.sum(1)])
