"""The gradient of a step, of one model or of a whole block: models share draws, batch and products.

The models of a row have one density, so their batch is the same: h = W x is one product for all of
them, and so is (W ∂L/∂z) xᵀ. Each activation stands in its own slots, known when the program is
compiled, so that nothing is selected and no branch is wasted. Models go through in *teams*, one
team after another, whose arrays stay in a core's cache.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.models.toy import model
from jsuper.models.toy.batches import columns_of, narrowest
from jsuper.models.toy.batching import one_by_one, seed_by_seed
from jsuper.models.toy.config import Setting, Static
from jsuper.models.toy.draws import Draws, make_draws
from jsuper.models.toy.gradient import error_of, make_gradient
from jsuper.models.toy.model import Params

TEAM = 7  # models per team: with more, z leaves the cache; with fewer, products are small

Gradient = Callable[[Params, Setting, Draws], Params]
StepGradient = Callable[[Params, Setting, Any, Array], Params]


def step_gradient(static: Static, sequential: bool) -> StepGradient:
    """Return gradient(params, setting, source, step) of one model on the batch of a seed's step.

    `source` is the `draws.Source` of the seed, or its key.

    Parameters
    ----------
    static
        Shapes and program.
    sequential
        Under vmap over settings and seeds, one seed after another: its draws are made
        once for all of its models, and are still in cache when these are trained, row by row
        or one after another. A model with its own key is trained separately.
    """

    def of_draws(gradient: Gradient) -> Callable[..., Params]:
        def of_step(models: tuple[Params, Setting], source: Any, step: Array) -> Params:
            return gradient(*models, make_draws(static, source, step, models[1]))

        return of_step

    of_models = of_draws(make_gradient(static))
    if sequential:
        whole_batches = dataclasses.replace(static, widths=())
        of_one = of_draws(make_gradient(whole_batches))
        of_models = seed_by_seed(of_one, of_draws(block_gradient(static)), of_models)
    return lambda params, setting, source, step: of_models((params, setting), source, step)


def block_gradient(static: Static) -> Gradient:
    """Return gradient(params, setting, draws) of some models of a seed, in rows if they fill them.

    Otherwise one after another.
    """
    each = jax.vmap(make_gradient(static, one_by_one), (0, 0, None))
    in_rows = gradient_of_rows(static)

    def gradient(params: Params, setting: Setting, draws: Draws) -> Params:
        fills = static.slots and len(params.W) == static.rows * len(static.slots)
        return (in_rows if fills else each)(params, setting, draws)

    return gradient


def gradient_of_rows(static: Static) -> Gradient:
    """Return gradient(params, setting, draws) of all models of a seed, an axis of rows x slots.

    Rows of density 0, which come last, are empty: their gradient is 0 and takes no time.
    """
    widths = (*static.widths, static.batch_size)
    at_width = [row_gradient_at(static, width) for width in widths]
    shape = (static.rows, len(static.slots))

    def gradient(params: Params, setting: Setting, draws: Draws) -> Params:
        def of_row(row: tuple[Params, Setting]) -> Params:
            if draws.level is None:
                return at_width[-1](*row, draws)
            index = narrowest(static, draws, row[1].density[0])
            return jax.lax.switch(index, at_width, *row, draws)

        def unless_ended(row: tuple[Params, Setting]) -> Params:
            if row[1].trains is None:
                return of_row(row)
            zeros = jax.tree.map(jnp.zeros_like, row[0])
            return jax.lax.cond(jnp.any(row[1].trains), lambda: of_row(row), lambda: zeros)

        rows = jax.tree.map(lambda a: a.reshape(*shape, *a.shape[1:]), (params, setting))

        def of_next(i: Array, gradients: Params) -> Params:
            found = unless_ended(jax.tree.map(lambda a: a[i], rows))
            return jax.tree.map(lambda all_, new: all_.at[i].set(new), gradients, found)

        used = jnp.any(setting.density.reshape(*shape, -1) > 0, axis=(1, 2)).sum()
        none = jax.tree.map(jnp.zeros_like, rows[0])
        gradients = jax.lax.fori_loop(0, used, of_next, none)
        return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), gradients)

    return gradient


def row_gradient_at(static: Static, width: int) -> Gradient:
    """Return the gradients of a row's models from the first `width` columns of their batch.

    The same products as those of one model (see `gradient.gradient_at`), with an axis of models in
    front: W (models, n_hidden, n_features), z (models, n_features, width).
    """
    repeats = static.batch_size - width + 1
    product = functools.partial(jnp.matmul, precision="highest")
    teams = teams_of(len(static.slots))

    def gradient(params: Params, setting: Setting, draws: Draws) -> Params:
        W, decoder = params.W, transposed(model.decoder(params))
        writes = model.written(params)
        columns = columns_of(static, draws, width)
        first = jax.tree.map(lambda a: a[0], setting)
        x = static.inputs.batch(columns.data, first.law)
        mask = jnp.ones((), static.dtype)
        if columns.dropout is not None:
            masks = jax.vmap(model.dropout_mask, (None, 0))
            mask = masks(columns.dropout, setting.dropout)
        h = product(W.reshape(-1, static.n_features), x).reshape(*W.shape[:2], width) * mask
        h1 = jnp.pad(h, ((0, 0), (0, 1), (0, 0)), constant_values=1)
        through_h, at_output = [], []
        for team in teams:
            of_team = decoder[team]
            if at_output:
                of_team = slice_after((through_h[-1], at_output[-1]), decoder, team)
            z = product(of_team, h1[team])
            slopes = slopes_of(static, static.slots[team], repeats)
            dz = slopes(z, x, setting.importance[team], columns.gate)
            through_h.append(product(writes[team], dz))
            at_output.append(product(h1[team], dz.swapaxes(1, 2)))
        dh = jnp.concatenate(through_h) * mask
        at_hidden = product(dh.reshape(-1, width), x.T).reshape(W.shape)
        tied = params.W_dec is None
        return model.gradient_of(at_hidden, jnp.concatenate(at_output), tied)

    return gradient


def teams_of(models: int) -> list[slice]:
    """Return a row's teams: slices of at most TEAM models, whose sizes differ by one at most."""
    starts = np.linspace(0, models, -(-models // TEAM) + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in itertools.pairwise(starts)]


def slice_after(results: tuple[Array, ...], array: Array, part: slice) -> Array:
    """Return array[part], in a way that XLA cannot compute before `results`.

    XLA's scheduler for CPUs would take the first product of all teams, then all their activations,
    and so on, so that no team's arrays were still in cache when they are used. It removes barriers
    first. A NaN in `results` changes nothing: an index that is too large is clamped.
    """
    late = jnp.isnan(sum(result.ravel()[0] for result in results)).astype(jnp.int32)
    length = part.stop - part.start
    return jax.lax.dynamic_slice_in_dim(array[: part.stop], part.start + late, length)


def transposed(decoders: Array) -> Array:
    """Return matrices (models, a, b) as (models, b, a), transposed in memory.

    A transposition inside the product would keep it from XLA's fast kernels on a CPU.
    """
    return jax.lax.optimization_barrier(decoders.swapaxes(1, 2))


def slopes_of(static: Static, slots: tuple[int, ...], repeats: int) -> Callable[..., Array]:
    """Return slopes(z, x, importance, gate) -> ∂L/∂z, (models, n, width), for models in `slots`."""

    def slopes(z: Array, x: Array, importance: Array, gate: Array | None) -> Array:
        parts = []
        for activation, first, count in runs_of(slots):
            slope = jax.grad(error_of(static.activations[activation], repeats))
            if count == 1:  # XLA's code for a leading axis of 1 is half as fast
                parts.append(slope(z[first], x, importance[first], gate)[None])
            else:
                mine = slice(first, first + count)
                slope_of_all = jax.vmap(slope, (0, None, 0, None))
                parts.append(slope_of_all(z[mine], x, importance[mine], gate))
        return jnp.concatenate(parts)

    return slopes


def runs_of(slots: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Return (activation, first slot, number) for neighbouring slots with the same activation.

    At most half a team: XLA (jax 0.10) writes slower code for a loop over a whole array, by half
    for some activations, than for one over its slice.
    """
    runs, first = [], 0
    for activation, run in itertools.groupby(slots):
        end = first + len(list(run))
        runs += [(activation, i, min(TEAM // 2, end - i)) for i in range(first, end, TEAM // 2)]
        first = end
    return runs
