"""Statements of two texts on GELU, ReLU and ELU as functions of a number, all exact."""

from __future__ import annotations

import functools
from typing import NamedTuple

from jsuper.analysis.scalar import Activation
from jsuper.analysis.statements import Statement, statements
from jsuper.claims.claim import Claim
from jsuper.claims.rules import Exactly

AGREES = "right, within the limits that the note names (1), or wrong (0)"
HOLDS = ("right", "right, with a limit")  # of a statement's verdicts; the others contradict it


class Row(NamedTuple):
    """A claim that `jsuper.analysis.statements` decides, found there by its sentence."""

    name: str
    source: str
    sentence: str
    note: str  # the numbers, and how far it holds


ROWS = (
    # ---- whether GELU clips ----
    Row("relu-clips", "000",
        "ReLU sets every negative pre-activation, and the error signal there, to zero.",
        "Output and slope are 0 at every input below 0."),
    Row("relu-blocks", "000",
        "An inactive ReLU unit passes no gradient, to its own weights or to earlier layers.",
        "Both gradients are exactly 0."),
    Row("gelu-clips", "000",
        "GELU sets negative pre-activations to zero.",
        "GELU(-1) = -.159, GELU(-3) = -.004; no input below 0 gives 0."),
    Row("gelu-nearly-clips", "000",
        "GELU very nearly sets negative pre-activations, and the error signal there, to zero.",
        "Only for z <= -3, where output and slope are below .012 in size: .3 % of the negative "
        "N(0, 1) inputs. Over all of these the slope's mean size is .169."),
    Row("correction-of-clipping", "000",
        "ReLU clips negative inputs; GELU does not: they keep some output and slope.",
        "All negative inputs give 0 with ReLU, none with GELU."),
    Row("gelu-still-flows", "000",
        "GELU is smooth, so gradient can still flow for negative inputs.",
        "45 % of negative N(0, 1) inputs have a slope below 0, which leads further down. In "
        "float32 the slope is 0 below z = -13.1, in the tanh form below -4.9."),
    # ---- the gate ----
    Row("gelu-is-an-expectation", "001",
        "GELU is the mean of the input times a Bernoulli gate that is open with chance Φ(z).",
        "The same to 2e-15."),
    Row("gate-at-two", "001",
        "A large input is kept 97.7 % of the time, a very negative one 2.3 %.",
        "The text has lost the inputs; it holds at 2 and -2."),
    Row("gate-at-zero", "001",
        "At 0 the gate is open half of the time, with a smooth change around it.",
        "Φ(0) = .5."),
    Row("gate-by-percentile", "001",
        "The gate weighs an input by its percentile, by how far above the average it is.",
        "Only if inputs are N(0, 1): 2 is kept with chance .977, but is at the 84th percentile of "
        "N(0, 2²) and of N(1, 1)."),
    Row("zero-like-relu", "001",
        "At 0 GELU is exactly zero, like ReLU.",
        "So is the output, but not the slope: .5, against ReLU's 0 and 1."),
    Row("gelu-s-shaped", "001",
        "GELU is S-shaped.",
        "It has no upper bound and a minimum of -.17; Φ is the S. The text says elsewhere that it "
        "is not monotone."),
    Row("gelu-goes-negative", "001",
        "GELU can output negative values, unlike ReLU.",
        "Down to -.17."),
    # ---- what negative inputs keep ----
    Row("relu-dies", "001",
        "A ReLU unit that is stuck below 0 can never recover by its own gradient.",
        "Descent does not move it at all. In a model with tied weights, other outputs can."),
    Row("gelu-slope-remains", "001",
        "At -0.1 and -0.5 GELU still has a slope.",
        ".42 and .133."),
    Row("gelu-recovers", "001",
        "GELU units with negative inputs can still learn and adjust.",
        "Only above z = -.752: from -.1 and -.5 descent reaches an output of .5, from -1 and -3 it "
        "leads away."),
    Row("gelu-two-values", "001",
        "GELU turns -0.1 into about -0.046 and -0.5 into about -0.154.",
        "-.0460 and -.1543."),
    Row("gelu-distinguishes", "001",
        "Negative inputs such as -0.1 and -0.5 stay distinguishable.",
        "Those two do, but -.5 has the output of -1.05: GELU is not injective below 0."),
    Row("thirty-percent-passes", "001",
        "Of a slightly negative input, -0.1 or -0.5, about 30 % passes.",
        "31 % at -.5, but 46 % at -.1."),
    Row("two-percent-passes", "001",
        "Of a moderately negative input, about -2, 2 % passes.",
        "2.28 % at -2."),
    Row("nothing-passes", "001",
        "Of a very negative input essentially nothing passes.",
        "For z <= -4 the output is at most .00013 in size."),
    Row("less-and-less-passes", "001",
        "The more negative an input, the less of it passes: weak ones near 0 are kept.",
        "The share that is kept falls; the size of what passes grows from 0 down to z = -.752."),
    # ---- slopes and shape ----
    Row("slope-zero-to-one", "001",
        "GELU's derivative varies smoothly from 0 to 1.",
        "It is smooth, but from -.129 at -√2 to 1.129 at √2."),
    Row("slope-continuous", "001",
        "Near 0 GELU's derivative is about 0.5 and continuous; ReLU's jumps.",
        ".5 at 0; ReLU's goes from 0 to 1."),
    Row("consistent-flow", "001",
        "GELU gives consistent gradient flow where ReLU's stops.",
        "It flows, but changes its sign at z = -.752: 45 % of negative N(0, 1) inputs have a slope "
        "below 0."),
    Row("gelu-not-monotone", "001",
        "GELU is not monotone: it has a local minimum at a negative input.",
        "-.17 at z = -.752, its only minimum."),
    Row("gelu-bounded-below", "001",
        "GELU's negative outputs are bounded.",
        "By -.17."),
    Row("elu-unbounded", "001",
        "ELU can output arbitrarily negative values.",
        "It stays above -1, or -α."),
    # ---- the example of sentiments ----
    Row("reading-1.95", "001",
        "A strong positive input gives about 1.95.",
        "The text has lost the input; 2 gives it, as the only tenth."),
    Row("reading-0.11", "001",
        "A slightly negative input gives about -0.11.",
        "Both -.3 and -1.4 do."),
    Row("reading-0.004", "001",
        "A strongly negative input gives about -0.004.",
        "-3 does."),
    Row("mild-from-extreme", "001",
        "GELU tells mild disappointment (-0.3) from extreme anger (-3), as ReLU cannot.",
        "The outputs differ, but -.115 is mild and -.004 extreme: the stronger the input, the "
        "weaker the output."),
)  # fmt: skip


