"""The results of a toy model: variables, shapes, coordinates and descriptions."""

from __future__ import annotations

from collections.abc import Iterable

from jsuper.core.grid import Setting, Static
from jsuper.core.protocols import Dimensions, Shape
from jsuper.models.toy.activations.names import GATED
from jsuper.models.toy.ending import STEPS
from jsuper.models.toy.inputs.features import batch_of

SUMMARY = "loss_over_constant"
FINITE = ("W", "b", "loss", "loss_curve")
ENDS = "steps_used"
WATCHED = ("unit_error", "unit_bias", "unit_gradient", "unit_peak")
HYPOTHESES = ("all", "self", "antipodal", "cluster", "subspaces", "random", "none")
OPTIONAL = ("V", "c", "W_dec", "b_hidden", "M")
"""Parameters that only some models have."""
MOMENTS = {"adamw": ("mu", "nu"), "adam": ("mu", "nu"), "rmsprop": ("nu",)}
MOMENTS |= {"sgd": ("trace",), "sgdw": ("trace",)}
"""Optimizer -> what its state holds of every parameter, in the order of optax."""
KEPT = {"scrubbing": {"hypothesis": HYPOTHESES}}
"""Derived file -> coordinates of its variables."""

ATTRIBUTES = {
    "W": "weights; column i is the embedding of feature i; h = W x, and f(W x + b_hidden) with a "
    "hidden activation f",
    "b": "output bias; x_hat = act(W^T h + b), with W_dec for W if untied",
    "W_dec": "decoder of a model with untied weights; x_hat = act(W_dec^T h + b)",
    "V": "second matrix of a gated decoder; x_hat = gate(W^T h + b) * (V^T h + c)",
    "c": "bias of V",
    "b_hidden": "bias of the hidden layer; h = f(W x + b_hidden)",
    "M": "map of the hidden layer; h = M f(W x + b_hidden)",
    "loss": "mean over samples and features of importance_i (x_i - x_hat_i)^2, or of the loss and "
    "target of the sweep, on a large sample; dropout, noise and regularizers off",
    "squared_error": "mean over samples and features of importance_i (y_i - x_hat_i)^2, y the "
    "target, beside another loss",
    "loss_stderr": "standard error of loss, same unit",
    "loss_over_constant": "loss divided by that of the best constant prediction, "
    "mean_i importance_i Var(x_i) for the squared error of x",
    "improvement": "1 - L(100 %)/L(90 %): relative fall of the loss over the last 10 % of the "
    "steps, on the same samples",
    "improvement_stderr": "standard error of improvement, from paired differences",
    "steps_used": "optimizer steps that the model was trained for, until its loss fell no more; "
    "records of later steps are NaN",
    "train_loss": "loss on the samples of the dataset that was trained on, dropout off",
    "hidden_vectors": "h of the samples of the dataset that was trained on",
    "loss_curve": "loss of the training batch of a step, before that step's update",
    "unit_error": "loss of feature 0, (x_0 - x_hat_0)^2 by default, mean over the training batch, "
    "before the step's update",
    "unit_bias": "b_0 before the step's update",
    "unit_gradient": "gradient of the training batch's loss at b_0",
    "unit_peak": "largest pre-activation of feature 0 in the training batch",
}


ATTRIBUTES |= {
    f"{name}_snapshots": f"{name} after the steps of `snapshots`" for name in ("W", "b", *OPTIONAL)
}


ATTRIBUTES |= {
    f"{kind}_{name}": f"the optimizer's {kind} of {name} after the last step"
    for kind in ("mu", "nu", "trace")
    for name in ("W", "b", *OPTIONAL)
}


def recorded_steps(steps: int, records: int) -> range:
    """Return the steps whose batch's loss is recorded, before their update."""
    return range(0, steps, -(-steps // records))


def layout(static: Static, settings: Iterable[Setting]) -> dict[str, tuple[Dimensions, Shape]]:
    """Return variable -> (dimensions, shape) for one model of a chunk.

    Chunks of older versions lack some fields and have none of their variables.
    """
    n, m = static["n_features"], static["n_hidden"]
    variables: dict[str, tuple[Dimensions, Shape]] = {
        "W": (("hidden", "feature"), (m, n)),
        "b": (("feature",), (n,)),
        "loss": ((), ()),
        "loss_stderr": ((), ()),
        "loss_over_constant": ((), ()),
        "loss_curve": (("step",), (len(recorded_steps(static["steps"], static["records"])),)),
    }
    if static.get("check_fit"):
        variables |= dict.fromkeys(("improvement", "improvement_stderr"), ((), ()))
    if static.get("until", STEPS) != STEPS:
        variables[ENDS] = ((), ())
    if static.get("dataset_size"):
        variables["train_loss"] = ((), ())
    if static.get("hidden_vectors"):
        variables["hidden_vectors"] = (("hidden", "example"), (m, static["dataset_size"]))
    if any(s["activation"] in GATED for s in settings):
        variables |= {"V": variables["W"], "c": variables["b"]}
    if not static.get("tied", True):
        variables["W_dec"] = variables["W"]
    if static.get("hidden_bias"):
        variables["b_hidden"] = (("hidden",), (m,))
    if static.get("hidden_map", "none") != "none":
        variables["M"] = (("hidden", "hidden_in"), (m, m))
    if static.get("loss_function", "squared") != "squared":
        variables["squared_error"] = ((), ())
    if static.get("watch"):
        variables |= dict.fromkeys(WATCHED, variables["loss_curve"])
    if static.get("keep_state"):
        own = [name for name in ("W", "b", *OPTIONAL) if name in variables]
        kinds = moments_of(static["optimizer"])
        variables |= {f"{kind}_{name}": variables[name] for kind in kinds for name in own}
    if static["snapshots"]:
        every = ("W", "b", *OPTIONAL) if static.get("snapshot_parameters") else ("W",)
        for name in filter(variables.__contains__, every):
            dims, shape = variables[name]
            of_steps = (("snapshot_step", *dims), (len(static["snapshots"]), *shape))
            variables[f"{name}_snapshots"] = of_steps
    return variables


def moments_of(optimizer: object) -> tuple[str, ...]:
    """Return what the state of an optimizer holds of every parameter; () if that is unknown."""
    return MOMENTS.get(str(optimizer).partition("(")[0], ())


def coordinates(static: Static) -> dict[str, list[int]]:
    """Return the coordinates of dimensions that are not 0, 1, 2, ..."""
    return {
        "step": list(recorded_steps(static["steps"], static["records"])),
        "snapshot_step": list(static["snapshots"]),
    }


def dataset_numbers(static: Static) -> float:
    """Return the size of a seed's dataset, which stays in memory during the training."""
    return float(static["n_features"] * static.get("dataset_size", 0))


def work(static: Static) -> tuple[float, float]:
    """Return a step's multiply-adds and elementwise work: 5 contractions, and 8 passes over x."""
    elements = float(static["n_features"] * batch_of(static))
    return 5.0 * elements * static["n_hidden"], 8.0 * elements
