"""Placebos: a finding must not be supported where its effect cannot be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from jsuper.findings.finding import Data, Finding
from jsuper.findings.judging import holds

if TYPE_CHECKING:
    import xarray

SHUFFLES = 20
MOST = 1  # of the shuffles that may be supported


def supported_placebos(finding: Finding, data: Data, shuffles: int = SHUFFLES) -> int:
    """Return on how many of some shuffles a finding is supported, judged by itself.

    Raises
    ------
    ValueError
        The finding has no placebo.
    """
    if finding.placebo is None:
        raise ValueError(f"finding {finding.name!r} has no placebo")
    return all_placebos([finding], data, shuffles)[finding.name]


def all_placebos(
    findings: Iterable[Finding], data: Data, shuffles: int = SHUFFLES
) -> dict[str, int]:
    """Return the same of every finding that has a placebo, by name.

    Of the data only the sweeps that a finding names are shuffled. Findings with the same sweeps and
    placebo see the same shuffles.
    """
    groups = defaultdict(list)
    for finding in findings:
        if finding.placebo is not None:
            groups[finding.placebo, finding.sweeps].append(finding)
    found = {f.name: 0 for group in groups.values() for f in group}
    for (placebo, sweeps), group in groups.items():
        own = {name: data[name] for name in sweeps}
        for shuffle in range(shuffles):
            changed = placebo(own, np.random.default_rng(shuffle))
            for finding in group:
                found[finding.name] += holds(finding, changed)
    return found


def shuffled(*axes: str, among: str) -> Callable[[Data, np.random.Generator], Data]:
    """Return the placebo that shuffles the labels of one axis within every place of others.

    Parameters
    ----------
    axes
        Within each place of these, labels are shuffled by themselves; those that a sweep lacks do
        not matter.
    among
        The axis whose labels are shuffled, in the sweeps that have it.
    """

    def placebo(data: Data, rng: np.random.Generator) -> Data:
        return {name: _shuffled(ds, axes, among, rng) for name, ds in data.items()}

    return placebo


def _shuffled(
    ds: xarray.Dataset, axes: tuple[str, ...], among: str, rng: np.random.Generator
) -> xarray.Dataset:
    if among not in ds.dims:
        return ds
    lead = [a for a in axes if a in ds.dims]
    shape = [ds.sizes[a] for a in (*lead, among)]
    order = rng.permuted(np.broadcast_to(np.arange(shape[-1]), shape), axis=-1)
    found = {}
    for name, values in ((k, ds.variables[k]) for k in ds.data_vars):
        if among in values.dims:
            missing = {a: ds.sizes[a] for a in lead if a not in values.dims}
            first = values.set_dims(missing | dict(values.sizes)).transpose(*lead, among, ...)
            places = order.reshape(order.shape + (1,) * (first.ndim - order.ndim))
            found[name] = (first.dims, np.take_along_axis(first.values, places, axis=len(lead)))
    return ds.assign(found)


ACTIVATIONS = shuffled("sparsity", "seed", among="activation")
"""Labels of activations shuffled within every sparsity and seed."""
