"""A segment on a TPU: the models of an activation, of all seeds, on the lanes of `lanes.run`."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from jsuper.models.toy.kernels import lanes
from jsuper.models.toy.kernels.lanes import LANES, Shape, State


def trained(
    shape: Shape,
    places: Sequence[int],
    rows: Sequence[int],
    data: Array,
    span: Array,
    factor: Array,
    numbers: Sequence[Array],
    state: Sequence[Array],
) -> tuple[Array, ...]:
    """Return the arrays of a state after some steps of the models at some places.

    Parameters
    ----------
    shape
        Sizes and activation.
    places, rows
        Of the models of each seed, and the batch that each has.
    data
        Batches, (K, seeds, rows, n_features, batch_size).
    span, factor
        First step and number of steps, (2,); factors of the learning rate, (K,).
    numbers
        Density, learning rate, decay, (places,), and importance, (places, n_features).
    state
        As `segment.arrays_of`: (seeds, places, ...).
    """
    seeds, count = data.shape[1], len(places)
    spare = -seeds * count % LANES
    chosen = np.asarray(places)

    def packed(value: Array, fill: float = 0) -> Array:
        """Return (seeds, places, ...) as (..., models)."""
        mine = jnp.moveaxis(value[:, chosen], (0, 1), (-2, -1))
        mine = mine.reshape(*mine.shape[:-2], seeds * count)
        widths = [(0, 0)] * (mine.ndim - 1) + [(0, spare)]
        return jnp.pad(mine, widths, constant_values=fill)

    def unpacked(whole: Array, value: Array) -> Array:
        """Return (seeds, places, ...) with (..., models) at the places."""
        mine = value[..., : seeds * count].reshape(*value.shape[:-1], seeds, count)
        return whole.at[:, chosen].set(jnp.moveaxis(mine, (-2, -1), (0, 1)))

    def of_seeds(value: Array) -> Array:
        return jnp.broadcast_to(value, (seeds, *value.shape))

    def stacked(weights: Array, biases: Array) -> Array:
        return jnp.concatenate([packed(weights), packed(biases)[None]])

    W, b, counts, mu_W, mu_b, nu_W, nu_b, bad = state
    _, rate, decay, importance = map(of_seeds, numbers)
    before = State(
        params=stacked(W, b),
        mu=stacked(mu_W, mu_b),
        nu=stacked(nu_W, nu_b),
        taken=packed(counts)[None],
        bad=packed(bad)[None].at[:, seeds * count :].set(0),  # no model: frozen
    )
    x = jnp.moveaxis(data[:, :, np.asarray(rows)], (1, 2), (-2, -1))
    x = x.reshape(*x.shape[:-2], seeds * count)
    x = jnp.pad(x, [(0, 0)] * 3 + [(0, spare)])
    rates = factor[:, None] * packed(rate)[None]
    decays, weights = packed(decay)[None], packed(importance)
    after = lanes.run(shape, x, span[0], span[1], rates, decays, weights, before)
    parts = [a for pair in after[:3] for a in (pair[:-1], pair[-1])]
    new_W, new_b, new_mu_W, new_mu_b, new_nu_W, new_nu_b = parts
    found = (new_W, new_b, after.taken[0], new_mu_W, new_mu_b, new_nu_W, new_nu_b, after.bad[0])
    return tuple(unpacked(whole, value) for whole, value in zip(state, found, strict=True))
