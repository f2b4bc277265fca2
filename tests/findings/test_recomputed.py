"""Every verdict of docs/findings/findings.json, computed again from its values with NumPy alone.

Nothing of jsuper.findings is used: the file says what every value is, and what its rule is.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import bdtr, stdtr

PATH = Path(__file__).parents[2] / "docs" / "findings" / "findings.json"
FOUND = json.loads(PATH.read_text(encoding="utf-8"))["findings"] if PATH.exists() else []
LEVEL = 0.05


def tails(values, margin, kind, bounds):
    """Chance of a mean as high, and as low, if the true one is at the margin."""
    n, mean = len(values), sum(values) / len(values)
    if kind == "share":
        yes = round(sum(values))
        return 1 - bdtr(yes - 1, n, margin) if yes else 1.0, float(bdtr(yes, n, margin))
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    if spread <= 1e-9 * max(abs(v) for v in values):
        if bounds is None or abs(mean - margin) <= 1e-9 * max(abs(margin), 1):
            return 1.0, 1.0
        end = bounds[0] if mean > margin else bounds[1]
        outside = (end - margin) * (mean - margin) < 0
        chance = (1 - (mean - margin) / (mean - end)) ** n if outside else 0.0
        return (chance, 1.0) if mean > margin else (1.0, chance)
    t = (mean - margin) / (spread / math.sqrt(n))
    if kind == "skewed":
        drawn = np.array(values)[np.random.default_rng(0).integers(n, size=(9999, n))]
        with np.errstate(divide="ignore", invalid="ignore"):
            error = drawn.std(axis=1, ddof=1) / math.sqrt(n)
            studentised = np.nan_to_num((drawn.mean(axis=1) - mean) / error)
        return (1 + (studentised >= t).sum()) / 10_000, (1 + (studentised <= t).sum()) / 10_000
    return float(stdtr(n - 1, -t)), float(stdtr(n - 1, t))


def part_p(part):
    """Chance of the values if the rule does not hold, and if it does."""
    values, (low, high), kind = part["values"], part["margins"], part["kind"]
    if kind == "exact":
        inside = [(low is None or v >= low) and (high is None or v <= high) for v in values]
        return (0.0, 1.0) if all(inside) and inside else (1.0, 0.0 if inside else 1.0)
    if len(values) < (10 if kind == "skewed" else 2):
        return 1.0, 1.0
    inside, outside = [], []
    if low is not None:
        above, below = tails(values, low, kind, part["bounds"])
        inside.append(above)
        outside.append(below)
    if high is not None:
        above, below = tails(values, high, kind, part["bounds"])
        inside.append(below)
        outside.append(above)
    return max(inside), min(1.0, len(outside) * min(outside))


def verdict_and_p(finding):
    """The verdict before the correction, with its two-sided p."""
    holds, fails = [], []
    for reading in finding["readings"]:
        found = [part_p(part) for part in reading["parts"]]
        holds.append(max(p for p, _ in found))
        fails.append(min(1.0, len(found) * min(p for _, p in found)))
    options = {"supported": 2 * max(holds), "contradicted": 2 * max(fails)}
    if len(holds) > 1:
        options[finding["mixed"]] = 2 * len(holds) * max(min(holds), min(fails))
    verdict = min(options, key=options.get)
    return verdict, min(1.0, options[verdict])


def holm(p):
    """Holm's adjusted p by its definition."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, running = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = running
    return adjusted


def is_exact(finding):
    return all(p["kind"] == "exact" for r in finding["readings"] for p in r["parts"])


def judged_ones():
    return [f for f in FOUND if f["readings"] and f["verdict"] is not None]


def test_there_are_findings():
    assert len(FOUND) >= 60
    assert len({f["name"] for f in FOUND}) == len(FOUND)


@pytest.mark.parametrize("source", sorted({f["source"] for f in judged_ones()}))
def test_verdicts_follow_from_the_values(source):
    mine = [f for f in judged_ones() if f["source"] == source]
    found = [verdict_and_p(f) for f in mine]
    chance = [i for i, f in enumerate(mine) if not is_exact(f)]
    adjusted = dict(zip(chance, holm([found[i][1] for i in chance]), strict=True))
    for i, finding in enumerate(mine):
        verdict, p = found[i]
        p = adjusted.get(i, p)
        assert finding["verdict"] == (verdict if p < LEVEL else "undecided"), finding["name"]
        if i in adjusted:
            np.testing.assert_allclose(finding["p"], p, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("finding", FOUND, ids=lambda f: f["name"])
def test_means_and_placebos(finding):
    assert finding["placebos"] is None or finding["placebos"] <= 1
    for reading in finding["readings"]:
        for part in reading["parts"]:
            if part["values"]:
                np.testing.assert_allclose(part["value"], np.mean(part["values"]), atol=1e-8)
