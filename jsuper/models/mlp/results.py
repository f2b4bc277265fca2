"""The results of an MLP: variables, shapes, coordinates and descriptions."""

from __future__ import annotations

from collections.abc import Iterable

from jsuper.core.grid import Setting, Static
from jsuper.core.protocols import Dimensions, Shape

SUMMARY = "loss_over_constant"
FINITE = ("W_in", "W_out", "b", "loss", "loss_curve")

ATTRIBUTES = {
    "W_in": "input weights on the stream, a row per hidden unit, those of the first layer first",
    "W_out": "output weights; row j is what hidden unit j writes to the stream",
    "b": "bias of the hidden units",
    "reads": "W_in E^T: what a hidden unit reads of each feature; W_in itself without embedding",
    "writes": "W_out E^T: what a hidden unit writes to each output",
    "loss": "mean over samples and features of importance_i (y_i - x_hat_i)^2 on a large sample",
    "loss_stderr": "standard error of loss, same unit",
    "naive_loss": "loss on the same samples of the naive solution: n_hidden functions are exact, "
    "and the other outputs are the residual stream alone",
    "loss_over_constant": "loss divided by that of the best constant prediction, "
    "mean_i importance_i Var(y_i), on the same samples",
    "loss_over_naive": "loss / naive_loss; NaN where the naive solution makes no error",
    "feature_loss": "mean over samples of (y_i - x_hat_i)^2",
    "naive_feature_loss": "the same of the naive solution",
    "residual_loss": "the same of the residual stream alone, without hidden units",
    "response": "output i for x = e_i: feature i alone, at 1",
    "loss_curve": "loss of the training batch of a step, before that step's update",
}


def recorded_steps(steps: int, records: int) -> range:
    """Return the steps whose batch's loss is recorded, before their update."""
    return range(0, steps, -(-steps // records))


def stream_width(static: Static) -> int:
    """Return d, the width of the stream: n_features without an embedding."""
    return static["d_embed"] or static["n_features"]


def layout(static: Static, settings: Iterable[Setting]) -> dict[str, tuple[Dimensions, Shape]]:
    """Return variable -> (dimensions, shape) for one model of a chunk."""
    del settings
    n, m, d = static["n_features"], static["n_hidden"], stream_width(static)
    records = len(recorded_steps(static["steps"], static["records"]))
    of_stream = ("neuron", "coordinate"), (m, d)
    of_features = ("neuron", "feature"), (m, n)
    per_feature = ("feature",), (n,)
    single: tuple[Dimensions, Shape] = ((), ())
    return {
        "W_in": of_stream,
        "W_out": of_stream,
        "b": (("neuron",), (m,)),
        "reads": of_features,
        "writes": of_features,
        "loss": single,
        "loss_stderr": single,
        "naive_loss": single,
        "loss_over_constant": single,
        "loss_over_naive": single,
        "feature_loss": per_feature,
        "naive_feature_loss": per_feature,
        "residual_loss": per_feature,
        "response": per_feature,
        "loss_curve": (("step",), (records,)),
    }


def coordinates(static: Static) -> dict[str, list[int]]:
    """Return the coordinates of dimensions that are not 0, 1, 2, ..."""
    return {"step": list(recorded_steps(static["steps"], static["records"]))}


def work(static: Static) -> tuple[float, float]:
    """Return a step's multiply-adds and elementwise work.

    Of the batch: reads, writes and their gradients, the linear part, and what later layers read of
    earlier ones; of the weights: two products with the embedding and their gradients.
    """
    n, m, layers = static["n_features"], static["n_hidden"], static["n_layers"]
    d, samples = static["d_embed"], float(static["batch_size"])
    between = 1.5 * m * m * (layers - 1) / layers
    linear = n * n * bool(d)
    of_batch = samples * (5.0 * n * m + between + linear)
    return of_batch + 4.0 * n * m * d, 8.0 * samples * (n + m) + 12.0 * m * (d or n)
