"""Baron on softmax's relatives and failures: true and false as made, and by hand."""

import numpy as np
import pytest
from made_up_findings import check
from made_up_shapes import FEATURES, NAMES, SEEDS, made, study

from jsuper.core.status import MISSING, NON_FINITE
from jsuper.findings import baron_softmax as softmax

FINDINGS = {finding.name: finding for finding in softmax.FINDINGS}
CORR, FIT = softmax.CORRELATION, "loss_over_constant"
EXPS = ("exp", "exp_linear")
RNG = np.random.default_rng(5)
CLOSE = np.eye(5)[:, np.arange(FEATURES) % 5] + 0.05 * RNG.normal(size=(7, SEEDS, 5, FEATURES))

CASES = {
    "softmin-reverses": ({CORR: {"softmin": -0.8}}, {CORR: {"softmin": 0.8}}),
    "log-softmax-fails": ({FIT: {"log_softmax": 50}}, {FIT: {"log_softmax": 2}}),
    "exponentials-fail": ({FIT: dict.fromkeys(EXPS, 50)}, {FIT: dict.fromkeys(EXPS, 0.5)}),
    "solu-more-when-dense": ({"x": {"solu": 9, "relu": 3}}, {"x": {"solu": 1, "relu": 3}}),
    "solu-less-when-sparse": ({"x": {"solu": 1, "relu": 4}}, {"x": {"solu": 6, "relu": 4}}),
    "solu-more-low-level": ({"W": {"solu": CLOSE}}, {"W": {"relu": CLOSE}}),
    "solu-keeps-performance": (
        {"loss": {"solu": 1e-3, "relu": 1e-3}},
        {"loss": {"solu": 3e-3, "relu": 1e-3}},
    ),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_verdicts_and_placebos_are_those_of_the_construction(name):
    true, false = CASES[name]
    check(FINDINGS[name], made(**true), made(**false))


def test_no_convergence_is_weights_not_finite_far_losses_and_falling_ones():
    ds = study()
    row = {"activation": NAMES.index("exp"), "sparsity": 0}
    for seed, (name, value) in enumerate(
        [("status", NON_FINITE), (FIT, 11), ("improvement", 5), ("status", MISSING), (FIT, 9)]
    ):
        ds[name][row | {"seed": seed}] = value
    (found,) = softmax.unconverged({"activations": ds}, "exp", "the notebook", (0.0,)).values()
    np.testing.assert_array_equal(found, [1, 1, 1, np.nan] + [0] * (SEEDS - 4))


def test_faint_pairs_are_those_of_loops():
    ds = study(W={"solu": CLOSE})
    found, W = softmax.faint(ds).values, ds["W"].values
    for place in [(0, 0, 0), (NAMES.index("solu"), 6, SEEDS - 1)]:
        units = [column / np.sqrt((column**2).sum()) for column in W[place].T]
        faint = [0.02 < abs(a @ b) < 0.2 for i, a in enumerate(units) for b in units[:i]]
        assert found[place] == pytest.approx(np.mean(faint))
