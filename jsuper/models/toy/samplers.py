"""A user's function as the law of the data: traced, checked, and identified by what it computes.

A sampler is fn(key, batch) -> (batch, n_features). As an activation, it is traced once for each
batch size that a sweep uses, and the traced program is what draws the samples. It computes in
float32 in models of every dtype, so that models in float64 see the same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jsuper.core.errors import SpecError
from jsuper.core.json_data import digest, name_of
from jsuper.models.toy.functions import in_dtype
from jsuper.models.toy.identified import PROBES, Identified, as_lists, first_line
from jsuper.models.toy.layout import COLUMNS
from jsuper.training import keys
from jsuper.training.jaxprs import UntraceableError, digest_of

TRIED = 3  # keys with which a sampler is tried


class TracedSampler(Identified):
    """A user's sampler, traced for all batch sizes that are needed.

    Every sampler is traced for single samples, of which datasets consist, and for the COLUMNS
    samples of a round of the final loss.
    """

    def __init__(self, function: Callable, n_features: int, batches: Iterable[int] = ()) -> None:
        """Trace a sampler, and try it.

        Parameters
        ----------
        function
            (key, batch) -> samples, (batch, n_features).
        n_features
            Number of features.
        batches
            Batch sizes, in addition to 1 and COLUMNS.

        Raises
        ------
        SpecError
            The function cannot be traced or executed, returns another shape, integers, or values
            that are not finite, or returns the same samples for every key.
        """
        self.__name__ = name_of(function)
        self.n_features = n_features
        with in_dtype("float32"), jax.ensure_compile_time_eval():  # also inside another trace
            self.forms: dict[int, ClosedJaxpr] = {
                batch: form_of(function, n_features, batch)
                for batch in sorted({1, COLUMNS, *batches})
            }
            traced = {f"{n_features} {batch}": form for batch, form in self.forms.items()}
            self.identities = {k: digest(digest_of(form), 32) for k, form in traced.items()}
            tried = self._tried(self.forms[COLUMNS])
        self._check(tried)
        self.probes = {f"{n_features} {COLUMNS}": {"samples": as_lists(tried[0][:PROBES])}}
        self.label = f"{self.__name__}@{digest(self.identities, 12)}"

    def __call__(self, key: Array, batch: int) -> Array:
        """Return samples (batch, n_features) in float32, for a batch size that was traced."""
        form = self.forms.get(batch)
        if form is None:
            traced = ", ".join(map(str, self.forms))
            raise ValueError(
                f"the sampler {self.__name__!r} was not traced for batch={batch}, but for {traced}"
            )
        with jax.enable_x64(False):  # as when it was traced
            return jaxpr_as_fun(form)(key)[0].astype(jnp.float32)

    def _tried(self, form: ClosedJaxpr) -> list[np.ndarray]:
        """Return the samples of some keys, for one batch size, as compiling takes a while."""
        try:
            execute = jax.jit(lambda key: jaxpr_as_fun(form)(key)[0])
            return [np.asarray(execute(keys.seed_key(i)), np.float32) for i in range(TRIED)]
        except Exception as error:
            raise SpecError(
                f"the sampler inputs={self.__name__} fails when it is executed: "
                f"{first_line(error)}; call it with a key and a batch size to see the error"
            ) from error

    def _check(self, tried: list[np.ndarray]) -> None:
        """Raise SpecError unless the samples of some keys are finite and differ."""
        bad = sum(int((~np.isfinite(x).all(axis=1)).sum()) for x in tried)
        if bad:
            raise SpecError(
                f"the sampler inputs={self.__name__} returns values that are not finite, in {bad} "
                f"of {TRIED * COLUMNS} samples; return finite ones"
            )
        if all(np.array_equal(x, tried[0]) for x in tried[1:]):
            raise SpecError(
                f"the sampler inputs={self.__name__} returns the same samples for every key, so "
                "that all steps would have one batch; draw from the key, for example rows of a "
                "table with table[jax.random.randint(key, (batch,), 0, len(table))]"
            )


def form_of(function: Callable, n_features: int, batch: int) -> ClosedJaxpr:
    """Trace a sampler for a batch size.

    Raises
    ------
    SpecError
        It cannot be traced, returns another shape or no floating-point numbers, or calls Python
        while it runs.
    """
    problem = f"the sampler inputs={name_of(function)} cannot be used with batch={batch}"
    key: Any = jax.eval_shape(lambda: keys.seed_key(0))
    try:  # a new lambda, because JAX caches the trace of a function although its globals may change
        traced = jax.make_jaxpr(lambda key: function(key, batch), return_shape=True)
        form, returned_as = traced(key)
    except Exception as error:
        of_jax = isinstance(error, jax.errors.JAXTypeError)
        hint = "; use only jax.numpy and jax.random, and no `if` on values" if of_jax else ""
        if hasattr(function, "lower"):
            hint = "; jax.jit traces the batch size: leave it out, or give it static_argnums=1"
        raise SpecError(f"{problem}: {first_line(error)}{hint}") from error
    shapes = [v.shape for v in form.out_avals]
    if shapes != [(batch, n_features)]:
        returned = ", ".join(map(str, shapes)) or "nothing"
        turned = "; it is transposed" if shapes == [(n_features, batch)] != [(1, 1)] else ""
        raise SpecError(
            f"{problem}: it returns {returned}{turned}; return one array (batch, n_features) = "
            f"{(batch, n_features)}"
        )
    if not hasattr(returned_as, "shape"):
        raise SpecError(
            f"{problem}: it returns a {type(returned_as).__name__}; return one array (batch, "
            f"n_features) = {(batch, n_features)}"
        )
    (dtype,) = (v.dtype for v in form.out_avals)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise SpecError(
            f"{problem}: it returns {dtype}; return floating-point numbers, with .astype('float32')"
        )
    try:
        digest_of(form)
    except UntraceableError as error:
        raise SpecError(f"{problem}: {error}; use only jax.numpy and jax.random") from error
    return form


def traced_sampler(
    sampler: Callable, n_features: int, batches: Iterable[int] = ()
) -> TracedSampler:
    """Return a sampler that can key a cache of programs; one that is traced already as it is."""
    if isinstance(sampler, TracedSampler):
        return sampler
    return TracedSampler(sampler, n_features, batches)
