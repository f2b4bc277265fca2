"""`jsuper.model`: a callable model from a sweep's Dataset, or from weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jsuper.core.expecting import described
from jsuper.core.json_data import JSONObject, label
from jsuper.core.status import OK, Status
from jsuper.models.toy.activations.registry import is_gated, resolve
from jsuper.models.toy.architecture import (
    DEFAULTS,
    IDENTITY,
    Architecture,
    architecture_of,
    check_loss,
)
from jsuper.models.toy.callable_model import Model
from jsuper.models.toy.field_checks import TRY, check_hidden, check_target
from jsuper.models.toy.inputs.features import importance as geometric
from jsuper.models.toy.labelled import lists_of
from jsuper.models.toy.model import Params, check_gate
from jsuper.models.toy.weights import as_array, params_of

if TYPE_CHECKING:
    import xarray

EXAMPLE = "jsuper.model(ds.sel(activation='relu', sparsity=0.9, seed=0))"
DIMENSIONS = {
    "W": ("hidden", "feature"),
    "V": ("hidden", "feature"),
    "W_dec": ("hidden", "feature"),
    "M": ("hidden", "hidden_in"),
}
DIMENSIONS |= {"b": ("feature",), "c": ("feature",), "b_hidden": ("hidden",)}
NEEDED = ("W", "b", "status", "activation", "n_features", "n_hidden")


def model(
    source: Any,
    b: ArrayLike | None = None,
    *,
    activation: str | Callable[[Array], Array] | None = None,
    V: ArrayLike | None = None,
    c: ArrayLike | None = None,
    W_dec: ArrayLike | None = None,
    b_hidden: ArrayLike | None = None,
    M: ArrayLike | None = None,
    hidden_activation: str | Callable[[Array], Array] | None = None,
    target: str | Callable[[Array], Array] | None = None,
    loss: str | None = None,
    importance: Sequence[float] | None = None,
    features_last: bool | None = None,
) -> Model:
    """Return one model as a callable object: `model(x)`, `encode`, `decode`, `loss`, `params`.

    Parameters
    ----------
    source
        One model of the Dataset of `jsuper.run` or `jsuper.load`, as in
        `ds.sel(activation="relu", sparsity=0.9, seed=0)`; then only functions of yours may be
        added: `activation`, `hidden_activation` and `target`.
        Or the matrix W of any model: an array of NumPy, JAX or PyTorch, (n_hidden, n_features).
    b
        Output bias, (n_features,). None: 0.
    activation
        A registered name, such as "relu" or "elu(0.25)", or a function of z, (n_features, batch).
        Required with W, and for a model of a run that was trained with a function of yours: a run
        folder does not hold the function, so its name alone is compared.
    V, c
        Second matrix and bias of a gated decoder such as "geglu", shaped as W and b.
    W_dec
        Decoder of an untied model, shaped as W. None: the weights are tied.
    b_hidden, M
        Bias (n_hidden,) and map (n_hidden, n_hidden) of the hidden layer, h = M f(W x + b_hidden).
    hidden_activation
        f, a registered name or a function of z, (n_hidden, batch). None: the identity.
    target, loss
        As `target` and `loss` of `jsuper.Sweep`, for the model's `loss`. None: identity, squared.
    importance
        Weight of each feature in `loss`, (n_features,). None: 1, or that of the sweep.
    features_last
        Whether the last axis of W, V and W_dec has the features, (n_hidden, n_features), as the
        weight of a `torch.nn.Linear(n_features, n_hidden)`. False: they are (n_features,
        n_hidden), as the weight of the decoder's Linear. None: each matrix is read by its shape
        and that of b, and refused where that is ambiguous.

    Returns
    -------
    Model
        A frozen pytree of JAX. Inputs and outputs have samples first, (batch, n_features).

    Raises
    ------
    TypeError
        An argument is not an array of real numbers.
    ValueError
        `source` holds several models, one that was not trained to the end, or one of a family
        without inputs; shapes do not fit; or the layout is ambiguous.

    Examples
    --------
    >>> import numpy as np, jsuper
    >>> W = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    >>> model = jsuper.model(W, np.zeros(3), activation="relu")
    >>> model(np.eye(3)[:2]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    >>> model.encode(np.ones((4, 3))).shape
    (4, 2)
    """
    if hasattr(source, "data_vars"):
        beside = {"b": b, "V": V, "c": c, "W_dec": W_dec, "importance": importance}
        beside |= {"features_last": features_last, "b_hidden": b_hidden, "M": M, "loss": loss}
        if given := [k for k, v in beside.items() if v is not None]:
            raise ValueError(f"{', '.join(given)} cannot be combined with a Dataset; leave it out")
        return _from_dataset(source, activation, hidden_activation, target)
    if source is None or isinstance(source, (str, Path)):
        raise TypeError(
            f"source is {described(source)}, not a Dataset or the matrix W; for a run folder give "
            "jsuper.model(jsuper.load(folder).sel(...))"
        )
    if activation is None:
        raise ValueError("activation is missing: a name such as 'relu', or a function of z")
    resolve(activation)  # an unknown name is refused here
    params = params_of(source, b, V, c, W_dec, features_last)
    check_gate(activation, params.W, params.b, params.V, params.c)
    m, n = params.W.shape
    for name, given, shape in (("b_hidden", b_hidden, (m,)), ("M", M, (m, m))):
        if given is not None:
            array = as_array(name, given)
            if array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}; with this W it is {shape}")
            params = params._replace(**{name: array})
    net = Architecture(
        hidden_activation=check_hidden("hidden_activation", hidden_activation or IDENTITY),
        hidden_bias=b_hidden is not None,
        hidden_map="none" if M is None else "trained",
        target=_by_columns(check_target("target", target or IDENTITY)),
        loss_function=check_loss("loss", loss or "squared"),
    )
    if importance is not None:
        importance = tuple(np.asarray(importance, float).ravel().tolist())
        if len(importance) != n:
            raise ValueError(f"importance has {len(importance)} values; give n_features={n}")
    return Model(params, activation, importance, net)


def _by_columns(target: str | Callable) -> str | Callable:
    """Return a function of x (batch, n_features) as one of (n_features, batch); names unchanged."""
    return (lambda x: target(x.T).T) if callable(target) else target


def _from_dataset(
    ds: xarray.Dataset,
    activation: str | Callable | None,
    hidden_activation: str | Callable | None,
    target: str | Callable | None,
) -> Model:
    """Return the only model of a Dataset, without the padding of larger ones."""
    sweep = _sweep_of(ds)
    if lacking := [k for k in NEEDED if k not in ds]:
        raise ValueError(f"ds has no {', '.join(lacking)}; select one model: {EXAMPLE}")
    if several := {str(d): size for d, size in ds["status"].sizes.items() if size != 1}:
        sizes = ", ".join(f"{size} along {dim}" for dim, size in several.items())
        raise ValueError(f"ds has several models, {sizes}; select one: {EXAMPLE}")
    ds = ds.isel(dict.fromkeys(ds["status"].dims, 0))
    status = Status(int(ds["status"]))
    if status != OK:
        raise ValueError(
            f"the model has status {int(status)} ({status.name.lower()}): it has no final weights. "
            "ds.status == 1 selects models that were trained to the end"
        )
    sizes = {"feature": int(ds["n_features"]), "hidden": int(ds["n_hidden"])}
    arrays: JSONObject = {k: _unpadded(ds, k, sizes) for k in DIMENSIONS if k in ds}
    activation = _function_of(sweep, "activation", ds["activation"].item(), activation)
    given = {"hidden_activation": hidden_activation, "target": target}
    net = architecture_of({k: _value_of(ds, sweep, k, given.get(k)) for k in DEFAULTS})
    net = dataclasses.replace(net, target=_by_columns(net.target))
    if not is_gated(activation):  # of a sweep with gates too
        arrays = {k: a for k, a in arrays.items() if k not in ("V", "c")}
    for name in ("W_dec", "b_hidden", "M"):  # of a sweep in which only some models have it
        if name in arrays and np.isnan(arrays[name]).all():
            del arrays[name]
    weights = sweep.get("importance")
    if weights is None and "importances" in ds.coords:
        weights = lists_of(sweep, "importances")[ds["importances"].item()]
    if weights is None:
        weights = geometric(float(ds["importance_decay"]), sizes["feature"]).tolist()
    return Model(Params(**arrays), activation, tuple(weights), net)


OTHER = {
    "factorization": "a model of the family 'factorization' is not a function of inputs x, so "
    "jsuper.model does not apply. It is the matrix Z = AᵀB of ds.A and ds.B.",
    "mlp": "jsuper.model makes toy models, and this is one of the family 'mlp': call "
    "jsuper.mlp.forward(one.W_in.values, one.W_out.values, x, ...)",
}
"""Family -> what its models are instead."""


def _sweep_of(ds: xarray.Dataset) -> JSONObject:
    """Return the sweep of toy models that a Dataset belongs to."""
    try:
        sweep = json.loads(ds.attrs["sweep"])
        family = sweep["model"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"ds has no attrs['sweep']; give the Dataset of jsuper.run or jsuper.load: {EXAMPLE}"
        ) from error
    if family != "toy":
        raise ValueError(
            OTHER.get(family, f"jsuper.model makes no models of the family {family!r}")
        )
    return sweep


def _unpadded(ds: xarray.Dataset, name: str, sizes: dict[str, int]) -> np.ndarray:
    """Return a variable of one model without the padding of larger ones."""
    dims = DIMENSIONS[name]
    own = {dim: sizes[dim.removesuffix("_in")] for dim in dims}
    array = ds[name]
    if lacking := [d for d in dims if array.sizes.get(d, 0) < own[d]]:
        raise ValueError(
            f"ds.{name} has {array.sizes.get(lacking[0], 'no')} values of {lacking[0]!r} and its "
            f"model {own[lacking[0]]}; give the whole model, and select afterwards"
        )
    return array.isel({d: slice(n) for d, n in own.items()}).transpose(*dims).values


def _value_of(ds: xarray.Dataset, sweep: JSONObject, field: str, given: Any) -> Any:
    """Return a stored model's value of an architecture's field; older runs have the default."""
    if field not in ds.coords:
        return DEFAULTS[field]
    value = ds[field].item()
    return _function_of(sweep, field, value, given) if field in TRY else value


def _function_of(
    sweep: JSONObject, field: str, name: str, given: str | Callable | None
) -> str | Callable:
    """Return the activation of a stored model: its name, or the user's function that was given.

    `field` is `activation`, or another one whose values may be functions.
    """
    stored = np.atleast_1d(sweep.get(field, []))
    is_function = any(str(one).startswith(f"{name}@") for one in stored)
    if not is_function:
        if given is not None and (callable(given) or given.replace(" ", "") != name):
            raise ValueError(
                f"{field}={described(given)}, and the model was trained with {name!r}; leave it "
                "out, or give W and b instead of a Dataset"
            )
        return name
    if not callable(given) or label(given) != name:
        raise ValueError(
            f"the model was trained with a function {name!r}, which a run folder does not hold: "
            f"give it, as in jsuper.model(ds.sel(...), {field}={name})"
        )
    return given
