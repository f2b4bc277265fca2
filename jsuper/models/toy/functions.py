"""A user's function as an activation: traced once, identified by what it computes, and trained.

A Python function can change between two runs although its source does not: it may read a global,
call a helper, or be a method of an object. So it is traced for every shape that a sweep uses, and
the traced program is trained. Its identity is a hash of its value and its derivative for each
number of features and dtype.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jsuper.core.errors import SpecError
from jsuper.core.json_data import digest, name_of
from jsuper.models.toy.identified import PROBES, Identified, as_lists, first_line
from jsuper.models.toy.layout import COLUMNS, NARROWEST
from jsuper.training.jax_config import shielded
from jsuper.training.jaxprs import UntraceableError, digest_of

Shape = tuple[int, int, str]  # n_features, samples, dtype


@dataclass(frozen=True)
class Form:
    """The traced value and derivative of a function for one shape."""

    value: ClosedJaxpr  # z -> f(z)
    slope: ClosedJaxpr  # z, g -> g times the derivative of f at z

    @functools.cached_property
    def digest(self) -> str:
        """A hash of both."""
        return digest_of(self.value) + digest_of(self.slope)

    @functools.cached_property
    def function(self) -> Callable[[Array], Array]:
        """f, with the traced derivative as its derivative."""
        value, slope = jaxpr_as_fun(self.value), jaxpr_as_fun(self.slope)

        @jax.custom_vjp
        def act(z: Array) -> Array:
            return value(z)[0]

        act.defvjp(lambda z: (act(z), z), lambda z, g: (slope(z, g)[0],))
        return act


class Traced(Identified):
    """A user's function of z (n_features, samples), traced for all shapes that are needed.

    Two are equal if they have the same name and compute the same for the same shapes. A function
    may depend on the number of samples, so its identity covers each number that is used. If it only
    accepts the batch size, it couples the samples.

    Attributes
    ----------
    label
        name@digest, the function's name in run folders.
    coupled
        Whether the output for one sample depends on the other samples.
    identities
        "n_features samples dtype" -> hash of value and derivative.
    probes
        The same -> values and slopes at the first of fixed points.
    """

    def __init__(
        self,
        function: Callable,
        sizes: Iterable[tuple[int, str]],
        whole: Iterable[int],
        narrow: Iterable[int] = (),
        field: str = "activation",
        *,
        samples_first: bool = False,
    ) -> None:
        """Trace a function.

        Parameters
        ----------
        function
            Of z (n_features, samples).
        sizes
            (n_features, dtype) of the models.
        whole
            Numbers of samples in whole batches, which it must accept.
        narrow
            Numbers of samples in narrow batches, which it needs only if it does not couple them.
        field
            The field that it is a value of, for messages.
        samples_first
            Whether the function is one of (samples, n_features) instead.

        Raises
        ------
        SpecError
            The function cannot be traced, differentiated or executed for one of the sizes.
        """
        self.__name__, self.field = name_of(function), field
        if samples_first:
            function = _turned(function)
        self.forms: dict[Shape, Form] = {}
        self.probes: dict[str, dict[str, list]] = {}
        self.coupled = False
        whole = sorted(set(whole)) or [NARROWEST]
        for n, dtype in sizes:
            with in_dtype(dtype), jax.ensure_compile_time_eval():  # also inside another trace
                for width in whole:
                    self.forms[n, width, dtype] = form_of(function, n, width, dtype, field)
                    with executing(self.__name__, n, width, dtype, field):
                        self.probes[key_of(n, width, dtype)] = self._probe(n, width, dtype)
                for width in sorted({1, NARROWEST, *narrow}.difference(whole)):
                    try:
                        self.forms[n, width, dtype] = form_of(function, n, width, dtype, field)
                    except SpecError:
                        self.coupled = True
                with executing(self.__name__, n, max(whole), dtype, field):
                    self.coupled |= self._couples(n, dtype)
        if field == "target":
            self._check_target()
        self.identities = {key_of(*k): digest(f.digest, 32) for k, f in self.forms.items()}
        self.label = f"{self.__name__}@{digest(self.identities, 12)}"

    def __call__(self, z: Array) -> Array:
        """Return f(z) for a shape that was traced."""
        n, width = z.shape
        form = self.forms.get((n, width, z.dtype.name))
        if form is None:
            traced = ", ".join(self.identities)
            raise ValueError(
                f"{self.field} {self.__name__!r} was not traced for z of shape {z.shape}, "
                f"{z.dtype.name}, but for {traced}"
            )
        return form.function(z)

    @property
    def has_bad_slope(self) -> bool:
        """Whether its slope is NaN or infinite at a probe where its value is finite."""
        return any(
            not np.isfinite([float(v) for v in of["slopes"]]).all()
            and np.isfinite([float(v) for v in of["values"]]).all()
            for of in self.probes.values()
        )

    def _probe(self, n: int, width: int, dtype: str) -> dict[str, list]:
        form = self.forms[n, width, dtype]
        z, g = probe_points(n, dtype, width)
        value, slope = jaxpr_as_fun(form.value)(z)[0], jaxpr_as_fun(form.slope)(z, g)[0]
        return {"values": as_lists(value[:, :PROBES]), "slopes": as_lists(slope[:, :PROBES])}

    def _check_target(self) -> None:
        """Raise SpecError for a target that mixes samples."""
        if self.coupled:
            raise SpecError(
                f"target {self.__name__!r} cannot be used: the target of a sample depends on the "
                "others of its batch; compute each row of x by itself"
            )

    def _couples(self, n: int, dtype: str) -> bool:
        """Return whether a column's output differs between any two of the traced widths."""
        widths = [w for size, w, kind in self.forms if (size, kind) == (n, dtype)]
        z = probe_points(n, dtype, max(widths) + 1)[0][:, 1:]  # without the column of zeros
        first = [np.asarray(self(z[:, :w]))[:, 0] for w in widths]
        return any(not np.allclose(first[0], f, rtol=1e-4, equal_nan=True) for f in first[1:])


