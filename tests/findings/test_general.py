"""The main verdicts under other conditions, true and false by construction."""

import numpy as np
import pytest
from made_up_baron import made

from jsuper.findings import general, placebo
from jsuper.findings.judging import judge
from jsuper.findings.sweeps import NAMES, SWEEPS

LEVEL = {"relu": 8, "gelu": 4, "elu": 2, "tanh": 0}  # X


def data(level, units=5):
    x = [level.get(name, 0) for name in NAMES]
    ds = made(x, lambda x: -0.5 + 0 * x)["fitted"].sel(activation=list(level))
    ds = ds.assign_coords(n_hidden=units)
    return {f"general_{condition}": ds for condition in general.CONDITIONS}


@pytest.mark.parametrize("finding", general.FINDINGS, ids=lambda f: f.name)
def test_verdicts_are_those_of_the_construction_and_placebos_are_not_supported(finding):
    reverse = dict(zip(LEVEL, reversed(LEVEL.values()), strict=True))
    for verdict, level in {"supported": LEVEL, "contradicted": reverse}.items():
        (found,) = judge([finding], data(level))
        assert found.verdict == verdict, found.why
    assert placebo.supported_placebos(finding, data(LEVEL)) <= placebo.MOST


def test_excess_is_counted_per_hidden_unit():
    four, two = (
        general.excess(
            data(LEVEL, units), "general_large", general.VERDICTS["gelu-less"], 0.9, "R² > 1/2"
        )["X / m, gelu less relu"]
        for units in (5, 10)
    )
    np.testing.assert_allclose(four, 2 * two)
    assert -1.2 < four.mean() < -0.4


def test_every_verdict_is_asked_in_every_condition_whose_sweep_there_is():
    judged = judge(general.FINDINGS, data(LEVEL))
    table = general.pivot([{"name": j.finding.name, "verdict": j.verdict} for j in judged])
    assert len(table["rows"]) == len(general.VERDICTS) == 3
    for row in table["rows"]:
        assert row[1:] == ["supported"] * len(general.CONDITIONS)
    assert {f.sweeps[0] for f in general.FINDINGS} <= set(SWEEPS)
    assert general.pivot([])["rows"][0][1:] == [""] * len(general.CONDITIONS)
