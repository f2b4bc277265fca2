"""The page of a run: what it embeds, and what it says."""

import re
import shutil

import numpy as np
import pytest
import second_family
import xarray
from markupsafe import escape
from running import array, data_of
from second_family.spec import Sweep as Decay

import jsuper
from jsuper import report
from jsuper.analysis.metrics import mlp, toy, toy_fits
from jsuper.cli import commands
from jsuper.core.family import FAMILIES
from jsuper.models.toy.activations.names import GROUPS, KNOWN, group_of
from jsuper.report.data import best_median_worst, page_data, thinned

HOSTILE = '</script><img src=x onerror="document.title=1">'


def test_the_page_embeds_every_headline_of_every_model(run, analyzed):
    data = data_of((run / "report.html").read_text(encoding="utf-8"))
    assert [a["name"] for a in data["axes"]] == ["dropout", "activation", "sparsity", "seed"]
    assert data["shown"] == [*toy.HEADLINES, "loss"]
    for name in data["shown"]:
        values = analyzed[name].transpose("dropout", "activation", "sparsity", "seed").values
        np.testing.assert_array_equal(array(data["values"][name]), values.ravel())


def test_the_pictures_are_those_of_the_best_median_and_worst_seed(analyzed):
    data = page_data(analyzed, toy, ("activation", "sparsity"))
    at = {"dropout": 0.2, "activation": "relu", "sparsity": 0.9}
    order = analyzed.loss.sel(at).argsort().values
    chosen = array(data["chosen"], "<i4").reshape(2, 2, 3, 3)
    assert chosen[1, 0, 2].tolist() == order.tolist()
    W = array(data["pictures"]["W"]["values"]).reshape(2, 2, 3, 3, 4, 6)
    np.testing.assert_array_equal(W[1, 0, 2], analyzed.W.sel(at).values[order])


def test_pictures_that_would_swell_the_page_are_left_out_and_said_so(analyzed, monkeypatch):
    monkeypatch.setattr("jsuper.report.data.PICTURE_BYTES", 100)
    monkeypatch.setattr("jsuper.report.data.SEED_BYTES", 100)
    data = page_data(analyzed, toy, ("activation", "sparsity"))
    assert data["pictures"] == {} and "MB" in data["without_pictures"]
    assert data["values"] == {} and "MB" in data["without_seeds"]
    monkeypatch.setattr("jsuper.report.data.PICTURE_BYTES", 12 * 3 * (4 * 6 + 6) * 4)
    data = page_data(analyzed, toy, ("activation", "sparsity"))
    assert list(data["pictures"]) == ["W", "b"] and "MB" in data["without_curves"]
    monkeypatch.setattr("jsuper.report.data.PICTURE_BYTES", 100)
    page = report.render(analyzed, "large")
    assert "The pictures of models are left out: the weights would take" in page
    assert "The values of single seeds are left out: they would take" in page


def test_statistics_of_a_cell_leave_failed_fits_out_unless_they_measure_the_fit(analyzed):
    improvement = 0 * analyzed.loss
    improvement[0, 2, 0, 0] = 0.5
    good = (0 * analyzed.loss + 0.3).assign_attrs(description="words")
    ds = analyzed.assign(
        improvement=improvement, improvement_stderr=0 * improvement, loss_over_constant=good
    )
    data = page_data(ds, toy, ("activation", "sparsity"), toy_fits)
    for name in data["shown"]:
        own = ds[name][0, 2, 0].values
        own = own if name in toy_fits.QUALITY else own[1:]
        found = array(data["aggregates"][name]["mean"]).reshape(2, 2, 3)[0, 0, 2]
        assert found == pytest.approx(own.mean(), nan_ok=True)


def test_fewer_records_are_embedded_if_all_would_be_too_many(monkeypatch):
    ds = xarray.Dataset(
        {"loss_curve": (("seed", "step"), np.tile(np.arange(400.0), (3, 1))),
         "status": ("seed", np.ones(3))},
        {"step": np.arange(400)},
    )  # fmt: skip
    assert thinned(ds, 9).sizes["step"] == 400
    monkeypatch.setattr("jsuper.report.data.CURVE_BYTES", 4 * 9 * 100)
    few = thinned(ds, 9)
    assert few.sizes["step"] == 100 and few.step.values[[0, -1]].tolist() == [0, 399]
    assert np.ptp(np.diff(few.step.values)) <= 1


def test_every_headline_of_every_family_says_how_to_read_it():
    for measures in (toy, mlp):
        assert set(measures.HEADLINES) <= set(measures.DIRECTIONS)
        better = {one.better for one in measures.DIRECTIONS.values()}
        assert better <= {"", "lower", "higher"}
    assert {group_of(name) for name in KNOWN} == set(GROUPS)
    assert sum(map(len, GROUPS.values())) == len(KNOWN)
    assert group_of("elu(0.25)") == "exponential" and group_of("mine") == "your own"


def test_best_median_and_worst_pass_over_what_is_left_out():
    nan = np.nan
    rank = np.array([[3.0, 1, 2, nan], [5.0, nan, nan, nan], [nan] * 4])
    assert best_median_worst(rank).tolist() == [[1, 2, 0], [0, 0, 0], [-1, -1, -1]]


def test_what_diverged_or_is_missing_is_counted_and_located(analyzed):
    broken = analyzed.copy(deep=True)
    broken.status[0, 1, 0, :2] = 2
    broken.status[1, 2, 1, 0] = 0
    page = report.render(broken, "broken")
    assert "33 ok" in page and "2 diverged" in page and "1 missing" in page
    assert "activation relu, sparsity 0.5, dropout 0.0: 2 diverged of 3" in page
    data = data_of(page)
    loss = array(data["values"]["loss"]).reshape(2, 2, 3, 3)
    assert np.isnan(loss[0, 0, 1]).tolist() == [True, True, False]


def test_the_answers_come_first(analyzed):
    page = report.render(analyzed, "mine")
    above = page[: page.index("The grid")]
    for sentence in jsuper.analysis.answers(analyzed):
        assert f"<li>{escape(sentence)}</li>" in above
    assert "<h1>mine: 2 activations x 3 sparsities x 2 dropouts x 3 seeds</h1>" in page


def test_text_of_a_user_stays_text(analyzed):
    ds = analyzed.copy(deep=True).assign_coords(activation=["relu", HOSTILE])
    ds.status[0, 0, 0, 0] = 2
    page = report.render(ds, HOSTILE)
    assert "<img" not in page
    assert data_of(page)["axes"][1]["values"] == ["relu", HOSTILE]


def test_no_network_is_asked_for(run):
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert set(re.findall(r"https?://[^\s\"']*", page)) == {"http://www.w3.org/2000/svg"}


def test_the_command_writes_the_page_also_of_an_unfinished_run(run, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(run, folder)
    (folder / "report.html").unlink()
    next((folder / "chunks").iterdir()).unlink()
    assert commands.report([str(folder)]) == 0
    assert str(folder / "report.html") in capsys.readouterr().out
    assert "0 missing" not in (folder / "report.html").read_text(encoding="utf-8")


def test_what_is_no_run_folder_has_no_page(tmp_path, capsys):
    assert commands.report([str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_family_without_activations_or_sparsity_has_a_page(tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, "decay", second_family.FAMILY)
    jsuper.run(Decay(rate=(0.1, 0.5), seeds=2), out=tmp_path / "run", progress=False)
    page = report.write(tmp_path / "run").read_text(encoding="utf-8")
    assert "final.length" in page and "WᵀW" not in page
    assert data_of(page)["headlines"] == ["size", "largest"]