@functools.cache
def found(activation: Activation) -> dict[str, Statement]:
    """Sentence -> statement; computed once, which takes seconds."""
    return {s.sentence: s for s in statements(activation)}


def exact(row: Row, activation: Activation) -> Claim:
    """Return the claim of one row, GELU's sentences asked of an activation."""
    return Claim(
        name=row.name,
        source=row.source,
        sentence=row.sentence,
        statistic=lambda _: {AGREES: float(found(activation)[row.sentence].verdict in HOLDS)},
        rules={AGREES: Exactly(1)},
        note=row.note,
    )


def exact_claims(activation: Activation = "gelu") -> tuple[Claim, ...]:
    """Every claim that is computed; another activation shows which sentences it would break."""
    return tuple(exact(row, activation) for row in ROWS)


CLAIMS = (
    *exact_claims(),
    Claim(
        name="reads-sentiment",
        source="001",
        sentence="A unit that detects sentiment can tell mild from extreme dislike with GELU.",
        untestable="It needs a language model with such a unit; only the numbers of the example "
        "can be checked, which is done above.",
    ),
    Claim(
        name="why-adopted",
        source="001",
        sentence="GELU's selective negative outputs make it effective, as BERT and GPT show.",
        untestable="Toy models do not show why transformers use it: that needs transformers "
        "trained with each activation, at equal cost.",
    ),
    Claim(
        name="layers-learn-weak-opposition",
        source="001",
        sentence="Early layers can learn slight absence, and deep layers represent 'not quite'.",
        untestable="The models have one hidden layer and features without meaning; deep networks "
        "on labelled data would be needed.",
    ),
    Claim(
        name="like-neurons",
        source="001",
        sentence="GELU is nearer to biological neurons, whose responses are graded.",
        untestable="It is about neurons: recordings of them would decide it, and no trained model.",
    ),
)
