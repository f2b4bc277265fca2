"""Claims of source 002 on negative outputs: true, false and unclear by construction."""

import made_up
import numpy as np
import pytest

from jsuper.claims import _002_negative as claims
from jsuper.claims.judging import judge
from jsuper.claims.sweeps import ALPHAS
from jsuper.claims.values import dense, sparse

CLAIMS = {c.name: c for c in claims.CLAIMS}


def by_alpha(slope):
    ds = made_up.study()
    for alpha, name in ALPHAS.items():
        ds = made_up.raised(ds, "excess", name, slope * alpha)
    return ds


MADE = {  # claim -> sweeps in which it is true, and false
    "gelu-less-than-relu": [
        made_up.raised(made_up.study(), "excess", "gelu", by, sparse) for by in (-3, 3)
    ],
    "gelu-more-when-dense": [
        made_up.raised(made_up.study(), "excess", "gelu", by, dense) for by in (3, -3)
    ],
    "deeper-floor-less": [by_alpha(-2), by_alpha(2)],
}


def test_every_claim_has_sweeps_made_for_it():
    assert set(MADE) == set(CLAIMS)


@pytest.mark.parametrize("name", MADE)
def test_verdicts_are_those_of_the_construction(name):
    true, false = MADE[name]
    wanted = {"supported": true, "contradicted": false, "undecided": made_up.unclear(true, false)}
    for verdict, ds in wanted.items():
        (found,) = judge([CLAIMS[name]], {"study": ds})
        assert found.verdict == verdict, found.why
        assert found.why and all(np.isfinite(p.value) for p in found.parts)
