"""Baron (2025) on GELU, SiLU and ReLU's other relatives, on hardness, and on negative outputs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.core.text import format_number
from jsuper.findings import values
from jsuper.findings.counts import COUNTS
from jsuper.findings.finding import Data, Effect, Finding, Reading
from jsuper.findings.placebo import ACTIVATIONS as SHUFFLED
from jsuper.findings.rules import Rule, above, below, between, share
from jsuper.findings.sweeps import FLOORS
from jsuper.findings.values import SPARSE, SPARSER, asked, differences, measure
from jsuper.models.toy.activations.names import ACTIVATIONS

if TYPE_CHECKING:
    import xarray

CORRELATION = "importance_rank_correlation"
SOME = 0.25  # features, or pairs of them: the least difference that counts
CLOSE = 0.5  # features: twice that, as for what is said to be no large difference
FEW = 2.0  # features: what a seed's X differs by where the mean differs by less than 1
DISTURBED = 0.05  # of a feature's own squared length, the least difference in interference
ORDER = 0.1  # the least difference in correlation that counts
UNIT = 0.05  # of a unit's weights, the share of one of 20 equal features; the least that counts
HALF = 0.5  # of the pairs: what chance gives
STEPS = 0.25  # of the sparsities: one pair in four a sparsity later
HIGHEST = 5.5  # a rank among 27: one of the first five
LEAST = 4  # of the six pairs, or of the seven floors, that have to fit in a seed

HARD = ["hardsigmoid", "hardtanh", "hardswish", "relu", "relu", "hardshrink"]
SOFT = ["sigmoid", "tanh", "silu", "softplus", "gelu", "softshrink"]
SMOOTH, EARLY = ("gelu", "silu"), ("gelu", "silu", "hardswish")
MOST = ("leaky_relu", "gelu", "softplus")
# Without features that are absent GELU, SiLU and hardswish fail to fit in Roe's training: most of
# their losses are above that of the best constant.
DENSE = asked((0.0,), trainings=(values.NOTEBOOK,))


def by_training(readings: Sequence[Reading]) -> str:
    """Return a note: least and largest mean of every part, by what readings begin with."""
    means = defaultdict(lambda: defaultdict(list))
    for reading, part in ((r, p) for r in readings for p in r.parts):
        means[part.label][reading.label.split(",")[0]].append(part.value)
    notes = []
    for label, by_word in means.items():
        spans = []
        for word, found in by_word.items():
            known = sorted(v for v in found if v == v)
            ends = dict.fromkeys(format_number(v, 2) for v in (*known[:1], *known[-1:]))
            spans.append(f"{' to '.join(ends) or 'no value'} ({word})")
        notes.append(f"{label}: {', '.join(spans)}")
    return f"{'; '.join(notes)}."


asks = partial(
    Finding,
    source="baron-2025",
    place="Specific observations for the functions",
    sweeps=values.SWEEPS,
    placebo=SHUFFLED,
    note=by_training,
    readings=asked(SPARSER),
)
"""A finding on what the source says; by default asked of every sparsity above 0."""
ours = partial(asks, source="", place="")


def less(pattern: str, names: Iterable[str], other: str = "relu") -> dict[str, tuple[str, str]]:
    """Return the parts of `differences`: each activation less another, {} being its name."""
    return {pattern.format(name): (name, other) for name in names}


def gap(parts: Mapping[str, tuple[Any, Any]], rule: Rule, variable: str = "") -> dict[str, Any]:
    """Return what a finding needs on `differences`, all of which have one rule."""
    found = {"effect": differences(parts, variable), "rules": dict.fromkeys(parts, rule)}
    return found | {"unit": variable.replace("_", " ") or "features beyond m"}


def seeds_with(effect: Effect, labels: Iterable[str], least: float, most: float) -> dict[str, Any]:
    """Return what a finding needs on the seeds whose values lie between two numbers."""

    def inside(data: Data, **reading: Any) -> dict[str, np.ndarray]:
        found = {label: np.asarray(v, float) for label, v in effect(data, **reading).items()}
        return {k: np.where(v == v, (v >= least) & (v <= most), v) for k, v in found.items()}

    return {"effect": inside, "rules": dict.fromkeys(labels, share()), "unit": "share of seeds"}


def with_order(effect: Effect, parts: Mapping[str, tuple[str, str]]) -> Effect:
    """Return an effect on X, and after it differences in the order of importance."""
    order = differences(parts, CORRELATION)
    return lambda data, count, **to: {**effect(data, count=count, **to), **order(data, **to)}


def less_relu(
    of: Callable, name: str, label: str, data: Data, training: str, sparsity: Sequence[float]
) -> dict[str, np.ndarray]:
    """Return a function of a Dataset, mean over sparsities, of an activation less that of ReLU."""
    ds = data[values.TRAININGS[training]].sel(activation=[name, "relu"], sparsity=list(sparsity))
    own, relu = of(ds).mean("sparsity", skipna=False).transpose("activation", "seed").values
    return {label: own - relu}


def against_relu(of: Callable, name: str, label: str, rule: Rule) -> dict[str, Any]:
    """Return effect and rules of a finding on `less_relu`."""
    return {"effect": partial(less_relu, of, name, label), "rules": {label: rule}}


def unit_share(ds: xarray.Dataset) -> xarray.DataArray:
    """Return the share of a unit's largest weight in the unit, mean over units."""
    return measure(ds, "neuron_monosemanticity").mean("hidden", skipna=False)


