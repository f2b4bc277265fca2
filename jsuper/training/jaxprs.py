"""The identity of a traced function: a hash of what its jaxpr computes.

Variables are numbered, names and source locations are left out, and constants count by their bytes.
Two functions that compute the same steps have one identity, in every process; a changed constant,
global or helper gives another. Jaxprs differ between versions of JAX.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jax.extend.random import threefry_prng_impl

PRNGImpl = type(threefry_prng_impl)  # a random generator, which consists of functions

# Names, and the Python rules of custom derivatives: what the rules compute is in the jaxpr of the
# derivative, which is hashed too.
IGNORED_PARAMETERS = {"name", "jvp_jaxpr_fun", "fwd_jaxpr_thunk", "bwd", "out_trees"}


class UntraceableError(ValueError):
    """A function whose jaxpr does not describe everything that it computes."""


def digest_of(closed: ClosedJaxpr) -> str:
    """Return a hash (64 hex digits) of what a jaxpr computes.

    Raises
    ------
    UntraceableError
        The function calls Python while it runs, has side effects, or uses an object without a
        stable text.
    """
    if closed.effects:
        effects = ", ".join(sorted(type(e).__name__ for e in closed.effects))
        raise UntraceableError(f"it has side effects ({effects}), such as jax.debug.print")
    found = hashlib.sha256()
    for part in _closed(closed):
        found.update(part.encode() + b"\n")
    return found.hexdigest()


def _closed(closed: ClosedJaxpr) -> Iterator[str]:
    yield "consts"
    for const in closed.consts:
        yield _array(const)
    yield from _jaxpr(closed.jaxpr)


def _jaxpr(jaxpr: Jaxpr) -> Iterator[str]:
    numbers: dict[Any, int] = {}

    def defined(variable: Any) -> str:
        numbers[variable] = len(numbers)
        return f"{numbers[variable]}:{variable.aval.str_short()}"

    def used(atom: Any) -> str:
        return _array(atom.val) if isinstance(atom, Literal) else str(numbers[atom])

    yield f"inputs {[defined(v) for v in (*jaxpr.constvars, *jaxpr.invars)]}"
    for equation in jaxpr.eqns:
        primitive = equation.primitive.name
        if "callback" in primitive:
            raise UntraceableError(f"it calls Python while it runs ({primitive})")
        inputs = [used(v) for v in equation.invars]
        yield f"{primitive} {inputs} {[defined(v) for v in equation.outvars]}"
        for name in sorted(equation.params.keys() - IGNORED_PARAMETERS):
            yield f"{name}="
            yield from _value(equation.params[name])
    yield f"outputs {[used(v) for v in jaxpr.outvars]}"


def _value(value: Any) -> Iterator[str]:
    """Yield the text of an equation's parameter."""
    if isinstance(value, ClosedJaxpr):
        yield from _closed(value)
    elif isinstance(value, Jaxpr):
        yield from _jaxpr(value)
    elif isinstance(value, (np.ndarray, np.generic, jax.Array)):
        yield _array(value)
    elif isinstance(value, PRNGImpl):
        yield f"generator {value.name}"
    elif isinstance(value, dict):
        yield from _value(sorted(value.items(), key=lambda item: str(item[0])))
    elif isinstance(value, (list, tuple)):
        yield f"{type(value).__name__} of {len(value)}"
        for member in value:
            yield from _value(member)
    elif isinstance(value, (set, frozenset)):
        yield f"{sorted(''.join(_value(member)) for member in value)}"
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield type(value).__name__
        for field in dataclasses.fields(value):
            yield from _value(getattr(value, field.name))
    elif isinstance(value, (enum.Enum, np.dtype, type)):
        yield str(value)
    else:
        yield _text(value)


def _text(value: Any) -> str:
    text = repr(value)
    if " at 0x" in text:
        raise UntraceableError(f"it uses an object whose content JAX does not show ({text[:80]})")
    return f"{type(value).__name__} {text}"


def _array(value: Any) -> str:
    """Return the dtype, the shape and a hash of the bytes of a constant."""
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return f"key {jax.random.key_impl(value)} {_array(jax.random.key_data(value))}"
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise UntraceableError(f"it uses a constant of type {type(value).__name__}")
    return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
