"""Hidden units that hold several features by chance, although there is a unit for each.

References
----------
Lecomte et al. (2023), "What Causes Polysemanticity? An Alternative Origin Story of Mixed
Selectivity from Incidental Causes", <https://arxiv.org/abs/2312.03096>.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.checked import Checked, mean_of, share_of
from jsuper.analysis.reading import finished_values

if TYPE_CHECKING:
    import xarray

HELD = (0.8, 1.2)  # |W_ki| of a feature i that unit k holds, as published


def held(W: np.ndarray) -> np.ndarray:
    """Return which features each unit holds, 0.8 <= |W_ki| <= 1.2, (…, n_hidden, n_features)."""
    size = np.abs(W)
    return (size >= HELD[0]) & (size <= HELD[1])


def polysemantic(W: np.ndarray) -> np.ndarray:
    """Return which units hold more than one feature, (…, n_hidden)."""
    return held(W).sum(axis=-1) > 1


def start_ranks(W: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the place of every feature's last unit among its units at the start, (n_features,).

    The last unit of feature i has the largest |W_ki| after training. Its place is 0 if it had the
    largest |W_ki| at the start too, and k if k units were ahead.
    """
    last = np.abs(W).argmax(axis=-2)
    size = np.abs(start)
    return (size > np.take_along_axis(size, last[..., None, :], axis=-2)).sum(axis=-2)


def predicted(n_features: int, n_hidden: np.ndarray | int) -> np.ndarray:
    """Return n²/(4 m), the polysemantic units of m >> n units.

    Of the n²/2 pairs of features one in m has the same largest unit at the start, and half of these
    have weights of opposite signs, which ReLU lets live together.
    """
    return n_features**2 / (4 * np.asarray(n_hidden, float))


def sizes_of(ds: xarray.Dataset) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Return m, the finished models' W, and their W at the start, for every number of units.

    Numbers without a finished model are left out.

    Parameters
    ----------
    ds
        A sweep with several `n_hidden` and the seed, and with snapshots of step 0.

    Raises
    ------
    ValueError
        There are no snapshots of step 0.
    """
    if "W_snapshots" not in ds or 0 not in ds["snapshot_step"].values:
        raise ValueError("ds has no snapshots of step 0: train a sweep with snapshots=[0]")
    found = []
    dims = ("n_hidden", "seed", "hidden", "feature")
    ds = ds.isel({d: 0 for d in ds["status"].dims if d not in dims})
    ends = finished_values(ds, "W", *dims).values
    first = ds["W_snapshots"].sel(snapshot_step=0).transpose(*dims).values
    for i, m in enumerate(np.atleast_1d(ds["n_hidden"].values)):
        is_whole = np.isfinite(ends[i, :, :m]).all(axis=(1, 2))
        if is_whole.any():
            found.append((int(m), ends[i, is_whole, :m], first[i, is_whole, :m]))
    return found


def against_theory(ds: xarray.Dataset) -> list[Checked]:
    """Return polysemantic units over n²/(4m), and what decides which features share a unit.

    For every m the ratio of the number of polysemantic units to n²/(4m), with its interval over
    seeds. Then pairs of features with the same largest unit at the start, over C(n, 2)/m; pairs in
    one unit after training whose weights have opposite signs; and features whose last unit had
    their largest weight at the start.
    """
    checked, pairs, opposite, first = [], [], [], []
    for m, W, start in sizes_of(ds):
        n = W.shape[-1]
        ratio = polysemantic(W).sum(axis=-1) / predicted(n, m)
        checked.append(
            mean_of(f"polysemantic units over n^2/(4m), m = {m}", ratio, "theory: 1 for m >> n")
        )
        pairs.append(_start_pairs(start) * m / (n * (n - 1) / 2))
        opposite += [_signs_of_pairs(one) for one in W]
        first.append((start_ranks(W, start) == 0).ravel())
    return [
        *checked,
        mean_of(
            "pairs of features with the same largest unit at the start, over C(n, 2)/m",
            np.mean(pairs, axis=0) if len({len(p) for p in pairs}) == 1 else np.concatenate(pairs),
            "theory: 1",
        ),
        share_of(
            "pairs of features in one unit that have opposite signs",
            np.concatenate(opposite),
            "theory: 1",
        ),
        share_of(
            "features that end in the unit of their largest weight at the start",
            np.concatenate(first),
            "published: most",
        ),
    ]


def _start_pairs(start: np.ndarray) -> np.ndarray:
    """Return the number of pairs of features with the same largest |W_ki|, for every model."""
    largest = np.abs(start).argmax(axis=-2)
    counts = np.stack([np.bincount(one, minlength=start.shape[-2]) for one in largest])
    return (counts * (counts - 1) / 2).sum(axis=-1)


def _signs_of_pairs(W: np.ndarray) -> np.ndarray:
    """Return whether each pair of features that one unit of a model holds has opposite signs."""
    found = []
    for unit, features in zip(W, held(W), strict=True):
        signs = np.sign(unit[features])
        i, j = np.triu_indices(len(signs), 1)
        found.append(signs[i] != signs[j])
    return np.concatenate(found)
