"""The warning about models that diverged or failed: which, when, and the usual reason."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.json_data import label
from jsuper.core.status import FAILED, NON_FINITE
from jsuper.core.sweep import BaseSweep

if TYPE_CHECKING:
    import xarray

MOST_NAMED = 5
WHERE = (
    "The loss of {names} is finite at step 0 but its gradient is not. jnp.where also "
    "differentiates the branch that it does not take: replace the argument of that branch first, "
    "as in jnp.where(z > 0, jnp.sqrt(jnp.where(z > 0, z, 1.0)), 0.0)"
)


def describe(ds: xarray.Dataset, sweep: BaseSweep) -> str | None:
    """Return a warning about the models of a Dataset that diverged or failed; None without any.

    Parameters
    ----------
    ds
        Of `jsuper.run` or `jsuper.load`.
    sweep
        What was run, its functions traced.
    """
    if not ds["status"].isin([NON_FINITE, FAILED]).any():
        return None
    axis = sweep.branch or sweep.main_axes[0]
    names = [str(v) for v in ds[axis].values]
    status, first, last = (
        ds[name].broadcast_like(ds["status"]).transpose(axis, ...).values.reshape(len(names), -1)
        for name in ("status", "first_bad_step", "steps")
    )
    bad = (status == NON_FINITE) | (status == FAILED)
    found = [
        f"{axis} {names[i]}: {bad[i].sum()} of {bad[i].size}{_when(first[i], last[i])}"
        for i in np.flatnonzero(bad.any(axis=1))
    ]
    more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    text = (
        f"{bad.sum()} of {bad.size} models are not finite; their losses are NaN and every table "
        f"leaves them out ({'; '.join(found[:MOST_NAMED])}{more})."
    )
    if failed := int((status == FAILED).sum()):
        text += f" {failed} of them could not be trained at all (status {FAILED}): "
        text += messages_text(Counter(json.loads(ds.attrs.get("errors", "{}")))) + "."
    at_zero = {names[i] for i in np.flatnonzero(_finite_at_first(ds, axis).any(axis=1))}
    own = [label(v) for v in sweep.values_of(axis) if getattr(v, "has_bad_slope", False)]
    if bad_slopes := [name for name in own if name in at_zero]:
        text += f" {WHERE.format(names=', '.join(bad_slopes[:MOST_NAMED]))}."
    return text


def messages_text(messages: Counter[str]) -> str:
    """Return why models failed, the most frequent messages first."""
    named = [f"{message} ({n:,})" for message, n in messages.most_common(MOST_NAMED)]
    if (more := len(messages) - MOST_NAMED) > 0:
        named.append(f"and {more} more messages")
    return "; ".join(named)


def _when(first: np.ndarray, last: np.ndarray) -> str:
    """Return the first step at which a model was not finite; '' if none was trained."""
    known = first >= 0
    if not known.any():
        return ""
    return (
        " in the final loss"
        if (first >= last)[known].all()
        else f" from step {first[known].min()} on"
    )


def _finite_at_first(ds: xarray.Dataset, axis: str) -> np.ndarray:
    """Return the models with a finite loss at step 0 and an update that is not: (axis, models)."""
    loss = ds["loss_curve"].isel(step=0).transpose(axis, ...).values
    first = ds["first_bad_step"].transpose(axis, ...).values
    return (np.isfinite(loss) & (first == 0)).reshape(len(loss), -1)
