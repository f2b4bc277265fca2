"""Where the training starts, `start`: a name, or weights from arrays, a Dataset or a run folder.

    random           W as `init` says (the default)
    kgon(k, r, s)    the first k features are the corners of a regular polygon of radius r, 1 if it
                     is omitted, in the first two hidden units; the others are 0. Every weight and
                     bias has normal noise of standard deviation s, 0 if it is omitted
    identity         the first m features have a hidden unit each; the others are 0
    pca              W has the leading m eigenvectors of the covariance of √I_i x_i as its rows, and
                     b is such that the mean is reconstructed; the best linear model
    zeros            W = 0

Names set b = 0 (but pca, and kgon with noise), W_dec = W, b_hidden = 0, and leave M as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.core.checks import Check
from jsuper.core.errors import RunError, SpecError
from jsuper.core.expecting import described
from jsuper.core.json_data import JSONObject, label
from jsuper.core.status import OK
from jsuper.core.suggestions import not_one_of
from jsuper.models.toy.results import OPTIONAL, WATCHED

if TYPE_CHECKING:
    import xarray

RANDOM = "random"
NAMES = (RANDOM, "kgon(5)", "pca", "identity", "zeros")
PARAMETERS = ("W", "b", *OPTIONAL)
DIMENSIONS = {"W": ("hidden", "feature"), "b": ("feature",), "b_hidden": ("hidden",)}
DIMENSIONS |= {"V": DIMENSIONS["W"], "W_dec": DIMENSIONS["W"], "c": DIMENSIONS["b"]}
DIMENSIONS |= {"M": ("hidden", "hidden_in")}
RECORDED = ("loss_curve", *WATCHED)
LARGEST = 2**22  # numbers of a start, which a run's manifest holds
LABEL = re.compile(r"weights_[0-9a-f]{6}@[0-9a-f]{12}")
_KGON = re.compile(r"kgon\(\s*(\d{1,6})\s*(?:,\s*([^,()]+))?(?:,\s*([^,()]+))?\)")


@dataclass(frozen=True)
class Stored:
    """The shapes of the weights that a setting starts from, for which a program is compiled."""

    seeds: int
    """number of seeds with weights each; 0: one model is the start of all"""
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    """parameter and shape, without the axis of seeds"""


class Start:
    """Weights to start from, per model or for all, identified by their content.

    Attributes
    ----------
    dims
        Dimensions of models, `seed` or fields of the sweep, that the arrays have in front.
    coordinates
        Dimension -> its values; None for seeds in the sweep's order, until `bound`.
    arrays
        Parameter -> array, (*dims, ...).
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        dims: tuple[str, ...] = (),
        coordinates: Mapping[str, list] | None = None,
    ) -> None:
        self.arrays = {k: np.ascontiguousarray(a) for k, a in sorted(arrays.items())}
        self.dims, self.coordinates = dims, dict(coordinates or {})
        content = hashlib.sha256(repr((dims, sorted(self.coordinates.items()))).encode())
        for name, array in self.arrays.items():
            content.update(f"{name} {array.dtype.name} {array.shape}".encode() + array.tobytes())
        digest = content.hexdigest()[:12]
        self.__name__ = f"weights_{digest[:6]}"  # names differ along an axis of starts
        self.label = f"{self.__name__}@{digest}"

    def __call__(self) -> Mapping[str, np.ndarray]:
        """Return the arrays; a start is labelled and stored as a function is."""
        return self.arrays

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Start) and self.label == other.label

    def __hash__(self) -> int:
        return hash(self.label)

    def record(self) -> JSONObject:
        """Return what a manifest stores: the arrays themselves."""
        stored = {
            k: {"dtype": a.dtype.name, "shape": list(a.shape), "hex": a.tobytes().hex()}
            for k, a in self.arrays.items()
        }
        return {"dims": list(self.dims), "coordinates": self.coordinates, "arrays": stored}

    @property
    def stored(self) -> Stored:
        """The shapes of a setting's weights."""
        lead = len(self.dims)
        shapes = tuple((k, a.shape[lead:]) for k, a in self.arrays.items())
        return Stored(len(self.coordinates.get("seed", [])), shapes)

    def bound(self, seeds: tuple[int, ...]) -> Start:
        """Return the start with the sweep's seeds along a dimension `seed` without coordinates."""
        if "seed" not in self.dims or "seed" in self.coordinates:
            return self
        given = next(iter(self.arrays.values())).shape[self.dims.index("seed")]
        if given != len(seeds):
            raise SpecError(
                f"start has arrays of {given} models, and the sweep {len(seeds)} seeds: give one "
                "for each seed, or a single one for all"
            )
        return Start(self.arrays, self.dims, self.coordinates | {"seed": list(seeds)})

    def of_setting(self, point: Mapping[str, Any]) -> tuple[list[int], dict[str, np.ndarray]]:
        """Return the seeds, and the arrays (seeds, ...) of a setting; no seeds if all are equal."""
        chosen, arrays = [], self.arrays
        for dim in self.dims:
            if dim == "seed":
                chosen.append(slice(None))
            else:
                chosen.append(self.coordinates[dim].index(label(point[dim])))
        arrays = {k: a[tuple(chosen)] for k, a in self.arrays.items()}
        seeds = self.coordinates.get("seed", [])
        return seeds, arrays if seeds else {k: a[None] for k, a in arrays.items()}


def kgon_of(text: str) -> tuple[int, float, float] | None:
    """Return corners, radius and noise of `kgon(k, r, s)`; None for another text."""
    match = _KGON.fullmatch(text)
    return (int(match[1]), float(match[2] or 1), float(match[3] or 0)) if match else None


