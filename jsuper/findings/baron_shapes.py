"""Baron (2025) on GELU, SiLU and ReLU's other relatives, on hardness, and on negative outputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from jsuper.analysis.counts import COUNTS
from jsuper.findings import values
from jsuper.findings.finding import Data, Effect, Finding
from jsuper.findings.notes import spans_by
from jsuper.findings.placebo import ACTIVATIONS as SHUFFLED
from jsuper.findings.rules import Rule, above, below, between, share
from jsuper.findings.values import SPARSE, SPARSER, asked, differences
from jsuper.models.toy.activations.names import ACTIVATIONS

BEYOND = "features beyond m"
CORRELATION = "importance_rank_correlation"
SOME = 0.25  # features, or pairs of them: the least difference that counts
CLOSE = 0.5  # features: twice that, as for what is said to be no large difference
FEW = 2.0  # features: what a seed's X differs by where the mean differs by less than 1
ORDER = 0.1  # the least difference in correlation that counts
HALF = 0.5  # of the pairs: what chance gives
STEPS = 0.25  # of the sparsities: one pair in four a sparsity later
HIGHEST = 5.5  # a rank among 27: one of the first five
LEAST = 4  # of the six pairs that have to fit in a seed

HARD = ["hardsigmoid", "hardtanh", "hardswish", "relu", "relu", "hardshrink"]
SOFT = ["sigmoid", "tanh", "silu", "softplus", "gelu", "softshrink"]
EARLY = ("gelu", "silu", "hardswish")
MOST = ("leaky_relu", "gelu", "softplus")
# Without features that are absent GELU, SiLU and hardswish fail to fit in Roe's training: most of
# their losses are above that of the best constant.
DENSE = asked((0.0,), trainings=(values.NOTEBOOK,))


asks = partial(
    Finding,
    source="baron-2025",
    place="Specific observations for the functions",
    sweeps=values.SWEEPS,
    placebo=SHUFFLED,
    note=spans_by(lambda label: label.split(",")[0]),
    readings=asked(SPARSER),
)
"""A finding on what the source says; by default asked of every sparsity above 0."""


def less(pattern: str, names: Iterable[str], other: str = "relu") -> dict[str, tuple[str, str]]:
    """Return the parts of `differences`: each activation less another, {} being its name."""
    return {pattern.format(name): (name, other) for name in names}


def gap(
    parts: Mapping[str, tuple[Any, Any]], rule: Rule, name: values.What = "", unit: str = BEYOND
) -> dict[str, Any]:
    """Return what a finding needs on `differences`, all of which have one rule."""
    rules = dict.fromkeys(parts, rule)
    return {"effect": differences(parts, name), "rules": rules, "unit": unit}


def seeds_with(effect: Effect, labels: Iterable[str], least: float, most: float) -> dict[str, Any]:
    """Return what a finding needs on the seeds whose values lie between two numbers."""

    def inside(data: Data, **reading: Any) -> dict[str, np.ndarray]:
        found = {label: np.asarray(v, float) for label, v in effect(data, **reading).items()}
        return {k: np.where(v == v, (v >= least) & (v <= most), v) for k, v in found.items()}

    return {"effect": inside, "rules": dict.fromkeys(labels, share()), "unit": "share of seeds"}


def ranks(data: Data, count: str, **reading: Any) -> dict[str, Any]:
    """Return ranks of X, 1 the most, among the activations that fit in a seed."""
    x, found = values.selected(data, count, ACTIVATIONS, **reading), {}
    for name in MOST:
        own = x.sel(activation=name)
        rank = (x > own).sum("activation") + ((x == own).sum("activation") + 1) / 2
        found[f"rank of {name}"] = rank.where(own.notnull()).mean("sparsity", skipna=False).values
    return found


def hardness(data: Data, count: str, **reading: Any) -> dict[str, Any]:
    """Compare X of the hard and the soft forms, mean over the pairs that fit in a seed."""
    hard, soft = (values.selected(data, count, names, **reading) for names in (HARD, SOFT))
    gaps = (hard.values - soft.values).mean(axis=1)
    number = (~np.isnan(gaps)).sum(axis=0)
    number = np.where(number < LEAST, np.nan, number)
    fewer = (1 - np.sign(gaps)) / 2  # equal ones are a half
    found = {"pairs with less X": fewer, "X, hard less soft": gaps}
    return {label: np.nansum(of_pairs, axis=0) / number for label, of_pairs in found.items()}


def later(data: Data, count: str) -> dict[str, Any]:
    """Return by how many sparsities X > 0 comes later in the hard form; never is one after all."""
    some = values.measure(data["fitted"], count) > 0
    first = some.argmax("sparsity").where(some.any("sparsity"), some.sizes["sparsity"])
    gaps = first.sel(activation=HARD).values - first.sel(activation=SOFT).values
    return {"first sparsity with X > 0, hard less soft": gaps.mean(axis=0)}


ORDERS = less("correlation with importance, {} less relu", EARLY)
SEEDS_MORE = less("seeds with more features, {} than relu", EARLY)
MORE_SEEDS = seeds_with(differences(SEEDS_MORE), SEEDS_MORE, CLOSE, math.inf)
SEEDS_NEAR = less("seeds with X as relu, {}", ("relu6", "relu_squared"))
SELU = {f"seeds with no more features, selu than {k}": ("selu", k) for k in ("celu", "elu")}
# In Roe's training at .99 most seeds lack ReLU or one of these, whose losses still fall.
ROE_AT_9 = asked((0.9,), trainings=(values.ROE,))
NEGATIVE = {"X, CELU and ELU less GELU and softplus": (("celu", "elu"), ("gelu", "softplus"))}

FINDINGS: tuple[Finding, ...] = (
    asks(
        "gelu-less-when-sparse",
        "Does GELU superpose less than ReLU as features become sparser?",
        sentence="GELU is mostly a smoother ReLU, and superposes less as sparsity grows.",
        **gap({"X, gelu less relu": ("gelu", "relu")}, below(-SOME)),
        readings=asked(SPARSE),
    ),
    asks(
        "silu-less-when-sparse",
        "Does SiLU superpose less than ReLU as features become sparser?",
        sentence="SiLU is similar to GELU, which superposes less than ReLU as sparsity grows.",
        **gap({"X, silu less relu": ("silu", "relu")}, below(-SOME)),
        readings=asked(SPARSE),
    ),
    asks(
        "smooth-early-when-dense",
        "Do GELU, SiLU (swish) and hardswish superpose more than ReLU at sparsity 0?",
        sentence="At sparsity 0 GELU and the swishes superpose more, less important features.",
        effect=values.together(MORE_SEEDS["effect"], differences(ORDERS, CORRELATION)),
        rules=MORE_SEEDS["rules"] | dict.fromkeys(ORDERS, below(-ORDER)),
        readings=DENSE,
    ),
    asks(
        "gelu-hinders-antipodes",
        "Does GELU hinder antipodal pairs?",
        sentence="At sparsities above 0 GELU's dip hinders clearly delineated antipodes.",
        **gap(
            {"antipodes, gelu less relu": ("gelu", "relu")},
            below(-SOME),
            "antipodal_pairs",
            "pairs",
        ),
        readings=asked(SPARSER, count=False),
    ),
    asks(
        "relu6-and-squared-as-relu",
        "Do ReLU6 and squared ReLU superpose as much as ReLU?",
        sentence="ReLU6 and squared ReLU have no significant impact on ReLU's superposition.",
        **seeds_with(differences(SEEDS_NEAR), SEEDS_NEAR, -FEW, FEW),
        readings=asked(SPARSER, trainings=(values.NOTEBOOK,)) | ROE_AT_9,
    ),
    asks(
        "leaky-gelu-softplus-most",
        "Do leaky ReLU, GELU and softplus superpose most of all?",
        sentence="Leaky ReLU, GELU and softplus show the most superposition.",
        effect=ranks,
        rules={f"rank of {name}": below(HIGHEST) for name in MOST},
        readings=asked((SPARSER,)),  # most of all, and not at every sparsity
    ),
    asks(
        "swish-hardswish-alike",
        "Do swish and hardswish superpose about as much?",
        sentence="Swish and hardswish do not differ much: no evidence for a sharp elbow as cause.",
        **gap({"X, hardswish less swish": ("hardswish", "silu")}, between(-CLOSE, CLOSE)),
    ),
    asks(
        "negative-outputs-less",
        "Do CELU and ELU superpose less than GELU and softplus?",
        sentence="CELU and ELU let negative values through, and have less than GELU and softplus.",
        **gap(NEGATIVE, below(-SOME)),
    ),
    asks(
        "selu-least-of-its-group",
        "Does SELU superpose no more than CELU and ELU?",
        sentence="SELU alone goes quickly to -2, and superposes least of its group.",
        **seeds_with(differences(SELU), SELU, -math.inf, 0),
        readings=asked(SPARSE),
    ),
    asks(
        "hardness-reduces",
        "Does the hard form of an activation superpose less than the soft one?",
        sentence="Hardness generally reduces superposition.",
        effect=hardness,
        rules={"pairs with less X": above(HALF, bounds=(0, 1)), "X, hard less soft": below(-SOME)},
    ),
    asks(
        "hardness-slows",
        "Does superposition begin at sparser features in the hard form?",
        sentence="Or hardness slows the development of superposition, as sparsity grows.",
        sweeps=("fitted",),  # the other has too few sparsities
        effect=later,
        rules={"first sparsity with X > 0, hard less soft": above(STEPS)},
        readings={f"{values.NOTEBOOK}, {label}": {"count": label} for label in COUNTS},
        unit="sparsities of the sweep",
    ),
)
