"""The main verdicts under other conditions, true and false by construction."""

import numpy as np
import pytest
from made_up_baron import made
from made_up_findings import check

from jsuper.findings import general
from jsuper.findings.judging import judge
from jsuper.findings.results import as_data
from jsuper.findings.sweeps import NAMES, SWEEPS

LEVEL = {"relu": 8, "gelu": 4, "elu": 2, "tanh": 0}  # X
REVERSE = dict(zip(LEVEL, reversed(LEVEL.values()), strict=True))


def data(level, units=5):
    x = [level.get(name, 0) for name in NAMES]
    ds = made(x, lambda x: -0.5 + 0 * x, seeds=16)["fitted"].sel(activation=list(level))
    return dict.fromkeys(general.CONDITIONS.values(), ds.assign_coords(n_hidden=units))


@pytest.mark.parametrize("finding", general.FINDINGS, ids=lambda f: f.name)
def test_verdicts_and_placebos_are_those_of_the_construction(finding):
    check(finding, data(LEVEL), data(REVERSE))


def test_excess_is_counted_per_hidden_unit():
    asked = general.VERDICTS[0]
    four, two = (
        general.excess(asked, data(LEVEL, units), "n 100, m 20", 0.9, "R² > 1/2")[asked.label]
        for units in (5, 10)
    )
    np.testing.assert_allclose(four, 2 * two)
    assert -1.2 < four.mean() < -0.4


def test_the_table_counts_the_readings_of_every_condition():
    mixed = data(LEVEL) | {"general_signed": data(REVERSE)["general_signed"]}
    found = [as_data(judged) for judged in judge(general.FINDINGS, mixed)]
    assert [f["verdict"] for f in found] == ["depends"] * 3
    table = general.pivot(found)
    assert len(table["rows"]) == 3
    for row in table["rows"]:
        assert row[1:] == [f"holds in {n}, not in {9 - n}" for n in (9, 0, 9, 9)]
    assert set(general.CONDITIONS.values()) <= set(SWEEPS)
    assert general.pivot([])["rows"] == []
