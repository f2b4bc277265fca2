"""Baron on activations as functions: true and false by construction, against integrals."""

import numpy as np
import pytest
from made_up_baron import NAMES, each, made
from made_up_findings import check
from running import slow
from scipy import integrate, stats

from jsuper.findings import baron_attributes as attributes

FINDINGS = {finding.name: finding for finding in attributes.FINDINGS}
READING = {"training": "the notebook", "sparsity": (0.9, 0.99), "count": "|W_i| > 1/2"}
rng = np.random.default_rng(0)
SPREAD = rng.permutation(np.arange(len(NAMES)) % 13)  # X


def where(names, inside, outside):
    return np.array([inside if name in names else outside for name in NAMES])


def group():
    positive, even, _ = attributes.functions()[0].T
    return [
        n for n, p, e in zip(attributes.FUNCTIONS, positive, even, strict=True) if p and e > 0.49
    ]


def along(*factors):
    """X that rises by so many features per sd of each attribute."""
    scores = stats.zscore(attributes.functions()[0]) @ np.array(factors)
    place = dict(zip(attributes.FUNCTIONS, scores, strict=True))
    return np.array([round(7 + place.get(name, 0)) for name in NAMES])


def pair(celu, gelu):
    x = where(["celu"], celu, 5)
    x[NAMES.index("gelu")] = gelu
    return made(x, lambda x: -0.5 + 0.1 * (np.abs(x - 5) < 2) * rng.normal(size=x.shape), 20, 0)


def best(x, slope):
    return made(where(group(), x, 3), lambda x: slope * x)


def in_line(follow):
    """X and losses that follow the distance of a function from ReLU, or neither."""
    apart = np.zeros((len(attributes.FUNCTIONS),) * 2)
    apart[attributes.PAIRS] = attributes.functions()[1]
    ranks = stats.rankdata((apart + apart.T)[attributes.FUNCTIONS.index("relu")]) // 2
    place = dict(zip(attributes.FUNCTIONS, ranks, strict=True))
    x = np.array([place.get(name, 0) for name in NAMES]) if follow else SPREAD
    return made(x, lambda x: -0.1 * x if follow else -0.5 + 0 * x)


def by(*factors):
    return made(along(*factors), lambda x: -0.5 + 0 * x)


MADE = {  # finding -> data in which it is true, and false
    "celu-gelu": lambda: (pair(0, 14), pair(5, 5)),
    "distances-unrelated": lambda: (in_line(False), in_line(True)),
    "non-negative-asymmetric-best": lambda: (best(9, -0.1), best(9, 0.1)),
    "non-negative-helps": lambda: (by(2, 0, 0), by(-2, 0, 0)),
    "asymmetric-helps": lambda: (by(0, 2, 0), by(0, -2, 0)),
    "smooth-helps": lambda: (by(0, 0, 2), by(0, 0, -2)),
}


@pytest.mark.parametrize("name", [slow(n) if n == "celu-gelu" else n for n in FINDINGS])
def test_verdicts_are_those_of_the_construction_and_placebos_are_not_supported(name):
    check(FINDINGS[name], *MADE[name]())


def test_attributes_are_those_of_the_functions():
    rows = dict(zip(attributes.FUNCTIONS, attributes.functions()[0], strict=True))
    for name, row in {
        "relu": (1, 0.5, 0),
        "tanh": (0, 0, 1),
        "hardtanh": (0, 0, 0),
        "exp": (1, 1 - (1 - np.exp(-2)) / 2, 1),
    }.items():
        np.testing.assert_allclose(rows[name], row, atol=1e-9, err_msg=name)
    assert rows["gelu"][0] == 0 and set(group()) == {
        "relu", "sigmoid", "hardsigmoid", "softplus", "exp", "relu6", "relu_squared",
    }  # fmt: skip


def test_distances_are_root_mean_squares_under_the_normal_distribution():
    pairs = zip(*attributes.PAIRS, strict=True)
    apart = dict(zip(pairs, attributes.functions()[1], strict=True))

    def between(*names):
        return apart[tuple(sorted(map(attributes.FUNCTIONS.index, names)))]

    def below(z):
        return stats.norm.pdf(z) * (np.expm1(z) - z * stats.norm.cdf(z)) ** 2

    def beyond(z):
        return stats.norm.pdf(z) * (z * stats.norm.sf(z)) ** 2

    square = integrate.quad(below, -12, 0)[0] + integrate.quad(beyond, 0, 12)[0]
    assert between("celu", "elu") == 0
    np.testing.assert_allclose(between("celu", "gelu"), square**0.5, rtol=1e-9)


def test_a_percentile_counts_the_other_values_and_ties_by_half():
    values = np.array([[3.0, 1, 3, np.nan, 5], [1, 2, 3, 4, 5], [np.nan, 2, 3, 4, 5]])
    np.testing.assert_allclose(attributes.percentile(values, 0), [1.5 / 3, 0, np.nan])


def test_slopes_of_the_attributes_are_found_without_failed_fits():
    data = each(
        by(3, -2, 1),
        lambda ds: ds.assign(failed_fit=ds["failed_fit"] + (ds["activation"] == "exp_linear")),
    )
    found = [attributes.helps(data, k, **READING)["X per sd of it"].mean() for k in range(3)]
    np.testing.assert_allclose(found, [3, -2, 1], atol=0.3)
