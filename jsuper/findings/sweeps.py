"""The sweeps behind the findings: presets with some fields changed, each trained once for all.

Imports no jax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jsuper import presets
from jsuper.core.family import sweep_from_dict
from jsuper.core.sweep import BaseSweep
from jsuper.models.toy.activations.names import ACTIVATIONS

if TYPE_CHECKING:
    import xarray

NAMES = (*ACTIVATIONS, "identity")
SLOW = ("sigmoid", "hardsigmoid", "softplus", "exp", "softmin")
"""Activations whose loss still falls after 10,000 steps on very sparse features."""
ROE: dict[str, Any] = {
    "init": "normal", "init_bias_scale": 1.0, "reduction": "sum", "shared_mask": True,
    "optimizer": "rmsprop(0.01)", "weight_decay": 0.0, "batch_size": 256, "steps": 15_000,
}  # fmt: skip
"""The training of Roe's notebook demonstrating_superposition.ipynb (2023), 15,000 steps of it."""
GATES = ("relu", *(f"{name}{kind}" for name in ("gelu", "silu")
                   for kind in ("", "_stochastic", "_stochastic_expected")))  # fmt: skip
FEW = {"activation": ("relu", "gelu", "tanh", "elu"), "sparsity": (0.9, 0.97, 0.99)}
"""The part of the activations that is asked again under other conditions."""
CONVERGED = {"until": "converged"}
LARGE = {"n_features": 100, "n_hidden": 20, "batch_size": 256}


class Planned(NamedTuple):
    """A preset and the fields that differ from it.

    `minutes` is the time of 20 seeds on two cores, as in benchmarks/results/findings_time.json, and
    `times` the number of seeds for each that is asked for.
    """

    preset: str
    changed: Mapping[str, Any] = {}  # noqa: RUF012 - never written to
    minutes: float = 1.0
    times: int = 1

    def sweep(self, seeds: int) -> BaseSweep:
        """Return the sweep if so many seeds are asked for."""
        fields = presets.load(self.preset).sweep | dict(self.changed)
        return sweep_from_dict(fields | {"seeds": seeds * self.times})

    @property
    def described(self) -> str:
        """The preset and what differs from it, in a few words."""
        changed = [f"{k} {_short(v)}" for k, v in self.changed.items()]
        return f"preset {self.preset}{' with ' if changed else ''}{', '.join(changed)}"


def _short(value: Any) -> str:
    if isinstance(value, tuple) and len(value) > 4:
        return f"{len(value)} values"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


DENSITIES = {"sparsity": (0.99, 0.98, 0.96, 0.93, 0.88, 0.8, 0.7, 0.5, 0.25, 0.0)}
RATIOS = (0.1, 0.17, 0.28, 0.46, 0.77, 1.3, 2.15, 3.6, 6.0, 10.0)
"""Importance of the last feature over that of the others, in the phase diagrams."""

