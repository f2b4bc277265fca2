"""`jsuper.make_train` and `jsuper.make_setting`: the training of one model as a function."""

from __future__ import annotations

import warnings
from typing import Any

import jax

from jsuper.core import grid
from jsuper.core.errors import SpecError
from jsuper.core.expecting import expect
from jsuper.core.family import family_of
from jsuper.core.json_data import label
from jsuper.core.suggestions import not_one_of
from jsuper.core.sweep import BaseSweep
from jsuper.training.loop import Train

EXAMPLE = "jsuper.make_train(jsuper.Sweep(activation='relu', sparsity=0.9))"


def make_train(sweep: BaseSweep, sequential: bool = False) -> Train:
    """Return the training of one model of a sweep, a function for `jax.jit` and `jax.vmap`.

    `train(setting, key)` returns the variables of one model as a dict. Its parts are
    `train.init(setting, key)`, `train.advance(state, setting, key, start, n)`, which takes the
    steps start ... start + n - 1, and `train.finish(state, setting, key)`.

    Training can be differentiated with respect to the numbers of the setting: in forward mode
    (`jax.jvp`, `jax.jacfwd`) as a whole, in reverse mode (`jax.grad`) `init` and `advance`. The
    final loss is measured until it is precise enough, a loop without a reverse mode.

    Parameters
    ----------
    sweep
        Of any family. Fields that shape the program, such as n_features, steps and optimizer, have
        one value; others may have several, which `make_setting` chooses from. The number of seeds
        has no effect.
    sequential
        Under `vmap`, run the heavy part of a step for one model after another.

    Raises
    ------
    TypeError
        `sweep` is not a sweep.
    SpecError
        Models of the sweep need different programs, or it is in double precision and JAX is not.

    Examples
    --------
    >>> import jax, jsuper
    >>> sweep = jsuper.Sweep(activation="relu", sparsity=(0.5, 0.9), n_features=4, n_hidden=2,
    ...                      steps=50, batch_size=64)
    >>> train = jax.jit(jsuper.make_train(sweep))
    >>> result = train(jsuper.make_setting(sweep, sparsity=0.9), jsuper.seed_key(0))
    >>> result["W"].shape, int(result["status"])
    ((2, 4), 1)
    """
    if not isinstance(sweep, BaseSweep) and hasattr(sweep, "activations"):
        warnings.warn(
            "make_train(static) is now make_train(sweep)", DeprecationWarning, stacklevel=2
        )
        return family_of("toy").train.make_train(sweep, sequential)
    _, static, _ = _traced(sweep)
    if static.dtype == "float64" and not jax.config.read("jax_enable_x64"):
        raise SpecError(
            "dtype='float64' needs double precision of JAX: call "
            "jax.config.update('jax_enable_x64', True) first"
        )
    return family_of(sweep.model).train.make_train(static, sequential)


def make_setting(sweep: BaseSweep, **point: Any) -> Any:
    """Return the numbers of one model of a sweep, for a function of `make_train(sweep)`.

    Parameters
    ----------
    sweep
        That of `make_train`.
    **point
        Field -> the value, one of the sweep's. A field may be left out if it has one value.

    Returns
    -------
    Setting
        A pytree of numbers. `setting.replace(learning_rate=rate)` changes one, also to a traced
        array; the program of a sweep without dropout ignores it.

    Raises
    ------
    TypeError
        `sweep` is not a sweep.
    SpecError
        A field or value is not one of the sweep's, or one of several values is not chosen.
    """
    sweep, static, values = _traced(sweep)
    names = sweep.names("setting")
    for name in point:
        if name not in names:
            subject = f"{name!r} is not a number of a single model"
            raise SpecError(not_one_of(subject, name, names, "the numbers are"))
    chosen = {name: _choice(name, sweep.values_of(name), point) for name in names}
    return family_of(sweep.model).train.make_setting(static, values | chosen)


def _choice(name: str, values: tuple[Any, ...], point: grid.Setting) -> Any:
    """Return the value of a field: what was chosen among the sweep's, or its only one."""
    known = ", ".join(str(label(v)) for v in values)
    if name not in point:
        if len(values) == 1:
            return values[0]
        raise SpecError(f"{name} has several values: choose {name}= one of {known}")
    for value in values:
        if label(value) == label(point[name]):
            return value
    raise SpecError(f"{name}={label(point[name])!r} is not in the sweep; its values are {known}")


def _traced(sweep: BaseSweep) -> tuple[BaseSweep, Any, grid.Static]:
    """Return a sweep with its callables traced, its models' program, and their static values."""
    expect("sweep", sweep, BaseSweep, "a Sweep", EXAMPLE)
    if sweep.zipped:
        raise SpecError(
            f"zipped has the groups {', '.join(sweep.zipped)}, whose rows are several sweeps: give "
            "one of sweep.parts()"
        )
    sweep = sweep.traced()
    groups = grid.expand(sweep)
    if len(groups) > 1:
        several = [n for n in sweep.names("static") if n in sweep.axes and len(sweep.axes[n]) > 1]
        raise SpecError(
            f"{', '.join(several)} has several values, which need a program each: give one value, "
            "and call make_train for each"
        )
    (group,), family = groups, family_of(sweep.model)
    static = family.train.make_static(group.static, [group.settings], "vmapped")
    return sweep, static, group.static
