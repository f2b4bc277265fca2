"""The frame of the claims: rules, verdicts, Holm, shuffled labels, the page and the command."""

import json
from pathlib import Path

import made_up
import matplotlib.pyplot as plt
import numpy as np
import pytest
from running import REPO
from scipy import stats

from jsuper.claims import rules, values
from jsuper.claims.claim import Claim
from jsuper.claims.judging import judge, part, what_would_decide
from jsuper.claims.sources import CLAIMS
from jsuper.claims.sweeps import ALPHAS, SWEEPS
from jsuper.cli import claims as command
from jsuper.cli import main
from jsuper.core.grid import n_models
from jsuper.core.sources import SOURCES

RNG = np.random.default_rng(0)
BUDGET = 60e6  # model-steps of all sweeps at 10 seeds


# ---- rules ----


def test_above_and_below_are_one_sided_t_tests():
    given = RNG.normal(0.3, 1, 12)
    above, below = rules.Above(0.1).test(given), rules.Below(0.1).test(given)
    greater = stats.ttest_1samp(given, 0.1, alternative="greater")
    less = stats.ttest_1samp(given, 0.1, alternative="less")
    assert above.p_for == below.p_against == pytest.approx(greater.pvalue)
    assert above.p_against == below.p_for == pytest.approx(less.pvalue)
    interval = greater = stats.ttest_1samp(given, 0).confidence_interval(0.95)
    assert (above.low, above.high) == pytest.approx(tuple(interval))
    assert above.value == given.mean()


def test_between_is_equivalence():
    near, wide = 0.1 * RNG.normal(size=12), 5 * RNG.normal(size=12)
    found = rules.Between(-0.5, 0.5).test(near)
    lower = stats.ttest_1samp(near, -0.5, alternative="greater").pvalue
    upper = stats.ttest_1samp(near, 0.5, alternative="less").pvalue
    assert found.p_for == pytest.approx(max(lower, upper)) and found.p_for < 1e-3
    assert rules.Between(-0.5, 0.5).test(wide).p_for > 0.05
    assert rules.Between(-0.5, 0.5).test(near + 2).p_against < 1e-6


def test_a_rate_is_binomial_with_wilsons_interval():
    given = np.array([1.0] * 9 + [0.0])
    found = rules.Rate(0.5).test(given)
    assert found.value == 0.9 and found.p_for == pytest.approx(11 / 1024)
    assert (found.low, found.high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert rules.Rate(0.5).test(1 - given).p_against == pytest.approx(11 / 1024)


def test_exact_claims_know_no_chance():
    rule = rules.Exactly(0.0, 1e-3)
    assert rule.test(np.array([1e-4, -1e-3])).p_for == 0
    assert rule.test(np.array([0, 0, 2e-3])).p_against == 0


def test_seeds_that_all_agree_are_as_clear_as_their_number():
    assert rules.Above(0.0).test(np.full(10, 3.0)).p_for == 2**-10
    assert rules.Above(3.0).test(np.full(10, 3.0)).p_for == 1
    assert rules.Below(0.0).test(np.full(10, 3.0)).p_against == 2**-10


# ---- verdicts ----


def claim(parts, name="a", **more):
    """A claim whose parts have these values and rules."""
    return Claim(
        name=name,
        source="002",
        sentence="It is so.",
        statistic=lambda runs: {k: v for k, (v, _) in parts.items()},
        rules={k: r for k, (_, r) in parts.items()},
        **more,
    )


HIGH, LOW = 1 + 0.1 * RNG.normal(size=10), -1 + 0.1 * RNG.normal(size=10)
NOISE = RNG.normal(size=10)


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        (HIGH, HIGH, "supported"),
        (HIGH, LOW, "contradicted"),
        (HIGH, NOISE, "undecided"),
        (LOW, NOISE, "contradicted"),
    ],
)
def test_all_parts_have_to_hold(first, second, verdict):
    made = claim({"one": (first, rules.Above()), "two": (second, rules.Above())})
    (found,) = judge([made], {})
    assert found.verdict == verdict
    assert len(found.parts) == 2 and found.why


