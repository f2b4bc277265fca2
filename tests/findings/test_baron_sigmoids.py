"""Baron on sigmoids, bounded ones and shrinks: true and false as made, and against loops."""

import numpy as np
import pytest
from made_up_findings import check
from made_up_shapes import FEATURES, NAMES, SEEDS, made, study

from jsuper.findings import baron_sigmoids as sigmoids
from jsuper.findings.judging import judge

FINDINGS = {finding.name: finding for finding in sigmoids.FINDINGS}
CORR = sigmoids.CORRELATION
BOUNDED, BOTH, WORST = ("tanh", "hardtanh", "selu"), sigmoids.SIGMOIDS, sigmoids.WORST
ORDER = {"sigmoid": 0.4} | dict.fromkeys(WORST, -0.2)


def of(value, *names, **more):
    return dict.fromkeys(names, value) | more


def shrinks(x, scale):
    return {"x": of(x, *sigmoids.SHRINKS, relu=3), "W": of(scale, *sigmoids.SHRINKS)}


CASES = {
    "sigmoids-quick": ({"x": of(9, *BOTH, relu=3)}, {"x": of(1, *BOTH, relu=3)}),
    "sigmoids-unimportant": ({CORR: of(-0.6, *BOTH)}, {CORR: of(0.8, *BOTH)}),
    "softsign-log-sigmoid-worse": (
        {"x": of(9, *WORST, sigmoid=4), CORR: ORDER},
        {"x": of(9, sigmoid=4, softsign=0, log_sigmoid=9), CORR: ORDER},
    ),
    "sigmoids-floating-point": (
        {"x": of(9, *BOTH), "other": {"x": of(1, *BOTH), CORR: of(0.9, *BOTH)}},
        {"x": of(9, *BOTH)},
    ),
    "bounded-limited": ({"x": of(0, *BOUNDED)}, {"x": of(0, "tanh", "hardtanh", selu=3)}),
    "softplus-touches-all": (
        {"x": {"softplus": 15}, CORR: {"softplus": 0.0}},
        {"x": {"softplus": 9}, CORR: {"softplus": 0.0}},
    ),
    "shrinks-many-and-small": (shrinks(9, 0.1), shrinks(9, 0.8)),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_verdicts_and_placebos_are_those_of_the_construction(name):
    true, false = CASES[name]
    check(FINDINGS[name], made(**true), made(**false))


def test_softsign_without_superposition_is_not_worse_where_log_sigmoid_never_fits():
    data = made(x=of(0, "softsign", sigmoid=4), failed_fit={"log_sigmoid": 1}, **{CORR: ORDER})
    (found,) = judge([FINDINGS["softsign-log-sigmoid-worse"]], data)
    assert found.verdict == "contradicted"
    assert "X, log_sigmoid less sigmoid: no value" in found.note


def test_touched_features_and_overlaps_are_those_of_loops():
    rng = np.random.default_rng(3)
    ds = study(W={})
    W = 0.1 * rng.normal(size=ds["W"].shape)
    W[NAMES.index("gelu")] = 0
    W[NAMES.index("gelu"), :, :, 0, 0] = 1  # one touched feature has no pair
    ds = ds.assign(W=(ds["W"].dims, W))
    ds["feature_norm"] = (ds["feature_norm"].dims, np.linalg.norm(W, axis=-2))
    number, overlap = sigmoids.touched(ds).values, sigmoids.overlap(ds).values
    for place in [(0, 0, 0), (4, 6, SEEDS - 1), (11, 3, 7)]:
        one = W[place]
        seen = [i for i in range(FEATURES) if np.sqrt((one[:, i] ** 2).sum()) > 0.1]
        pairs = [abs(one[:, i] @ one[:, j]) for i in seen for j in seen if i != j]
        assert number[place] == len(seen)
        np.testing.assert_allclose(overlap[place], np.mean(pairs) if pairs else np.nan)
    assert np.isnan(overlap[NAMES.index("gelu")]).all()


def test_swapped_sweeps_exchange_whole_seeds():
    data = made(x={"sigmoid": 9}, other={"x": {"sigmoid": 1}})
    placebo = sigmoids.swapped("activations", "precision")
    found = placebo(data, np.random.default_rng(0))
    at = {"activation": "sigmoid", "sparsity": 0.9}
    own, other = (d["r_squared"].sel(at).sum("feature") > 12 for d in found.values())
    assert (own != other).all() and 0 < own.sum() < SEEDS
