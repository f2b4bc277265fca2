"""Failed fits of toy models: results of training that did not work, or has not ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsuper.core.status import OK

if TYPE_CHECKING:
    import xarray

NUMBERS = ("loss_over_constant", "improvement", "improvement_stderr")
NEEDS = (*NUMBERS, "loss", "train_loss")
QUALITY = (
    "loss",
    "train_loss",
    "loss_stderr",
    "loss_over_constant",
    "loss_over_zero",
    "loss_over_top",
    "gain",
    "loss_curve",
    "feature_error",
    "r_squared",
    "improvement",
    "improvement_stderr",
    "failed_fit",
)
"""Variables that say how good a fit is: failed fits count in them, and in no other."""

IMPROVING, WORSE = "still improving", "worse than the best constant"
ADVICE = {
    IMPROVING: "train longer (--steps, or --until converged)",
    WORSE: "train longer, or try another learning rate; some activations cannot fit",
}
"""Reason -> what to do."""


def failed_fits(ds: xarray.Dataset) -> dict[str, xarray.DataArray]:
    """Return reason -> the models whose fits failed for it, over the sweep's dimensions.

    A model that is worse than the best constant and still improves counts as still improving only.
    Models that are missing or not finite are not failed fits. If `improvement` is unknown, as in
    folders of older versions, only a loss above the best constant's marks a failed fit. Models of a
    dataset are judged by their loss on it: they may memorize it, and be worse than a constant on
    new samples.

    Parameters
    ----------
    ds
        Dataset with status and those of NEEDS that the run has.
    """
    from jsuper.analysis.evaluation import failed_fit, still_improves

    lead = ds["status"].dims
    found = {name: ds[name] for name in NUMBERS if name in ds}
    if "train_loss" in ds:
        constant = ds["loss"] / ds["loss_over_constant"]
        on_dataset = ds["train_loss"] / constant
        found["loss_over_constant"] = on_dataset.fillna(ds["loss_over_constant"])
    fine = ds["status"] == OK
    numbers = {k: values.where(fine).transpose(*lead).values for k, values in found.items()}
    improving = still_improves(**numbers)
    reasons = {IMPROVING: improving, WORSE: failed_fit(**numbers) & ~improving}
    return {reason: ds["status"].copy(data=models) for reason, models in reasons.items()}