def x_of(names: Iterable, data: Data, training: str, sparsity: Sequence[float], count: str) -> Any:
    """Return X of some activations: (activation, sparsity, seed)."""
    x = measure(data[values.TRAININGS[training]], count)
    return x.sel(activation=list(names), sparsity=list(sparsity))


def ranks(data: Data, **reading: Any) -> dict[str, Any]:
    """Return ranks of X, 1 the most, among the activations that fit in a seed."""
    x, found = x_of(ACTIVATIONS, data, **reading), {}
    for name in MOST:
        own = x.sel(activation=name)
        rank = (x > own).sum("activation") + ((x == own).sum("activation") + 1) / 2
        found[f"rank of {name}"] = rank.where(own.notnull()).mean("sparsity", skipna=False).values
    return found


def hardness(data: Data, **reading: Any) -> dict[str, Any]:
    """Compare X of the hard and the soft forms, mean over the pairs that fit in a seed."""
    hard, soft = (x_of(names, data, **reading) for names in (HARD, SOFT))
    gaps = (hard.values - soft.values).mean(axis=1)
    number = (~np.isnan(gaps)).sum(axis=0)
    number = np.where(number < LEAST, np.nan, number)
    fewer = (1 - np.sign(gaps)) / 2  # equal ones are a half
    found = {"pairs with less X": fewer, "X, hard less soft": gaps}
    return {label: np.nansum(of_pairs, axis=0) / number for label, of_pairs in found.items()}


def later(data: Data, count: str) -> dict[str, Any]:
    """Return by how many sparsities X > 0 comes later in the hard form; never is one after all."""
    some = measure(data["fitted"], count) > 0
    first = some.argmax("sparsity").where(some.any("sparsity"), some.sizes["sparsity"])
    gaps = first.sel(activation=HARD).values - first.sel(activation=SOFT).values
    return {"first sparsity with X > 0, hard less soft": gaps.mean(axis=0)}


def slope(data: Data, **reading: Any) -> dict[str, Any]:
    """Return the least-squares slope of X on ELU's floor α, over the floors that fit in a seed."""
    x = x_of(FLOORS.values(), data, **reading).mean("sparsity", skipna=False)
    alpha = x.copy(data=np.where(x.isnull(), np.nan, np.array(list(FLOORS))[:, None]))
    centred = alpha - alpha.mean("activation")
    found = (centred * x).sum("activation") / (centred**2).sum("activation")
    return {"slope of X on α": found.where(x.notnull().sum("activation") >= LEAST).values}


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
        effect=with_order(MORE_SEEDS["effect"], ORDERS),
        rules=MORE_SEEDS["rules"] | dict.fromkeys(ORDERS, below(-ORDER)),
        readings=DENSE,
    ),
    asks(
        "gelu-hinders-antipodes",
        "Does GELU hinder antipodal pairs?",
        sentence="At sparsities above 0 GELU's dip hinders clearly delineated antipodes.",
        **gap({"antipodes, gelu less relu": ("gelu", "relu")}, below(-SOME), "antipodal_pairs"),
        readings=asked(SPARSER, count=False),
    ),
    asks(
        "smooth-less-polysemantic",
        "Do GELU and SiLU reduce polysemanticity?",
        place="Previous work",
        sentence="As Lad and Kostolansky (2023) found, GELU and SiLU reduce polysemanticity.",
        **gap(less("{} less relu", SMOOTH), below(-DISTURBED), "mean_interference"),
        readings=asked(SPARSE, count=False),
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
    ours(
        "deeper-floor-less",
        "Does a deeper negative floor alone reduce superposition?",
        sentence="The deeper the floor of ELU, all else alike, the less superposition.",
        effect=slope,
        rules={"slope of X on α": below(-SOME)},
        unit="features beyond m, per unit of α",
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
