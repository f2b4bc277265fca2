"""Verdicts of findings on made-up effects: readings that agree, differ, or decide nothing."""

import math

import numpy as np
import pytest
from scipy import stats

from jsuper.findings import Finding, above, below, exactly, judge, share
from jsuper.findings.placebo import supported_placebos
from jsuper.findings.reasons import p_text

RNG = np.random.default_rng(5)
NOISE = RNG.normal(0, 1, 12)
NOISE -= NOISE.mean()


def finding(means, rule=None, name="made-up", **more):
    """A finding whose readings have these means, and the same spread."""
    readings = more.pop("readings", {f"r{i}": {"mean": m} for i, m in enumerate(means)})

    def effect(data, mean):
        return {"gap": mean + NOISE}

    rules = {"gap": above(0.0) if rule is None else rule}
    return Finding(name, "Is there a gap?", effect=effect, rules=rules, readings=readings, **more)


def verdict(*means, **more):
    return judge([finding(means, **more)], {})[0]


def test_readings_that_agree_decide():
    found = verdict(2.0, 1.5)
    p = stats.ttest_1samp(1.5 + NOISE, 0, alternative="greater").pvalue
    assert found.verdict == "supported" and found.p == pytest.approx(2 * p)
    assert "gap: 1.5" in found.why and "(r1): it holds" in found.why
    assert verdict(-2.0, -1.5).verdict == "contradicted"


def test_readings_that_differ_make_it_depend_on_them():
    found = verdict(2.0, -2.0)
    assert found.verdict == "depends"
    assert found.why == "It holds for r0; it does not for r1."
    assert verdict(2.0, -2.0, mixed="misleading").verdict == "misleading"


def test_one_open_reading_leaves_it_undecided():
    found = verdict(2.0, 0.3)
    assert found.verdict == "undecided" and "seeds would decide it" in found.why


def test_a_reading_has_to_pass_with_every_part():
    def effect(data):
        return {"a": 2 + NOISE, "b": NOISE + 0.1, "c": 3 + NOISE}

    rules = {"a": above(), "b": above(), "c": above()}
    one = Finding("three", "Are all above?", effect=effect, rules=rules)
    assert judge([one], {})[0].verdict == "undecided"
    rules["b"] = below(-1)
    found = judge([one], {})[0]
    p = stats.ttest_1samp(0.1 + NOISE, -1, alternative="greater").pvalue
    assert found.verdict == "contradicted" and found.p == pytest.approx(2 * 3 * p)


def test_holm_corrects_the_table_of_a_source_alone():
    near = 0.7
    alone = verdict(near)
    assert alone.verdict == "supported"
    others = [finding((0.1,), name=f"f{i}", source="002") for i in range(30)]
    same = finding((near,), source="002")
    judged = judge([same, *others], {})
    assert judged[0].verdict == "undecided"
    assert judged[0].p == pytest.approx(min(1, 31 * alone.p))
    assert "about 29 seeds would decide it" in judged[0].why
    assert judge([finding((near,)), *others], {})[0].verdict == "supported"


def test_what_is_exact_is_decided_without_p():
    def effect(data, x):
        return {"value": [x]}

    given = dict(effect=effect, rules={"value": exactly(1, 0.1)})
    readings = {"near 0": {"x": 1.05}, "far": {"x": 2.0}}
    one = Finding("exact", "Is it 1?", readings=readings, mixed="right within limits", **given)
    found = judge([one], {})[0]
    assert found.verdict == "right within limits" and math.isnan(found.p)
    for x, verdict in ((1, "supported"), (3, "contradicted")):
        alone = Finding("e", "?", readings={"a": {"x": x}}, **given)
        assert judge([alone], {})[0].verdict == verdict


def test_measurements_and_what_cannot_be_tested_have_no_verdict_of_a_test():
    def effect(data):
        return {"gap": 1 + NOISE}

    measured = Finding("m", "How large is it?", effect=effect, note="It is {gap:.2f}.")
    found = judge([measured], {})[0]
    assert found.verdict is None and found.note == "It is 1.00."
    assert found.readings[0].parts[0].low < 1 < found.readings[0].parts[0].high
    other = Finding("t", "In transformers?", untestable="it is about transformers")
    assert judge([other], {})[0].verdict == "not testable here"
    with pytest.raises(ValueError, match="needs an effect"):
        Finding("t", "?")


def test_seeds_without_a_value_are_counted():
    def effect(data):
        return {"gap": np.append(2 + NOISE, np.nan)}

    found = judge([Finding("n", "?", effect=effect, rules={"gap": above()})], {})[0]
    assert found.readings[0].parts[0].left_out == 1 and "1 seed without a value" in found.why


def test_missing_sweeps_and_parts_are_named():
    one = finding((1.0,), sweeps=("activations",))
    with pytest.raises(ValueError, match="'made-up' needs the sweeps activations"):
        judge([one], {})
    wrong = Finding("w", "?", effect=lambda data: {"b": NOISE}, rules={"a": above()})
    with pytest.raises(ValueError, match=r"has the parts \['b'\] and the rules \['a'\]"):
        judge([wrong], {})


def test_a_placebo_shows_a_test_that_cannot_fail():
    def sound(data):
        return {"gap": data["x"]}

    def built_in(data):
        return {"gap": abs(data["x"])}

    given = dict(rules={"gap": above()}, placebo=lambda data, rng: {"x": rng.normal(size=12)})
    assert supported_placebos(Finding("s", "?", effect=sound, **given), {}) <= 1
    assert supported_placebos(Finding("b", "?", effect=built_in, **given), {}) == 20
    with pytest.raises(ValueError, match="has no placebo"):
        supported_placebos(Finding("s", "?", effect=sound), {})


@pytest.mark.parametrize("p, text", [(0.0, "p < 1e-6"), (0.0321, "p = 0.032"), (math.nan, "")])
def test_a_p_is_written_as_at_least_1e_6(p, text):
    assert p_text(p) == text


@pytest.mark.parametrize("value", [np.ones((2, 3)), np.array([1.0, np.inf])])
def test_values_that_are_not_one_for_each_seed_are_refused(value):
    one = Finding("w", "?", effect=lambda data: {"a": value}, rules={"a": above()})
    with pytest.raises(ValueError, match="give each seed a finite number"):
        judge([one], {})


def test_shares_are_of_seeds_and_mixed_verdicts_are_known():
    one = Finding("w", "?", effect=lambda data: {"a": [0.95] * 20}, rules={"a": share()})
    with pytest.raises(ValueError, match="give each seed 0, 1 or NaN"):
        judge([one], {})
    with pytest.raises(ValueError, match="mixed='banana' is not one of depends"):
        Finding("w", "?", effect=lambda data: {}, mixed="banana")


def test_a_mixed_verdict_names_the_words_that_divide_its_readings():
    readings = {
        f"{way}, S {s}": {"mean": m} for way, m in (("A", 2.0), ("B", -2.0)) for s in (1, 2)
    }
    one = finding((), readings=readings)
    assert judge([one], {})[0].why.endswith("For it: A, 2 of 2; B, 0 of 2.")