def test_holm_corrects_over_the_table_and_leaves_exact_claims_alone():
    weak = np.array([0.1, 0.9, 0.4, 1.2, -0.2, 0.8, 0.5, 0.3, 1.1, -0.1])
    one = claim({"x": (weak, rules.Above())})
    exact = claim({"x": (np.zeros(3), rules.Exactly())}, name="exact")
    noise = [claim({"x": (RNG.normal(size=10), rules.Above())}, name=f"n{i}") for i in range(30)]
    alone, (among, *_), last = (judge(t, {}) for t in ([one], [one, *noise], [*noise, exact]))
    assert alone[0].verdict == "supported" and alone[0].p < 0.05
    assert among.verdict == "undecided" and among.p == pytest.approx(31 * alone[0].p)
    assert "seeds would decide it" in among.why
    assert last[-1].verdict == "supported" and np.isnan(last[-1].p)


def test_what_cannot_be_tested_says_why():
    (found,) = judge([Claim("a", "001", "It is nice.", untestable="Nice is not defined.")], {})
    assert found.verdict == "not testable" and found.why == "Nice is not defined."


def test_models_without_a_value_are_left_out_and_too_few_decide_nothing():
    given = np.array([1.0, 1.1, np.nan, 0.9, np.inf])
    found = part("x", given, rules.Above())
    assert found.left_out == 2 and found.value == pytest.approx(1) and len(found.values) == 3
    none = claim({"x": (np.array([np.nan, 1.0]), rules.Above())})
    (undecided,) = judge([none], {})
    assert undecided.verdict == "undecided" and "too few models" in undecided.why


def test_the_number_of_seeds_that_would_decide():
    given = np.array([1.0, -1.0] * 5) + 0.2
    found = part("x", given, rules.Above())
    words = what_would_decide(found, rules.Above())
    seeds = int(words.split()[1].replace(",", ""))
    power = stats.nct.sf(stats.t.ppf(0.975, seeds - 1), seeds - 1, 0.2 / 1.05 * seeds**0.5)
    assert 0.7 < power < 0.9
    more = what_would_decide(found, rules.Above(), tests=20)  # what Holm leaves of the level
    several = int(more.split()[1].replace(",", ""))
    level = stats.t.ppf(1 - 0.025 / 20, several - 1)
    assert 0.7 < stats.nct.sf(level, several - 1, 0.2 / 1.05 * several**0.5) < 0.9
    on_it = part("x", given - 0.2, rules.Above())
    assert "lies on the margin" in what_would_decide(on_it, rules.Above())


def test_missing_sweeps_and_parts_are_named():
    with pytest.raises(ValueError, match="claim 'a' needs the sweeps study"):
        judge([claim({"x": (HIGH, rules.Above())}, sweeps=("study",))], {})
    odd = Claim("a", "002", "So.", statistic=lambda runs: {"y": HIGH}, rules={"x": rules.Above()})
    with pytest.raises(ValueError, match=r"has the parts \['y'\] and the rules \['x'\]"):
        judge([odd], {})


# ---- values ----


def test_values_are_means_over_activations_and_sparsities_within_a_seed():
    ds = made_up.study(seeds=3)
    ds["status"][0, 2, 1] = 2
    array = ds["excess"].values
    names = ds["activation"].values.tolist()
    relu, gelu = names.index("relu"), names.index("gelu")
    found = values.difference(ds, "excess", "gelu", "relu", values.sparse)
    expected = (array[gelu, 2:] - array[relu, 2:]).mean(axis=0)
    assert relu == 0 and np.isnan(found[1])
    assert found[[0, 2]] == pytest.approx(expected[[0, 2]])
    assert values.of(ds, "excess", ["gelu", "tanh"], values.dense).shape == (3,)
    with pytest.raises(ValueError, match="no activation tanhh"):
        values.of(ds, "excess", "tanhh")
    with pytest.raises(ValueError, match="no sparsity for dense"):
        values.of(ds.isel(sparsity=[2, 3]), "excess", "relu", values.dense)
    with pytest.raises(ValueError, match="no variable 'exces'"):
        values.of(ds, "exces", "relu")


# ---- the table ----


