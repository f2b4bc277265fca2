"""Two texts on GELU, as far as they can be computed: what it clips, gates, and passes back.

Nothing is trained here. GELU is f(z) = z Φ(z), with Φ the distribution function of N(0, 1).
`computed` gives the table of the numbers that the tutorial states.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from jsuper.findings.finding import Data, Finding, Reading
from jsuper.findings.rules import above, below, exactly

if TYPE_CHECKING:
    from jsuper.analysis.gating import Profile
    from jsuper.analysis.scalar import Derivatives

CORRECTION, TUTORIAL = "gelu-correction", "gelu-tutorial"
POST, LIMITED = "the post that is corrected", "right within limits"
NEARLY = 0.02  # of the slope of an active unit, 1: what passes as very nearly nothing
HALF_DEAD = 0.5  # of the hidden units
MILD, EXTREME = -0.3, -3.0  # they give the outputs that the text states; it has lost the inputs
SEEN = 0.01  # outputs that differ by less pass as the same
NEAR = 0.1  # how far from a point counts as near it
ROUNDING, FAR = 1e-12, 1e30
NEGATIVE = -np.arange(0.5, 3072)[::-1] / 256  # from -12 to 0, none of them a kink or a root
NEARBY = np.linspace(-5, 5, 200)
PASSED = ("gradient of its weights", "share of the error signal to earlier layers")


def function(name: str = "gelu") -> Derivatives:
    """Return (z, order=0) -> the derivative of an order of an activation, in float64."""
    from jsuper.analysis.scalar import derivatives

    return derivatives(name)


def profile_of(name: str = "gelu") -> Profile:
    """Return the extrema, slopes and gate of an activation."""
    from jsuper.analysis.gating import profile

    return profile(name)


def lost_below() -> float:
    """Return the z at and below which GELU's slope is 0 in float32."""
    from jsuper.analysis.scalar import float32_zero_below

    return float32_zero_below("gelu")


def kept(z: Any) -> Any:
    """Return f(z)/z, the share of an input that passes; Φ(z) for GELU."""
    return function()(z) / z


class Value(NamedTuple):
    """A number of the tutorial: what it is, as the text states it, and how it is computed."""

    what: str
    stated: str
    expected: float
    rounded: float  # half a unit of the last digit that is stated
    compute: Callable[[], float]

    def differs(self) -> float:
        """Return 1 if the text is off by more than its rounding, else 0."""
        return float(abs(self.compute() - self.expected) > self.rounded + ROUNDING)


def _at(z: float, order: int = 0, name: str = "gelu") -> Callable[[], float]:
    return lambda: float(function(name)(z, order))


VALUES: tuple[Value, ...] = (
    Value("share kept at 2 (input lost)", "97.7 %", 0.977, 5e-4, lambda: kept(2)),
    Value("share kept at -2 (input lost)", "2.3 %", 0.023, 5e-4, lambda: kept(-2)),
    Value("share kept next to 0 (input lost)", "50-50", 0.5, 5e-4, lambda: kept(1e-6)),
    Value("GELU(0) (input lost)", "exactly zero", 0.0, 0.0, _at(0)),
    Value("GELU(-0.1)", "-0.046", -0.046, 5e-4, _at(-0.1)),
    Value("GELU(-0.5)", "-0.154", -0.154, 5e-4, _at(-0.5)),
    Value("share kept at -0.5 (input lost)", "~30 %", 0.3, 0.05, lambda: kept(-0.5)),
    Value("share kept at -2 (input lost)", "~2 %", 0.02, 5e-3, lambda: kept(-2)),
    Value("GELU(-4) (input lost)", "essentially zero", 0.0, 5e-4, _at(-4)),
    Value("GELU(2) (input lost)", "1.95", 1.95, 5e-3, _at(2)),
    Value("GELU(-0.3) (input lost)", "-0.11", -0.11, 5e-3, _at(MILD)),
    Value("GELU(-3) (input lost)", "-0.004", -0.004, 5e-4, _at(EXTREME)),
    Value("slope of GELU at 0", "0.5", 0.5, 5e-3, _at(0, 1)),
    Value("slope of ReLU at 0", "0", 0.0, 0.0, _at(0, 1, "relu")),
    Value("slope of ReLU above 0", "1", 1.0, 0.0, _at(1e-9, 1, "relu")),
)
"""The numbers of the tutorial. Where it has lost an input, one that gives the number is taken."""


