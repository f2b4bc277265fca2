"""What a sweep found, in sentences that are computed from its Dataset.

Which value of each axis is best and by how much, where there is superposition, which fits failed,
and what diverged. They stand on top of the page and are printed after a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import phases
from jsuper.analysis.statistics.one_sample import interval
from jsuper.analysis.superposition import REPRESENTED
from jsuper.core.expecting import expect_dataset
from jsuper.core.family import family_of
from jsuper.core.status import OK, Status
from jsuper.core.text import counted, format_number

if TYPE_CHECKING:
    import xarray

    from jsuper.core.family import Family

SAME = 1e-4  # difference of logarithms that is none
NAMED = 30  # values of an axis that a sentence names; of more, their number
LOST = {
    Status.NON_FINITE: "diverged",
    Status.FAILED: "could not be trained",
    Status.MISSING: "not trained yet",
}
# Axes that say what is learnt, along which a lower loss is no better choice.
TASKS = ("sparsity", "support", "values", "density_power", "n_features", "importance_decay")
TASKS += ("importances", "feature_sparsities", "dataset_size", "target", "loss_function")
TASKS += ("size", "strength", "strength_ratio", "pairs", "probabilities", "push", "push_step")


def answers(ds: xarray.Dataset) -> list[str]:
    """Return sentences on what a sweep found.

    - Which value of each axis has the lowest loss: mean over seeds of the mean logarithm over all
      other cells, and the paired difference to the next value with its 95 % interval.
    - At which sparsities most seeds represent more features than they have hidden units, without
      failed fits; for toy models. For a phase diagram, the outcomes of its last feature instead.
    - How many fits failed, and how many models diverged or are missing.

    Parameters
    ----------
    ds
        Of `jsuper.run`, `jsuper.load` or `jsuper.analyze`, with all dimensions of the sweep.

    Returns
    -------
    list of str
        At least one: how to read the loss.

    Raises
    ------
    TypeError
        ds is not a Dataset.
    ValueError
        ds has no status, or not the attribute `sweep`.

    Examples
    --------
    >>> import jsuper
    >>> ds = jsuper.run(jsuper.Sweep(activation=("relu", "tanh"), steps=200), progress=False)
    >>> first, *more = jsuper.analysis.answers(ds)
    """
    expect_dataset(ds, "jsuper.analysis.answers(jsuper.load('runs/activations'))")
    if "status" not in ds or "sweep" not in ds.attrs:
        raise ValueError("ds has no status or no attribute sweep; give the Dataset of run or load")
    family = family_of(json.loads(ds.attrs["sweep"])["model"])
    measure = family.spec.SUMMARY
    return [
        *best_values(ds, measure),
        *(last_feature(ds) if phases.has_diagram(ds) else superposition(ds)),
        *failures(ds, family),
        f"{measure}: lower is better{'; 1 is the best constant' * measure.endswith('constant')}.",
    ]


def best_values(ds: xarray.Dataset, measure: str) -> Iterator[str]:
    """Yield the best value of every axis that is a choice, and its distance from the next one."""
    if measure not in ds:
        return
    loss = ds[measure].where(ds["status"] == OK)
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = loss.copy(data=np.log(loss.values))
    loss = loss.where(np.isfinite(loss.values))
    for axis in map(str, loss.dims):
        if axis in (*TASKS, "seed") or loss.sizes[axis] < 2:
            continue
        others = [str(d) for d in loss.dims if d not in (axis, "seed") and loss.sizes[d] > 1]
        cells = [d for d in loss.dims if d not in (axis, "seed")]
        complete = loss.notnull().all(axis)  # the same cells and seeds for all values
        means = loss.where(complete).mean(cells) if cells else loss.where(complete)
        means = means.transpose(axis, "seed").dropna("seed", how="any")
        if not means.sizes["seed"]:
            yield f"{_name(axis)}: no seed has a loss for every value, so that none is best."
            continue
        yield _comparison(axis, means, others, ds)


def _comparison(axis: str, means: xarray.DataArray, others: list[str], ds: xarray.Dataset) -> str:
    """Return which value of an axis is best, from mean logarithms over (value, seed)."""
    order = np.argsort(means.mean("seed").values, kind="stable")
    best, second = (_value(axis, means[axis].values[i]) for i in order[:2])
    difference = means.values[order[1]] - means.values[order[0]]
    over = [counted(ds.sizes[d], d.replace("_", " ")) for d in others]
    over += [counted(len(difference), "seed")]
    count = means.sizes[axis]
    times = f"{_ratio(-difference.mean())} times that of {second}"
    among = f"of {counted(count, _name(axis))}" if axis == "activation" else f"of {count} values"
    mean = "geometric mean over " + ", ".join(over[:-1]) + " and " * (len(over) > 1) + over[-1]
    if np.abs(difference).max() < SAME:
        return f"{best} and {second} share the lowest loss {among} ({mean})."
    if len(difference) == 1:
        return f"{best} has the lowest loss {among}: {times} ({mean}; one seed gives no interval)."
    low, high, _ = interval(difference, "mean", None)
    text = f"95 % interval {_ratio(-high)} to {_ratio(-low)}; {mean}"
    if low <= 0:
        pair = f"{best} and {second} have the lowest losses {among} and cannot be told apart"
        return f"{pair}: the first is {times} ({text})."
    return f"{best} has the lowest loss {among}: {times} ({text})."


def superposition(ds: xarray.Dataset) -> Iterator[str]:
    """Yield where most seeds represent more features than they have hidden units.

    By sparsity, with the activations of one answer together; if further axes vary, as the share of
    all cells. Cells without a fit do not count.
    """
    found = _excess(ds)
    if found is None:
        return
    seeds = [d for d in found.dims if d == "seed"]
    share = found.where(found.isnull(), found > 0).mean(seeds)
    further = [d for d in share.dims if d not in ("activation", "sparsity") and share.sizes[d] > 1]
    sparse = "sparsity" in share.dims and share.sizes["sparsity"] > 1
    if "activation" not in share.dims:
        share = share.expand_dims(activation=["the models"])
    groups: dict[str, list[str]] = {}
    for one in share.transpose("activation", ...):
        if further or not sparse:
            known, yes = int(one.notnull().sum()), int((one > 0.5).sum())
            text = f"in {yes:,} of {counted(known, 'cell')}" if known else "unknown, no fit"
            if 0 < known < one.size:
                text += f" ({one.size - known:,} without a fit left out)"
        else:
            text = _sparsities(one.squeeze(drop=True).sortby("sparsity"))
        groups.setdefault(text, []).append(str(one["activation"].values))
    parts = "; ".join(f"{text}: {_listed(names)}" for text, names in groups.items())
    yield f"Superposition (most seeds represent more features than hidden units) {parts}."


def last_feature(ds: xarray.Dataset) -> Iterator[str]:
    """Yield what becomes of the last feature in the cells of a phase diagram, as it draws them."""
    found = phases.phase_maps(ds)
    cells = found[0].size
    how = f"best of {counted(ds.sizes['seed'], 'seed')}; norm threshold {phases.THRESHOLD:g}"
    if len(found) == 1:
        counts = {o: int((found.values == i).sum()) for i, o in enumerate(phases.OUTCOMES)}
        counts["without a model"] = cells - sum(counts.values())
        text = ", ".join(f"{number:,} {outcome}" for outcome, number in counts.items() if number)
        yield f"The last feature ({how}) in {cells:,} cells: {text}."
        return
    if (found.values == phases.NO_MODEL).any():
        how += "; cells without a model left out"
    shares = phases.shares_of(found).sel(outcome="superposed").sortby("activation")
    ordered = shares.sortby(-shares)  # NaN, of an activation without a model, comes last
    values = zip(ordered["activation"].values, ordered.values, strict=True)
    text = _listed([f"{name} {'unknown' if np.isnan(v) else f'{v:.0%}'}" for name, v in values])
    yield f"Share of {cells:,} cells in which the last feature is superposed ({how}): {text}."


def _sparsities(share: xarray.DataArray) -> str:
    """Return the sparsities at which more than half of the seeds are in superposition, in words."""
    sparsity, most = share["sparsity"].values, share.values > 0.5
    lost = sparsity[share.isnull().values]
    yes, no = sparsity[most], sparsity[share.values <= 0.5]
    fits = f" (no fit at {_numbers(lost)})" if lost.size else ""
    if not yes.size:
        return ("at no sparsity" if no.size else "unknown") + fits
    if not no.size and not lost.size:
        return "at every sparsity"
    if yes.size > 1 and not (no > yes[0]).any():
        return f"from S = {yes[0]:g} on{fits}"
    return f"at S = {_numbers(yes)}{fits}"


def _numbers(values: np.ndarray) -> str:
    return ", ".join(f"{v:g}" for v in values)


def _excess(ds: xarray.Dataset) -> xarray.DataArray | None:
    """Return the represented features beyond the hidden units; NaN without a fit."""
    if "excess" in ds:
        found = ds["excess"]
    elif "W" in ds and "feature" in ds["W"].dims:
        squares = (ds["W"] ** 2).sum("hidden")  # 0 for features that a model lacks
        hidden = ds["n_hidden"] if "n_hidden" in ds.coords else ds.sizes["hidden"]
        found = (squares > REPRESENTED**2).sum("feature") - hidden
    else:
        return None
    fitted = ds["status"] == OK
    if "failed_fit" in ds:
        fitted &= ds["failed_fit"] != 1
    return found.where(fitted)


def failures(ds: xarray.Dataset, family: Family) -> Iterator[str]:
    """Yield how many fits failed, for each reason, and how many models have no result."""
    total, measure = ds["status"].size, family.spec.SUMMARY
    reasons = family.fits.failed_fits(ds) if family.fits and measure in ds else {}
    if family.fits and measure not in ds:
        yield f"Whether fits failed is unknown: ds has no {measure}."
    for reason, models in reasons.items():
        if number := int(models.sum()):
            advice = family.fits.ADVICE[reason] if family.fits else ""
            where = _where(models)
            yield f"{number:,} of {counted(total, 'fit')} failed, {reason}{where}: {advice}."
    lost = False
    for kind, word in LOST.items():
        models = ds["status"] == kind
        if number := int(models.sum()):
            lost = True
            yield f"{number:,} of {counted(total, 'model')} {word}{_where(models)}."
    if not lost:
        all_of = f"All {total:,} models" if total > 1 else "The model"
        yield f"{all_of} trained to the end; none diverged."


def _where(models: xarray.DataArray) -> str:
    """Return the axis and its value that have most of some models; "" if they are spread."""
    total = int(models.sum())
    for axis in map(str, models.dims):
        counts = models.sum([d for d in models.dims if d != axis]).values
        most = int(counts.argmax())
        if axis == "seed" or counts.size < 2 or counts[most] <= total / 2:
            continue
        number = "all" if counts[most] == total else f"{int(counts[most]):,} of them"
        if counts[most] == total or counts.size > 2:
            return f", {number} at {_value(axis, models[axis].values[most])}"
    return ""


def _listed(names: list[str]) -> str:
    """Return names, or the first of many and the number of the others."""
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def _value(axis: str, value: object) -> str:
    """Return a value with its axis, which an activation does not need."""
    text = value if isinstance(value, str) else format_number(float(np.asarray(value)))
    if axis == "activation":
        return str(text)
    return f"{'S' if axis == 'sparsity' else _name(axis)} = {text}"


def _name(axis: str) -> str:
    return axis.replace("_", " ")


def _ratio(logarithm: float) -> str:
    """Return the ratio of two losses with three digits."""
    return format_number(float(np.exp(logarithm)))
