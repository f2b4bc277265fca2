"""K steps of a seed's models in one launch of the kernel, in place of K steps of the plain loop.

Draws, the order of columns and the learning rates stay in JAX, once for each seed and step: they
are the same bits in every plan. A `custom_vmap` rule around a segment of K steps sees all models of
a seed, and then all seeds; without `vmap`, or with a key for each model, the plain loop runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.custom_batching import custom_vmap

from jsuper.models.toy.config import Setting, Static
from jsuper.models.toy.draws import Source, data_of, order, threshold, thresholds
from jsuper.models.toy.inputs.independent import Independent
from jsuper.models.toy.inputs.law import Inputs
from jsuper.models.toy.inputs.values import uniform
from jsuper.models.toy.kernels import launching
from jsuper.models.toy.kernels.source import Kernel, most_models
from jsuper.models.toy.recording import Core
from jsuper.models.toy.slots import Layout, layout_of
from jsuper.training import keys
from jsuper.training.optimizer_texts import learning_rate_of
from jsuper.training.schedules import make_schedule

STEPS = 20  # of a launch
BYTES = 2**29  # that the batches of a launch may take
BLOCKS = 132  # that run at a time: multiprocessors of an H100
STEP_COST = 0.3  # of a block, in models


Loop = Callable[[Core, Setting, Source, Array, Array], Core]


def make_segments(static: Static, loop: Loop) -> Callable[..., Core]:
    """Return run(core, setting, source, start, n, end) -> core after the steps below `end`.

    Parameters
    ----------
    static
        Shapes and program, which `covered.reason` lets through.
    loop
        loop(core, setting, source, first, steps): the plain one, of one model.
    """
    segment = make_segment(static, loop)

    def run(
        core: Core, setting: Setting, source: Source, start: Array, n: int | Array, end: int | Array
    ) -> Core:
        last = jnp.minimum(start + n, end)

        def one(i: Array, core: Core) -> Core:
            first = start + i * STEPS
            steps = jnp.clip(last - first, 0, STEPS).astype(jnp.int32)
            return segment(core, setting, source, first, steps)

        return jax.lax.fori_loop(0, -(-n // STEPS), one, core)

    return run


def make_segment(static: Static, loop: Loop) -> Loop:
    """Return `loop`, which under vmap over settings and then seeds is a launch of the kernel."""

    def of_seed(core: Core, setting: Setting, source: Source, first: Array, steps: Array) -> Core:
        one = jax.tree.map(lambda a: a[None], (core, source))
        found = launched(static, one[0], setting, one[1], first, steps)
        return jax.tree.map(lambda a: a[0], found)

    over_seeds, over_settings = custom_vmap(of_seed), custom_vmap(loop)

    @over_settings.def_vmap
    def _(size, batched, core, setting, source, first, steps):  # noqa: ANN001, ANN202 - jax's
        in_axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, tuple(batched))
        if any(jax.tree.leaves(tuple(batched[2:]))) or layout_of(static, size) is None:
            found = jax.vmap(loop, in_axes)(core, setting, source, first, steps)
        else:
            whole = _whole(size, (batched[0], batched[1]), (core, setting))
            found = over_seeds(*whole, source, first, steps)
        return found, jax.tree.map(lambda _: True, found)

    @over_seeds.def_vmap
    def _(size, batched, core, setting, source, first, steps):  # noqa: ANN001, ANN202 - jax's
        if any(jax.tree.leaves((batched[1], *batched[3:]))):
            raise ValueError("the seeds of a program share its settings and steps")
        core, source = _whole(size, (batched[0], batched[2]), (core, source))
        found = launched(static, core, setting, source, first, steps)
        return found, jax.tree.map(lambda _: True, found)

    return over_settings


def _whole(size: int, batched: Any, values: Any) -> Any:
    def whole(value: Array, is_batched: bool) -> Array:
        return value if is_batched else jnp.broadcast_to(value, (size, *value.shape))

    return jax.tree.map(whole, values, batched)


def launched(
    static: Static, core: Core, setting: Setting, source: Source, first: Array, steps: Array
) -> Core:
    """Return the core after some steps, at most STEPS: (seeds, settings, ...) arrays throughout."""
    seeds, places = core.first_bad_step.shape
    layout = layout_of(static, places)
    assert layout is not None
    on_tpu = keys.platform() == "tpu"
    shared = shares_draws(static) and not on_tpu
    rate = learning_rate_of(static.optimizer, setting.learning_rate)
    density = setting.density[..., 0] if static.per_feature else setting.density  # is not used
    numbers = (density, rate, setting.weight_decay, setting.importance)
    wide = (places,), (places,), (places,), (places, static.n_features)
    numbers = [
        jnp.broadcast_to(a, s).astype(jnp.float32) for a, s in zip(numbers, wide, strict=True)
    ]
    state = arrays_of(core)
    kernels = {} if on_tpu else kernels_of(static, layout)
    at_once = steps_at_once(static, seeds, 1 if shared else places if on_tpu else layout.rows)
    schedule = make_schedule(static.schedule)
    for begin in range(0, STEPS, at_once):
        number = min(at_once, STEPS - begin)
        now = first + begin + jnp.arange(number, dtype=jnp.int32)
        factor = jax.vmap(lambda step: jnp.float32(schedule(step, static.steps)))(now)
        here = jnp.clip(steps - begin, 0, number)
        data, active = batches(static, setting, source, now, layout, shared)
        for activation, mine in layout.places.items():
            if on_tpu:
                from jsuper.models.toy.kernels import tpu  # Pallas is slow to import

                shape = tpu.Shape(static.activations[activation], *sizes_of(static))
                rows = [layout.row[i] for i in mine]
                span = jnp.stack([now[0], here])
                state = tpu.trained(shape, mine, rows, data, span, factor, numbers, state)
                continue
            place = groups_of(mine, seeds, kernels[activation].models)
            row = np.asarray(layout.row, np.int32)
            span = jnp.stack([now[0], here, places, layout.rows, place.shape[1]])
            operands = (data, active, place, row, span, factor, *numbers)
            grid = (seeds, len(place))
            state = launching.launch(kernels[activation], grid, operands, state)
    return with_arrays(core, state)


def groups_of(mine: list[int], seeds: int, most: int) -> np.ndarray:
    """Return the places of each group of at most `most` models that a block of threads trains.

    Few seeds leave multiprocessors without work, unless a seed's models are several groups. In a
    round of blocks, each takes its time for every model and for a step. Neighbours, which are
    about as sparse, are in different groups. -1 stands for no model.
    """
    sizes = range(1, most + 1)
    cost = {k: -(-seeds * -(-len(mine) // k) // BLOCKS) * (k + STEP_COST) for k in sizes}
    count = -(-len(mine) // min(reversed(sizes), key=cost.__getitem__))
    place = np.full((count, -(-len(mine) // count)), -1, np.int32)
    for i, model in enumerate(mine):
        place[i % count, i // count] = model
    return place


def arrays_of(core: Core) -> tuple[Array, ...]:
    """Return W, b, and of Adam the count, μ and ν of both; and the first bad steps."""
    adam, params = core.opt_state[0], core.params
    moments = (adam.count, adam.mu.W, adam.mu.b, adam.nu.W, adam.nu.b)
    return (params.W, params.b, *moments, core.first_bad_step)


def with_arrays(core: Core, arrays: Sequence[Array]) -> Core:
    """Return the core with other `arrays_of`."""
    W, b, count, mu_W, mu_b, nu_W, nu_b, bad = arrays
    adam = core.opt_state[0]
    mu, nu = adam.mu._replace(W=mu_W, b=mu_b), adam.nu._replace(W=nu_W, b=nu_b)
    adam = adam._replace(count=count, mu=mu, nu=nu)
    return Core(core.params._replace(W=W, b=b), (adam, *core.opt_state[1:]), bad)


def kernels_of(static: Static, layout: Layout) -> dict[int, Kernel]:
    """Return the kernel of each activation; their compilation begins."""
    most = most_models(static.n_features, static.n_hidden)
    kernels = {a: kernel_of(static, a, min(len(p), most)) for a, p in layout.places.items()}
    for kernel in kernels.values():
        launching.begin(kernel)
    return kernels


def kernel_of(static: Static, activation: int, models: int) -> Kernel:
    """Return the kernel of one of a program's activations."""
    return Kernel(
        static.activations[activation],
        *sizes_of(static),
        models,
        batches=not shares_draws(static),
        bias=static.bias,
        decay_bias=static.decay_on != "W",
        is_sum=static.reduction == "sum",
    )


