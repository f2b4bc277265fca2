"""Comparison of a sweep's functions with those that a run folder was trained with.

A run folder stores a function under a label, name@digest, with a hash of the traced program and
its values and slopes at fixed points. Within one version of JAX the hashes decide. Jaxprs differ
between versions, so there values and slopes must agree. If a folder has neither, because it is
older or its manifest is lost, the function must reproduce the first steps of a stored model and its
final loss.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jsuper.core.errors import SpecError
from jsuper.core.grid import Chunk, Setting
from jsuper.core.protocols import Existing
from jsuper.core.status import OK
from jsuper.models.toy.config import make_setting, make_static
from jsuper.models.toy.functions import in_dtype
from jsuper.models.toy.identified import TOLERANCE, Identified, same_at_probes
from jsuper.models.toy.results import OPTIONAL, recorded_steps
from jsuper.models.toy.spec import Sweep
from jsuper.models.toy.train import make_train
from jsuper.training import keys

FUNCTIONS = ("activation", "hidden_activation", "target", "optimizer")
"""Axes whose values may be functions."""
OF_ALL = ("hidden_activation", "target", "inputs", "start", "optimizer", "schedule")
"""Static fields whose values may be labels."""
SAME_CURVE = 1e-4  # relative; sums in another order, over some hundred steps
SAME_LOSS = 1e-3


def matched(sweep: Sweep, existing: Existing) -> Sweep:
    """Return the sweep with its traced functions under the labels that the folder uses for them.

    Raises
    ------
    SpecError
        The folder was trained with another function of the same name.
    """
    single = {"inputs": (sweep.inputs,), "schedule": (sweep.schedule,)}
    given = {name: sweep.values_of(name) for name in FUNCTIONS} | single
    found = {k: tuple(_labelled(f, existing, k) for f in v) for k, v in given.items()}
    every = [f for values in found.values() for f in values]
    relabelled = {f.label: f for f in every if isinstance(f, Identified)}
    for before, after in zip((f for v in given.values() for f in v), every, strict=True):
        if after is not before and not is_same(after, existing, relabelled):
            raise SpecError(
                f"out={existing.folder!r} was trained with a function {after.__name__!r} that "
                "computes something else; rename your function, or choose another --out"
            )
    return dataclasses.replace(sweep, **found | {k: found[k][0] for k in single})


def _labelled(function: Any, existing: Existing, field: str) -> Any:
    """Return a traced function under the folder's label for one of its name; others unchanged."""
    if not isinstance(function, Identified):
        return function
    name, stored = function.__name__, existing.sweep.get(field) or []
    for label in [stored] if isinstance(stored, str) else stored:
        if label not in (name, function.label) and label.partition("@")[0] == name:
            return function.labelled(label)
    return function


def is_same(
    function: Identified, existing: Existing, others: Mapping[str, Identified] | None = None
) -> bool:
    """Return whether a function computes the same as the folder's function of its label.

    `others` are further functions by their labels in the folder, for training with all of them.
    """
    record = existing.functions.get(function.label)
    try:
        identities, probes = record["identities"], record["probes"]  # type: ignore[index]
        common = function.identities.keys() & identities.keys()
        if common and all(identities[k] == function.identities[k] for k in common):
            return True
        if common and record["jax"] == jax.__version__:  # type: ignore[index]
            return False
        if probed := function.probes.keys() & probes.keys():
            return all(same_at_probes(function.probes[k], probes[k]) for k in probed)
    except (TypeError, KeyError, ValueError, AttributeError):
        pass  # the manifest lacks the record, or it is damaged
    known = {**(others or {}), function.label: function}
    return all(_reproduces(known, *one) for one in _trained(function, known, existing))


def _trained(
    function: Identified, known: Mapping[str, Identified], existing: Existing
) -> Iterator[tuple[Chunk, Setting, int, dict[str, np.ndarray]]]:
    """Yield a finished model of the function for each number of features, with its results.

    All functions of these models are known.
    """
    seen = set()
    for chunk in existing.chunks:
        size = chunk.static["n_features"]
        of_all = {str(chunk.static.get(name)) for name in OF_ALL}
        used = [{s["activation"]} | of_all for s in chunk.settings]
        rows = [
            i
            for i, labels in enumerate(used)
            if function.label in labels and {k for k in labels if "@" in k} <= known.keys()
        ]
        if not rows or size in seen:
            continue
        arrays = existing.read(chunk)
        trained = [] if arrays is None else np.argwhere(arrays["status"][rows] == OK)
        if arrays is not None and len(trained):
            row, column = rows[trained[0][0]], trained[0][1]
            seen.add(size)
            yield (
                chunk,
                chunk.settings[row],
                chunk.seeds[column],
                {k: v[row, column] for k, v in arrays.items()},
            )


def _reproduces(
    functions: Mapping[str, Identified],
    chunk: Chunk,
    setting: Setting,
    seed: int,
    found: dict[str, np.ndarray],
) -> bool:
    """Return whether training with the functions starts and ends with a stored model's losses."""
    identity = Sweep.identity(chunk.static | setting)
    point = setting | {"activation": functions.get(setting["activation"], setting["activation"])}
    values = chunk.static | {"check_fit": False}
    of_all = {k: str(chunk.static.get(k)) for k in OF_ALL}
    values |= {k: functions[label] for k, label in of_all.items() if label in functions}
    static = make_static(values, [[point]], "reference")
    train = make_train(static)
    second = [*recorded_steps(static.steps, static.records), static.steps][1]
    with in_dtype(static.dtype):
        key = keys.seed_key(seed)
        if chunk.static["unpaired"]:
            key = keys.unpaired_key(seed, identity)
        numbers = make_setting(static, values | point)
        state = jax.jit(train.init)(numbers, key)
        advance = jax.jit(train.advance)
        for start, end in itertools.pairwise((*train.stops, static.steps)):
            if start < second:
                n = jnp.int32(end - start)
                state = advance(state, numbers, key, jnp.int32(start), n)
        curve = np.asarray(advance(state, numbers, key, jnp.int32(second), jnp.int32(0)).loss_curve)
        finish = jax.jit(train.finish)
        stored = {k: jnp.asarray(found[k]) for k in ("W", "b", *OPTIONAL) if k in found}
        last = dataclasses.replace(state, params=state.params._replace(**stored))
        losses = [finish(last, numbers, key)["loss"]]
        if second == static.steps:  # a curve of one point does not depend on the slopes
            losses.append(finish(state, numbers, key)["loss"])
    known = np.isfinite(found["loss_curve"][:2]) & np.isfinite(curve[:2])
    return bool(
        known[0]
        and np.allclose(curve[:2][known], found["loss_curve"][:2][known], SAME_CURVE, TOLERANCE)
        and np.allclose(losses, found["loss"], SAME_LOSS)
    )