def test_names_are_unique_and_claims_complete():
    names = [c.name for c in CLAIMS]
    assert len(set(names)) == len(names)
    for c in CLAIMS:
        assert c.source in SOURCES and c.sentence.endswith("."), c.name
        assert set(c.sweeps) <= set(SWEEPS), c.name
        assert bool(c.untestable) == (c.statistic is None), c.name
        assert bool(c.rules) == (c.statistic is not None), c.name
        assert not c.protocol or c.sweeps == ("study",), c.name


def test_sweeps_keep_within_the_budget():
    steps = {}
    for name, sweep in SWEEPS.items():
        made = sweep(10)
        (per_model,) = made.values_of("steps")
        steps[name] = n_models(made) * per_model
        used = any(name in c.sweeps for c in CLAIMS) or name == "protocol"
        assert used, f"{name} is trained for no claim"
    assert sum(steps.values()) <= BUDGET, steps
    assert set(ALPHAS.values()) <= set(SWEEPS["study"](1).values_of("activation"))


@pytest.mark.slow
def test_shuffled_labels_support_no_directional_claim_in_more_than_one_of_twenty():
    """Family-wise: a shuffle counts when any claim that compares activations is supported.

    The sweep has large differences between activations, as a real one, before labels are shuffled.
    """
    ds = made_up.study(seeds=10, seed=1)
    rng = np.random.default_rng(2)
    for name in ds["activation"].values:
        ds = made_up.raised(ds, "excess", name, rng.normal(0, 3))
        ds = made_up.raised(ds, "importance_rank_correlation", name, rng.normal(0, 0.3))
        factor = float(np.exp(rng.normal(0, 1)))
        for loss in ("loss", "loss_over_constant", "loss_over_zero"):
            ds = made_up.put(ds, loss, name, ds[loss] * factor)
    asked = [c for c in CLAIMS if c.between and c.sweeps == ("study",)]
    assert len(asked) >= 3
    false = 0
    for _ in range(200):
        found = judge(asked, {"study": made_up.shuffled(ds, rng)})
        false += any(j.verdict == "supported" for j in found)
    assert false <= 0.05 * 200


@pytest.mark.slow
def test_claims_of_the_other_protocol_can_be_asked_of_its_sweep():
    made = SWEEPS["protocol"](1)
    ds = made_up.study(activations=made.activation, sparsity=made.sparsity)
    found = judge([c for c in CLAIMS if c.protocol], {"study": ds})
    assert len(found) >= 20
    made_of = [any(np.isfinite(p.value) for p in judged.parts) for judged in found]
    assert sum(made_of) >= len(found) - 2  # some ask for models without superposition


# ---- the page and the command ----


@pytest.fixture
def few(monkeypatch):
    """A table of three claims and a tiny sweep of three activations."""
    from jsuper.models.toy.spec import Sweep

    def tiny(seeds):
        return Sweep(
            activation=("relu", "gelu", "elu"),
            sparsity=(0.0, 0.9),
            n_features=4,
            n_hidden=2,
            batch_size=32,
            steps=30,
            seeds=seeds,
        )

    def statistic(runs):
        return {
            "X, GELU less ReLU | <b>": values.difference(runs["study"], "excess", "gelu", "relu")
        }

    claims = [
        Claim(
            "few-less",
            "002",
            "GELU has <i>fewer</i> than ReLU.",
            ("study",),
            statistic,
            {"X, GELU less ReLU | <b>": rules.Below(-1)},
            "features",
            protocol=True,
        ),
        Claim("nice", "001", "It is nice.", untestable="Nice is not defined."),
        Claim(  # which the other protocol does not ask
            "few-more",
            "002",
            "GELU has more than ReLU.",
            ("study",),
            statistic,
            {"X, GELU less ReLU | <b>": rules.Above(1)},
            "features",
        ),
    ]
    monkeypatch.setattr("jsuper.claims.sources.CLAIMS", tuple(claims))
    for where in ("jsuper.cli.claims", "jsuper.claims.sweeps"):
        monkeypatch.setattr(f"{where}.SWEEPS", {"study": tiny, "protocol": tiny})
    return claims


