"""GELU as a gate in trained models: units that come back, random gates, and gated decoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis.counts import COUNTS
from jsuper.analysis.reading import finished_values
from jsuper.findings.finding import Data, Finding
from jsuper.findings.gelu import CORRECTION, LIMITED, NEARLY, POST, TUTORIAL, profile_of
from jsuper.findings.notes import crossed, spans, spans_by
from jsuper.findings.placebo import ACTIVATIONS as LABELS
from jsuper.findings.rules import above, below, between, share
from jsuper.findings.values import mean_of, measure

if TYPE_CHECKING:
    import xarray

PUSHES = (0.5, 1.0, 2.0)  # a bias is set to minus these
STUCK = 0.1  # below 0: the largest z of a batch is nearer than this to the largest of all inputs
NEVER = 0.2  # a share that 20 seeds without a case exclude
AS_OFTEN = 0.1  # of the pushes
ROUGHLY = 0.05  # largest distance to a normal distribution that passes as roughly normal
COLUMNS = 2048  # samples, of which a normal one has a distance of .013
HALF = 0.5  # features: one more or less in every second model


def came_back(data: Data, activation: str, optimizer: str, step: int) -> xarray.DataArray:
    """Return 1 where a unit recovers that was pushed at a step, else 0: (push, seed)."""
    from jsuper.analysis.reviving import recovery

    place = {"activation": [activation], "optimizer": [optimizer], "push_step": [step]}
    steps = recovery(data["revival"].sel(place)).squeeze(list(place), drop=True)
    return (steps < np.inf).where(steps.notnull()).sel(push=list(PUSHES))


def alone(activation: str, low: float, high: float) -> dict[str, Any]:
    """Return 1 where descent takes one unit to an output of 1/2, from 100 inputs low to high."""
    from jsuper.analysis.reviving import descend
    from jsuper.analysis.scalar import derivatives

    output = derivatives(activation)(descend(activation, np.linspace(low, high, 100)))
    return {"share that recover": np.isclose(output, 0.5, atol=0.01).astype(float)}


def relu_recovers(data: Data, optimizer: str = "", step: int = 0) -> dict[str, Any]:
    """Return the share that recover of ReLU units without an input above 0: by itself, or tied."""
    if not optimizer:
        return alone("relu", -3, -0.01)
    place = {"activation": "relu", "optimizer": optimizer, "push_step": step, "push": list(PUSHES)}
    peak = finished_values(data["revival"], "unit_peak").isel(sparsity=0).sel(place)
    back = came_back(data, "relu", optimizer, step)
    back = back.where(peak.sel(step=step, method="bfill") < -STUCK)
    return {"share that recover": back.mean("push")}


def gelu_recovers(data: Data, inputs: tuple = (), push: float = 0, **where: Any) -> dict[str, Any]:
    """Return 1 where a GELU unit recovers: one by itself, or a tied one with its bias at -push."""
    if inputs:
        return alone("gelu", *inputs)
    return {"share that recover": came_back(data, "gelu", **where).sel(push=push)}


def as_often(data: Data, **where: Any) -> dict[str, Any]:
    """Return the share of pushes from which ReLU recovers, less that of GELU."""
    relu, gelu = (came_back(data, name, **where).mean("push") for name in ("relu", "gelu"))
    return {"ReLU less GELU": relu - gelu}


def held(activation: str, working: bool = False) -> Callable[[Data, np.random.Generator], Data]:
    """Return the placebo in which an activation's pushed units stay as they are.

    Each later error is that just after the push, of a random seed; or, if they are `working`, a
    random late one of the same model without a push.
    """

    def placebo(data: Data, rng: np.random.Generator) -> Data:
        ds = data["revival"]
        dims = ("activation", "push_step", "seed", "step", "push")  # the first push is 0
        error = ds["unit_error"].transpose(*dims, ...).copy(deep=True)
        place = error["activation"].values.tolist().index(activation)
        for values, at in zip(error.values[place], ds["push_step"].values, strict=True):
            first = int(np.searchsorted(ds["step"].values, at))
            seeds, records = values.shape[0], values.shape[1] - first
            late = values[np.arange(seeds)[:, None], -1 - rng.integers(10, size=(seeds, records))]
            pushed = values[rng.integers(seeds, size=(seeds, records)), first]
            values[:, first:, 1:] = late[:, :, :1] if working else pushed[:, :, 1:]
        return {**data, "revival": ds.assign(unit_error=error)}

    return placebo


def preactivations(data: Data, activation: str, sparsity: float) -> np.ndarray:
    """Return z of models without random gate and dropout: (seeds, features, COLUMNS)."""
    from jsuper.analysis.gates import preactivations as of

    ds = data["stochastic"].sel(activation=activation, sparsity=sparsity)
    W, b = (finished_values(ds, name).transpose("seed", ..., "feature").values for name in "Wb")
    rngs = [np.random.default_rng(seed) for seed in ds["seed"].values]
    drawn = [rng.random((2, ds.sizes["feature"], COLUMNS)) for rng in rngs]
    x = [value * (other >= sparsity) for value, other in drawn]  # the law of the sweep
    return np.stack([of(*one) for one in zip(W, b, x, strict=True)])


def distance(data: Data, **where: Any) -> dict[str, Any]:
    """Return the distance of z to the fitted normal, mean over features that are not constant."""
    from jsuper.analysis.gates import normality

    found = normality(preactivations(data, **where)).ks_distance
    return {"distance to the normal": np.nanmean(found, axis=-1)}


def sizes(data: Data, sparsity: float = 0.0, up_to: float = 0.0) -> dict[str, Any]:
    """Return the mean sizes of GELU's outputs and slopes at negative inputs.

    Of models at a sparsity; of each input from -12 `up_to` a number; or under N(0, 1).
    """
    from jsuper.analysis.scalar import derivatives, normal_nodes

    z, weight = normal_nodes(np.array([profile_of().separatrix]))
    if sparsity:
        z, weight = np.concatenate(preactivations(data, "gelu", sparsity).swapaxes(0, 1), -1), 1
    elif up_to:
        z, weight = np.linspace(-12, up_to, 1000)[:, None], 1
    weight, f = weight * (z < 0), derivatives("gelu")
    found, mass = {"output": f(z), "slope": f(z, 1)}, weight.sum(-1)
    return {k: (weight * abs(v)).sum(-1) / np.where(mass, mass, np.nan) for k, v in found.items()}


def one_feature_each(data: Data, rng: np.random.Generator) -> Data:
    """Return models whose hidden units read one random feature each, without a bias."""
    ds = data["stochastic"]
    W = ds["W"].transpose(..., "feature")
    read = rng.integers(W.shape[-1], size=(*W.shape[:-1], 1)) == np.arange(W.shape[-1])
    return {**data, "stochastic": ds.assign(W=W * read, b=0 * ds["b"])}


def changed(data: Data, gradient: str, sparsity: float, count: str) -> dict[str, Any]:
    """Return a count with a random gate less that without, mean over GELU and SiLU."""
    values = measure(data["stochastic"], count)
    without = mean_of(values, ("gelu", "silu"), sparsity)
    gates = [name + GRADIENTS[gradient] for name in ("gelu", "silu")]
    return {"with the gate less without": mean_of(values, gates, sparsity) - without}


MASK, MEAN = "a constant mask's gradient", "its mean's gradient"
GRADIENTS = {MASK: "_stochastic", MEAN: "_stochastic_expected"}
TIMES = {"fresh with": 0, "trained with": 5000}
OPTIMIZERS = ("adam", "sgd(1)")
TIED = {f"{k} {o}": {"optimizer": o, "step": v} for k, v in TIMES.items() for o in OPTIMIZERS}
AT = crossed("S {sparsity:g}", sparsity=(0.9, 0.99))
COUNTED = crossed("{count}, S {sparsity:g}", count=(*reversed(COUNTS),), sparsity=(0.9, 0.99))
FINDINGS: tuple[Finding, ...] = (
    Finding("gelu-nearly-clips", "Does GELU very nearly clip output and error signal below zero?",
        CORRECTION, POST,
        "GELU very nearly clips negative pre-activations, and the error signal there, to zero.",
        ("stochastic",), sizes, {k: below(NEARLY, "exact") for k in ("output", "slope")},
        {"standard normal inputs": {}, "z up to -3": {"up_to": -3.0},
         **{f"trained models at {k}": v for k, v in AT.items()}},
        LIMITED, one_feature_each, "size", "Means below 0: {output:.3f} and {slope:.3f}."),
    Finding("normal-preactivations", "Are pre-activations of trained models roughly normal?",
        TUTORIAL, "Why This Makes Sense",
        "Activations of neural networks often follow roughly normal distributions.",
        ("stochastic",), distance, {"distance to the normal": below(ROUGHLY)},
        {f"{name}, {k}": {"activation": name, **v}
         for name in ("gelu", "silu", "relu") for k, v in AT.items()},
        placebo=one_feature_each, unit="largest difference of distribution functions",
        note=lambda readings: f"{spans(readings)} A normal sample: {0.6 / COLUMNS**0.5:.3f}."),
    Finding("relu-never-recovers", "Can a ReLU unit recover that is stuck below zero?",
        TUTORIAL, "1. Gradient Flow and the 'Dying ReLU' Problem",
        "A ReLU unit that gets stuck below zero can never recover.",
        ("revival",), relu_recovers, {"share that recover": below(NEVER, bounds=(0.0, 1.0))},
        {"a single unit": {}, **TIED}, placebo=held("relu", working=True), unit="share of units",
        note="A unit counts as stuck if no input takes it above zero."),
    Finding("gelu-recovers", "Can GELU units below zero recover?",
        TUTORIAL, "1. Gradient Flow and the 'Dying ReLU' Problem",
        "With GELU units can still learn and adjust when their inputs are negative.",
        ("revival",), gelu_recovers, {"share that recover": share(0.5)},
        {"a single unit from -0.5 to -0.1": {"inputs": (-0.5, -0.1)},
         "a single unit from -3 to -1": {"inputs": (-3.0, -1.0)},
         **{f"{k}, bias {-b:g}": {"push": b, **v} for k, v in TIED.items() for b in PUSHES}},
        LIMITED, held("gelu"), "share of units",
        spans_by(lambda label: label.rpartition(", ")[2])),
    Finding("trained-relu-comes-back", "Once trained, does ReLU come back as often as GELU?",
        sentence="In a trained model a pushed ReLU unit comes back at least as often as GELU's.",
        sweeps=("revival",), effect=as_often, placebo=held("relu"),
        readings={k: v for k, v in TIED.items() if v["step"]},
        rules={"ReLU less GELU": above(-AS_OFTEN, bounds=(-1.0, 1.0))},
        unit="share of pushes that recover", note=lambda readings: f"{spans(readings)} A trained "
        "unit reaches about 1, so a push by less than that leaves it some inputs above zero."),
    Finding("random-gate-mask", "Does a random gate change how many features are represented?",
        sentence="With a random gate whose mask is constant for the gradient, models represent "
        "fewer features.",
        sweeps=("stochastic",), effect=changed, rules={"with the gate less without": below(-HALF)},
        readings={k: {"gradient": MASK, **v} for k, v in COUNTED.items()}, placebo=LABELS,
        unit="features", note=spans),
    Finding("random-gate-mean", "Does it with the gradient of the gate's mean?",
        sentence="With a random gate that has its mean's gradient, models represent as many "
        "features as without.", sweeps=("stochastic",), effect=changed, placebo=LABELS,
        rules={"with the gate less without": between(-HALF, HALF)},
        readings={k: {"gradient": MEAN, **v} for k, v in COUNTED.items()},
        unit="features", note=spans),
)  # fmt: skip
