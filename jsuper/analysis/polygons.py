"""Training in a plane with one active feature at a time: its k-gons, its jumps, its coefficients.

A model is named as in the publication: "5+" is a 5-gon beside features without an embedding, of
which one has a positive bias. Losses are sums over the features.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jsuper.analysis.checked import Checked, mean_of, share_of
from jsuper.analysis.degeneracy import llc
from jsuper.analysis.jumping import Jumps, jumps
from jsuper.analysis.reading import finished_values, of_plain_relu
from jsuper.analysis.shapes import shape_names
from jsuper.analysis.snapshots import STEP, of_snapshots
from jsuper.analysis.superposition import REPRESENTED, feature_norms
from jsuper.analysis.theory import kgon, one_sparse_relu_loss
from jsuper.models.toy.labelled import lists_of

if TYPE_CHECKING:
    import xarray

START = "start"
PUBLISHED = {"5": 7.0, "5+": 8.5, "6": 8.5}
"""Local learning coefficients of six features."""

AT_REST = "theory and published: 0 at a critical point, and above by the noise of the batches"
FIRST = 10  # step from which jumps are sought: there are few snapshots before it
SEEDS = 50  # of each start, whose coefficients are estimated
MOVED = 1.0  # drift, or half the interval, of a coefficient from which the chains have moved away


class Course(NamedTuple):
    """What training does; arrays have the axes start, seed and snapshot."""

    starts: list[str]
    steps: np.ndarray  # (snapshots,)
    W: np.ndarray  # (..., 2, n)
    b: np.ndarray  # (..., n)
    loss: np.ndarray  # exact, the sum over features
    state: np.ndarray  # text, such as "5+"; "" if the model is no k-gon


def course(ds: xarray.Dataset) -> Course:
    """Return loss and k-gons of every model at every snapshot.

    Parameters
    ----------
    ds
        Dataset of `jsuper.run` or `jsuper.load`, of ReLU models with two hidden units, equal
        importance, support="exactly(1)" and snapshots. Only `start` and the seed have several
        values.

    Raises
    ------
    ValueError
        The models are others.
    SpecError
        The run has no snapshots.
    """
    _check(ds)
    models = of_snapshots(ds)
    if START not in models["status"].dims:
        models = models.expand_dims({START: [str(ds[START].item()) if START in ds else "random"]})
    lead = (START, "seed", STEP)
    W = finished_values(models, "W", *lead, "hidden", "feature").squeeze()
    b = finished_values(models, "b", *lead, "feature").squeeze()
    shape = tuple(models.sizes[d] for d in lead)
    W, b = W.values.reshape(*shape, *W.shape[-2:]), b.values.reshape(*shape, b.shape[-1])
    order = np.argsort(models[STEP].values)
    W, b = W[:, :, order], b[:, :, order]
    steps = models[STEP].values[order]
    starts = [str(s) for s in models[START].values]
    loss = W.shape[-1] * np.asarray(one_sparse_relu_loss(W, b))
    return Course(starts, steps, W, b, loss, states(W, b))


def _check(ds: xarray.Dataset) -> None:
    """Raise ValueError unless theory is about the models."""
    several = [str(d) for d in ds["status"].dims if ds.sizes[d] > 1 and d not in (START, "seed")]
    sweep = json.loads(ds.attrs["sweep"])
    plain = of_plain_relu(ds, but="support") and sweep.get("support") == ["exactly(1)"]
    listed = sweep.get("importance") or any(lists_of(sweep, "importances").values())
    equal = sweep.get("importance_decay") == [1.0] and not listed
    if several or not plain or not equal or ds.sizes["hidden"] != 2:
        raise ValueError(
            "ds needs ReLU models with n_hidden=2, support='exactly(1)' and importance_decay=1, of "
            "which only start and the seed have several values, as the preset development has"
        )


def states(W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the name of every model's k-gon, text of shape (...,); "" if it is none.

    Parameters
    ----------
    W, b
        Weights, (..., 2, n_features), and biases, (..., n_features).
    """
    left_out = np.asarray(feature_norms(W)) <= REPRESENTED
    positive = (left_out & (b > 0)).sum(axis=-1)
    names = np.char.partition(shape_names(W), "-gon")
    signs = np.char.multiply("+", positive)
    return np.where(names[..., 1] == "-gon", np.char.add(names[..., 0], signs), "")


