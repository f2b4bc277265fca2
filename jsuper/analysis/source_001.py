"""Statements of a tutorial on GELU: its numbers, and what it concludes from them.

Where the source has lost a number, the inputs are found that give the output which it names.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from jsuper.analysis.gating import profile
from jsuper.analysis.judging import Statement, Subject, find_root, negative_inputs, verdict
from jsuper.analysis.reviving import descend
from jsuper.analysis.scalar import core_points, derivatives

# ---- the gate ----


def _expectation(on: Subject) -> Statement:
    z = core_points()
    computed = {"largest |f(z) - z Φ(z)|": float(np.abs(on.f(z) - z * ndtr(z)).max())}
    text = "GELU is the mean of the input times a Bernoulli gate that is open with chance Φ(z)."
    return Statement("001", text, computed, verdict(max(computed.values()) < 1e-12))


def _open_at_two(on: Subject) -> Statement:
    computed = {"share kept at 2": on.kept(2), "share kept at -2": on.kept(-2)}
    text = "A large input is kept 97.7 % of the time, a very negative one 2.3 %."
    shares = [round(100 * share, 1) for share in computed.values()]
    return Statement("001", text, computed, verdict(shares == [97.7, 2.3]))


def _even_odds(on: Subject) -> Statement:
    computed = {"share kept at 1e-6": on.kept(1e-6), "share kept at -1e-6": on.kept(-1e-6)}
    text = "At 0 the gate is open half of the time, with a smooth change around it."
    even = all(abs(share - 0.5) < 1e-3 for share in computed.values())
    return Statement("001", text, computed, verdict(even))


def _percentile(on: Subject) -> Statement:
    computed = {
        "share kept at 2": on.kept(2),
        "share of N(0, 1) below 2": float(ndtr(2.0)),
        "share of N(0, 2²) below 2": float(ndtr(1.0)),
        "share of N(1, 1) below 2": float(ndtr(1.0)),
    }
    kept, standard, wide, shifted = computed.values()
    text = "The gate weighs an input by its percentile, by how far above the average it is."
    right, limit = abs(kept - standard) < 1e-9, max(kept - wide, kept - shifted) > 0.01
    return Statement("001", text, computed, verdict(right, limit))


def _zero_like_relu(on: Subject) -> Statement:
    below, above = derivatives("relu")(np.array([-1e-9, 1e-9]), 1)
    computed = {
        "f(0)": on(0),
        "f'(0)": on.slope(0),
        "ReLU's f' below 0": float(below),
        "ReLU's f' above 0": float(above),
    }
    text = "At 0 GELU is exactly zero, like ReLU."
    limit = min(abs(on.slope(0) - below), abs(on.slope(0) - above)) > 0.01
    return Statement("001", text, computed, verdict(on(0) == 0, limit))


def _s_shaped(on: Subject) -> Statement:
    p = on.profile
    computed = {
        "infimum": p.infimum.value,
        "supremum": p.supremum.value,
        "monotone": float(p.monotone),
    }
    text = "GELU is S-shaped."
    bounded = np.isfinite([p.infimum.value, p.supremum.value]).all()
    return Statement("001", text, computed, verdict(bounded and p.monotone))


def _negative_outputs(on: Subject) -> Statement:
    from_relu = float(derivatives("relu")(negative_inputs()).min())
    computed = {"infimum": on.profile.infimum.value, "ReLU's smallest output": from_relu}
    text = "GELU can output negative values, unlike ReLU."
    return Statement("001", text, computed, verdict(on.profile.infimum.value < 0 == from_relu))


# ---- what negative inputs keep ----


def _slopes_remain(on: Subject) -> Statement:
    computed = {"f'(-0.1)": on.slope(-0.1), "f'(-0.5)": on.slope(-0.5)}
    text = "At -0.1 and -0.5 GELU still has a slope."
    return Statement("001", text, computed, verdict(min(computed.values()) > 0.01))


def _dying(on: Subject) -> Statement:
    start = np.array([-0.01, -1.0, -3.0])
    moved = np.abs(descend("relu", start) - start).max()
    computed = {"largest change of ReLU's z by descent": float(moved)}
    text = "A ReLU unit that is stuck below 0 can never recover by its own gradient."
    return Statement("001", text, computed, verdict(moved == 0))


def _recovers(on: Subject) -> Statement:
    start = (-0.1, -0.5, -1.0, -3.0)
    last = on.f(descend(on.activation, np.array(start)))
    computed = {
        f"output after descent from {z:g} to 0.5": float(v)
        for z, v in zip(start, last, strict=True)
    }
    computed["z below which descent leads away"] = on.profile.separatrix or math.nan
    back = np.abs(last - 0.5) < 0.01
    text = "GELU units with negative inputs can still learn and adjust."
    return Statement("001", text, computed, verdict(back.any(), not back.all()))


def _two_values(on: Subject) -> Statement:
    computed = {"f(-0.1)": on(-0.1), "f(-0.5)": on(-0.5)}
    text = "GELU turns -0.1 into about -0.046 and -0.5 into about -0.154."
    rounded = [round(v, 3) for v in computed.values()]
    return Statement("001", text, computed, verdict(rounded == [-0.046, -0.154]))


def _distinguishable(on: Subject) -> Statement:
    lowest = on.profile.separatrix
    twin = math.nan if lowest is None else find_root(lambda z: on(z) - on(-0.5), -12.0, lowest)
    computed = {"f(-0.1)": on(-0.1), "f(-0.5)": on(-0.5), "another z with f(z) = f(-0.5)": twin}
    text = "Negative inputs such as -0.1 and -0.5 stay distinguishable."
    right = verdict(on(-0.1) != on(-0.5), not on.profile.injective)
    return Statement("001", text, computed, right)


def _thirty_percent(on: Subject) -> Statement:
    computed = {
        "share kept at -0.1": on.kept(-0.1),
        "share kept at -0.5": on.kept(-0.5),
        "z where 30 % is kept": find_root(lambda z: on.kept(z) - 0.3, -12.0, -1e-6),
    }
    near = [abs(on.kept(z) - 0.3) < 0.05 for z in (-0.1, -0.5)]
    text = "Of a slightly negative input, -0.1 or -0.5, about 30 % passes."
    return Statement("001", text, computed, verdict(any(near), not all(near)))


def _two_percent(on: Subject) -> Statement:
    computed = {
        "share kept at -2": on.kept(-2),
        "z where 2 % is kept": find_root(lambda z: on.kept(z) - 0.02, -12.0, -1e-6),
    }
    text = "Of a moderately negative input, about -2, 2 % passes."
    return Statement("001", text, computed, verdict(round(on.kept(-2), 2) == 0.02))


def _very_negative(on: Subject) -> Statement:
    far = np.linspace(-12, -4, 1000)
    computed = {"largest |f| for z <= -4": float(np.abs(on.f(far)).max())}
    text = "Of a very negative input essentially nothing passes."
    return Statement("001", text, computed, verdict(max(computed.values()) < 1e-3))


def _less_and_less(on: Subject) -> Statement:
    z = negative_inputs()
    kept, lowest = on.f(z) / z, on.profile.infimum
    computed = {
        "share kept never falls as z rises": float((np.diff(kept) >= 0).all()),
        "z of the least f": lowest.at,
    }
    text = "The more negative an input, the less of it passes: weak ones near 0 are kept."
    limit = lowest.at < 0  # from 0 down to there, what passes grows in size
    falls = computed["share kept never falls as z rises"] == 1 and kept[-1] > 0
    return Statement("001", text, computed, verdict(falls, limit))


# ---- slopes and shape ----


def _zero_to_one(on: Subject) -> Statement:
    p = on.profile
    computed = {"smallest f'": p.smallest_slope.value, "largest f'": p.largest_slope.value}
    computed |= {"z of the smallest": p.smallest_slope.at, "z of the largest": p.largest_slope.at}
    text = "GELU's derivative varies smoothly from 0 to 1."
    within = p.smallest_slope.value >= 0 and p.largest_slope.value <= 1
    return Statement("001", text, computed, verdict(within and p.continuous_derivatives >= 1))


def _continuous(on: Subject) -> Statement:
    relu = derivatives("relu")(np.array([-1e-9, 1e-9]), 1)
    computed = {
        "f'(0)": on.slope(0),
        "change of f' over ±1e-9": on.slope(1e-9) - on.slope(-1e-9),
        "change of ReLU's f' over ±1e-9": float(relu[1] - relu[0]),
    }
    text = "Near 0 GELU's derivative is about 0.5 and continuous; ReLU's jumps."
    smooth = on.profile.continuous_derivatives >= 1 and abs(on.slope(0) - 0.5) < 0.05
    return Statement("001", text, computed, verdict(smooth and relu[1] - relu[0] == 1))


def _consistent(on: Subject) -> Statement:
    gate = on.profile.gate
    computed = {
        "z where f' changes its sign": on.profile.separatrix or math.nan,
        "share of negative N(0, 1) inputs with f' < 0": float(gate.reversed),
        "mean f' of negative N(0, 1) inputs": float(gate.mean_slope),
    }
    text = "GELU gives consistent gradient flow where ReLU's stops."
    judged = "misleading" if gate.reversed > 0 else verdict(gate.mean_slope > 0.01)
    return Statement("001", text, computed, judged)


def _not_monotone(on: Subject) -> Statement:
    computed = {"z of the minimum": on.profile.infimum.at, "minimum": on.profile.infimum.value}
    text = "GELU is not monotone: it has a local minimum at a negative input."
    found = not on.profile.monotone and on.profile.separatrix is not None
    return Statement("001", text, computed, verdict(found))


def _bounded(on: Subject) -> Statement:
    computed = {"infimum": on.profile.infimum.value}
    text = "GELU's negative outputs are bounded."
    return Statement("001", text, computed, verdict(math.isfinite(on.profile.infimum.value)))


def _elu_unbounded(on: Subject) -> Statement:
    elu = derivatives("elu")
    least = profile("elu").infimum.value
    computed = {"ELU's infimum": least, "ELU at -1000": float(elu(-1000.0))}
    text = "ELU can output arbitrarily negative values."
    return Statement("001", text, computed, verdict(least == -math.inf))


# ---- the example of sentiments ----


def _reading(text: str, output: float, digits: int):
    """Return the statement that a lost input gives an output, and the tenths that do."""

    def make(on: Subject) -> Statement:
        tenths = np.arange(-60, 61) / 10
        inputs = tenths[np.round(on.f(tenths), digits) == output]
        computed = {f"f({z:g})": on(z) for z in inputs}
        right = verdict(inputs.size, inputs.size > 1)
        return Statement("001", text, computed, right)

    return make


def _order(on: Subject) -> Statement:
    mild, strong = on(-0.3), on(-3)
    computed = {"f(-0.3), mild": mild, "f(-3), strong": strong}
    text = "GELU tells mild disappointment (-0.3) from extreme anger (-3), as ReLU cannot."
    judged = verdict(mild != strong)
    if judged == "right" and abs(strong) < abs(mild):
        judged = "misleading"  # told apart, but the stronger input has the weaker output
    return Statement("001", text, computed, judged)


ROWS = (
    _expectation,
    _open_at_two,
    _even_odds,
    _percentile,
    _zero_like_relu,
    _s_shaped,
    _negative_outputs,
    _dying,
    _slopes_remain,
    _recovers,
    _two_values,
    _distinguishable,
    _thirty_percent,
    _two_percent,
    _very_negative,
    _less_and_less,
    _zero_to_one,
    _continuous,
    _consistent,
    _not_monotone,
    _bounded,
    _elu_unbounded,
    _reading("A strong positive input gives about 1.95.", 1.95, 2),
    _reading("A slightly negative input gives about -0.11.", -0.11, 2),
    _reading("A strongly negative input gives about -0.004.", -0.004, 3),
    _order,
)
