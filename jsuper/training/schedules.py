"""Learning-rate schedules by name, and the notation `warmup(100)`.

A schedule is a function (step, steps) -> factor of the learning rate, for step = 0 ... steps - 1.
To add one, write its factory, whose parameters are its numbers, and one entry of `SCHEDULES`. Other
names are optax's, see `optax_schedules`.

Names of the table are checked before JAX is imported, so a schedule imports it when it is called.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jsuper.core.checks import Check, integer, real
from jsuper.core.errors import SpecError
from jsuper.core.suggestions import not_one_of
from jsuper.training.calls import call_text, named_function, split_call
from jsuper.training.optax_schedules import checked_numbers, functions, made

if TYPE_CHECKING:
    import jax

    Number = float | jax.Array
    Schedule = Callable[[jax.Array, int], Number]

_FORM = re.compile(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*")


def constant() -> Schedule:
    """Return the schedule 1."""
    return lambda step, steps: 1.0


def linear() -> Schedule:
    """Return the schedule 1 - step/steps.

    Source: the notebook of Elhage et al. (2022), "Toy Models of Superposition",
    <https://transformer-circuits.pub/2022/toy_model/index.html>.
    """
    return lambda step, steps: 1.0 - step / steps


def cosine() -> Schedule:
    """Return cos(π/2 · step/(steps - 1)), the notebook's quarter of a wave."""
    import jax.numpy as jnp

    return lambda step, steps: jnp.cos(0.5 * math.pi * step / max(steps - 1, 1))


def warmup(n: int) -> Schedule:
    """Return min(1, (step + 1)/n): it rises over n steps, and then stays."""
    import jax.numpy as jnp

    return lambda step, steps: jnp.minimum(1.0, (step + 1) / n)


def half_cosine(final: float = 0.0) -> Schedule:
    """Return final + (1 - final) (1 + cos(π · step/steps))/2, half a wave.

    Reference: Loshchilov and Hutter (2017), "SGDR: Stochastic Gradient Descent with Warm Restarts",
    <https://arxiv.org/abs/1608.03983>; torch.optim.lr_scheduler.CosineAnnealingLR.
    """
    import jax.numpy as jnp

    def factor(step: jax.Array, steps: int) -> Number:
        return final + (1 - final) * (1 + jnp.cos(math.pi * step / steps)) / 2

    return factor


def warmup_half_cosine(n: int, final: float = 0.0) -> Schedule:
    """Return `warmup(n)` for n steps, and `half_cosine(final)` over the other ones."""
    import jax.numpy as jnp

    def factor(step: jax.Array, steps: int) -> Number:
        after = half_cosine(final)(jnp.maximum(step - n, 0), max(steps - n, 1))
        return jnp.where(step < n, warmup(n)(step, steps), after)

    return factor


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "warmup": warmup,
    "half_cosine": half_cosine,
    "warmup_half_cosine": warmup_half_cosine,
}
"""Name -> factory from the numbers in brackets."""

_CHECKS: dict[str, Check] = {
    "n": integer(1, hint="it is the number of steps in which the rate rises"),
    "final": real(0, 1, hint="it is the last factor of the learning rate"),
}


@functools.cache
def make_schedule(text: Any) -> Schedule:
    """Return the schedule of a checked text, constant or warmup(100), or of a function of step."""
    if callable(text):
        function: Callable[..., Any] = text
        return lambda step, steps: function(step)
    name, numbers = _parsed("schedule", text)
    return SCHEDULES[name](**numbers) if name in SCHEDULES else made(name, numbers)


def warmup_steps(text: Any) -> int:
    """Return the steps in which a schedule rises; 0 if it does not, or is a function."""
    if callable(text):
        return 0
    numbers = _parsed("schedule", text)[1]
    return numbers.get("n", numbers.get("warmup_steps", 0))


def depends_on_steps(text: Any) -> bool:
    """Return whether the factor of a step depends on the number of all steps."""
    if callable(text):
        return False
    name = _parsed("schedule", text)[0]
    return name in SCHEDULES and name not in ("constant", "warmup")


def _parsed(field: str, text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the checked numbers of a text, those that are not defaults.

    Raises
    ------
    SpecError
        The name is not known, or its numbers are not allowed.
    """
    match = _FORM.fullmatch(text)
    name = match[1] if match else text
    if match is not None and name not in SCHEDULES and name in functions():
        return name, checked_numbers(f"{field}={text!r}", name, split_call(text)[1] or [])
    if match is None or name not in SCHEDULES:
        subject = f"{field}={text!r} is not known"
        raise SpecError(not_one_of(subject, name, [*SCHEDULES, *functions()], "it is one of"))
    parts = [part for part in (match[2] or "").split(",") if part.strip()]
    expected = inspect.signature(SCHEDULES[name])
    numbers = ", ".join(
        p.name if p.default is p.empty else f"{p.name}={p.default:g}"
        for p in expected.parameters.values()
    )
    form = f"{name}({numbers})" if numbers else f"{name} without numbers"
    try:
        given = [part.rpartition("=")[::2] for part in parts]
        values = [(key.strip(), _number(number.strip())) for key, number in given]
        named = {key: value for key, value in values if key}
        bound = expected.bind(*(value for key, value in values if not key), **named)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{field}={text!r}: write {form}") from error
    checked = {k: _CHECKS[k](f"{field}={text!r}: {k}", v) for k, v in bound.arguments.items()}
    return name, {k: v for k, v in checked.items() if v != expected.parameters[k].default}


def _number(text: str) -> float:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def _check(name: str, value: object) -> str:
    """Return the canonical text: `half_cosine( final=0.10 )` becomes `half_cosine(final=0.1)`."""
    if not isinstance(value, str):
        raise SpecError(not_one_of(f"{name}={value!r} is not known", value, SCHEDULES, "write"))
    schedule, numbers = _parsed(name, value)
    if schedule not in SCHEDULES:
        return call_text(schedule, (), numbers)
    optional = inspect.signature(SCHEDULES[schedule]).parameters
    shown = [
        f"{v!r}" if optional[k].default is inspect.Parameter.empty else f"{k}={v!r}"
        for k, v in numbers.items()
    ]
    return f"{schedule}({', '.join(shown)})" if shown else schedule


def _check_or_function(name: str, value: Any) -> Any:
    return named_function(name, value) if callable(value) else _check(name, value)


check_schedule = Check(_check_or_function, "NAME", takes_functions=True)
"""The check of the field `schedule`: a text, or a named function step -> factor."""
