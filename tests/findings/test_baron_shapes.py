"""Baron on ReLU's relatives: true and false as made, and statistics against plain loops."""

import numpy as np
import pytest
from made_up_findings import check
from made_up_shapes import NAMES, SEEDS, made, study

from jsuper.findings import baron_shapes as shapes
from jsuper.models.toy.activations.names import ACTIVATIONS

FINDINGS = {finding.name: finding for finding in shapes.FINDINGS}
PAIRS = "antipodal_pairs"
NEAR, ELUS = ("relu", "relu6"), ("celu", "elu")
EARLY = ("gelu", "silu", "hardswish")
ORDER = {shapes.CORRELATION: dict.fromkeys(EARLY, 0.0)}
READING = {"training": "the notebook", "sparsity": (0.9, 0.99), "count": "R² > 1/2"}
FROM = np.zeros((7, SEEDS))
FROM[1:] = 3
LATER = FROM.copy()
LATER[1:3] = 0
LATER[2, ::2] = 3  # half of the seeds begin a sparsity earlier


def x(value, *names, **more):
    return {"x": dict.fromkeys(names, value) | more}


def hard_and_soft(hard, soft):
    return {"x": dict.fromkeys(shapes.HARD, hard) | dict.fromkeys(shapes.SOFT, soft)}


CASES = {
    "gelu-less-when-sparse": (x(1, "gelu", relu=5), x(8, "gelu", relu=5)),
    "silu-less-when-sparse": (x(1, "silu", relu=5), x(8, "silu", relu=5)),
    "smooth-early-when-dense": (x(6, *EARLY, relu=2) | ORDER, x(2, *EARLY, relu=6) | ORDER),
    "gelu-hinders-antipodes": ({PAIRS: {"gelu": -1}}, {PAIRS: {"gelu": 1}}),
    "relu6-and-squared-as-relu": (x(3, *NEAR, relu_squared=3), x(3, *NEAR, relu_squared=8)),
    "leaky-gelu-softplus-most": (x(13, *shapes.MOST), x(13, "leaky_relu", "softplus", gelu=1)),
    "swish-hardswish-alike": (x(4, "silu", "hardswish"), x(4, "silu", hardswish=8)),
    "negative-outputs-less": (x(1, *ELUS, gelu=5, softplus=5), x(5, *ELUS, gelu=1, softplus=1)),
    "selu-least-of-its-group": (x(3, *ELUS, selu=0), x(0, *ELUS, selu=3)),
    "hardness-reduces": (hard_and_soft(2, 6), hard_and_soft(6, 2)),
    "hardness-slows": (hard_and_soft(LATER, FROM), hard_and_soft(FROM, LATER)),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_verdicts_and_placebos_are_those_of_the_construction(name):
    true, false = CASES[name]
    check(FINDINGS[name], made(**true), made(**false))


def without(fits, **given):
    """A sweep with failed fits, activation and seed, and X at two sparsities."""
    ds = study(**given)
    for name, seed in fits:
        ds["failed_fit"][NAMES.index(name), :, seed] = 1
    chosen = ds.sel(sparsity=[0.9, 0.99])
    number = chosen["r_squared"].sum("feature").where(chosen["failed_fit"] == 0) - 5
    return {"fitted": ds}, {name: number.sel(activation=name).values for name in NAMES}


def test_ranks_are_those_of_loops_over_what_fits():
    fits = [("softmin", seed) for seed in range(0, SEEDS, 2)] + [("leaky_relu", 3)]
    data, number = without(fits, x={"softmin": 14, "leaky_relu": 12})
    found = shapes.ranks(data, **READING)["rank of leaky_relu"]
    for seed in range(SEEDS):
        ranks = []
        for place in (0, 1):
            known = [number[name][place, seed] for name in ACTIVATIONS]
            own = number["leaky_relu"][place, seed]
            ranks.append(1 + sum(v > own for v in known) + (sum(v == own for v in known) - 1) / 2)
        np.testing.assert_allclose(found[seed], np.nan if seed == 3 else np.mean(ranks))


def test_hardness_is_a_mean_over_the_pairs_that_fit():
    data, number = without([("hardtanh", 0), ("relu", 1), ("hardshrink", 1)])
    found = shapes.hardness(data, **READING)
    pairs = list(zip(shapes.HARD, shapes.SOFT, strict=True))
    for seed in (0, 2):
        gaps = [np.mean(number[hard][:, seed] - number[soft][:, seed]) for hard, soft in pairs]
        gaps = [gap for gap in gaps if gap == gap]
        less = [0.5 if gap == 0 else float(gap < 0) for gap in gaps]
        assert found["X, hard less soft"][seed] == pytest.approx(np.mean(gaps))
        assert found["pairs with less X"][seed] == pytest.approx(np.mean(less))
    assert np.isnan(found["X, hard less soft"][1])  # three pairs are left


def test_the_first_sparsity_is_counted_by_hand():
    late = FROM.copy()
    late[1:5] = 0
    first = dict.fromkeys((*shapes.HARD, *shapes.SOFT), FROM)
    data = {"fitted": study(x=first | {"hardtanh": late, "hardswish": 0})}
    (found,) = shapes.later(data, "R² > 1/2").values()
    np.testing.assert_allclose(found, (4 + 6) / 6)  # .997 for .7, and never for .7
