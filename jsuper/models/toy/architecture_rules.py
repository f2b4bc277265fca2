"""The rules between the fields of a toy sweep that state hidden layer, target and loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jsuper.core.errors import SpecError
from jsuper.core.json_data import label
from jsuper.models.toy.fields import Fields

Assign = Callable[[str, Any], None]


def check_architecture(sweep: Fields, assign: Assign) -> None:
    """Raise SpecError for combinations that make no sense; set what `loss` is short for."""
    use_loss(sweep, assign)
    check_encoder(sweep)
    if "and_pairs" in sweep.values_of("target"):
        for n in sweep.values_of("n_features"):
            if n % 2:
                raise SpecError(
                    f"target=and_pairs needs pairs of features, and n_features={n} is odd: give an "
                    "even number"
                )
    if "cross_entropy" in sweep.values_of("loss_function"):
        check_distribution(sweep)


def use_loss(sweep: Fields, assign: Assign) -> None:
    """Set the loss function from `loss`."""
    if sweep.loss is None:
        return
    if sweep.loss_function != ("squared",):
        raise SpecError("loss and loss_function are both given; loss is short for it: give one")
    assign("loss_function", sweep.loss)
    assign("loss", None)


def check_encoder(sweep: Fields) -> None:
    """Check that something is trained besides the bias, and that lengths are not set twice."""
    for encoder in sweep.values_of("encoder"):
        if encoder != "trained" and any(sweep.values_of("tied")):
            raise SpecError(
                f"encoder={encoder} is not trained, and with tied=true neither is the decoder: "
                "give tied=false"
            )
    if not any(sweep.values_of("norm_pull")):
        return
    lengths = {"normalize_columns=true": any(sweep.values_of("normalize_columns"))}
    lengths |= {f"encoder={e}": e != "trained" for e in sweep.values_of("encoder")}
    for other, given in lengths.items():
        if given:
            raise SpecError(
                f"norm_pull pulls the norms of W's columns to 1, which {other} sets: leave one out"
            )


def check_distribution(sweep: Fields) -> None:
    """Check that outputs and targets are distributions over the features.

    Samples of `exactly(1)` and `in_turn` with the value 1 are. Whether those of a function are is
    tried when it is traced.
    """
    for activation in sweep.values_of("activation"):
        if activation != "softmax":
            raise SpecError(
                f"loss=cross_entropy compares distributions, and activation={label(activation)} "
                "does not give one: use activation=softmax"
            )
    if sweep.inputs is not None or any(map(callable, sweep.values_of("target"))):
        return
    one_hot = {"exactly(1)", "in_turn"}.issuperset(sweep.values_of("support"))
    if not one_hot or sweep.values_of("values") != ("binary",):
        raise SpecError(
            "loss=cross_entropy needs a target that is a distribution, whose values are >= 0 and "
            "add up to 1: use support=in_turn or exactly(1) with values=binary, or a function of "
            "yours as inputs or target"
        )