@contextlib.contextmanager
def in_dtype(dtype: str) -> Iterator[None]:
    """Configure JAX as for training in a dtype, whatever the user configured."""
    with shielded(), jax.enable_x64(dtype == "float64"):
        yield


@contextlib.contextmanager
def executing(
    name: str, n: int, width: int, dtype: str, field: str = "activation"
) -> Iterator[None]:
    """Raise SpecError where a traced function fails when it is executed."""
    try:
        yield
    except Exception as error:
        raise SpecError(
            f"{_problem(name, n, width, dtype, field)}: it fails when it is executed: "
            f"{first_line(error)}; call it with an array of this shape to see the error"
        ) from error


def _problem(name: str, n: int, width: int, dtype: str, field: str) -> str:
    shape = f"x of shape ({width}, {n})" if field == "target" else f"z of shape ({n}, {width})"
    return f"{field} {name!r} cannot be used for {shape}, {dtype}"


def _turned(function: Callable) -> Callable:
    """Return a function of (samples, n_features) as one of (n_features, samples)."""

    def of_columns(z: Array) -> Array:
        return function(z.T).T

    of_columns.__name__ = name_of(function)
    return of_columns


def form_of(function: Callable, n: int, width: int, dtype: str, field: str = "activation") -> Form:
    """Trace a function and its derivative for z (n, width).

    Raises
    ------
    SpecError
        The function cannot be traced or differentiated, returns another shape or dtype than that
        of z, or calls Python while it runs.
    """
    z = jax.ShapeDtypeStruct((n, width), dtype)
    problem = _problem(name_of(function), n, width, dtype, field)
    try:  # a new lambda, because JAX caches the trace of a function although its globals may change
        value = jax.make_jaxpr(lambda z: function(z))(z)
    except Exception as error:
        of_jax = isinstance(error, jax.errors.JAXTypeError)
        hint = "; use only jax.numpy, and no `if` on values" if of_jax else ""
        raise SpecError(f"{problem}: {first_line(error)}{hint}") from error
    found = [(v.shape, v.dtype.name) for v in value.out_avals]
    if found != [(z.shape, dtype)]:
        returned = ", ".join(f"{shape} {kind}" for shape, kind in found) or "nothing"
        of = "x" if field == "target" else "z"
        turned = ", transposed" if field == "target" else ""
        raise SpecError(
            f"{problem}: it returns {returned}{turned}; return one array of {of}'s shape and dtype"
        )
    try:
        digest_of(value)
        slope = jax.make_jaxpr(lambda z, g: jax.vjp(lambda z: function(z), z)[1](g)[0])(z, z)
        form = Form(value, slope)
        _ = form.digest
    except UntraceableError as error:
        raise SpecError(f"{problem}: {error}; use only jax.numpy") from error
    except Exception as error:
        raise SpecError(
            f"{problem}: it has no derivative: {first_line(error)}; use operations that JAX can "
            "differentiate in reverse mode, such as lax.scan for a loop"
        ) from error
    return form


def key_of(n: int, width: int, dtype: str) -> str:
    """Return a shape as a key in JSON: `20 1024 float32`."""
    return f"{n} {width} {dtype}"


def probe_points(n: int, dtype: str, width: int) -> tuple[Array, Array]:
    """Return fixed points z in [-6, 6] and cotangents g, (n, width); z's first column is zero.

    The first columns do not depend on the width.
    """
    draws = np.random.default_rng(0).uniform(-1, 1, (width, 2, n)).swapaxes(0, 1)
    scale = np.where(np.arange(width) % 2, 6.0, 1.0)[:, None]
    scale[0] = 0.0
    return jnp.asarray((scale * draws[0]).T, dtype), jnp.asarray(draws[1].T, dtype)


def traced(
    activation: Any,
    n_features: int,
    dtype: Any = "float32",
    whole: Iterable[int] = (),
    narrow: Iterable[int] = (),
) -> Any:
    """Return an activation that can key a cache of programs: a user's function as `Traced`.

    A cache keyed by the function itself would not notice a change of what it computes. Names and
    traced functions are returned unchanged; `whole` and `narrow` are as in `Traced`.
    """
    if isinstance(activation, str) or not callable(activation) or isinstance(activation, Traced):
        return activation
    return Traced(activation, [(n_features, np.dtype(dtype).name)], whole, narrow)


def widths_of(batch_sizes: Iterable[int]) -> set[int]:
    """Return the numbers of samples in narrow batches and in a round of the final loss."""
    widths = {COLUMNS}
    narrow = NARROWEST
    while narrow < max(batch_sizes):
        widths.add(narrow)
        narrow *= 2
    return widths
