"""What a toy model's draws and dtype can represent. Imports no jax.

A feature of density p = 1 - S is active where a uniform draw u < p, with the value u/p. Draws are
float32 multiples of 2^-23 whatever the model's dtype (`jsuper.training.keys.uniform`), so that u/p
takes ceil(p 2^23) values, 0 among them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from jsuper.core.limits import check_representable, rounding_notes, settings_of_numbers
from jsuper.core.sweep import SpecError
from jsuper.training.limits import check_training, training_notes

if TYPE_CHECKING:
    from jsuper.models.toy.spec import Sweep

DRAWS = 2**23  # different ones
COARSE = "draws are multiples of 2^-23"
FEW = 1000  # values: below it, chances and means of what is drawn are off by more than 0.1 %
MOST_DRAWS = 2**32  # of a step: `jsuper.training.keys.uniform` counts them in 32 bits


def values_drawn(sparsity: float) -> int:
    """Return how many values an active feature takes, 0 among them."""
    return math.ceil(float(np.float32(1 - sparsity)) * DRAWS)


def check_drawable(name: str, sparsity: float) -> None:
    """Raise SpecError for a sparsity at which no draw makes a feature larger than 0."""
    if values_drawn(sparsity) < 2:
        raise SpecError(
            f"{name}={sparsity!r} is too close to 1: draws are multiples of 2^-23, and a feature "
            "is active where one is below 1 - sparsity, so that none would ever be above 0; give "
            f"less than 1 - 2^-23 = {1 - 1 / DRAWS:.8f}"
        )


def values_kept(dropout: float) -> int:
    """Return how many of the 2^23 draws keep a hidden unit."""
    return DRAWS - math.ceil(float(np.float32(dropout)) * DRAWS)


def check_new(sweep: Sweep) -> None:
    """Raise SpecError for what cannot be drawn or represented, and would train on nothing."""
    check_training(sweep)
    for name, value in _sparsities(sweep):
        check_drawable(name, value)
    for rate in sweep.values("dropout"):
        if values_kept(rate) == 0:
            raise SpecError(
                f"dropout={rate!r} is too close to 1: draws are multiples of 2^-23, and every "
                f"hidden unit would be dropped; give 1 - 2^-23 = {1 - 1 / DRAWS:.8f} or less"
            )
    for dtype in sweep.values("dtype"):
        for name in ("dropout", "push", "importance_decay"):
            for value in sweep.values(name):
                check_representable(name, value, dtype)
        for i, value in enumerate(sweep.importance or ()):
            check_representable(f"importance[{i}]", value, dtype)
        if sweep.importance is None:
            _check_decay(sweep, dtype)
    if sweep.init == "normal":
        check_representable("init_scale", sweep.init_scale, "float32", drawn=True)
    check_representable("init_bias_scale", sweep.init_bias_scale, "float32", drawn=True)
    _check_sizes(sweep)


def _check_decay(sweep: Sweep, dtype: str) -> None:
    """Raise SpecError where the importance of the last feature is infinite."""
    for decay in sweep.values("importance_decay"):
        for n in sweep.values("n_features"):
            if (n - 1) * math.log(decay) > math.log(float(np.finfo(dtype).max)):
                raise SpecError(
                    f"importance_decay={decay:g} with n_features={n}: the importance of the last "
                    f"feature, decay^{n - 1}, is infinite in {dtype}; give at most 1, for example"
                )


def _check_sizes(sweep: Sweep) -> None:
    """Raise SpecError where the draws of a step are more than can be counted."""
    for batch in sweep.values("batch_size"):
        for name in ("n_features", "n_hidden"):
            for size in sweep.values(name):
                if size * batch >= MOST_DRAWS:
                    raise SpecError(
                        f"{name}={size} times batch_size={batch} is 2^32 or more, which is more "
                        "random numbers than a step can have; give less of one"
                    )


def _sparsities(sweep: Sweep) -> list[tuple[str, float]]:
    if sweep.feature_sparsity is None:
        return [("sparsity", s) for s in sweep.values("sparsity")]
    return [(f"feature_sparsity[{i}]", s) for i, s in enumerate(sweep.feature_sparsity)]


def notes(sweep: Sweep) -> list[str]:
    """Return what is drawn coarsely, rounded away, or trained twice."""
    found = [*_coarse(sweep), *_seldom(sweep), *_unimportant(sweep), *training_notes(sweep)]
    for name in settings_of_numbers(sweep):
        density = name == "sparsity"
        found += rounding_notes(sweep, name, (lambda v: 1 - v) if density else (lambda v: v))
    return found


def _coarse(sweep: Sweep) -> list[str]:
    found = []
    for name, value in _sparsities(sweep):
        count = values_drawn(value)
        words = [] if sweep.shared_mask else [f"x takes only {count} values, 0 among them"]
        if count > (1 + 1 / FEW) * (1 - value) * DRAWS:
            chances = f"{count / DRAWS:.4g} and not {1 - value:.4g}"
            words.append(f"a feature is active with chance {chances}")
        if count < FEW and words:
            found.append(f"{name}={value!r}: {COARSE}, so that {', and '.join(words)}")
    for rate in sweep.values("dropout"):
        if (kept := values_kept(rate)) < FEW:
            found.append(
                f"dropout={rate!r}: {COARSE}, so that a hidden unit is kept with chance "
                f"{kept / DRAWS:.4g}, and is then multiplied by {1 / (1 - rate):.4g}"
            )
    return found


def _seldom(sweep: Sweep) -> list[str]:
    """Sparsities at which no feature is expected to be active once in the whole training."""
    batch = 1 if sweep.shared_mask else max(sweep.values("batch_size"))
    samples, n = batch * max(sweep.values("steps")), max(sweep.values("n_features"))
    if sweep.feature_sparsity is not None:
        expected = {"feature_sparsity": samples * sum(1 - s for s in sweep.feature_sparsity)}
    else:
        expected = {f"sparsity={s!r}": samples * n * (1 - s) for s in sweep.values("sparsity")}
    return [
        f"{name}: in {samples:,} samples of training {number:.2g} features are active on average, "
        "so that a model may see none"
        for name, number in expected.items()
        if number < 1
    ]


def _unimportant(sweep: Sweep) -> list[str]:
    """Features whose importance is 0 in the model's dtype."""
    if sweep.importance is not None:
        return []
    found = []
    for dtype in sweep.values("dtype"):
        least = math.log(float(np.finfo(dtype).tiny))
        for decay in sweep.values("importance_decay"):
            first = math.floor(least / math.log(decay)) + 1 if decay < 1 else math.inf
            for n in sweep.values("n_features"):
                if first < n:
                    found.append(
                        f"importance_decay={decay:g}: features {first} to {n - 1} have importance "
                        f"0 in {dtype}, and are not trained"
                    )
    return found
