"""What a toy model's draws and dtype can represent.

A feature of density p = 1 - S is active if a uniform draw u < p, and then has the value u/p. Draws
are float32 multiples of 2^-23, also in float64 models (`jsuper.training.keys.uniform`), so that u/p
takes ceil(p 2^23) values, including 0.
"""

from __future__ import annotations

import math

import numpy as np

from jsuper.core.errors import SpecError
from jsuper.core.limits import check_representable, rounding_notes, settings_of_numbers
from jsuper.models.toy.fields import Fields
from jsuper.models.toy.inputs.features import power_law
from jsuper.models.toy.labelled import lists_in
from jsuper.training.limits import check_training, training_notes

DRAWS = 2**23  # different values of a draw
COARSE = "draws are multiples of 2^-23"
FEW = 1000  # values, below which probabilities and means are off by more than 0.1 %
MOST_DRAWS = 2**32  # per step: `jsuper.training.keys.uniform` counts them in 32 bits


def values_drawn(sparsity: float) -> int:
    """Return the number of values that an active feature can take, including 0."""
    return math.ceil(float(np.float32(1 - sparsity)) * DRAWS)


def check_drawable(name: str, sparsity: float) -> None:
    """Raise SpecError for a sparsity at which no draw makes a feature larger than 0."""
    if values_drawn(sparsity) < 2:
        raise SpecError(
            f"{name}={sparsity!r} is too close to 1: {COARSE}, and a feature is active if its draw "
            "is below 1 - sparsity, so that no feature would ever be above 0; give less than "
            f"1 - 2^-23 = {1 - 1 / DRAWS:.8f}"
        )


def values_kept(dropout: float) -> int:
    """Return how many of the 2^23 draws keep a hidden unit."""
    return DRAWS - math.ceil(float(np.float32(dropout)) * DRAWS)


def check_new(sweep: Fields) -> None:
    """Raise SpecError for values that cannot be drawn or represented."""
    check_training(sweep)
    for name, value in _sparsities(sweep):
        check_drawable(name, value)
    for rate in sweep.values_of("dropout"):
        if values_kept(rate) == 0:
            raise SpecError(
                f"dropout={rate!r} is too close to 1: {COARSE}, and every hidden unit would be "
                f"dropped; give 1 - 2^-23 = {1 - 1 / DRAWS:.8f} or less"
            )
    for dtype in sweep.values_of("dtype"):
        for name in ("dropout", "push", "importance_decay", "norm_pull"):
            for value in sweep.values_of(name):
                check_representable(name, value, dtype)
        lists = lists_in(sweep, "importance", "importances")
        for name, numbers in lists.items():
            for i, value in enumerate(numbers):
                check_representable(f"{name}[{i}]", value, dtype)
        if not lists:
            _check_decay(sweep, dtype)
    if sweep.init == "normal":
        check_representable("init_scale", sweep.init_scale, "float32", drawn=True)
    check_representable("init_bias_scale", sweep.init_bias_scale, "float32", drawn=True)
    _check_sizes(sweep)


def _check_decay(sweep: Fields, dtype: str) -> None:
    """Raise SpecError if the importance of the last feature is infinite."""
    for decay in sweep.values_of("importance_decay"):
        for n in sweep.values_of("n_features"):
            if (n - 1) * math.log(decay) > math.log(float(np.finfo(dtype).max)):
                raise SpecError(
                    f"importance_decay={decay:g} with n_features={n}: the importance of the last "
                    f"feature, decay^{n - 1}, is infinite in {dtype}; give a decay of at most 1, "
                    "for example"
                )


def _check_sizes(sweep: Fields) -> None:
    """Raise SpecError if a step, or a dataset, needs more draws than can be counted."""
    counted = [("n_features", "batch_size"), ("n_hidden", "batch_size")]
    for name, samples in [*counted, ("n_features", "dataset_size")]:
        size, count = max(sweep.values_of(name)), max(sweep.values_of(samples))
        if size * count >= MOST_DRAWS:
            raise SpecError(
                f"{name}={size} times {samples}={count} is 2^32 or more, but fewer random numbers "
                "than that can be drawn at once; reduce one of them"
            )


