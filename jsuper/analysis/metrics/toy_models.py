"""The models of a sweep of toy models, grouped by shape, and programs over many of them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jsuper.core.json_data import JSONObject
from jsuper.core.status import OK
from jsuper.engine.devices import cores
from jsuper.models.toy.activations.names import canonical_activation
from jsuper.models.toy.architecture import DEFAULTS as ARCHITECTURE
from jsuper.models.toy.architecture import PLAIN, Architecture, architecture_of
from jsuper.models.toy.inputs.features import power_law
from jsuper.models.toy.inputs.law import Inputs, named_law
from jsuper.models.toy.inputs.names import DEFAULT_SUPPORT, DEFAULT_VALUES, support_of
from jsuper.models.toy.labelled import lists_of
from jsuper.training.jax_config import shielded

if TYPE_CHECKING:
    import xarray


LARGEST_PIECE = 1024  # models of one call


class Models(NamedTuple):
    """M models of one shape, and what they were trained with."""

    W: np.ndarray  # (M, m, n)
    b: np.ndarray  # (M, n)
    V: (
        np.ndarray | None
    )  # (M, m, n), NaN for models without a second matrix; None: no model has one
    c: np.ndarray | None  # (M, n)
    loss: np.ndarray  # (M,)
    density: np.ndarray  # (M, n); NaN for a user's sampler
    importance: np.ndarray  # (M, n)
    activation: np.ndarray  # (M,) names; name@digest of a user's function
    batch_size: np.ndarray  # (M,)
    support: np.ndarray  # (M,) name of the support, the same for all
    values: np.ndarray  # (M,) name of the law of values, the same for all
    normalized: np.ndarray  # (M,) whether samples are scaled to length 1, the same for all
    W_dec: np.ndarray | None = (
        None  # (M, m, n), NaN for models with tied weights; None: all have them
    )
    sampled: np.ndarray | None = None  # (M,) true; None unless the data are from a user's sampler
    b_hidden: np.ndarray | None = None  # (M, m); None without a bias of the hidden layer
    M: np.ndarray | None = None  # (M, m, m); None without a map of the hidden layer
    network: np.ndarray | None = None  # (M,) architecture as JSON, the same for all; None: plain

    @property
    def inputs(self) -> Inputs:
        """The law of the data, unless it is a user's sampler, which a run folder does not hold."""
        law = {"support": self.support[0], "values": self.values[0]}
        return named_law(law | {"normalize": self.normalized[0]})

    @property
    def has_moments(self) -> bool:
        """Whether the mean and the variance of what the loss compares have a closed form."""
        known = self.sampled is None and not self.normalized[0]
        return known and self.net.has_plain_loss

    @property
    def net(self) -> Architecture:
        """The architecture of the models; functions of the user's by their labels."""
        return PLAIN if self.network is None else architecture_of(json.loads(self.network[0]))

    @property
    def has_function(self) -> bool:
        """Whether the hidden layer or the target is a function, which no run folder holds."""
        return any("@" in str(f) for f in (self.net.hidden_activation, self.net.target))


def check_whole(ds: xarray.Dataset) -> None:
    """Raise ValueError unless every model has all of its weights and was trained.

    Raises
    ------
    ValueError
        A part of the weights was selected, or status is a mean.
    """
    for dim, name in (("hidden", "n_hidden"), ("feature", "n_features")):
        if ds.sizes.get(dim, 0) < ds[name].max():
            raise ValueError(
                f"ds has {ds.sizes.get(dim, 'no')} values of {dim!r}, but its models have {name} "
                f"up to {int(ds[name].max())}; analyse whole models, and select afterwards"
            )
    if ds["status"].dtype.kind not in "iu":
        raise ValueError(
            "ds.status is not of integers, as after a mean over seeds: a mean of models is not a "
            "trained model; analyse the models, and take the mean of their measures"
        )


