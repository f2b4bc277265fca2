"""Two texts on GELU, as far as they can be computed: what it clips, gates, and passes back.

Nothing is trained here. GELU is f(z) = z Φ(z), with Φ the distribution function of N(0, 1).
`computed` gives the table of the numbers that the tutorial states.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from jsuper.findings.finding import Data, Finding
from jsuper.findings.notes import numbers
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
    lowest = profile_of().infimum
    lost = [("GELU's least output", lowest.value), ("its place", lowest.at)]
    stated = [(v.what, v.stated, float(v.compute())) for v in VALUES]
    return stated + [(what, "negative (number lost)", float(value)) for what, value in lost]


def passed_on(data: Data, activation: str, margin: float) -> dict[str, Any]:
    """Return gradient norms at and behind dead units, relative to live ones: (networks,) each.

    Half of the hidden units of an untrained network have their largest pre-activation at -margin.
    """
    from jsuper.analysis.reviving import gradient_reaching

    found = gradient_reaching(activation, HALF_DEAD, margin)
    values = (found.dead_rows / found.live_rows, found.through_dead / found.inputs)
    return dict(zip(PASSED, values, strict=True))


def reversal() -> str:
    """Return where the slope changes its sign, and for how many inputs."""
    z, share = profile_of().separatrix or np.nan, profile_of().gate.reversed
    return (
        f"The slope is below 0 from z = {z:.3f} down, for {share:.0%} of negative N(0, 1) inputs."
    )


FINDINGS: tuple[Finding, ...] = (
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
        readings={"standard normal inputs": {"lost": lambda: profile_of().gate.blocked},
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
        note=numbers("Of the error signal to earlier layers the inactive half of the units carries",
                     ".2%", PASSED[1])),
    Finding("gelu-numbers", "Are the numbers of the tutorial right?", TUTORIAL, "throughout",
        "The gate keeps 97.7 %, 2.3 % or half of an input, and GELU has the outputs and slopes "
        "that the examples state.",
        effect=lambda _: {"number not as stated": [v.differs() for v in VALUES]},
        rules={"number not as stated": exactly(0)},
        note=f"{len(VALUES)} numbers are compared, to the digits that are stated. The text has "
        "lost some inputs; for these one that gives the number is taken. It has lost two numbers "
        "too, which the table has and this verdict has not."),
    Finding("gate-by-percentile", "Does GELU weigh an input by its percentile?",
        TUTORIAL, "Intuitive Interpretation",
        "Inputs are scaled by their percentile, by how far above the average they are.",
        effect=lambda _, mean, sd: {"share kept less percentile": kept(2) - ndtr((2 - mean) / sd)},
        rules={"share kept less percentile": exactly(0, SEEN)},
        readings={"inputs N(0, 1)": {"mean": 0, "sd": 1}, "inputs N(0, 4)": {"mean": 0, "sd": 2},
                  "inputs N(1, 1)": {"mean": 1, "sd": 1}},
        mixed=LIMITED,
        note=numbers("The chance to keep an input of 2, less its percentile", ".3f")),
    Finding("gelu-s-shaped", "Is GELU S-shaped?", TUTORIAL, "Practical Example",
        "GELU is a smooth, S-shaped activation.",
        effect=lambda _: {"growth from 10 to 1,000": function()(1000) - function()(10),
                          "share where it falls": np.mean(function()(NEGATIVE, 1) < -ROUNDING)},
        rules={"growth from 10 to 1,000": exactly(0, SEEN), "share where it falls": exactly(0)},
        note="From z = 10 to 1,000 it grows by {growth from 10 to 1,000:.0f}; an S levels off, as "
        "its gate Φ does."),
    Finding("gelu-slope-zero-to-one", "Does GELU's derivative vary from 0 to 1?",
        TUTORIAL, "4. Smooth Optimization Landscape",
        "GELU's derivative varies smoothly from 0 to 1.",
        effect=lambda _: {"least slope": profile_of().smallest_slope.value,
                          "largest slope": profile_of().largest_slope.value},
        rules={"least slope": above(-SEEN, "exact"), "largest slope": below(1 + SEEN, "exact")},
        note="It is smooth and ranges from {least slope:.3f} to {largest slope:.3f}."),
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
)  # fmt: skip
