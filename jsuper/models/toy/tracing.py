"""A sweep with its Python functions traced for all of its shapes."""

from __future__ import annotations

import dataclasses
from typing import Any

from jsuper.models.toy.functions import Traced, widths_of
from jsuper.models.toy.samplers import traced_sampler


def trace_sweep(sweep: Any) -> Any:
    """Return a sweep with its functions traced for all of its sizes, dtypes and batch sizes."""
    sizes = [(n, d) for n in sweep.values_of("n_features") for d in sweep.values_of("dtype")]
    datasets = [size for size in sweep.values_of("dataset_size") if size]
    batches = datasets if sweep.full_batch else sweep.values_of("batch_size")
    whole, narrow = {*batches, *datasets}, widths_of(batches)  # a dataset is measured as a whole
    activations = tuple(
        Traced(a, sizes, whole, narrow) if callable(a) and not isinstance(a, Traced) else a
        for a in sweep.values_of("activation")
    )
    inputs = sweep.inputs
    if inputs is not None:
        inputs = traced_sampler(inputs, sizes[0][0], batches)
    return dataclasses.replace(sweep, activation=activations, inputs=inputs)