def _lists(
    sweep: JSONObject, one: str, many: str, flat: Callable[[str], np.ndarray]
) -> np.ndarray | None:
    """Return every model's list of one value per feature, (models, n); None if there are no lists.

    A sweep has one list in the field `one`, or lists with labels along the axis `many`.
    """
    by_label = lists_of(sweep, many)
    if sweep.get(one) is not None:
        return np.broadcast_to(sweep[one], (flat("status").size, len(sweep[one])))
    if None in by_label.values():
        return None
    return np.array([by_label[label] for label in flat(many).tolist()])


def per_model(ds: xarray.Dataset, name: str, *inner: str) -> np.ndarray:
    """Return a variable or coordinate for every model, (models, *inner)."""
    lead = ds["status"].sizes
    sizes = {str(d): ds.sizes[d] for d in (*lead, *inner)}
    values = ds[name].variable.set_dims(sizes).transpose(*sizes).values  # no indexes to align
    return values.reshape(ds["status"].size, *values.shape[len(lead) :])


def groups(ds: xarray.Dataset) -> Iterator[tuple[np.ndarray, Models]]:
    """Yield the sweep's finished models by shape and law, with their positions among all models."""
    sweep, status = json.loads(ds.attrs["sweep"]), ds["status"].values.ravel()
    flat = functools.partial(per_model, ds)
    every = _every_model(ds, sweep, flat)
    assert every.network is not None
    features, units = flat("n_features"), flat("n_hidden")
    kinds = [a.tolist() for a in (features, units, every.support, every.values, every.network)]
    densities = _densities(ds, sweep, flat)
    for n, m, law, value, own in sorted({*zip(*kinds, strict=True)}):
        same = (features == n) & (units == m) & (every.support == law) & (every.values == value)
        places = np.flatnonzero((status == OK) & same & (every.network == own))
        if places.size:
            density = densities(places, law, n)
            yield places, _of_kind(select_models(every, places), n, m, density, json.loads(own))


def _every_model(ds: xarray.Dataset, sweep: JSONObject, flat: Callable[..., np.ndarray]) -> Models:
    """Return all models of a sweep, with the padding of smaller ones and without densities."""
    support, values = law_names(ds)
    listed = _lists(sweep, "importance", "importances", flat)
    if listed is None:
        listed = flat("importance_decay")[:, None] ** np.arange(ds.sizes["feature"])
    labels = activation_labels(sweep)
    inner = {
        "V": ("hidden", "feature"),
        "c": ("feature",),
        "W_dec": ("hidden", "feature"),
        "b_hidden": ("hidden",),
        "M": ("hidden", "hidden_in"),
    }
    size = ds["status"].size
    return Models(
        W=flat("W", "hidden", "feature"),
        b=flat("b", "feature"),
        loss=flat("loss"),
        density=np.full(size, np.nan),
        importance=listed,
        activation=np.array([labels.get(a, a) for a in map(str, flat("activation"))]),
        batch_size=flat("batch_size"),
        support=support,
        values=values,
        normalized=np.full(size, bool(sweep.get("normalize"))),
        sampled=np.ones(size, bool) if sweep.get("inputs") else None,
        network=networks(ds, sweep),
        **{k: flat(k, *dims) if k in ds else None for k, dims in inner.items()},
    )


def _densities(
    ds: xarray.Dataset, sweep: JSONObject, flat: Callable[..., np.ndarray]
) -> Callable[[np.ndarray, str, int], np.ndarray]:
    """Return densities(places, support, n) of some models with one support: (models, n)."""
    listed, sparsity = (
        _lists(sweep, "feature_sparsity", "feature_sparsities", flat),
        flat("sparsity"),
    )
    powers = flat("density_power") if "density_power" in ds.coords else np.zeros(sparsity.size)

    def densities(places: np.ndarray, law: str, n: int) -> np.ndarray:
        if sweep.get("inputs"):
            return np.full((places.size, n), np.nan)
        S = sparsity[places, None] if listed is None else listed[places]
        weight = [power_law(power, n) for power in powers[places]]
        found = support_of(law).densities((1 - S) * weight, n)
        return np.broadcast_to(found, (places.size, n))

    return densities


