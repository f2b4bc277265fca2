"""A user's function as an activation: traced once, identified by what it computes, and trained.

A Python function can change between two runs without a change of its source: it may read a global,
call a helper, or be a method of an object. So it is traced for every shape that a sweep uses, and
the traced steps are what is trained. Its identity is the hash of its value and of its derivative,
for each number of features and dtype.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jsuper.core.errors import SpecError
from jsuper.core.json_data import digest, name_of
from jsuper.models.toy.layout import COLUMNS, NARROWEST
from jsuper.training.jax_config import shielded
from jsuper.training.jaxprs import UntraceableError, digest_of

Shape = tuple[int, int, str]  # n_features, samples, dtype
PROBES = 8  # samples of a batch whose values and slopes are stored
TOLERANCE = 1e-5  # of the largest value, between two versions of JAX


@dataclass(frozen=True)
class Form:
    """What a function and its derivative compute for one shape."""

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


class Traced:
    """A user's function of z (n_features, samples), traced for all shapes that are needed.

    Two of them are equal if they have one name and compute the same for the same shapes.

    A function may depend on the number of samples, so its identity covers each that is used. One
    that cannot take another number than the batch's couples the samples.

    Attributes
    ----------
    label
        name@digest, which a run folder calls the function by.
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
    ) -> None:
        """Trace a function.

        Parameters
        ----------
        function
            Of z (n_features, samples).
        sizes
            (n_features, dtype) of the models.
        whole
            Numbers of samples of whole batches, which it has to take.
        narrow
            Numbers of samples that it is called with if it does not couple them.

        Raises
        ------
        SpecError
            It cannot be traced or differentiated for one of the sizes.
        """
        self.__name__ = name_of(function)
        self.forms: dict[Shape, Form] = {}
        self.probes: dict[str, dict[str, list]] = {}
        self.coupled = False
        whole = sorted(set(whole)) or [NARROWEST]
        for n, dtype in sizes:
            with in_dtype(dtype), jax.ensure_compile_time_eval():  # also while others are traced
                for width in whole:
                    self.forms[n, width, dtype] = form_of(function, n, width, dtype)
                    self.probes[key_of(n, width, dtype)] = self._probe(n, width, dtype)
                for width in sorted({1, NARROWEST, *narrow}.difference(whole)):
                    try:
                        self.forms[n, width, dtype] = form_of(function, n, width, dtype)
                    except SpecError:
                        self.coupled = True
                self.coupled |= self._couples(n, dtype)
        self.identities = {key_of(*k): digest(f.digest, 32) for k, f in self.forms.items()}
        self.label = f"{self.__name__}@{digest(self.identities, 12)}"

    def __call__(self, z: Array) -> Array:
        """f(z), for a shape that was traced."""
        n, width = z.shape
        form = self.forms.get((n, width, z.dtype.name))
        if form is None:
            traced = ", ".join(self.identities)
            raise ValueError(
                f"activation {self.__name__!r} has no form for z of shape {z.shape}, "
                f"{z.dtype.name}, but for {traced}"
            )
        return form.function(z)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Traced) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        return self.__name__, self.label, tuple(self.identities.items())

    def labelled(self, label: str) -> Traced:
        """Return the same function under the label that a run folder knows it by."""
        other = object.__new__(Traced)
        other.__dict__.update(self.__dict__, label=label)
        return other

    @property
    def has_bad_slope(self) -> bool:
        """Whether its slope is NaN or infinite at a probe where its value is finite."""
        return any(
            not np.isfinite([float(v) for v in of["slopes"]]).all()
            and np.isfinite([float(v) for v in of["values"]]).all()
            for of in self.probes.values()
        )

    def record(self) -> dict[str, Any]:
        """What a manifest keeps, so that a later process can tell whether it has this function."""
        return {"jax": jax.__version__, "identities": self.identities, "probes": self.probes}

    def _probe(self, n: int, width: int, dtype: str) -> dict[str, list]:
        form = self.forms[n, width, dtype]
        z, g = probe_points(n, dtype, width)
        value, slope = jaxpr_as_fun(form.value)(z)[0], jaxpr_as_fun(form.slope)(z, g)[0]
        return {"values": as_lists(value[:, :PROBES]), "slopes": as_lists(slope[:, :PROBES])}

    def _couples(self, n: int, dtype: str) -> bool:
        """Return whether a column's output differs between any two of the traced widths."""
        widths = [w for size, w, kind in self.forms if (size, kind) == (n, dtype)]
        z = probe_points(n, dtype, max(widths) + 1)[0][:, 1:]  # without the column of zeros
        first = [np.asarray(self(z[:, :w]))[:, 0] for w in widths]
        return any(not np.allclose(first[0], f, rtol=1e-4, equal_nan=True) for f in first[1:])


