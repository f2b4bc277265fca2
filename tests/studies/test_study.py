"""The page of a study, the GELU study's statistics, and the command that writes them."""

import json
import math
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import jsuper
from jsuper.analysis.reviving import steps_to_recovery
from jsuper.analysis.superposition import crosstalk
from jsuper.cli import main
from jsuper.core.errors import SpecError
from jsuper.core.family import family_of
from jsuper.studies import _gated, _normality, _paired, _revival, _stochastic, page
from jsuper.studies import gelu as gelu_study
from jsuper.studies.answer import Answer, Drawing, Row, Table

RNG = np.random.default_rng(0)


# ---- the page ----


def sweep_of(**variables):
    status = xr.DataArray(np.ones((2, 3), np.int8), dims=("activation", "seed"))
    return xr.Dataset({"status": status, **variables})


def test_a_page_has_every_answer_table_and_figure(tmp_path, monkeypatch):
    rows = (Row("a | b", 1234.5, 1200, 1300, 0, 3, 0.01), Row("exact", 0.5))
    study = SimpleNamespace(
        PRESETS=("one",),
        TITLE="A title",
        TEXT="Words.",
        answers=lambda runs: [Answer("Is it so?", "the mean", "It is.", rows)],
        tables=lambda runs: [Table("Who", ("x", "y"), (("1|2", "3"),))],
        figures=lambda runs: [Drawing("line", "A line.", plt.figure())],
    )
    monkeypatch.setattr(page, "study_of", lambda name: study)
    path = page.write("mine", {"one": sweep_of()}, tmp_path / "docs")
    text = path.read_text()
    assert "# A title" in text and "## Is it so?\n\nIt is.\n\n*The mean.*" in text
    assert "| a \\| b | 1,234 | 1,200 to 1,300 | 0 | 0.01 | 3 |" in text
    assert "| exact | 0.5 |  |  |  |  |" in text
    assert "| 1\\|2 | 3 |" in text and "![A line.](mine-line.png)" in text
    assert "`one`: 6 models, 3 seeds, 0 not finished" in text
    assert (tmp_path / "docs" / "mine-line.png").read_bytes()[:4] == b"\x89PNG"
    data = json.loads((tmp_path / "docs" / "mine.json").read_text())
    assert data["answers"][0]["rows"][0]["value"] == 1234.5
    assert data["answers"][0]["rows"][1]["low"] is None
    assert not plt.get_fignums()


def test_unknown_studies_and_missing_sweeps_are_refused(capsys):
    with pytest.raises(SpecError, match="study='gelo' is not known; did you mean 'gelu'"):
        page.study_of("gelo")
    assert main.main(["study", "gelo"]) == 2
    assert "did you mean 'gelu'?" in capsys.readouterr().err
    with pytest.raises(ValueError, match="runs has no stochastic, gated; give the sweeps revival"):
        gelu_study.answers({"revival": sweep_of()})


def test_a_row_without_a_null_is_not_tested():
    row = _paired.row("a", [1.0, 2.0, 3.0], math.nan)
    assert row.value == 2 and row.low < 2 < row.high and math.isnan(row.p) and math.isnan(row.null)


# ---- recovery ----


def test_recovery_lasts_to_the_end():
    step = np.array([0, 10, 20, 30, 40])
    error = np.array(
        [
            [9, 9, 1, 1, 1],  # from 20 on
            [9, 1, 9, 9, 9],  # for a while
            [1, 1, 1, 1, 9],  # lost at the end
            [1, 1, 1, 1, 1],
            [9, 9, 9, 9, np.nan],
        ]
    )
    assert steps_to_recovery(error, np.full(5, 2.0), step).tolist()[:4] == [
        20,
        math.inf,
        math.inf,
        0,
    ]
    assert np.isnan(steps_to_recovery(error, np.full(5, 2.0), step)[4])
    late = steps_to_recovery(error[[0, 3]], np.full(2, 2.0), step, start=np.array([10, 15]))
    assert late.tolist() == [10, 5]
    with pytest.raises(ValueError, match=r"error has shape \(5, 5\) and step \(4,\)"):
        steps_to_recovery(error, np.full(5, 2.0), step[:4])