def computed() -> list[tuple[str, str, float]]:
    """Return the table of exact values: rows of what it is, as the text states it, and computed."""
    return [(v.what, v.stated, float(v.compute())) for v in VALUES]


def passed_on(data: Data, activation: str, margin: float) -> dict[str, Any]:
    """Return gradient norms at and behind dead units, relative to live ones: (networks,) each.

    Half of the hidden units of an untrained network have their largest pre-activation at -margin.
    """
    from jsuper.analysis.reviving import gradient_reaching

    found = gradient_reaching(activation, HALF_DEAD, margin)
    values = (found.dead_rows / found.live_rows, found.through_dead / found.inputs)
    return dict(zip(PASSED, values, strict=True))


def apart(data: Data, twin: bool) -> dict[str, Any]:
    """Return |f(-0.5) - f(z)|: z is -0.1, or the input beyond the minimum with the same output."""
    f, low, other = function(), profile_of().separatrix, -0.1
    if twin and low is not None:
        other = brentq(lambda z: float(f(z) - f(-0.5)), -12.0, low)
    return {"difference of the outputs": abs(f(-0.5) - f(other))}


def minimum(data: Data) -> dict[str, Any]:
    """Return the lowest point, and the slopes on both sides of it."""
    f, lowest = function(), profile_of().infimum
    at = max(lowest.at, -12.0)
    sides = {"slope to the left": f(at - NEAR, 1), "slope to the right": f(at + NEAR, 1)}
    return {"place": at, "least output": max(lowest.value, -FAR), **sides}


def listed(readings: tuple[Reading, ...], form: str, place: int = 0) -> str:
    """Return the value of a part under every reading: '0.1 (label), 0.2 (label)'."""
    return ", ".join(f"{r.parts[place].value:{form}} ({r.label})" for r in readings)


def reversal() -> str:
    """Return where the slope changes its sign, and for how many inputs."""
    z, share = profile_of().separatrix or np.nan, profile_of().gate.reversed
    return (
        f"The slope is below 0 from z = {z:.3f} down, for {share:.0%} of negative N(0, 1) inputs."
    )