SWEEPS: dict[str, Planned] = {
    "activations": Planned("activations", {"activation": NAMES}, minutes=6.7),
    "converged": Planned(
        "activations",
        {"activation": SLOW, "sparsity": (0.97, 0.99, 0.997, 0.999), "steps": 50_000} | CONVERGED,
        minutes=0.9,
    ),
    "roe": Planned(
        "activations",
        {"activation": NAMES, "sparsity": (0.0, 0.9, 0.99)} | ROE,
        minutes=9.5,
        times=2,
    ),
    "precision": Planned(
        "activations", {"activation": ("sigmoid", "hardsigmoid"), "dtype": "float64"}, minutes=1.2
    ),
    "general_correlated": Planned("activations", FEW | {"support": "sets(4, 0.8)"}, minutes=0.4),
    "general_signed": Planned("activations", FEW | {"values": "signed"}, minutes=0.4),
    "general_large": Planned(
        "activations", FEW | LARGE | {"steps": 30_000} | CONVERGED, minutes=3.7
    ),
    "general_untied": Planned("activations", FEW | {"tied": False}, minutes=0.5),
    "dropout": Planned("dropout", minutes=3.6),
    "dropout_basis": Planned(
        "dropout_basis", {"dropout": (0.0, 0.3), "optimizer": ("adamw", "sgd(2)")}, minutes=2.9
    ),
    "revival": Planned(
        "revival",
        {"activation": ("relu", "gelu", "silu"), "push": (0.0, 0.5, 1.0, 2.0)},
        minutes=2.6,
    ),
    "stochastic": Planned(
        "stochastic",
        {"activation": GATES, "sparsity": (0.9, 0.99), "dropout": 0.0},
        minutes=1.3,
    ),
    "scurves": Planned("scurves", minutes=1.6, times=5),
    "scurves_decay": Planned("scurves_decay", minutes=0.2, times=5),
    "scurves_adamw": Planned("scurves_adamw", minutes=0.9, times=5),
    "scurves_softmax": Planned("scurves_softmax", minutes=0.2),
    "scurves_softmax_100": Planned("scurves_softmax_100", minutes=0.3),
    "scurves_softmax_1000": Planned("scurves_softmax_1000", minutes=0.1),
    "phase_2_1": Planned("phase_2_1", DENSITIES | {"importance_decay": RATIOS}, minutes=0.3),
    "phase_3_2": Planned(
        "phase_3_2",
        DENSITIES | {"importances": tuple(f"{r:g}(1, 1, {r:g})" for r in RATIOS)},
        minutes=0.5,
    ),
}
"""Name, also of the run folder -> what is trained."""


def fitted(data: Mapping[str, xarray.Dataset]) -> xarray.Dataset:
    """Return the activations, with failed fits replaced by models that were trained for longer.

    A model of "converged" takes the place of a failed fit with the same activation, sparsity and
    seed, if it is no failed fit itself. The two have the same start and the same data.
    """
    import xarray as xr

    ds, longer = data["activations"], data["converged"]
    shared = [name for name in ds.data_vars if name in longer and "step" not in ds[name].dims]
    better = longer[shared].reindex_like(ds, copy=False)
    chosen = (ds["failed_fit"] == 1) & (better["failed_fit"] == 0)
    found = {
        name: xr.where(chosen, better[name], ds[name]).transpose(*ds[name].dims)
        for name in shared
        if set(chosen.dims) <= set(ds[name].dims)
    }
    return ds.assign(found).assign(trained_longer=chosen)


DERIVED: dict[str, tuple[tuple[str, ...], Callable]] = {
    "fitted": (("activations", "converged"), fitted),
}
"""Name -> the sweeps that it is made of, and how."""


def needed(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sweeps to be trained for some of `SWEEPS` and `DERIVED`, in training order."""
    wanted = {part for name in names for part in DERIVED.get(name, ((name,),))[0]}
    return tuple(name for name in SWEEPS if name in wanted)


def load(folder: Path, names: tuple[str, ...], seeds: int) -> dict[str, xarray.Dataset]:
    """Return the analysed Datasets of run folders FOLDER/NAME, and what is derived from them.

    Parameters
    ----------
    folder
        Of the run folders.
    names
        Sweeps, derived ones included.
    seeds
        The first so many seeds are kept: a folder may have more.

    Raises
    ------
    ValueError
        A sweep is not known, or its folder has fewer seeds.
    """
    import jsuper

    if unknown := [name for name in names if name not in SWEEPS and name not in DERIVED]:
        raise ValueError(f"sweep {unknown[0]!r} is not known; {', '.join((*SWEEPS, *DERIVED))} are")
    found: dict[str, xarray.Dataset] = {}
    for name in needed(names):
        ds = jsuper.analyze(jsuper.load(folder / name))
        if ds.sizes["seed"] < (wanted := seeds * SWEEPS[name].times):
            raise ValueError(
                f"{folder / name} has {ds.sizes['seed']} seeds and {wanted} are needed; "
                f"`jsuper findings --seeds {seeds} --runs {folder}` trains them"
            )
        found[name] = ds.isel(seed=slice(wanted))
    for name in names:
        if name in DERIVED:
            found[name] = DERIVED[name][1](found)
    return found
