"""What is computed of GELU: verdicts, and functions for which the opposite is true."""

import dataclasses

import numpy as np
import pytest
from scipy.special import ndtr

from jsuper.analysis.gating import profile
from jsuper.analysis.scalar import derivatives
from jsuper.findings import gelu, judge

BY_NAME = {f.name: f for f in gelu.FINDINGS}
LIMITED, NO, YES = "right within limits", "contradicted", "supported"
# finding -> verdict; a function that takes the place of another, and the verdict with it
CASES = {
    "relu-clips": (YES, "relu", "elu", NO),
    "gelu-does-not-clip": (YES, "gelu", "relu", NO),
    "gelu-still-flows": (LIMITED, "gelu", "relu", NO),
    "gelu-is-an-expectation": (YES, "gelu", "silu", NO),
    "gelu-numbers": (YES, "gelu", "silu", NO),
    "gate-by-percentile": (LIMITED, "gelu", "silu", NO),
    "gelu-s-shaped": (NO, "gelu", "sigmoid", YES),
    "gelu-distinguishes": (LIMITED, "gelu", "relu", NO),
    "gelu-filters": (LIMITED, "gelu", "relu", NO),
    "gelu-slope-zero-to-one": (NO, "gelu", "sigmoid", YES),
    "gelu-near-zero": (YES, "gelu", "relu", NO),
    "gelu-minimum": (YES, "gelu", "leaky_relu", NO),
    "elu-unbounded": (NO, "elu", "identity", YES),
    "mild-from-extreme": ("misleading", "gelu", "leaky_relu", YES),
}


def verdict(finding):
    return judge([finding], {})[0].verdict


@pytest.fixture
def replaced(monkeypatch):
    """A function that puts one activation in the place of another."""

    def put(old, new):
        other = {old: new}
        for name, of in (("function", derivatives), ("profile_of", profile)):
            monkeypatch.setattr(gelu, name, lambda n="gelu", of=of: of(other.get(n, n)))
        monkeypatch.setattr(gelu, "lost_below", lambda: 0.0 if new == "relu" else -13.1)

    return put


@pytest.mark.parametrize("name", CASES)
def test_verdicts_and_their_opposites(name, replaced):
    expected, old, new, opposite = CASES[name]
    assert verdict(BY_NAME[name]) == expected
    replaced(old, new)
    assert verdict(BY_NAME[name]) == opposite


def test_every_finding_is_exact_or_says_why_not():
    assert set(BY_NAME) == {*CASES, "gelu-blocks-earlier-layers", "gelu-elsewhere"}
    assert judge([BY_NAME["gelu-elsewhere"]], {})[0].verdict == "not testable here"
    assert {r.kind for one in gelu.FINDINGS for r in one.rules.values()} == {"exact"}


@pytest.mark.parametrize(("activation", "expected"), [("relu", YES), ("identity", NO)])
def test_what_dead_units_pass_on_depends_on_their_slope(activation, expected):
    one = BY_NAME["gelu-blocks-earlier-layers"]
    assert verdict(one) == LIMITED
    readings = {k: {**v, "activation": activation} for k, v in one.readings.items()}
    assert verdict(dataclasses.replace(one, readings=readings)) == expected


def test_the_table_holds_what_scipy_computes():
    z = {"GELU(-0.1)": -0.1, "GELU(-0.5)": -0.5, "GELU(-3) (input lost)": -3}
    table = {what: (stated, value) for what, stated, value in gelu.computed()}
    for what, at in z.items():
        assert table[what][1] == pytest.approx(at * ndtr(at), abs=1e-12)
        assert round(table[what][1], 3) == float(table[what][0])
    assert table["share kept at -2 (input lost)"][1] == pytest.approx(ndtr(-2))


def test_twins_have_one_output_and_notes_the_known_numbers():
    close, twin = (gelu.apart({}, t)["difference of the outputs"] for t in (False, True))
    assert close == pytest.approx(0.108, abs=5e-4) and twin < 1e-12
    least = min((z * ndtr(z), z) for z in np.linspace(-1, 0, 100_001))
    found = gelu.minimum({})
    assert (found["least output"], found["place"]) == pytest.approx(least, abs=1e-5)
    share = ndtr(least[1]) / 0.5
    assert f"z = {least[1]:.3f} down, for {share:.0%}" in gelu.reversal()
    notes = {j.finding.name: j.note for j in judge(gelu.FINDINGS, {})}
    assert "-13.1" in notes["gelu-still-flows"] and "-0.752" in notes["gelu-near-zero"]