def pushed(recovers, seeds=6):
    """A made-up sweep where `recovers(activation, push)` says who does, after 300 steps."""
    coords = {
        "activation": ["relu", "gelu"],
        "sparsity": [0.9],
        "optimizer": ["adam", "sgd(1)"],
        "push_step": [0, 200],
        "push": [0.0, 0.5, 1.0, 3.0],
        "seed": list(range(seeds)),
        "step": list(range(0, 2000, 100)),
    }
    shape = [len(v) for v in coords.values()]
    error = xr.DataArray(np.full(shape, 0.01), dims=list(coords), coords=coords)
    error = error * np.exp(0.05 * RNG.normal(size=shape))
    for activation in coords["activation"]:
        for push in coords["push"][1:]:
            for at in coords["push_step"]:
                where = {"activation": activation, "push": push, "push_step": at}
                late = error.step >= at
                if recovers(activation, push):
                    late = late & (error.step < at + 300)
                error.loc[where] = error.loc[where].where(~late, 1.0)
    alive = xr.where(error < 0.1, 1.0, -1.0)
    lead = error.isel(step=0, drop=True)
    return xr.Dataset(
        {
            "unit_error": error,
            "unit_peak": alive,
            "unit_bias": -alive,
            "unit_gradient": -alive * 0.01,
            "loss": lead,
            "status": xr.ones_like(lead, np.int8),
        }
    )


def test_the_chance_of_recovery_is_that_of_the_sweep():
    ds = pushed(lambda activation, push: activation == "gelu" and push < 2)
    chance, active, time, threshold, gradient = (
        f(ds)
        for f in (
            _revival.chance,
            _revival.active,
            _revival.time,
            _revival.threshold,
            _revival.gradient_at_bias,
        )
    )
    values = {r.case: r.value for r in chance.rows}
    assert values["relu, adam, fresh"] == 0
    assert values["gelu, sgd(1), trained 200 steps"] == pytest.approx(2 / 3)
    assert "relu 0%, gelu 0%" in chance.finding and "All 192 models count" in chance.finding
    assert [r.value for r in active.rows if "gelu" in r.case] == pytest.approx([2 / 3] * 4)
    assert {r.value for r in time.rows if "gelu" in r.case} == {300}  # the median of five is exact
    assert all(math.isnan(r.value) for r in time.rows if "relu" in r.case)
    assert len(threshold.rows) == 4
    assert "Up: " in gradient.finding and len(gradient.rows) == 6
    tables = _revival.tables(ds)
    gelu = ("gelu", "6/6 in 300", "6/6 in 300", "0/6")
    assert tables[0].rows == (("relu", "0/6", "0/6", "0/6"), gelu)


@pytest.mark.slow
def test_what_dead_units_let_through_is_nothing_for_relu_alone():
    answer = _revival.earlier_layers()
    relu = [r.value for r in answer.rows if r.case.startswith("relu")]
    assert relu == [0.0] * 6 and "None through relu." in answer.finding
    gelu = {r.case: r.value for r in answer.rows if r.case.startswith("gelu")}
    signal = [gelu[f"gelu, margin {m:g}: signal"] for m in (0.25, 1, 3)]
    assert 0.1 > signal[0] > signal[1] > signal[2] > 0


# ---- random gates and gated decoders ----


def stochastic(effect, seeds=12):
    """A made-up sweep where a random gate adds `effect` to every measure."""
    coords = {
        "activation": [*dict.fromkeys(a for pair in _stochastic.PAIRS for a in pair)],
        "sparsity": [0.9],
        "dropout": [0.0, 0.1],
        "seed": list(range(seeds)),
    }
    shape = [len(v) for v in coords.values()]
    base = xr.DataArray(
        5 + RNG.normal(size=(1, 1, 1, seeds)) + 0.01 * RNG.normal(size=shape), coords, list(coords)
    )
    noisy = base.activation.isin([n for n, _ in _stochastic.PAIRS[:4]])
    values = base + effect * noisy
    status = xr.ones_like(base, np.int8)
    return xr.Dataset({name: values for name in _stochastic.MEASURES} | {"status": status})


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (1.0, "gate: rises in 4 of 4 cases."),
        (-1.0, "gate: falls in 4 of 4 cases."),
        (0.0, "gate: shows no clear difference in any of 4 cases."),
    ],
)
def test_an_effect_of_the_gate_is_found_where_there_is_one(effect, words):
    answer = _stochastic.change(stochastic(effect), "mean_interference", "mean interference")
    assert words in answer.finding
    first = answer.rows[0]
    assert first.value == pytest.approx(effect, abs=0.05) and first.seeds == 12
    same = _stochastic.conventions(stochastic(effect))
    assert same.finding.startswith("In 0 of 12 cases.")