FINDINGS: tuple[Finding, ...] = (
    Finding("relu-clips", "Does ReLU clip negative pre-activations, and what flows back?",
        CORRECTION, POST,
        "Under ReLU negative pre-activations are clipped to zero, and so is the error signal: "
        "nothing reaches the unit's own weights or earlier layers.",
        effect=lambda _: {"output": function("relu")(NEGATIVE),
                          "slope": function("relu")(NEGATIVE, 1), **passed_on({}, "relu", 1.0)},
        rules={label: exactly(0) for label in ("output", "slope", *PASSED)}),
    Finding("gelu-does-not-clip", "Does GELU keep output and slope where ReLU clips?",
        CORRECTION, "the correction",
        "ReLU sets negative inputs to zero; GELU does not: their outputs are small negative "
        "numbers, and their gradients are not zeroed out.",
        effect=lambda _: {"ReLU outputs of 0": np.mean(function("relu")(NEGATIVE) == 0),
                          "GELU outputs of 0": np.mean(function()(NEGATIVE) == 0),
                          "GELU slopes of 0": np.mean(function()(NEGATIVE, 1) == 0)},
        rules={"ReLU outputs of 0": exactly(1), "GELU outputs of 0": exactly(0),
               "GELU slopes of 0": exactly(0)}, unit="share of inputs from -12 to 0"),
    Finding("gelu-still-flows", "Can gradient flow through GELU at negative inputs?",
        CORRECTION, "the correction",
        "GELU is smooth and differentiable, so gradient can still flow for negative inputs.",
        effect=lambda _, lost: {"share without a gradient": lost()},
        rules={"share without a gradient": exactly(0)},
        readings={"N(0, 1) inputs": {"lost": lambda: profile_of().gate.blocked},
                  "float32 from -40": {"lost": lambda: max(1 + lost_below() / 40, 0.0)}},
        mixed=LIMITED, unit="share of negative inputs",
        note=lambda _: f"In float32 the slope is 0 from z = {lost_below():.1f} down. {reversal()}"),
    Finding("gelu-blocks-earlier-layers",
        "Does an inactive GELU unit keep gradient from its weights and from earlier layers?",
        CORRECTION, POST,
        "Very nearly no gradient flows through an inactive GELU unit, neither to the weights that "
        "feed it nor to earlier layers.",
        effect=passed_on, rules={label: below(NEARLY, "exact") for label in PASSED},
        readings={f"every z below {-m:g}": {"activation": "gelu", "margin": m}
                  for m in (1, 0.25, 3)}, mixed=LIMITED, unit="relative to active units",
        note=lambda readings: "Of the error signal to earlier layers the inactive half of the "
        f"units carries {listed(readings, '.2%', 1)}."),
    Finding("gelu-is-an-expectation", "Is GELU the mean of its input times a random gate?",
        TUTORIAL, "From Stochastic to Deterministic: Taking the Expectation",
        "GELU is the expected value of the input times a Bernoulli gate that opens with chance "
        "Φ(z).", effect=lambda _: {"share kept less Φ(z)": kept(NEARBY) - ndtr(NEARBY)},
        rules={"share kept less Φ(z)": exactly(0, ROUNDING)}),
    Finding("gelu-numbers", "Are the numbers of the tutorial right?", TUTORIAL, "throughout",
        "The gate keeps 97.7 %, 2.3 % or half of an input, and GELU has the outputs and slopes "
        "that the examples state.",
        effect=lambda _: {"number not as stated": [v.differs() for v in VALUES]},
        rules={"number not as stated": exactly(0)},
        note=f"{len(VALUES)} numbers are compared, to the digits that are stated. The text has "
        "lost some inputs; for these one that gives the number is taken."),
    Finding("gate-by-percentile", "Does GELU weigh an input by its percentile?",
        TUTORIAL, "Intuitive Interpretation",
        "Inputs are scaled by their percentile, by how far above the average they are.",
        effect=lambda _, mean, sd: {"share kept less percentile": kept(2) - ndtr((2 - mean) / sd)},
        rules={"share kept less percentile": exactly(0, SEEN)},
        readings={"inputs N(0, 1)": {"mean": 0, "sd": 1}, "inputs N(0, 4)": {"mean": 0, "sd": 2},
                  "inputs N(1, 1)": {"mean": 1, "sd": 1}},
        mixed=LIMITED, note=lambda readings: "An input of 2 is kept with a chance that differs "
        f"from its percentile by {listed(readings, '.3f')}."),
    Finding("gelu-s-shaped", "Is GELU S-shaped?", TUTORIAL, "Practical Example",
        "GELU is a smooth, S-shaped activation.",
        effect=lambda _: {"growth from 10 to 1,000": function()(1000) - function()(10),
                          "share where it falls": np.mean(function()(NEGATIVE, 1) < -ROUNDING)},
        rules={"growth from 10 to 1,000": exactly(0, SEEN), "share where it falls": exactly(0)},
        note="From z = 10 to 1,000 it grows by {growth from 10 to 1,000:.0f}; an S levels off, as "
        "its gate Φ does."),
    Finding("gelu-distinguishes", "Do GELU's outputs tell negative inputs apart?",
        TUTORIAL, "2. Information Preservation Near Decision Boundaries",
        "GELU preserves fine distinctions between negative inputs such as -0.1 and -0.5.",
        effect=apart, rules={"difference of the outputs": above(SEEN, "exact")},
        readings={"-0.1 and -0.5": {"twin": False}, "-0.5 and its twin": {"twin": True}},
        mixed=LIMITED, note="The outputs at -0.1 and -0.5 are {difference of the outputs:.3f} "
        "apart. Beyond the minimum each has a twin, an input with the same output."),
    Finding("gelu-filters", "Does less pass GELU the more negative an input is?",
        TUTORIAL, "3. Selective Noise Filtering",
        "The attenuation is progressive: weak negative signals are preserved, large ones "
        "suppressed.", rules={"share of steps at which less passes": exactly(1)},
        effect=lambda _, passed: {
            "share of steps at which less passes": np.mean(np.diff(passed(NEGATIVE)) > 0)},
        readings={"as a share of the input": {"passed": kept},
                  "in size": {"passed": lambda z: np.abs(function()(z))}},
        mixed=LIMITED, note=lambda _: f"In size most passes at z = {profile_of().infimum.at:.2f}: "
        f"{profile_of().infimum.value:.2f}."),
    Finding("gelu-slope-zero-to-one", "Does GELU's derivative vary from 0 to 1?",
        TUTORIAL, "4. Smooth Optimization Landscape",
        "GELU's derivative varies smoothly from 0 to 1.",
        effect=lambda _: {"least slope": profile_of().smallest_slope.value,
                          "largest slope": profile_of().largest_slope.value},
        rules={"least slope": above(-SEEN, "exact"), "largest slope": below(1 + SEEN, "exact")},
        note="It is smooth and ranges from {least slope:.3f} to {largest slope:.3f}."),
    Finding("gelu-near-zero",
        "Near 0, is GELU's derivative about 0.5, with a consistent flow of gradient?",
        TUTORIAL, "4. Smooth Optimization Landscape",
        "Near x = 0 GELU's derivative is about 0.5, which gives consistent gradient flow instead "
        "of ReLU's jump.",
        effect=lambda _: {"slope up to 0.1 from 0": function()(np.linspace(-NEAR, NEAR, 201), 1),
                          "jump at 0": function()(1e-9, 1) - function()(-1e-9, 1)},
        rules={"slope up to 0.1 from 0": exactly(0.5, NEAR), "jump at 0": exactly(0, 1e-6)},
        note=lambda _: f"This is said of inputs near 0. {reversal()}"),
    Finding("gelu-minimum", "Has GELU a local minimum, and are its negative outputs bounded?",
        TUTORIAL, "7. Mathematical Properties",
        "GELU is not monotone: it has a local minimum at a negative input, and its negative "
        "outputs are bounded.",
        effect=minimum, rules={"place": below(0, "exact"), "least output": above(-1, "exact"),
            "slope to the left": below(0, "exact"), "slope to the right": above(0, "exact")},
        note="The least output is {least output:.3f}, at {place:.3f}. The text lost the place."),
    Finding("elu-unbounded", "Can ELU output arbitrarily negative values?",
        TUTORIAL, "7. Mathematical Properties",
        "ELU, unlike GELU, can output arbitrarily negative values.",
        effect=lambda _: {"least output": max(profile_of("elu").infimum.value, -FAR)},
        rules={"least output": below(-1e6, "exact")}, note="ELU's infimum is {least output:g}."),
    Finding("mild-from-extreme", "Do GELU's outputs tell mild from extreme dislike?",
        TUTORIAL, "Practical Example: Sentiment Analysis",
        "A network can tell mild disappointment from extreme anger in ways that ReLU cannot.",
        effect=lambda _, of: {"difference": of(*function()(np.array([MILD, EXTREME])))},
        rules={"difference": above(SEEN, "exact")},
        readings={"apart": {"of": lambda mild, extreme: abs(extreme - mild)},
                  "in order": {"of": lambda mild, extreme: abs(extreme) - abs(mild)}},
        mixed="misleading", note=lambda _: f"Mild dislike, {MILD:g}, has the output "
        f"{_at(MILD)():.3f}, and extreme dislike, {EXTREME:g}, {_at(EXTREME)():.3f}."),
    Finding("gelu-elsewhere", "Does GELU explain language models, or neurons of the brain?",
        TUTORIAL, "5. Biological Plausibility, 6. Impact on Feature Learning, The Trade-off",
        "GELU is effective, as its adoption by BERT and GPT shows; it helps units that detect "
        "sentiment, early layers to learn slight absence and deep ones to represent 'not quite', "
        "and resembles biological neurons.",
        untestable="Toy models have one hidden layer and features without meaning. Transformers "
        "trained with each activation at equal cost, and recordings of neurons, would be needed."),
)  # fmt: skip