def from_arrays(given: Mapping[str, Any]) -> Start:
    """Return a start from parameters of one model, or of a model for each seed."""
    arrays = {}
    for name, value in given.items():
        if name not in PARAMETERS:
            raise SpecError(not_one_of(f"start has {name!r}", name, PARAMETERS, "parameters are"))
        array = np.asarray(value)
        if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
            raise SpecError(f"start[{name!r}] is not an array of finite real numbers")
        arrays[name] = array if array.dtype.kind == "f" else array.astype(np.float32)
    if "W" not in arrays:
        raise SpecError("start has no W: give {'W': (n_hidden, n_features), 'b': (n_features,)}")
    extra = {a.ndim - len(DIMENSIONS[k]) for k, a in arrays.items()}
    if not extra <= {0, 1} or len(extra) > 1:
        shapes = ", ".join(f"{k} {a.shape}" for k, a in arrays.items())
        raise SpecError(
            f"start has {shapes}: give the parameters of one model, W (n_hidden, n_features), or a "
            "model for each seed, W (seeds, n_hidden, n_features)"
        )
    return _small(Start(arrays, ("seed",) * extra.pop()))


def from_dataset(ds: xarray.Dataset) -> Start:
    """Return a start from trained models, whose axes with several values are those of the sweep.

    Axes with a single value are left out, so that one model is the start of all.
    """
    if "W" not in ds or "status" not in ds:
        raise SpecError(
            "start is a Dataset or run folder without W and status; give one of toy models, as "
            "jsuper.run and jsuper.load return it"
        )
    bad = int((ds["status"] != OK).sum())
    if bad:
        raise SpecError(
            f"start has {bad} models that were not trained to the end; select others, or train them"
        )
    status = ds["status"]
    ds = ds.squeeze([d for d, size in status.sizes.items() if size == 1], drop=True)
    dims = tuple(map(str, ds["status"].dims))
    if lacking := [d for d in dims if d not in ds.coords]:
        raise SpecError(f"start has the dimension {lacking[0]!r} without coordinates")
    arrays = {
        k: ds[k].transpose(*dims, *DIMENSIONS[k]).values for k in PARAMETERS if k in ds.data_vars
    }
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise SpecError(
            "start has models of several shapes or architectures; select those of one n_features "
            "and n_hidden, tied or not"
        )
    return _small(Start(arrays, dims, {d: ds[d].values.tolist() for d in dims}))


def from_continued(ds: xarray.Dataset, steps: list[int]) -> Start:
    """Return the start of a continued run: weights, optimizer states and what was recorded.

    Curves are those at some recorded steps.
    """
    ds = ds.sel(step=steps)
    start = from_dataset(ds)
    ds = ds.squeeze([d for d, n in ds["status"].sizes.items() if n == 1], drop=True)
    arrays = dict(start.arrays)
    for name, values in ds.data_vars.items():
        kind, _, parameter = str(name).partition("_")
        own = DIMENSIONS.get(parameter) if kind in ("mu", "nu", "trace") else None
        if name in RECORDED:
            own = ("step",)
        elif str(name).endswith("_snapshots"):
            own = ("snapshot_step", *DIMENSIONS[str(name).removesuffix("_snapshots")])
        if own is not None:
            arrays[str(name)] = values.transpose(*start.dims, *own).values
    return _small(Start(arrays, start.dims, start.coordinates))


def _small(start: Start) -> Start:
    numbers = sum(a.size for a in start.arrays.values())
    if numbers > LARGEST:
        raise SpecError(
            f"start has {numbers:,} numbers, and a run's manifest holds at most {LARGEST:,}: "
            "select fewer models, or give a single one"
        )
    return start


def _check_start(name: str, value: Any) -> str | Start:
    if isinstance(value, Start):
        return value
    if hasattr(value, "data_vars"):
        return from_dataset(value)
    if isinstance(value, Mapping):
        return from_arrays(value)
    if not isinstance(value, (str, Path)):
        raise SpecError(
            f"{name}={described(value)} is not a name, a run folder, a Dataset or a dict of arrays"
        )
    text = str(value).strip()
    if text in NAMES and "(" not in text:
        return text
    if text.startswith("kgon"):
        return _check_kgon(name, text)
    if LABEL.fullmatch(text):
        raise SpecError(
            f"{name}={text!r} is the label of stored weights, which files and command lines cannot "
            "contain; give the run folder, the Dataset or the arrays again"
        )
    if _is_folder(text):
        import jsuper  # what is above this package

        try:
            return from_dataset(jsuper.load(text))
        except (OSError, RunError) as error:
            raise SpecError(f"{name}={text!r} cannot be loaded: {error}") from error
    subject = f"{name}={text!r} is neither a run folder nor a known name"
    raise SpecError(not_one_of(subject, text, NAMES, "names are"))


def _is_folder(text: str) -> bool:
    try:
        return bool(text) and Path(text).is_dir()
    except (OSError, ValueError):  # a name that is too long, or contains a null character
        return False


def _check_kgon(name: str, text: str) -> str:
    try:
        corners, radius, noise = kgon_of(text) or (0, 0.0, 0.0)
    except ValueError:
        corners, radius, noise = 0, 0.0, 0.0
    if corners < 2 or not 0 < radius < float("inf") or not 0 <= noise < float("inf"):
        raise SpecError(
            f"{name}={text!r} needs a number of corners >= 2, and may have a radius > 0 and a "
            "noise >= 0; write for example kgon(5), kgon(5, 0.9) or kgon(4, 1, 0.1)"
        )
    if noise:
        return f"kgon({corners}, {radius:g}, {noise:g})"
    return f"kgon({corners})" if radius == 1 else f"kgon({corners}, {radius:g})"


check_start = Check(_check_start, "NAME", takes_functions=True, takes_tables=True)
"""The check of a named start, or of weights, which become a `Start`."""
