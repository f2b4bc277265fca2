"""`jsuper.continue_run`: train the models of a finished run for further steps."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.core.checks import integer
from jsuper.core.errors import SpecError
from jsuper.jobs.runner import run
from jsuper.models.toy.ending import STEPS
from jsuper.training.schedules import depends_on_steps

if TYPE_CHECKING:
    import xarray


FUNCTIONS = ("activation", "hidden_activation", "target", "optimizer", "inputs", "schedule")


def continue_run(
    source: Any,
    steps: int,
    out: str | Path | None = None,
    *,
    snapshots: Sequence[int] = (),
    **options: Any,
) -> xarray.Dataset:
    """Train the models of a run for further steps, as if the run had been longer.

    Draws, optimizer states and steps go on where the run ended. On the same device, with the same
    plan and partition, 5,000 and 5,000 steps give the weights of 10,000 bit for bit; otherwise they
    agree to 1e-5 of the largest weight. Curves and snapshots are those of the whole.

    Parameters
    ----------
    source
        Run folder, or the Dataset of `jsuper.run` or `jsuper.load`, of toy models that were trained
        with `keep_state=True` and a schedule that does not depend on the number of steps.
    steps
        Number of further steps.
    out
        Run folder of the continued run, a new one. None: in memory only.
    snapshots
        Steps after which the parameters are stored, in addition to those of the run; steps are
        counted from the start of the run. Those of a "log(n)" of the run are steps of that run.
    **options
        Further arguments of `jsuper.run`.

    Returns
    -------
    xarray.Dataset
        That of `jsuper.run`; its sweep has the number of all steps. `keep_state` is kept, so that
        it can be continued too.

    Raises
    ------
    SpecError
        The run cannot be continued: it has no optimizer states, several numbers of steps, models
        without a result, functions of the user's, models with separate draws, a dataset whose
        epochs depend on the steps, or another schedule.
    """
    from jsuper.models.toy.results import recorded_steps
    from jsuper.models.toy.spec import Sweep
    from jsuper.models.toy.starts import from_continued
    from jsuper.store.dataset import load

    ds = source if hasattr(source, "data_vars") else load(source)
    fields = json.loads(ds.attrs["sweep"])
    before = _checked(fields)
    further = integer(1)("steps", steps)
    total = before + further
    if fields.get("check_fit") and 9 * total // 10 < before:
        least = -(-before // 9)
        raise SpecError(
            f"steps={further} are too few: the check of the fit needs the weights after 90 % of "
            f"all steps, and the run ended later; give at least {least}"
        )
    if isinstance(snapshots, str):
        raise SpecError(
            f"snapshots={snapshots!r} is not a list of steps; give some of {before + 1} to {total}"
        )
    for step in snapshots:
        if not before < integer(0)("snapshots", step) <= total:
            raise SpecError(
                f"snapshots contains step {step}, and the further steps are {before + 1} to "
                f"{total}: give some of these; those of the run are kept"
            )
    given = {k: v for k, v in fields.items() if k not in ("start", "first_step")}
    sweep = Sweep.stored(given)
    _check_whole(ds, sweep)
    records = _records(before, sweep.records, total)
    changed: dict[str, Any] = {"steps": (total,), "first_step": before, "records": records}
    changed["snapshots"] = tuple(sorted({*sweep.snapshots, *snapshots}))
    curve = [step for step in recorded_steps(total, records) if step < before]
    sweep = dataclasses.replace(sweep, start=from_continued(ds, curve), **changed)
    return run(sweep, out, **options)


def _checked(fields: dict[str, Any]) -> int:
    """Return the number of steps of a run that can be continued."""

    def refuse(problem: str) -> SpecError:
        return SpecError(f"the run cannot be continued: {problem}")

    if fields["model"] != "toy":
        raise refuse(f"its models are of the family {fields['model']!r}, and not 'toy'")
    if not fields.get("keep_state"):
        raise refuse(
            "it has no optimizer states; train it with keep_state=True, or start new models from "
            "its weights with start="
        )
    before, *others = fields["steps"]
    if others or fields.get("zipped"):
        raise refuse("it has several numbers of steps or zipped fields; continue a sweep of one")
    if fields.get("until", [STEPS]) != [STEPS]:
        raise refuse(
            f"until={', '.join(fields['until'])} has trained its models for different numbers of "
            "steps; start new models from its weights with start="
        )
    if len(fields.get("start", [1])) > 1:
        raise refuse("it has several values of start; select one of them")
    if fields.get("unpaired"):
        raise refuse("unpaired models have draws that depend on the number of steps")
    for name in FUNCTIONS:
        if "@" in str(fields.get(name, "")):
            raise refuse(f"{name} is a Python function, which the run does not contain")
    if depends_on_steps(fields["schedule"]):
        raise refuse(
            f"schedule={fields['schedule']} depends on the number of steps; constant and warmup(n) "
            "do not"
        )
    return before


def _check_whole(ds: xarray.Dataset, sweep: Any) -> None:
    """Raise SpecError if a Dataset lacks models of its sweep, which others would replace."""
    for name, values in {**sweep.axes, "seed": sweep.seed_values}.items():
        found = np.atleast_1d(ds[name].values).tolist() if name in ds.coords else []
        if found != list(values):
            raise SpecError(
                f"the run cannot be continued: the Dataset has {len(found)} of its {len(values)} "
                f"values of {name}; give the run folder or the whole Dataset, and select afterwards"
            )


def _records(before: int, records: int, total: int) -> int:
    """Return how many points the whole curve has, so that its first ones are those of the run."""
    gap = -(-before // records)
    wider = gap * -(-total // (records * gap))
    return -(-total // wider)