@contextlib.contextmanager
def in_dtype(dtype: str) -> Iterator[None]:
    """JAX as programs of a dtype have it, whatever the user configured."""
    with shielded(), jax.enable_x64(dtype == "float64"):
        yield


def form_of(function: Callable, n: int, width: int, dtype: str) -> Form:
    """Trace a function and its derivative for z (n, width).

    Raises
    ------
    SpecError
        It cannot be traced or differentiated, returns another shape or dtype than z's,
        or calls Python while it runs.
    """
    z = jax.ShapeDtypeStruct((n, width), dtype)
    about = (
        f"activation {name_of(function)!r} cannot be used for z of shape ({n}, {width}), {dtype}"
    )
    try:  # a new lambda each time: JAX keeps what it has traced for a function, whatever it reads
        value = jax.make_jaxpr(lambda z: function(z))(z)
    except Exception as error:
        of_jax = isinstance(error, jax.errors.JAXTypeError)
        hint = "; write it with jax.numpy alone, without if on values" if of_jax else ""
        raise SpecError(f"{about}: {_first_line(error)}{hint}") from error
    found = [(v.shape, v.dtype.name) for v in value.out_avals]
    if found != [(z.shape, dtype)]:
        words = ", ".join(f"{shape} {kind}" for shape, kind in found) or "nothing"
        raise SpecError(f"{about}: it returns {words}; return one array of z's shape and dtype")
    try:
        digest_of(value)
        slope = jax.make_jaxpr(lambda z, g: jax.vjp(lambda z: function(z), z)[1](g)[0])(z, z)
        form = Form(value, slope)
        _ = form.digest
    except UntraceableError as error:
        raise SpecError(f"{about}: {error}; write it with jax.numpy alone") from error
    except Exception as error:
        raise SpecError(
            f"{about}: it has no derivative: {_first_line(error)}; use steps that JAX can "
            "differentiate backwards, such as lax.scan for a loop"
        ) from error
    return form


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def key_of(n: int, width: int, dtype: str) -> str:
    """Return a shape as the key of JSON."""
    return f"{n} {width} {dtype}"


def probe_points(n: int, dtype: str, width: int) -> tuple[Array, Array]:
    """Fixed points z in [-6, 6] and cotangents g, (n, width); the first column of z is zero.

    Fewer samples are the first of more.
    """
    draws = np.random.default_rng(0).uniform(-1, 1, (width, 2, n)).swapaxes(0, 1)
    scale = np.where(np.arange(width) % 2, 6.0, 1.0)[:, None]
    scale[0] = 0.0
    return jnp.asarray((scale * draws[0]).T, dtype), jnp.asarray(draws[1].T, dtype)


def as_lists(values: Array) -> list:
    """Return numbers for JSON: what is not finite by name."""
    return [v if np.isfinite(v) else str(v) for v in np.asarray(values, np.float64).ravel()]


def same_at_probes(mine: Mapping[str, list], theirs: Mapping[str, list]) -> bool:
    """Return whether values and slopes agree to `TOLERANCE` of the largest.

    Raises
    ------
    Exception
        What stored probes that are damaged raise.
    """
    for name in ("values", "slopes"):
        a, b = (np.array([float(v) for v in of[name]]) for of in (mine, theirs))
        scale = np.abs(a[np.isfinite(a)]).max(initial=0.0)
        if a.shape != b.shape or not np.allclose(a, b, 0, TOLERANCE * scale, equal_nan=True):
            return False
    return True


def traced(
    activation: Any,
    n_features: int,
    dtype: Any = "float32",
    whole: Iterable[int] = (),
    narrow: Iterable[int] = (),
) -> Any:
    """Return an activation for programs: a name as it is, a function of the user's as `Traced`.

    A compiled program that is kept for a function would not notice that it changes; it is kept for
    what was traced instead. `whole` and `narrow` are as in `Traced`.
    """
    if isinstance(activation, str) or not callable(activation) or isinstance(activation, Traced):
        return activation
    return Traced(activation, [(n_features, np.dtype(dtype).name)], whole, narrow)


def trace_sweep(sweep: Any) -> Any:
    """Return a sweep with its functions traced for all sizes, dtypes and batches that it has."""
    sizes = [(n, d) for n in sweep.values("n_features") for d in sweep.values("dtype")]
    whole = sweep.values("batch_size")
    narrow = widths_of(whole)
    activations = tuple(
        Traced(a, sizes, whole, narrow) if callable(a) and not isinstance(a, Traced) else a
        for a in sweep.values("activation")
    )
    return dataclasses.replace(sweep, activation=activations)


def widths_of(batch_sizes: Iterable[int]) -> set[int]:
    """Return the number of samples of narrow batches, and of the final loss."""
    widths = {COLUMNS}
    narrow = NARROWEST
    while narrow < max(batch_sizes):
        widths.add(narrow)
        narrow *= 2
    return widths
