"""The rules between `start` and the other fields of a toy sweep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jsuper.core.errors import SpecError
from jsuper.core.json_data import label
from jsuper.models.toy.activations.names import GATED
from jsuper.models.toy.fields import Fields
from jsuper.models.toy.starts import DIMENSIONS, RANDOM, Start, kgon_of

NEEDS = {"W_dec": "tied=false", "b_hidden": "hidden_bias=true", "M": "a hidden_map"}


def check_starts(sweep: Fields, assign: Callable[[str, Any], None]) -> None:
    """Raise SpecError if a start does not fit the models; tell stored weights the sweep's seeds."""
    starts = sweep.values_of("start")
    goes_on = all(isinstance(s, Start) and "loss_curve" in s.arrays for s in starts)
    if sweep.first_step and not goes_on:
        raise SpecError(
            f"first_step={sweep.first_step} is set by jsuper.continue_run, which also gives the "
            "state that the training goes on from: call it, or leave first_step out"
        )
    if starts == (RANDOM,):
        return
    bound = tuple(s.bound(sweep.seed_values) if isinstance(s, Start) else s for s in starts)
    if bound != starts:
        assign("start", bound)
    gates = [label(a) for a in sweep.values_of("activation") if a in GATED]
    for start in bound:
        if isinstance(start, Start):
            check_stored(sweep, start)
        elif start != RANDOM and gates:
            raise SpecError(
                f"start={start} does not state the second matrix of activation={gates[0]}: give "
                "weights with V and c, or other activations"
            )
        elif any(sweep.values_of("normalize_columns")) and has_zeros(sweep, start):
            raise SpecError(
                f"start={start} has columns of W that are 0, and normalize_columns=true would "
                "scale them to length 1: leave one of them out"
            )
        elif kgon := kgon_of(start):
            check_polygon(sweep, start, kgon[0])


def has_zeros(sweep: Fields, start: str) -> bool:
    """Return whether a named start has columns of W that are 0."""
    n, m = max(sweep.values_of("n_features")), min(sweep.values_of("n_hidden"))
    corners, _, noise = kgon_of(start) or (n, 1.0, 0.0)
    columns = {"zeros": 0, "identity": m}.get(start, n if noise else corners)
    return columns < n


def check_polygon(sweep: Fields, start: str, corners: int) -> None:
    """Check that a polygon fits the model."""
    n, m = min(sweep.values_of("n_features")), min(sweep.values_of("n_hidden"))
    if corners > n or m < 2:
        raise SpecError(
            f"start={start} needs n_features >= {corners} and n_hidden >= 2, and they are {n} and "
            f"{m}"
        )


def check_stored(sweep: Fields, start: Start) -> None:
    """Check the shapes and the coordinates of stored weights."""
    sizes = {"feature": sweep.values_of("n_features"), "hidden": sweep.values_of("n_hidden")}
    sizes["hidden_in"] = sizes["hidden"]
    for name, array in start.arrays.items():
        if name not in DIMENSIONS:
            continue  # of a continued run
        own = dict(zip(DIMENSIONS[name], array.shape[len(start.dims) :], strict=True))
        for dim, size in own.items():
            if sizes[dim] != (size,):
                field = {"feature": "n_features"}.get(dim, "n_hidden")
                raise SpecError(
                    f"start has {name} with {size} along {dim!r}, and {field} is "
                    f"{', '.join(map(str, sizes[dim]))}: give the size of the weights"
                )
    _check_parameters(sweep, start)
    for dim in start.dims:
        if dim == "seed":
            wanted = sweep.seed_values
        elif dim in sweep.names("setting") + sweep.names("static"):
            wanted = tuple(map(label, sweep.values_of(dim)))
        else:
            raise SpecError(f"start has the dimension {dim!r}, which is no field: select along it")
        if lacking := [v for v in wanted if v not in start.coordinates[dim]]:
            raise SpecError(
                f"start has no model with {dim}={lacking[0]}: give weights for every {dim} of the "
                "sweep, or of a single model for all"
            )
    if sweep.unpaired and "seed" in start.dims:
        raise SpecError(
            "start has weights for each seed, and models of an unpaired sweep share no seed: give "
            "the weights of one model, or leave unpaired out"
        )


def _check_parameters(sweep: Fields, start: Start) -> None:
    """Check that the weights are those of the models."""
    has = {
        "W_dec": not any(sweep.values_of("tied")),
        "b_hidden": all(sweep.values_of("hidden_bias")),
        "M": "none" not in sweep.values_of("hidden_map"),
    }
    for name, needed in NEEDS.items():
        if name in start.arrays and not has[name]:
            raise SpecError(f"start has {name}, which a model has with {needed}: leave one out")
    gated = [a in GATED for a in sweep.values_of("activation")]
    if ("V" in start.arrays) != all(gated) or any(gated) != all(gated):
        raise SpecError(
            "gates need V and c in start, and other activations have none; activation is "
            f"{', '.join(str(label(a)) for a in sweep.values_of('activation'))}: add V and c, "
            "leave them out, or train the gates in a separate sweep"
        )
    biased = "b" in start.arrays and start.arrays["b"].any()
    if biased and not all(sweep.values_of("bias")):
        raise SpecError("start has b, and bias=false keeps b at 0: leave one of them out")