def _of_kind(
    models: Models, n: int, m: int, density: np.ndarray, network: Mapping[str, Any]
) -> Models:
    """Return models of one shape and architecture without padding, and with their densities."""
    none: Any = None
    return models._replace(
        W=models.W[:, :m, :n],
        b=models.b[:, :n],
        V=none if models.V is None else models.V[:, :m, :n],
        c=none if models.c is None else models.c[:, :n],
        W_dec=none if models.W_dec is None else models.W_dec[:, :m, :n],
        b_hidden=models.b_hidden[:, :m] if "hidden_bias" in network else none,  # type: ignore[index]
        M=models.M[:, :m, :m] if "hidden_map" in network else none,  # type: ignore[index]
        density=density.astype(models.W.dtype),
        importance=np.ascontiguousarray(models.importance[:, :n]).astype(models.W.dtype),
        network=models.network if network else none,
    )


def select_models(models: Models, which: slice | np.ndarray) -> Models:
    """Return the models in these rows."""
    return jax.tree.map(lambda a: a[which], models)


def read_by(models: Models) -> np.ndarray:
    """Return the matrix that reads the hidden units: W_dec, or W if the weights are tied."""
    if models.W_dec is None:
        return models.W
    return np.where(np.isnan(models.W_dec), models.W, models.W_dec)


def law_names(ds: xarray.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the names of the support and of the law of values of every model, (models,)."""
    sweep, status = json.loads(ds.attrs["sweep"]), ds["status"]
    names = []
    for field, default in (("support", DEFAULT_SUPPORT), ("values", DEFAULT_VALUES)):
        if field in ds.coords:
            name = per_model(ds, field)
        else:
            name = np.full(status.size, sweep.get(field, [default])[0])
        names.append(name.astype(str))
    if sweep.get("shared_mask"):
        names[0] = np.full(status.size, "shared")
    return names[0], names[1]


def networks(ds: xarray.Dataset, sweep: JSONObject) -> np.ndarray:
    """Return the architecture of every model as JSON of what differs from the plain one, (M,)."""
    columns = {}
    for name in ARCHITECTURE:
        if name in ds.coords:
            labels = activation_labels(sweep, name)
            columns[name] = [labels.get(str(v), v) for v in per_model(ds, name).tolist()]
    rows = zip(*columns.values(), strict=True) if columns else [()] * ds["status"].size
    differing = (
        {k: v for k, v in zip(columns, row, strict=True) if v != ARCHITECTURE[k]} for row in rows
    )
    return np.array([json.dumps(fields) for fields in differing])


def activation_labels(sweep: JSONObject, field: str = "activation") -> dict[str, str]:
    """Return name of a user's function -> its label name@digest.

    A function may have the name of a registered activation and compute something else.
    """
    labels = [v for v in sweep.get(field, []) if isinstance(v, str)]
    return {label.partition("@")[0]: label for label in labels if "@" in label}


def registered(activation: str) -> bool:
    """Return whether a name is registered; a user's function is not in a run folder."""
    try:
        canonical_activation(activation)
    except ValueError:
        return False
    return True


def in_pieces(
    program: Callable[..., tuple[jax.Array, ...]], arrays: tuple[Any, ...]
) -> tuple[np.ndarray, ...]:
    """Return the results of a program over models (M, ...), computed by one thread per core.

    All pieces have the same size, so the program is compiled once. It runs on the CPU if there is
    one: models one after another would starve an accelerator.
    """
    leaves = jax.tree.leaves(arrays)
    models, workers = len(leaves[0]), cores()
    size = max(1, min(LARGEST_PIECE, -(-models // workers)))
    wide, device = leaves[0].dtype == np.float64, _cpu()

    def piece(start: int) -> list[np.ndarray]:
        rows = np.arange(start, start + size).clip(max=models - 1)  # the last one fills up
        with shielded(), jax.enable_x64(wide), jax.default_device(device):
            piece = jax.tree.map(lambda a: a[rows], arrays)
            return [np.asarray(a) for a in program(*piece)]

    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(piece, range(0, models, size)))
    return tuple(np.concatenate(parts)[:models] for parts in zip(*found, strict=True))


def _cpu() -> Any:
    """Return the CPU, or JAX's default device if its CPU backend was switched off."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return None
