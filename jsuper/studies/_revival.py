"""The study of GELU, revival: whether output units pushed below zero come back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis.reading import finished_values
from jsuper.analysis.reviving import RECOVERED, gradient_reaching, recovery, separatrix
from jsuper.studies._paired import adjusted, clear, models, row, said
from jsuper.studies.answer import Answer, Row, Table

if TYPE_CHECKING:
    import xarray

CASE = ("optimizer", "push_step")
FAR, SHOWN = 2.0, (0.5, 1.0, 3.0)  # pushes that answers speak of
REACHING = ("relu", "leaky_relu", "gelu", "silu", "mish", "elu", "softplus")
DEAD_SHARE, MARGINS = 0.5, (0.25, 1.0, 3.0)


def answers(ds: xarray.Dataset) -> list[Answer]:
    """Chance, time, threshold, and the gradients."""
    return [
        chance(ds),
        active(ds),
        time(ds),
        threshold(ds),
        gradient_at_bias(ds),
        earlier_layers(),
    ]


def recovered(found: xarray.DataArray) -> xarray.DataArray:
    """1 where a unit recovers and 0 where it does not, of `recovery`."""
    return (found < np.inf).where(found.notnull())


def _cases(ds: xarray.Dataset) -> list[tuple[str, dict[str, object]]]:
    return [
        (
            f"{activation}, {optimizer}, {'fresh' if at == 0 else f'trained {at:,} steps'}",
            {"activation": activation, "optimizer": optimizer, "push_step": at},
        )
        for optimizer in ds["optimizer"].values
        for at in ds["push_step"].values
        for activation in ds["activation"].values
    ]


def chance(ds: xarray.Dataset) -> Answer:
    """Return the share of pushes from which a unit recovers."""
    found = recovery(ds)
    share = recovered(found).mean("push")
    rows = [row(case, share.sel(where), null=math.nan) for case, where in _cases(ds)]
    far = recovered(found.sel(push=found["push"] >= FAR)).mean(("optimizer", "push_step", "push"))
    said_far = [f"{a} {float(far.sel(activation=a).mean()):.0%}" for a in far["activation"].values]
    return Answer(
        "Does an output unit recover whose bias was pushed below zero?",
        f"share of the pushes ({', '.join(f'{b:g}' for b in found['push'].values)}) after which "
        f"the error of feature 0 ends below {RECOVERED:g} times that of the same model left alone",
        f"From B = {FAR:g} or more, over optimizers and times: {', '.join(said_far)}. Nearer "
        f"pushes are in the tables below. {models((finished_values(ds, 'loss'), ds))}",
        tuple(rows),
    )


def active(ds: xarray.Dataset) -> Answer:
    """Return the share of pushes after which the unit is active again."""
    dims = ("activation", *CASE, "push", "seed", "step")
    peak = finished_values(ds, "unit_peak", *dims).isel(sparsity=0, step=-1)
    peak = peak.sel(push=peak["push"] > 0)
    share = (peak > 0).where(peak.notnull()).mean("push")
    rows = [row(case, share.sel(where), null=math.nan) for case, where in _cases(ds)]
    part = [r for r in rows if r.case.startswith("gelu")]
    return Answer(
        "Is the unit active again, whether or not it serves its feature?",
        "share of the pushes after which the largest pre-activation of the last batch is above 0",
        "With W tied a unit may come back when its feature's column has been given to others. "
        + "GELU: "
        + "; ".join(f"{said(r)} ({r.case.split(', ', 1)[1]})" for r in part)
        + ".",
        tuple(rows),
    )


def tables(ds: xarray.Dataset) -> list[Table]:
    """Of each optimizer and time: seeds that recover and their steps, by activation and push."""
    found = recovery(ds)
    tables = []
    for optimizer in found["optimizer"].values:
        for at in found["push_step"].values:
            here = found.sel(optimizer=optimizer, push_step=at)
            rows = []
            for activation in found["activation"].values:
                cells = here.sel(activation=activation)
                counts = [_counted(cells.sel(push=b).values) for b in found["push"].values]
                rows.append((str(activation), *counts))
            when = "a fresh model" if at == 0 else f"a model trained for {at:,} steps"
            columns = ("activation", *(f"B = {b:g}" for b in found["push"].values))
            title = (
                f"Seeds that recover, of all, and their median steps: {optimizer}, bias of {when} "
                "set to -B"
            )
            tables.append(Table(title, columns, tuple(rows)))
    return tables


def _counted(steps: np.ndarray) -> str:
    """'9/10 in 400': how many of the seeds with a value recover, and in how many steps."""
    back = steps[np.isfinite(steps)]
    text = f"{back.size}/{int((~np.isnan(steps)).sum())}"
    return f"{text} in {np.median(back):,.0f}" if back.size else text


def time(ds: xarray.Dataset) -> Answer:
    """Return steps to recovery of those units that recover from B = 1."""
    found = recovery(ds).sel(push=1.0)
    rows = []
    for case, where in _cases(ds):
        steps = found.sel(where).values
        rows.append(row(case, steps[np.isfinite(steps)], null=math.nan))
    known = [r for r in rows if not math.isnan(r.value)]
    fastest, slowest = (f(known, key=lambda r: r.value) for f in (min, max))
    return Answer(
        "How long does recovery take?",
        "steps until the error stays below that bound, bias set to -1, to the next recorded step "
        f"(every {int(np.diff(ds['step'].values[:2])[0])}), mean over the seeds that recover; no "
        "value where fewer than two do",
        f"From {said(fastest)} steps ({fastest.case}) to {said(slowest)} ({slowest.case}), where "
        f"units recover at all: {len(known)} of {len(rows)} cases.",
        tuple(rows),
    )


def threshold(ds: xarray.Dataset) -> Answer:
    """Whether the largest pre-activation after the push decides, beside the scalar separatrix."""
    found = recovery(ds)
    dims = ("activation", *CASE, "push", "seed", "step")
    peak = finished_values(ds, "unit_peak", *dims).isel(sparsity=0).sel(push=found["push"])
    at = [int(np.searchsorted(peak["step"].values, s)) for s in peak["push_step"].values]
    peak = _at(peak, at)
    rows = []
    for activation in found["activation"].values:
        border = separatrix(str(activation))
        border = 0.0 if activation == "relu" else border
        if border is None:
            continue
        for optimizer in found["optimizer"].values:
            where = {"activation": activation, "optimizer": optimizer}
            steps, z = found.sel(where), peak.sel(where)
            right = (np.isfinite(steps) == (z > border)).where(steps.notnull())
            name = f"{activation}, {optimizer}: largest z above {border:.4g}"
            rows.append(row(name, right.mean(("push_step", "push")), null=math.nan))
    least = min(rows, key=lambda r: r.value)
    return Answer(
        "Does the separatrix of one unit tell which units recover?",
        "share of pushed models for which 'the largest pre-activation over the batch, just after "
        "the push, lies above the activation's minimum' (for ReLU above 0) is the same as "
        "'recovers'",
        f"It tells for {min(r.value for r in rows):.0%} to {max(r.value for r in rows):.0%} of the "
        f"models, least for {least.case.split(':')[0]}: other outputs share the columns of W, and "
        "Adam's moments carry a unit on.",
        tuple(rows),
    )


def _at(peak: xarray.DataArray, places: list[int]) -> xarray.DataArray:
    """Return the value at a separate step for each push_step."""
    import xarray as xr

    parts = [peak.isel(push_step=i, step=place, drop=True) for i, place in enumerate(places)]
    joined = xr.concat(parts, dim=peak["push_step"])
    return joined.transpose(*[d for d in peak.dims if d != "step"])


def gradient_at_bias(ds: xarray.Dataset) -> Answer:
    """-∂L/∂b_0 just after the push: which way the bias is moved, and how far."""
    gradient = finished_values(ds, "unit_gradient", "activation", *CASE, "push", "seed", "step")
    first = -gradient.isel(sparsity=0, step=0).sel(push_step=0, optimizer=ds["optimizer"].values[0])
    rows = adjusted(
        row(f"{activation}, B = {push:g}", first.sel(activation=activation, push=push))
        for push in SHOWN
        for activation in ds["activation"].values
    )
    zero, up, down = (
        [r.case for r in rows if kept(r)]
        for kept in (lambda r: r.value == 0, lambda r: clear(r) > 0, lambda r: clear(r) < 0)
    )
    return Answer(
        "Which way does the first gradient move the bias of a unit below zero?",
        "-∂L/∂b_0 of a fresh model at its first batch with the bias at -B; above 0 a step of SGD "
        "raises the bias",
        f"Not at all: {'; '.join(zero) or 'none'}. Up: {'; '.join(up) or 'none'}. Down, further "
        f"below zero: {'; '.join(down) or 'none'}.",
        rows,
    )


def earlier_layers() -> Answer:
    """Return what dead hidden units of a two-layer network let through."""
    rows: list[Row] = []
    for activation in REACHING:
        for margin in MARGINS:
            found = gradient_reaching(activation, DEAD_SHARE, margin)
            name = f"{activation}, margin {margin:g}"
            weights = row(f"{name}: weights", found.dead_rows / found.live_rows, math.nan)
            signal = row(f"{name}: signal", found.through_dead / found.inputs, math.nan)
            rows += [weights, signal]
    none = sorted({r.case.split(",")[0] for r in rows if r.value == 0})
    gelu = [r for r in rows if r.case.startswith("gelu") and r.case.endswith("signal")]
    return Answer(
        "Does gradient pass inactive units to earlier layers?",
        "fresh network h = f(W1 x + b1), x̂ = W2 h, half of its 40 hidden units with a bias that "
        "puts their largest pre-activation at minus the margin. weights: gradient norm of a dead "
        "unit's incoming weights over that of a live one's; signal: norm of the error signal that "
        "flows through dead units to the inputs, over the whole",
        f"None through {', '.join(none) or 'no activation'}. GELU: "
        + "; ".join(f"{said(r)} at {r.case.split(', ')[1].split(':')[0]}" for r in gelu)
        + ".",
        tuple(rows),
    )
