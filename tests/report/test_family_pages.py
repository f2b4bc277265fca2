"""The pages of factorizations and of MLPs in a real browser."""

import re

import numpy as np
import pytest
from browsing import click, texts, visit

import jsuper
from jsuper import factorization, report
from jsuper.analysis.metrics.factorization import HEADLINES as OF_FACTORIZATIONS
from jsuper.analysis.metrics.mlp import HEADLINES as OF_MLPS


@pytest.fixture(scope="module")
def factorized(tmp_path_factory):
    """A run folder with its page: targets of 2 components, learned with 1 pair and with 2."""
    sweep = factorization.Sweep(
        rank=2, pairs=(1, 2), size=8, seeds=3, steps=100, records=20, learning_rate=0.1
    )
    folder = tmp_path_factory.mktemp("runs") / "factorized"
    with pytest.warns(UserWarning, match="pairs=1 < rank=2: the target is out of reach"):
        jsuper.run(sweep, out=folder, progress=False)
    report.write(folder)
    return folder


@pytest.fixture
def its_page(browser, factorized):
    visit(browser, factorized / "report.html")
    yield browser
    assert browser.get_log("browser") == []


PLOT = """
    const plot = arguments[0], texts = [...plot.querySelectorAll("text")];
    const ticks = (anchor, place) => texts.filter((t) => t.getAttribute("text-anchor") === anchor)
        .map((t) => [Number(t.textContent), Number(t.getAttribute(place))])
        .filter(([v]) => !Number.isNaN(v));
    return {
        across: ticks("middle", "x"), up: ticks("end", "y"),
        lines: [...plot.querySelectorAll("path")].map((p) => [p.getAttribute("stroke-width"),
            p.getAttribute("d").split(/[ML]/).slice(1).map((at) => at.split(" ").map(Number))]),
    };
"""


def read(page, plot, log=False):
    """The lines of a plot as (width, times, values), read off its ticks as one would by eye."""
    found = page.execute_script(PLOT, plot)
    scales = []
    for ticks, logarithmic in ((found["across"], False), (found["up"], log)):
        values, places = np.array(ticks).T
        assert len(values) >= 3
        values = np.log10(values) if logarithmic else values
        scales.append(np.polyfit(places, values, 1))
    lines = []
    for width, points in found["lines"]:
        x, y = np.array(points).T
        y = np.polyval(scales[1], y + 3.5)  # a tick's text stands so much below its line
        lines.append((float(width), np.polyval(scales[0], x), 10**y if log else y))
    return lines


@pytest.mark.slow
def test_a_factorization_is_drawn_as_it_was_trained(its_page, factorized):
    ds = jsuper.load(factorized)
    click(its_page, "#heatmaps figure:first-child .heatmap button", 1)
    assert texts(its_page, "#cell-title") == ["rank 2, pairs 2"]
    plots = its_page.find_elements("css selector", "#cell svg")
    assert len(plots) == 6  # two of three seeds
    one = ds.sel(rank=2, pairs=2).isel(seed=int(ds.loss.sel(rank=2, pairs=2).argmin("seed")))
    ((_, time, loss),) = read(its_page, plots[0], log=bool(one.loss_curve.max() > 30 * one.loss))
    assert time == pytest.approx(one.time.values, abs=0.02)
    assert loss == pytest.approx(one.loss_curve.values, rel=0.05, abs=0.01)
    drawn = read(its_page, plots[1])
    thin = np.array([values for width, _, values in drawn if width < 1])
    thick = np.array([values for width, _, values in drawn if width > 1])
    assert thin == pytest.approx(one.alignment.values.reshape(4, -1), abs=0.01)
    assert thick == pytest.approx(one.alignment.sum("pair").values, abs=0.01)
    assert "component 0 1 " in texts(its_page, "#cell figcaption")[2]


@pytest.mark.slow
def test_what_a_smaller_factorization_lacks_is_not_drawn(its_page):
    click(its_page, "#heatmaps figure:first-child .heatmap button", 0)
    plots = its_page.find_elements("css selector", "#cell svg")
    assert [width > 1 for width, *_ in read(its_page, plots[1])] == [True, True]
    assert all("NaN" not in p.get_attribute("innerHTML") for p in plots)


def test_the_page_of_factorizations_shows_their_measures(its_page):
    headings = [t.split(":")[0] for t in texts(its_page, "#heatmaps h3")]
    assert headings == list(OF_FACTORIZATIONS)
    assert texts(its_page, "#curves h3")[0].startswith("rank 2")
    captions = its_page.execute_script(
        "return [...document.querySelectorAll('figure img')].map((i) => i.alt)"
    )
    assert "Loss relative to that of Z = 0" in captions[0] and "Alignment" in captions[1]


def test_axes_have_ticks_whatever_the_numbers(its_page):
    def axis(values, log):
        return its_page.execute_script("return axisOf(...arguments)", values, log, False)["ticks"]

    assert axis([0, 25], False) == [0, 5, 10, 15, 20, 25]
    assert axis([-0.01, 1.07], False) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert axis([1e-10, 2], True) == pytest.approx([1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1])
    assert axis([0.5, 2], True) == pytest.approx([0.5, 1, 1.5, 2])  # too near for a logarithm
    assert axis([0, 0, 1e-3, 1], True) == pytest.approx([1e-3, 1e-2, 0.1, 1])
    assert len(axis([3, 3], False)) >= 3 and len(axis([0, 0], True)) >= 3


def test_records_that_grow_apart_are_drawn_along_the_logarithm_of_time(its_page):
    path = its_page.execute_script(
        "const figure = document.createElement('figure'), time = [0, 0.01, 0.1, 1, 10, 100];"
        "drawModel(figure, { time, loss_curve: [9, 8, 7, 6, 1, 0],"
        "  alignment: Array.from({ length: 10 }, () => [time.map((t) => t / 100)]) });"
        "return [figure.querySelector('path').getAttribute('d'), figure.textContent]"
    )
    places = [float(at.split(" ")[0]) for at in re.split("[ML]", path[0])[1:]]
    assert len(places) == 5 and np.ptp(np.diff(places)) < 0.2  # all but time 0
    assert "component 0 1 2" in path[1] and "8 9" in path[1]


# ---- the page of MLPs ----


@pytest.fixture(scope="module")
def mlps(tmp_path_factory):
    """A run folder with its page: MLPs of 2 and of 4 units."""
    sizes = {"n_features": 6, "d_embed": 8, "batch_size": 16, "steps": 10, "records": 5}
    sweep = jsuper.mlp.Sweep(n_hidden=(2, 4), sparsity=0.5, seeds=2, **sizes)
    folder = tmp_path_factory.mktemp("runs") / "mlps"
    jsuper.run(sweep, out=folder, progress=False)
    report.write(folder)
    return folder


@pytest.mark.slow
def test_an_mlp_is_drawn_with_its_own_neurons(browser, mlps):
    visit(browser, mlps / "report.html")
    headings = [t.split(":")[0] for t in texts(browser, "#heatmaps h3")]
    assert headings == list(OF_MLPS)
    sizes = []
    for position in (0, 1):
        click(browser, "#heatmaps figure:first-child .heatmap button", position)
        captions = texts(browser, "#cell figcaption")
        assert any("reads × writes" in text for text in captions)
        assert not any("NaN" in text for text in captions)
        picture = "document.querySelector('#cell svg[aria-label^=contributions]').viewBox"
        sizes.append(browser.execute_script(f"return {picture}.baseVal.height"))
    assert sizes == [102, 202]  # neurons of 50 each
    assert browser.get_log("browser") == []
