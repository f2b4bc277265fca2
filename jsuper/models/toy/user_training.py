"""A user's optimizer or schedule: a Python function, identified by what JAX traces of it.

An optimizer is fn(learning_rate, weight_decay) -> an optax.GradientTransformation, a schedule
fn(step) -> the factor of the learning rate. As activations, they are identified by the traced
program, since a function can change although its source does not. The function is called again for
the program that is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jsuper.core.errors import SpecError
from jsuper.core.json_data import digest, name_of
from jsuper.models.toy.functions import in_dtype
from jsuper.models.toy.identified import PROBES, Identified, as_lists, first_line
from jsuper.models.toy.model import Params
from jsuper.training.jaxprs import UntraceableError, digest_of

STEPS = 3  # with which an optimizer is tried


class TracedOptimizer(Identified):
    """A user's optimizer, traced for the parameters of all models of a sweep."""

    def __init__(self, function: Callable, trees: Iterable[tuple[str, str, Params]]) -> None:
        """Trace an optimizer, and try it.

        Parameters
        ----------
        function
            (learning_rate, weight_decay) -> optax.GradientTransformation; both numbers are traced.
        trees
            (a key for run folders, dtype, parameters as shapes) for every kind of model.

        Raises
        ------
        SpecError
            The function cannot be traced, or its updates or state have other shapes than the
            parameters or the state before.
        """
        self.__name__, self.function = name_of(function), function
        self.identities, self.probes = {}, {}
        for key, dtype, params in trees:
            with in_dtype(dtype), jax.ensure_compile_time_eval():
                self.identities[key] = self._identity(dtype, params)
                self.probes[key] = {"parameters": as_lists(self._stepped(dtype, params)[:PROBES])}
        self.label = f"{self.__name__}@{digest(self.identities, 12)}"

    def __call__(self, learning_rate: Any, weight_decay: Any) -> optax.GradientTransformation:
        """Return the user's transformation."""
        return self.function(learning_rate, weight_decay)

    def _identity(self, dtype: str, params: Params) -> str:
        """Return a hash of the traced init and update."""

        def init(rate: Array, decay: Array, params: Params) -> Any:
            return self.function(rate, decay).init(params)

        def update(rate: Array, decay: Array, grads: Params, state: Any, params: Params) -> Any:
            return self.function(rate, decay).update(grads, state, params)

        number = jax.ShapeDtypeStruct((), dtype)
        problem = f"optimizer {self.__name__!r} cannot be used"
        try:
            first, state = jax.make_jaxpr(init, return_shape=True)(number, number, params)
            step, (updates, after) = jax.make_jaxpr(update, return_shape=True)(
                number, number, params, state, params
            )
            identity = digest([digest_of(first), digest_of(step)], 32)
        except UntraceableError as error:
            raise SpecError(f"{problem}: {error}; use only jax.numpy and optax") from error
        except Exception as error:
            raise SpecError(
                f"{problem}: {first_line(error)}; write def {self.__name__}(learning_rate, "
                "weight_decay) that returns an optax.GradientTransformation, for example "
                "optax.adam(learning_rate)"
            ) from error
        if _shapes(updates) != _shapes(params) or _shapes(after) != _shapes(state):
            raise SpecError(
                f"{problem}: its updates do not have the shapes and dtypes of the parameters, or "
                "its state changes them"
            )
        return identity

    def _stepped(self, dtype: str, params: Params) -> np.ndarray:
        """Return the parameters after some steps with fixed numbers."""
        draws = np.random.default_rng(0)

        def drawn() -> Params:
            return jax.tree.map(lambda p: jnp.asarray(draws.uniform(-1, 1, p.shape), dtype), params)

        transformation, now = self.function(*jnp.array([0.01, 0.1], dtype)), drawn()
        state = transformation.init(now)
        for _ in range(STEPS):
            updates, state = transformation.update(drawn(), state, now)
            now = optax.apply_updates(now, updates)
        return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(now)])


class TracedSchedule(Identified):
    """A user's schedule, traced for a step."""

    def __init__(self, function: Callable, steps: Iterable[int]) -> None:
        """Trace a schedule, and evaluate it at some steps.

        Parameters
        ----------
        function
            step -> factor of the learning rate.
        steps
            Numbers of steps of the sweep.

        Raises
        ------
        SpecError
            The function cannot be traced, or returns no finite number.
        """
        self.__name__, self.function = name_of(function), function
        problem = f"schedule {self.__name__!r} cannot be used"
        at = np.linspace(0, max(steps) - 1, PROBES).astype(np.int32)
        try:
            with in_dtype("float32"), jax.ensure_compile_time_eval():
                # a new lambda, because JAX caches traces although globals may change
                traced = jax.make_jaxpr(lambda step: function(step))(jnp.int32(0))
                self.identities = {"step": digest(digest_of(traced), 32)}
                values = np.array([np.asarray(function(jnp.int32(i)), float) for i in at])
        except Exception as error:
            raise SpecError(
                f"{problem}: {first_line(error)}; write def {self.__name__}(step) with jax.numpy, "
                "and no `if` on the step"
            ) from error
        if values.shape != at.shape or not np.isfinite(values).all():
            raise SpecError(f"{problem}: it does not return one finite number for every step")
        self.probes = {"step": {"values": as_lists(values)}}
        self.label = f"{self.__name__}@{digest(self.identities, 12)}"

    def __call__(self, step: Array) -> Array:
        """Return the factor of a step."""
        return self.function(step)


def _shapes(tree: Any) -> Any:
    """Return the structure of a tree, and its leaves' shapes and dtypes."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