def _sparsities(sweep: Fields) -> list[tuple[str, float]]:
    lists = lists_in(sweep, "feature_sparsity", "feature_sparsities")
    if not lists:
        found = [("sparsity", s) for s in sweep.values_of("sparsity")]
        n = max(sweep.values_of("n_features"))
        for power in filter(None, sweep.values_of("density_power")):
            name = f"density_power={power:g}: sparsity of feature {n - 1}"
            least = float(power_law(power, n)[-1])
            found += [(name, 1 - (1 - s) * least) for s in sweep.values_of("sparsity")]
        return found
    return [(f"{name}[{i}]", s) for name, one in lists.items() for i, s in enumerate(one)]


def notes(sweep: Fields) -> list[str]:
    """Return notes on values that are drawn coarsely, rounded to 0, or trained twice."""
    found = [*_coarse(sweep), *_seldom(sweep), *_unimportant(sweep), *training_notes(sweep)]
    for name in settings_of_numbers(sweep):
        density = name == "sparsity"
        found += rounding_notes(sweep, name, (lambda v: 1 - v) if density else (lambda v: v))
    return found


def _coarse(sweep: Fields) -> list[str]:
    """Return notes on sparsities and dropout rates that few different draws express."""
    found = []
    for name, value in _sparsities(sweep):
        count = values_drawn(value)
        effects = [] if _values_are_drawn(sweep) else [f"x takes only {count} values, including 0"]
        if count > (1 + 1 / FEW) * (1 - value) * DRAWS:
            probability = f"{count / DRAWS:.4g} instead of {1 - value:.4g}"
            effects.append(f"a feature is active with probability {probability}")
        if count < FEW and effects:
            found.append(f"{name}={value!r}: {COARSE}, so that {', and '.join(effects)}")
    for rate in sweep.values_of("dropout"):
        if (kept := values_kept(rate)) < FEW:
            found.append(
                f"dropout={rate!r}: {COARSE}, so that a hidden unit is kept with "
                f"probability {kept / DRAWS:.4g}, and then multiplied by {1 / (1 - rate):.4g}"
            )
    return found


def _values_are_drawn(sweep: Fields) -> bool:
    """Return whether values have draws that do not decide which features are active."""
    supports = {text.partition("(")[0] for text in sweep.values_of("support")}
    return sweep.shared_mask or supports <= {"shared", "exactly"}


def _seldom(sweep: Fields) -> list[str]:
    """Return notes on sparsities at which less than one feature is active in the training."""
    shared = sweep.shared_mask or sweep.values_of("support") == ("shared",)
    batch = 1 if shared else max(sweep.values_of("batch_size"))
    samples, n = batch * max(sweep.values_of("steps")), max(sweep.values_of("n_features"))
    if all(sizes := sweep.values_of("dataset_size")):
        samples = max(sizes)
    if lists := lists_in(sweep, "feature_sparsity", "feature_sparsities"):
        expected = {name: samples * sum(1 - s for s in one) for name, one in lists.items()}
    else:
        expected = {f"sparsity={s!r}": samples * n * (1 - s) for s in sweep.values_of("sparsity")}
    return [
        f"{name}: in {samples:,} samples of training, {number:.2g} features are active on "
        "average, so that a model may see none"
        for name, number in expected.items()
        if number < 1
    ]


def _unimportant(sweep: Fields) -> list[str]:
    """Return notes on features whose importance is 0 in the model's dtype."""
    if lists_in(sweep, "importance", "importances"):
        return []
    found = []
    for dtype in sweep.values_of("dtype"):
        least = math.log(float(np.finfo(dtype).tiny))
        for decay in sweep.values_of("importance_decay"):
            first = math.floor(least / math.log(decay)) + 1 if decay < 1 else math.inf
            for n in sweep.values_of("n_features"):
                if first < n:
                    found.append(
                        f"importance_decay={decay:g}: features {first} to {n - 1} have importance "
                        f"0 in {dtype}, and are not trained"
                    )
    return found
