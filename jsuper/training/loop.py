"""`Train`, the training of one model of any family, and one step of an optimizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jsuper.core.protocols import PyTree
from jsuper.training.jax_config import shielded


@dataclass(frozen=True)
class Train:
    """The training of one model: as a whole, `train(setting, key)`, or in segments for the engine.

    Attributes
    ----------
    init
        (setting, key) -> state: the initial weights, with nothing recorded.
    advance
        (state, setting, key, start, n, end=steps) -> state after the steps start ... start + n - 1,
        of which those from `end` on are skipped.
    finish
        (state, setting, key) -> result arrays.
    steps
        Number of steps.
    stops
        Steps at which a segment must start because something is recorded there.
    ends
        state -> the number of steps of each model, for models that may end before the others; None
        if all take `steps`. The engine leaves out what no model of a block needs.
    """

    init: Callable[[PyTree, Array], PyTree]
    advance: Callable[..., PyTree]
    finish: Callable[[PyTree, PyTree, Array], dict[str, Array]]
    steps: int
    stops: tuple[int, ...] = (0,)
    ends: Callable[[PyTree], Array] | None = None

    @shielded()
    def __call__(self, setting: PyTree, key: Array) -> dict[str, Array]:
        """Return the result arrays of one model, trained from its setting and its seed's key."""
        state = self.init(setting, key)
        stops = np.array(self.stops, np.int32)
        longest = int(np.diff(stops, append=self.steps).max())
        ends = np.append(stops[1:], self.steps).astype(np.int32)

        def segment(state: PyTree, bounds: tuple[Array, Array]) -> tuple[PyTree, None]:
            start, end = bounds
            return self.advance(state, setting, key, start, longest, end), None

        state, _ = jax.lax.scan(segment, state, (jnp.asarray(stops), jnp.asarray(ends)))
        return self.finish(state, setting, key)


def descend(
    optimizer: optax.GradientTransformation,
    params: PyTree,
    opt_state: PyTree,
    grads: PyTree,
    active: Array,
) -> tuple[PyTree, PyTree, Array]:
    """Take one optimizer step, unless the model is inactive or would not stay finite.

    Returns
    -------
    tuple[PyTree, PyTree, Array]
        Parameters, the optimizer's state, and whether this step made the model not finite.
    """
    updates, new_state = optimizer.update(grads, opt_state, params)
    new = (optax.apply_updates(params, updates), new_state)
    finite = all_finite(new)
    kept = jax.tree.map(lambda a, b: jnp.where(active & finite, a, b), new, (params, opt_state))
    return *kept, active & ~finite


def all_finite(tree: PyTree) -> Array:
    """Return whether all numbers in the floating-point arrays of a tree are finite.

    0 times a number is 0, or NaN if the number is not finite. A dot product adds these up, because
    a plain sum is reduced number by number on a CPU, which took as long as the optimizer.
    """
    leaves = [x.ravel() for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
    dots = [jnp.dot(0 * x, jnp.ones_like(x), precision="highest") for x in leaves]
    return jnp.stack(dots).sum() == 0