def sizes_of(static: Static) -> tuple[int, int, int]:
    """Return n_features, n_hidden and the batch size."""
    return static.n_features, static.n_hidden, static.batch_size


def shares_draws(static: Static) -> bool:
    """Return whether x is u/p where u < p, of uniform draws u that all models of a seed share."""
    law = static.inputs
    if not isinstance(law, Inputs) or static.per_feature or static.dataset_size:
        return False
    return type(law.support) is Independent and not law.normalize and law.values == uniform()


def steps_at_once(static: Static, seeds: int, batches: int) -> int:
    """Return the steps whose batches fit into BYTES, at least 1."""
    numbers = static.n_features * static.batch_size * seeds * batches
    return max(1, min(STEPS, BYTES // (4 * numbers)))


def batches(
    static: Static,
    setting: Setting,
    source: Source,
    steps: Array,
    layout: Layout,
    shared: bool,
) -> tuple[Array, Array]:
    """Return draws or batches of some steps, and the number of columns that count.

    Draws that are `shared`, (steps, seeds, n, batch), have the columns with an active feature
    first, for every density; otherwise batches are (steps, seeds, rows, n, batch). The numbers are
    (steps, seeds, rows), int32.
    """
    firsts = np.array([layout.row.index(r) for r in range(layout.rows)])
    rows = jax.tree.map(lambda a: a[firsts], setting.law)

    def of_step(source: Source, step: Array) -> tuple[Array, Array]:
        data = data_of(static, source, step)
        if not shared:
            x = jax.vmap(lambda law: static.inputs.batch(data, law))(rows)
            return x, jnp.full(layout.rows, static.batch_size, jnp.int32)
        level = static.inputs.level(data, jnp.float32(1), jax.tree.map(lambda a: a[0], rows))
        limit = threshold(rows.density, jnp.float32(1), False)
        columns = order(level, thresholds(static, limit), static.batch_size)
        # data[:, columns] would be gathered column by column, and transposed.
        places = jnp.broadcast_to(columns, data.shape)
        found = jnp.take_along_axis(data, places, axis=1, mode="promise_in_bounds")
        return found, jnp.sum(level < limit[:, None], axis=1, dtype=jnp.int32)

    return jax.vmap(jax.vmap(of_step, (0, None)), (None, 0))(source, steps)
