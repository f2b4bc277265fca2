"""Baron's observations on losses: true and false by construction, and against plain loops."""

import numpy as np
import pytest
from made_up_baron import LOSS, NAMES, each, made
from made_up_findings import check

from jsuper.findings import baron_general as general
from jsuper.findings.judging import judge

FINDINGS = {finding.name: finding for finding in general.FINDINGS}
SPREAD = np.random.default_rng(0).permutation(np.arange(len(NAMES)) % 13)  # X
READING = {"training": "the notebook", "sparsity": (0.9, 0.99), "count": "R² > 1/2"}


def line(slope, beyond=None, at=5):
    """log10 loss that falls with X, by another slope beyond a bend."""
    after = slope if beyond is None else beyond
    return lambda x: -0.5 + slope * np.minimum(x, at) + after * np.maximum(x - at, 0)


TRUE = {
    "losses-alike": line(0),
    "more-superposition-less-loss": line(-0.1),
    "at-most-one-order": line(-0.04),
    "no-gain-beyond-threshold": line(-0.1, 0),
    "superposition-dispensable": line(0),
}
FALSE = {
    "losses-alike": line(-0.1),
    "more-superposition-less-loss": line(0.1),
    "at-most-one-order": line(-0.2),
    "no-gain-beyond-threshold": line(-0.1),
    "superposition-dispensable": line(-0.2),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_verdicts_and_placebos_are_those_of_the_construction(name):
    check(FINDINGS[name], made(SPREAD, TRUE[name]), made(SPREAD, FALSE[name]))


def test_a_cost_between_a_quarter_and_tenfold_is_right_within_limits():
    (found,) = judge([FINDINGS["superposition-dispensable"]], made(SPREAD, line(-0.03)))
    assert found.verdict == "right within limits"


def test_statistics_are_those_of_loops_over_sparsities_and_seeds_without_failed_fits():
    data = made(SPREAD, line(-0.03), noise=0.1)

    def failing(ds):
        return ds.assign(failed_fit=ds["failed_fit"] + (ds["activation"] == "relu_squared"))

    data = each(data, failing)
    rows = [NAMES.index(a) for a in general.REACHABLE if a != "relu_squared"]
    ds = data["fitted"].sel(sparsity=[0.9, 0.99])
    x = ds["r_squared"].sum("feature").values - 5
    loss = np.log10(ds[LOSS].values)
    for seed in range(3):
        gains, spreads, costs = [], [], []
        for s in range(2):
            a, b = x[rows, s, seed], loss[rows, s, seed]
            low, high = np.quantile(a, [0.1, 0.9])
            gains.append(np.median(b[a <= low]) - np.median(b[a >= high]))
            spreads.append(b.max() - b.min())
            linear = loss[NAMES.index("identity"), s, seed]
            none = [*b[a <= 0], *([linear] if SPREAD[NAMES.index("identity")] == 0 else [])]
            costs.append(min(none) - min(b.min(), linear))
        no_count = {k: READING[k] for k in ("training", "sparsity")}
        for values, expected in (
            (general.gain(data, **READING), gains),
            (general.spread(data, **no_count), spreads),
            (general.cost(data, 0.5, **READING), np.multiply(costs, 2)),
        ):
            (found,) = values.values()
            np.testing.assert_allclose(np.asarray(found)[seed], np.mean(expected), atol=1e-6)


def test_the_broken_line_is_found_and_needs_points_on_either_side_of_its_bend():
    x = np.repeat(np.arange(12.0), 2)
    b, c = general.broken_line(x, -0.2 * np.minimum(x, 5) + 0.03 * np.maximum(x - 5, 0))
    np.testing.assert_allclose([b, c], [-0.2, 0.03 * x.std()])
    assert np.isnan(general.broken_line(np.repeat([0.0, 1.0], 10), np.arange(20.0))).all()