@pytest.mark.slow
def test_what_is_not_normal_is_found_so():
    """One feature that is on in one of ten samples, against a sum of many."""
    coords = {"activation": list(_normality.ACTIVATIONS), "sparsity": [0.9], "dropout": [0.0]}
    lead = (*coords, "seed")
    few, many = np.zeros((3, 1, 1, 2, 6, 6)), RNG.normal(size=(3, 1, 1, 2, 100, 100))
    few[:] = np.eye(6)
    for W, verdict in ((few, "No: "), (many, "Yes: ")):
        dense = {"sparsity": [0.9 if W is few else 0.0]}
        ds = xr.Dataset(
            {"W": ((*lead, "hidden", "feature"), W), "b": ((*lead, "feature"), W[..., 0, :] * 0)},
            coords=coords | dense | {"seed": range(2)},
        )
        assert _normality.normal(ds).finding.startswith(verdict)


def test_crosstalk_is_what_is_read_of_others():
    W, R = np.array([[1.0, 2.0, 0.0]]), np.array([[3.0, 0.0, 5.0]])
    assert crosstalk(W, R) == pytest.approx((6**2 + 5**2 + 10**2) / 3**2)
    with pytest.raises(ValueError, match=r"read has shape \(1, 2\) but W \(1, 3\)"):
        crosstalk(W, R[:, :2])


def test_gated_models_are_compared_at_equal_size():
    assert _gated.parameters(20, 5, True) == _gated.parameters(20, 11, False) == 240
    coords = {
        "activation": [a for pair in _gated.PAIRS for a in pair],
        "sparsity": [0.9],
        "n_hidden": [5, 11],
        "seed": list(range(12)),
    }
    shape = [len(v) for v in coords.values()]
    loss = xr.DataArray(np.exp(0.01 * RNG.normal(size=shape)), coords, list(coords))
    gates = loss.activation.isin([g for g, _ in _gated.PAIRS])
    loss = loss * xr.where(gates, 0.5, 1.0) * xr.where(loss.n_hidden == 11, 0.1, 1.0)
    answer = _gated.loss(
        xr.Dataset({"loss": loss, "status": xr.ones_like(loss, np.int8)}).assign_coords(
            feature=np.arange(20)
        )
    )
    assert "same hidden units the gated model's loss is lower in 5 of 5" in answer.finding
    assert "as many parameters it is higher in 5 of 5" in answer.finding
    assert answer.rows[0].value == pytest.approx(math.log(0.5), abs=0.05)


@pytest.mark.slow
def test_a_sweeps_page_has_the_figures_that_its_axes_call_for():
    tiny = dict(n_features=6, n_hidden=2, batch_size=64, steps=40, records=8, seeds=2)
    family = family_of("toy")
    dropout = jsuper.Sweep(activation="relu", sparsity=(0.5, 0.9), dropout=(0.0, 0.1, 0.2), **tiny)
    ds = jsuper.analyze(jsuper.run(dropout, progress=False))
    assert family.figures(ds.isel(dropout=0)) == []
    drawn = family.figures(ds)
    push = jsuper.Sweep(activation="geglu", sparsity=0.5, push=(0, 1), watch=True, **tiny)
    drawn += family.figures(jsuper.analyze(jsuper.run(push, progress=False)))
    assert [caption for caption, _ in drawn] == [
        "activation relu. Effect of dropout, without failed fits.",
        "sparsity 0.5. Recovery of units pushed below zero.",
        "push 0.0. Crosstalk of gate and value.",
        "push 1.0. Crosstalk of gate and value.",
    ]
    for _, drawing in drawn:
        assert all(ax.has_data() for ax in drawing.axes)
        plt.close(drawing)