def state_loss(state: str, n_features: int) -> float:
    """Return theory's loss of a k-gon, the sum over features."""
    k, positive = int(state.rstrip("+")), state.count("+")
    return n_features * kgon(k, n_features, positive).loss


def rising_directions(state: str, n_features: int) -> int:
    """Return the number of directions in weight space in which the loss of a k-gon rises.

    Corners have 3k - 1, all but the rotation. A feature without an embedding whose bias is positive
    has 3. One with a negative bias has none, unless the biases of the corners are 0, as for k = 4:
    then both directions of its column disturb the corners.
    """
    k, positive = int(state.rstrip("+")), state.count("+")
    touched = 2 if k <= 4 else 0
    return 3 * k - 1 + 3 * positive + touched * (n_features - k - positive)


def loss_jumps(found: Course) -> list[list[Jumps]]:
    """Return the jumps of the logarithm of every model's loss, along the logarithm of the step."""
    kept = found.steps >= FIRST
    t = np.log(found.steps[kept])
    each = [[jumps(t, np.log(v[kept])) for v in seeds] for seeds in found.loss]
    return [
        [j._replace(before=np.exp(j.before), after=np.exp(j.after)) for j in seeds]
        for seeds in each
    ]


def coefficients(ds: xarray.Dataset, *, snapshots: bool) -> xarray.Dataset:
    """Return `llc` of models or of their snapshots, NaN where the chains have moved away.

    A chain that finds a lower loss, for example because it gives an embedding to a feature that has
    none, does not measure the point where it began.

    Parameters
    ----------
    ds
        As in `course`.
    snapshots
        Whether to measure every snapshot instead of the trained models.
    """
    found = llc(ds, snapshots=snapshots)
    half = (found["llc_high"] - found["llc_low"]) / 2
    stays = (found["llc"] > 0) & (abs(found["llc_drift"]) < MOVED) & (half < MOVED)
    return found.where(stays)


def phases(ds: xarray.Dataset) -> list[Checked]:
    """Return where training ends, whether its losses are theory's, its jumps, and coefficients.

    Parameters
    ----------
    ds
        As in `course`.
    """
    found = course(ds)
    last, n = found.state[..., -1], found.W.shape[-1]
    names = sorted(set(last[last != ""].tolist()))
    excess = np.full(last.shape, np.nan)
    for name in names:
        here = last == name
        excess[here] = 100 * (found.loss[here, -1] / state_loss(name, n) - 1)
    checked = [
        share_of("trained models that are a k-gon", last != "", "published: training ends there"),
        mean_of("excess of their loss over theory's, %", excess, AT_REST),
        _jumping(found),
    ]
    measured = coefficients(ds.isel(seed=slice(0, SEEDS)), snapshots=False)["llc"]
    values = measured.transpose(..., "seed").values.reshape(len(found.starts), -1)
    ends = last[:, : values.shape[1]]
    return checked + [_coefficient(name, values[ends == name], n) for name in names]


def _jumping(found: Course) -> Checked:
    """Return the share of models whose loss jumps, with the median of the steps."""
    at = [(j.before * j.after) ** 0.5 for seeds in loss_jumps(found) for j in seeds]
    every = np.concatenate(at)
    when = f", at step {np.median(every):,.0f} in the median" if every.size else ""
    expected = "published: plateaus, then sudden drops"
    return share_of(f"models whose loss jumps{when}", [len(steps) > 0 for steps in at], expected)


def _coefficient(state: str, values: np.ndarray, n: int) -> Checked:
    """Return the mean coefficient of the models that end as a k-gon."""
    half = rising_directions(state, n) / 2
    expected = f"theory: {half:g}, half the directions that raise the loss"
    if n == 6 and state in PUBLISHED:
        expected += f"; published: {PUBLISHED[state]:g}"
    stay = int(np.isfinite(values).sum())
    quantity = f"local learning coefficient of {state}, {stay} of {values.size} models"
    return mean_of(quantity, values, expected)
