"""The sweeps that the claims are decided by, each as small as it can be, and shared.

At 10 seeds they take 55 million model-steps in all, of which the table of activations takes 25.
Imports no jax.
"""

from __future__ import annotations

from collections.abc import Callable

from jsuper import factorization
from jsuper.core.sweep import BaseSweep
from jsuper.models.toy.activations.names import ACTIVATIONS
from jsuper.models.toy.fields import SPARSITIES
from jsuper.models.toy.spec import Sweep

ALPHAS = {0.0: "relu", 0.1: "elu(0.1)", 0.25: "elu(0.25)", 0.5: "elu(0.5)", 1.0: "elu",
          1.76: "elu(1.76)", 2.0: "elu(2)"}  # fmt: skip
"""Depth of the negative floor -> the activation that has it; ELU(0) is ReLU, ELU(1) ELU."""
DOSES = tuple(name for name in ALPHAS.values() if "(" in name)
OVER_BATCH = ("softmax_batch", "softmin_batch", "log_softmax_batch")
LOW_RANK_SEEDS = 100


def study(seeds: int) -> Sweep:
    """Return the sweep of Baron's 27 activations, identity, ELU's doses and batch softmax."""
    return Sweep(
        activation=(*ACTIVATIONS, "identity", *DOSES, *OVER_BATCH),
        sparsity=SPARSITIES,
        importance_decay=0.7,
        seeds=seeds,
    )


def protocol(seeds: int) -> Sweep:
    """Return Baron's other training: N(0, 1) starts, RMSprop, summed loss, shared masks."""
    return Sweep(
        activation=(*ACTIVATIONS, "identity", *DOSES),
        sparsity=(0.0, 0.9, 0.99),
        importance_decay=0.7,
        init="normal",
        init_bias_scale=1.0,
        reduction="sum",
        shared_mask=True,
        optimizer="rmsprop(0.01)",
        weight_decay=0.0,
        batch_size=256,
        steps=15_000,
        seeds=seeds,
    )


def double(seeds: int) -> Sweep:
    """Sigmoids in float64, with the draws of the study."""
    return Sweep(
        activation=("sigmoid", "hardsigmoid"),
        sparsity=SPARSITIES,
        importance_decay=0.7,
        dtype="float64",
        seeds=seeds,
    )


def untied(seeds: int) -> Sweep:
    """Softmin with an untied decoder."""
    return Sweep(
        activation=("softmin", "relu"),
        sparsity=(0.7, 0.9, 0.97, 0.99),
        importance_decay=0.7,
        tied=False,
        seeds=seeds,
    )


def dropout(seeds: int) -> Sweep:
    """Rates of dropout at two importances."""
    return Sweep(
        activation="relu",
        dropout=(0.0, 0.1, 0.3, 0.5),
        sparsity=(0.0, 0.7, 0.9, 0.97, 0.99),
        importance_decay=(1.0, 0.9),
        seeds=seeds,
    )


def basis(seeds: int) -> Sweep:
    """Dropout at 10 hidden units, where kurtosis can tell a privileged basis, and its controls."""
    return Sweep(
        activation=("relu", "identity"),
        optimizer=("adamw", "sgd(2)"),
        dropout=(0.0, 0.3),
        sparsity=(0.7, 0.9),
        importance_decay=1.0,
        n_features=40,
        n_hidden=10,
        weight_decay=0.0,
        momentum=0.9,
        seeds=seeds,
    )


def low_rank(seeds: int) -> factorization.Sweep:
    """Rank 1 and 4, plain descent and Adam."""
    del seeds
    return factorization.Sweep(
        rank=(1, 4),
        pairs=(1, 4, 8),
        optimizer=("sgd(0.005)", "adam(0.0002)"),
        steps=3000,
        seeds=LOW_RANK_SEEDS,
    )


def low_rank_decay(seeds: int) -> factorization.Sweep:
    """Weight decay of one pair, from a start so small that the exponential phase is long."""
    del seeds
    return factorization.Sweep(
        weight_decay=(0.0, 0.25, 0.5, 1.25),
        init_scale=0.01,
        learning_rate=0.01,
        steps=4000,
        records=400,
        seeds=LOW_RANK_SEEDS,
    )


def low_rank_adamw(seeds: int) -> factorization.Sweep:
    """Plain descent, Adam and AdamW with the same decay, one pair."""
    del seeds
    return factorization.Sweep(
        optimizer=("sgd(0.005)", "adam(0.0002)", "adamw(0.0002)"),
        weight_decay=0.1,
        steps=3000,
        seeds=LOW_RANK_SEEDS,
    )


def low_rank_softmax(seeds: int) -> factorization.Sweep:
    """Squared error and cross-entropy at small logits."""
    del seeds
    return factorization.Sweep(
        rank=(1, 4),
        pairs=4,
        objective=("squared", "cross_entropy"),
        steps=3000,
        seeds=LOW_RANK_SEEDS,
    )


SWEEPS: dict[str, Callable[[int], BaseSweep]] = {
    "study": study,
    "protocol": protocol,
    "double": double,
    "untied": untied,
    "dropout": dropout,
    "basis": basis,
    "low_rank": low_rank,
    "low_rank_decay": low_rank_decay,
    "low_rank_adamw": low_rank_adamw,
    "low_rank_softmax": low_rank_softmax,
}
"""Name -> the sweep of so many seeds; those of low rank always have 100."""
