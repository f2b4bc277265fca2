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
    "gelu-does-not-clip": (YES, "gelu", "relu", NO),
    "gelu-still-flows": (LIMITED, "gelu", "relu", NO),
    "gelu-numbers": (YES, "gelu", "silu", NO),
    "gate-by-percentile": (LIMITED, "gelu", "silu", NO),
    "gelu-s-shaped": (NO, "gelu", "sigmoid", YES),
    "gelu-slope-zero-to-one": (NO, "gelu", "sigmoid", YES),
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


def test_every_finding_is_exact():
    assert set(BY_NAME) == {*CASES, "gelu-blocks-earlier-layers"}
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


def test_the_minimum_and_the_notes_have_the_known_numbers():
    least = min((z * ndtr(z), z) for z in np.linspace(-1, 0, 100_001))
    assert [value for *_, value in gelu.computed()[-2:]] == pytest.approx(least, abs=1e-5)
    share = ndtr(least[1]) / 0.5
    assert f"z = {least[1]:.3f} down, for {share:.0%}" in gelu.reversal()
    (found,) = judge([BY_NAME["gelu-still-flows"]], {})
    assert "-13.1" in found.note and "-0.752" in found.note