@pytest.mark.slow
def test_the_command_trains_decides_and_writes_and_trains_nothing_again(few, tmp_path, capsys):
    flags = [
        "claims",
        "--seeds",
        "3",
        "--out",
        str(tmp_path / "runs"),
        "--docs",
        str(tmp_path / "d"),
    ]
    assert main.main(flags) == 0
    printed = capsys.readouterr().out
    assert "few-less" in printed and "not testable" in printed
    data = json.loads((tmp_path / "runs" / "claims.json").read_text())
    first = data["claims"][0]
    assert first["name"] == "few-less" and len(first["parts"][0]["values"]) == 3
    assert first["protocol"]["verdict"] == first["verdict"]
    assert [s["preset"] for s in data["sweeps"]] == ["study", "protocol"]
    text = (tmp_path / "d" / "claims.md").read_text()
    assert "Of 3 claims" in text and "X, GELU less ReLU \\| <b>" in text
    assert "1 claims were also asked" in text and "1 verdicts survive it." in text
    assert (tmp_path / "d" / "claims-002.png").read_bytes()[:4] == b"\x89PNG"
    assert not (tmp_path / "d" / "claims-001.png").exists()
    html = (tmp_path / "runs" / "study" / "report.html").read_text()
    assert ">Claims</h2>" in html and "GELU has more than ReLU." in html
    assert "GELU has &lt;i&gt;fewer&lt;/i&gt; than ReLU." in html
    assert ">Claims</h2>" not in (tmp_path / "runs" / "protocol" / "report.html").read_text()
    assert (tmp_path / "runs" / "study" / "claims.json").exists()
    assert main.main([*flags, "--no-report"]) == 0
    assert capsys.readouterr().out.count("models are done") == 2


def test_bad_input_to_the_command_is_one_line(few, tmp_path, capsys):
    assert main.main(["claims", "--seeds", "1", "--out", str(tmp_path)]) == 2
    assert "seeds=1 is not >= 2" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main.main(["claims", "--out", str(tmp_path / "file" / "runs")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_figure_shows_every_seed_the_mean_and_the_margin():
    from jsuper.plots import claims as plot

    parts = [
        {"label": "a", "margins": [-np.inf, 0.5], "value": 0.2, "low": 0.1, "high": 0.3,
         "values": [0.1, 0.2, 0.3], "verdict": "supported"},
        {"label": "b " * 40, "margins": [-1, 1], "value": None, "low": None, "high": None,
         "values": [], "verdict": "undecided"},
    ]  # fmt: skip
    ax = plot.parts(parts, "features", title="t")
    dots = [line for line in ax.lines if line.get_marker() == "."]
    assert dots[0].get_xdata().tolist() == [0.1, 0.2, 0.3]
    diamonds = [line for line in ax.lines if line.get_marker() == "D"]
    assert [d.get_xdata()[0] for d in diamonds] == [0.2]
    assert ax.get_xlabel() == "features" and ax.get_xlim()[0] < -1 < 1 < ax.get_xlim()[1]
    assert (
        max(len(line) for line in ax.get_yticklabels()[1].get_text().split("\n"))
        <= plot.LINE_LENGTH
    )
    plt.close(ax.figure)


def test_the_script_is_the_command():
    script = REPO / "scripts" / "claims.py"
    assert "from jsuper.cli.claims import claims" in script.read_text()
    assert command.ClaimsOptions().seeds == 10


def test_a_page_from_more_seeds_is_not_written_over(tmp_path, monkeypatch):
    from jsuper.cli import claims as command

    monkeypatch.chdir(tmp_path)
    out = tmp_path / "runs"
    fewer, named = command.ClaimsOptions(10), command.ClaimsOptions(10, docs="there")
    assert command._docs(fewer, out) == Path("docs")
    (tmp_path / "docs").mkdir()
    held = tmp_path / "docs" / "claims.json"
    held.write_text(json.dumps({"sweeps": [{"seeds": 20}, {"seeds": 100}]}))
    assert command._docs(fewer, out) == out
    assert command._docs(command.ClaimsOptions(20), out) == Path("docs")
    assert command._docs(named, out) == Path("there")
    held.write_text("{")
    assert command._docs(fewer, out) == Path("docs")
