"""The sources' statements on GELU, ReLU and ELU: numbers against SciPy, verdicts that can flip."""

import math

import pytest
from scipy.optimize import brentq
from scipy.special import erfc

from jsuper.analysis.statements import statements

VERDICTS = {"right", "right, with a limit", "misleading", "wrong"}
# a part of the sentence -> the verdict on GELU
EXPECTED = {
    "ReLU sets every negative": "right",
    "An inactive ReLU unit passes no gradient": "right",
    "GELU sets negative pre-activations to zero": "wrong",
    "GELU very nearly": "right, with a limit",
    "GELU does not: they keep": "right",
    "gradient can still flow": "right, with a limit",
    "mean of the input times a Bernoulli gate": "right",
    "97.7 %": "right",
    "half of the time": "right",
    "percentile": "right, with a limit",
    "exactly zero, like ReLU": "right, with a limit",
    "S-shaped": "wrong",
    "unlike ReLU": "right",
    "can never recover": "right",
    "still has a slope": "right",
    "still learn": "right, with a limit",
    "about -0.154": "right",
    "stay distinguishable": "right, with a limit",
    "about 30 %": "right, with a limit",
    "2 % passes": "right",
    "essentially nothing": "right",
    "The more negative": "right, with a limit",
    "from 0 to 1": "wrong",
    "about 0.5 and continuous": "right",
    "consistent gradient flow": "misleading",
    "local minimum": "right",
    "outputs are bounded": "right",
    "ELU can output arbitrarily": "wrong",
    "about 1.95": "right",
    "about -0.11": "right, with a limit",
    "about -0.004": "right",
    "extreme anger": "misleading",
}


def gelu(z):
    return z * erfc(-z / math.sqrt(2)) / 2


@pytest.fixture(scope="module")
def of_gelu():
    return statements()


def about(found, part):
    (one,) = [s for s in found if part in s.sentence]
    return one


def test_every_statement_is_there_once_and_has_numbers(of_gelu):
    assert len(of_gelu) == len(EXPECTED)
    assert [s.source for s in of_gelu] == ["000"] * 6 + ["001"] * 26
    for s in of_gelu:
        assert s.verdict in VERDICTS and s.computed and s.sentence.endswith(".")
        assert all(type(v) is float for v in s.computed.values()), s


@pytest.mark.parametrize("part", EXPECTED)
def test_the_verdict(of_gelu, part):
    assert about(of_gelu, part).verdict == EXPECTED[part]


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("-0.154", "f(-0.1)", gelu(-0.1)),
        ("-0.154", "f(-0.5)", gelu(-0.5)),
        ("97.7 %", "share kept at 2", erfc(-2 / math.sqrt(2)) / 2),
        ("97.7 %", "share kept at -2", erfc(2 / math.sqrt(2)) / 2),
        ("30 %", "share kept at -0.1", 0.460172),
        ("30 %", "z where 30 % is kept", -0.524401),
        ("distinguishable", "another z with f(z) = f(-0.5)", None),
        ("about 1.95", "f(2)", gelu(2.0)),
        ("about -0.11", "f(-0.3)", gelu(-0.3)),
        ("about -0.11", "f(-1.4)", gelu(-1.4)),
        ("about -0.004", "f(-3)", gelu(-3.0)),
        ("very nearly", "largest |f| for z <= -3", -gelu(-3.0)),
        ("very nearly", "largest |f'| for z <= -3", 0.0119456),
        ("very nearly", "mean |f'| of negative N(0, 1) inputs", 0.169493),
        ("from 0 to 1", "smallest f'", -0.1289041),
        ("from 0 to 1", "largest f'", 1.1289041),
        ("consistent", "share of negative N(0, 1) inputs with f' < 0", 0.452176),
        ("local minimum", "z of the minimum", -0.7517915),
        ("local minimum", "minimum", -0.1699712),
        ("ELU can output arb", "ELU's infimum", -1.0),
    ],
)
def test_the_numbers_are_those_of_erfc(of_gelu, part, key, value):
    if value is None:
        value = brentq(lambda z: gelu(z) - gelu(-0.5), -3, -0.76)
    assert about(of_gelu, part).computed[key] == pytest.approx(value, abs=1e-6)


def test_readings_of_a_lost_input_are_all_that_round_to_it(of_gelu):
    tenths = [i / 10 for i in range(-60, 61)]
    for part, output, digits in [("1.95", 1.95, 2), ("-0.11", -0.11, 2), ("-0.004", -0.004, 3)]:
        inputs = {f"f({z:g})" for z in tenths if round(gelu(z), digits) == output}
        assert set(about(of_gelu, f"about {part}").computed) == inputs


def test_another_activation_in_its_place_flips_the_verdicts():
    relu = statements("relu")
    flipped = {
        "GELU sets negative pre-activations to zero": "right",
        "GELU very nearly": "right",
        "GELU does not: they keep": "wrong",
        "gradient can still flow": "wrong",
        "exactly zero, like ReLU": "right",
        "unlike ReLU": "wrong",
        "still learn": "wrong",
        "about -0.154": "wrong",
        "about 30 %": "wrong",
        "consistent gradient flow": "wrong",
        "local minimum": "wrong",
        "extreme anger": "wrong",
        "about 1.95": "wrong",
    }
    assert {part: about(relu, part).verdict for part in flipped} == flipped
    sigmoid = statements("tanh")
    assert about(sigmoid, "S-shaped").verdict == "right"
    assert about(sigmoid, "from 0 to 1").verdict == "right"
    assert about(sigmoid, "consistent gradient flow").verdict == "right"
    assert about(sigmoid, "stay distinguishable").verdict == "right"
    assert about(sigmoid, "extreme anger").verdict == "right"
    assert about(statements("identity"), "outputs are bounded").verdict == "wrong"


def test_what_is_no_function_of_one_number_is_refused():
    with pytest.raises(ValueError, match="not elementwise"):
        statements("softmax")
