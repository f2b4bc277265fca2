"""A sweep with its Python functions traced for all of its shapes."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jsuper.core.errors import SpecError
from jsuper.core.grid import Setting, Static, expand
from jsuper.core.json_data import label
from jsuper.models.toy.activations.registry import is_gated
from jsuper.models.toy.functions import Traced, in_dtype, widths_of
from jsuper.models.toy.inputs.features import densities
from jsuper.models.toy.inputs.law import inputs_of
from jsuper.models.toy.layout import COLUMNS
from jsuper.models.toy.model import Params, init_params
from jsuper.models.toy.network import target_of
from jsuper.models.toy.samplers import traced_sampler
from jsuper.models.toy.user_training import TracedOptimizer, TracedSchedule
from jsuper.training import keys


def trace_sweep(sweep: Any) -> Any:
    """Return a sweep with its functions traced for all of its sizes, dtypes and batch sizes."""
    sizes = [(n, d) for n in sweep.values_of("n_features") for d in sweep.values_of("dtype")]
    datasets = [size for size in sweep.values_of("dataset_size") if size]
    batches = datasets if sweep.full_batch else sweep.values_of("batch_size")
    whole, narrow = {*batches, *datasets}, widths_of(batches)  # a dataset is measured as a whole

    def traced(field: str, sizes: list, turned: bool = False) -> tuple:
        return tuple(
            Traced(f, sizes, whole, narrow, field, samples_first=turned)
            if callable(f) and not isinstance(f, Traced)
            else f
            for f in sweep.values_of(field)
        )

    hidden = [(m, d) for m in sweep.values_of("n_hidden") for d in sweep.values_of("dtype")]
    found: dict[str, Any] = {
        "activation": traced("activation", sizes),
        "hidden_activation": traced("hidden_activation", hidden),
        "target": traced("target", sizes, turned=True),
    }
    inputs = sweep.inputs
    if inputs is not None:
        inputs = traced_sampler(inputs, sizes[0][0], batches)
    optimizers = tuple(
        TracedOptimizer(o, params_of(sweep))
        if callable(o) and not isinstance(o, TracedOptimizer)
        else o
        for o in sweep.values_of("optimizer")
    )
    schedule = sweep.schedule
    if callable(schedule) and not isinstance(schedule, TracedSchedule):
        schedule = TracedSchedule(schedule, sweep.values_of("steps"))
    found |= {"inputs": inputs, "optimizer": optimizers, "schedule": schedule}
    sweep = dataclasses.replace(sweep, **found)
    _try_targets(sweep)
    return sweep


def _try_targets(sweep: Any) -> None:
    """Raise SpecError if a target cannot be learned from samples that the sweep trains on."""
    for group in expand(sweep):
        values, entropy = group.static, group.static.get("loss_function") == "cross_entropy"
        if not entropy and not callable(values.get("target")):
            continue
        y, name = _targets(values, group.settings[0]), label(values["target"])
        if not np.isfinite(y).all():
            raise SpecError(
                f"target={name} is not finite for some samples of the sweep, and no model could "
                "be trained: return finite values for all x, zeros included"
            )
        if entropy and ((y < 0).any() or not np.allclose(y.sum(axis=0), 1, atol=1e-3)):
            raise SpecError(
                f"loss=cross_entropy needs targets that are distributions, and target={name} has "
                f"values down to {y.min():.3g} and sums from {y.sum(axis=0).min():.3g} to "
                f"{y.sum(axis=0).max():.3g}: return values >= 0 that add up to 1"
            )


def _targets(values: Static, setting: Setting) -> np.ndarray:
    """Return the targets of some samples, (n_features, samples)."""
    n, inputs = values["n_features"], inputs_of(values)
    density = inputs.densities(densities(values, setting["sparsity"]), n)
    with in_dtype(values["dtype"]):
        draws = inputs.nonzero_draws(keys.seed_key(0), n, COLUMNS)
        x, chance = inputs.nonzero(draws, inputs.numbers(density, values["dtype"]))
        target = target_of(values["target"])
        found = [np.asarray(target(x))]
        if float(chance) < 1:  # there are samples without an active feature
            found.append(np.asarray(target(jnp.zeros_like(x[:, :1]))))
        return np.concatenate(found, axis=1)


def params_of(sweep: Any) -> list[tuple[str, str, Params]]:
    """Return (key, dtype, parameters as shapes) of the kinds of model that a sweep may have."""
    gates = {is_gated(a) for a in sweep.values_of("activation")}
    names = ("n_features", "n_hidden", "dtype", "tied")
    found = []
    for gated in sorted(gates):
        for n, m, dtype, tied in itertools.product(*map(sweep.values_of, names)):
            init = functools.partial(init_params, gated=gated, tied=tied)
            with in_dtype(dtype):
                shapes = jax.eval_shape(
                    lambda i=init, s=(m, n), d=dtype: i(keys.seed_key(0), *s, 1.0, d)
                )
            key = f"{n} {m} {dtype}{' gated' * gated}{'' if tied else ' untied'}"
            found.append((key, dtype, shapes))
    return found
