"""Claims of sources 000 and 001: their verdicts, and the functions for which they are others."""

import dataclasses

import pytest

from jsuper.analysis import source_000, source_001
from jsuper.analysis.gating import profile
from jsuper.analysis.scalar import derivatives
from jsuper.analysis.statements import statements
from jsuper.claims import _gelu as claims
from jsuper.claims.judging import judge

CONTRADICTED = {
    "gelu-clips",
    "gelu-s-shaped",
    "slope-zero-to-one",
    "consistent-flow",
    "elu-unbounded",
    "mild-from-extreme",
}
# claim -> an activation of which the opposite is true
OTHERS = {
    "gelu-clips": "relu",
    "gelu-nearly-clips": "leaky_relu",
    "correction-of-clipping": "relu",
    "gelu-still-flows": "relu",
    "gelu-is-an-expectation": "relu",
    "gate-at-two": "relu",
    "gate-at-zero": "relu",
    "gate-by-percentile": "relu",
    "zero-like-relu": "sigmoid",
    "gelu-s-shaped": "sigmoid",
    "gelu-goes-negative": "relu",
    "gelu-slope-remains": "relu",
    "gelu-recovers": "relu",
    "gelu-two-values": "relu",
    "gelu-distinguishes": "relu",
    "thirty-percent-passes": "relu",
    "two-percent-passes": "relu",
    "nothing-passes": "leaky_relu",
    "less-and-less-passes": "leaky_relu",
    "slope-zero-to-one": "sigmoid",
    "slope-continuous": "relu",
    "consistent-flow": "sigmoid",
    "gelu-not-monotone": "relu",
    "gelu-bounded-below": "leaky_relu",
    "reading-1.95": "relu",
    "reading-0.11": "relu",
    "reading-0.004": "relu",
    "mild-from-extreme": "leaky_relu",
}
FIXED = {"relu-clips", "relu-blocks", "relu-dies", "elu-unbounded"}  # of functions that are named


def verdicts(activation):
    return {j.claim.name: j.verdict for j in judge(claims.exact_claims(activation), {})}


@pytest.fixture(scope="module")
def judged():
    return {j.claim.name: j for j in judge(claims.CLAIMS, {})}


def test_every_statement_is_one_claim_in_its_order():
    rows = [(s.source, s.sentence) for s in statements()]
    assert [(r.source, r.sentence) for r in claims.ROWS] == rows
    assert len({c.name for c in claims.CLAIMS}) == len(claims.CLAIMS)
    assert {r.name for r in claims.ROWS} == set(OTHERS) | FIXED


def test_verdicts_are_those_of_the_statements(judged):
    for s in statements():
        (row,) = (r for r in claims.ROWS if r.sentence == s.sentence)
        found = judged[row.name]
        wanted = "contradicted" if row.name in CONTRADICTED else "supported"
        assert found.verdict == wanted, found.why
        assert (s.verdict in claims.HOLDS) == (wanted == "supported")
        assert row.note and found.why.endswith("hold." if wanted == "contradicted" else "it holds.")


def test_what_no_model_decides_says_what_would(judged):
    rest = [c for c in claims.CLAIMS if c.untestable]
    assert len(rest) == 4
    assert all(judged[c.name].verdict == "not testable" and judged[c.name].why for c in rest)


@pytest.mark.parametrize("activation", sorted(set(OTHERS.values())))
def test_another_activation_has_the_opposite_verdict(judged, activation):
    other = verdicts(activation)
    for name, one in OTHERS.items():
        if one == activation:
            assert {judged[name].verdict, other[name]} == {"supported", "contradicted"}, name
    assert all(other[name] == judged[name].verdict for name in FIXED)


def test_sentences_on_relu_and_elu_fail_for_other_functions(judged, monkeypatch):
    reaching = source_000.gradient_reaching
    monkeypatch.setattr(source_000, "derivatives", lambda _: derivatives("elu"))
    monkeypatch.setattr(source_000, "gradient_reaching", lambda _, z: reaching("elu", z))
    monkeypatch.setattr(source_001, "profile", lambda _: profile("identity"))
    descend = source_001.descend
    monkeypatch.setattr(source_001, "descend", lambda _, start: descend("elu", start))
    claims.found.cache_clear()
    try:
        other = verdicts("gelu")
    finally:
        claims.found.cache_clear()
    for name in FIXED:
        assert {judged[name].verdict, other[name]} == {"supported", "contradicted"}, name


def test_a_claim_is_data():
    for claim in claims.CLAIMS:
        assert claim.sentence.endswith(".") and claim.sweeps == ()
        assert dataclasses.replace(claim) == claim
