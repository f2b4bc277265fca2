"""The page of a run: what it embeds, what it says, and that a real browser can work with it."""

import json
import re
import shutil

import numpy as np
import pytest
import second_family
from markupsafe import escape
from running import array, data_of
from second_family.spec import Sweep as Decay

import jsuper
from jsuper import factorization, report
from jsuper.analysis.metrics import toy
from jsuper.analysis.metrics.factorization import HEADLINES as OF_FACTORIZATIONS
from jsuper.analysis.metrics.mlp import HEADLINES as OF_MLPS
from jsuper.cli import commands
from jsuper.core.family import FAMILIES
from jsuper.report.data import best_median_worst, page_data

HOSTILE = '</script><img src=x onerror="document.title=1">'
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


def hostile(z):
    """A user's function; its name is made hostile below."""
    return z


SWEEP = jsuper.Sweep(
    activation=("relu", hostile),
    sparsity=(0.0, 0.5, 0.9),
    dropout=(0.0, 0.2),
    n_features=6,
    n_hidden=4,
    seeds=3,
    steps=40,
    batch_size=128,
    records=2,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with its page."""
    folder = tmp_path_factory.mktemp("runs") / "a <b>run</b>"
    jsuper.run(SWEEP, out=folder, progress=False)
    report.write(folder)
    return folder


@pytest.fixture(scope="module")
def analyzed(run):
    return jsuper.analyze(jsuper.load(run))


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
    data = page_data(analyzed, toy, ("activation", "sparsity"))
    assert data["pictures"] == {} and "MB" in data["without_pictures"]


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


# ---- in a browser ----


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if BROWSER is None or DRIVER is None:
        pytest.skip("no browser: install Debian's packages chromium and chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    home = tmp_path_factory.mktemp("browser")
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={home}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, run):
    """The page, freshly opened; afterwards the console holds no word."""
    browser.get((run / "report.html").as_uri())
    yield browser
    assert browser.get_log("browser") == []


def texts(page, selector):
    return page.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
    )


def click(page, selector, position=0):
    page.execute_script(
        "document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, position
    )


def choose(page, label, value):
    page.execute_script(
        "const select = [...document.querySelectorAll('nav label')]"
        ".find((l) => l.textContent.startsWith(arguments[0])).querySelector('select');"
        "select.value = arguments[1]; select.dispatchEvent(new Event('change'))",
        label,
        value,
    )


def shown(value):
    """Two digits, as the heatmaps have them."""
    return float(f"{value:.2g}")


def test_the_heatmaps_show_medians_and_spreads_of_the_selected_slice(page, analyzed):
    assert len(texts(page, "#heatmaps figure")) == len(toy.HEADLINES)
    loss = analyzed.loss_over_constant
    first = texts(page, "#heatmaps figure:first-child td")
    assert len(first) == 6
    at = {"activation": 0, "sparsity": 2}
    assert float(first[2]) == pytest.approx(shown(loss[at].sel(dropout=0).median()))
    choose(page, "dropout", "0.2")
    choose(page, "show", "spread over seeds")
    low, high = loss[at].sel(dropout=0.2).quantile([0.25, 0.75])
    now = texts(page, "#heatmaps figure:first-child td")[2]
    assert float(now) == pytest.approx(shown(high - low), rel=0.02)


def drawn(page):
    """Whether each picture of the open cell shows anything."""
    return page.execute_script(
        "return Array.from(document.querySelectorAll('#cell canvas'), (c) => c.width > 0 && "
        "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v))"
    )


@pytest.mark.parametrize("left", [1, 2])
@pytest.mark.parametrize("why", ["seeds", "diverged"])
def test_a_cell_of_few_models_has_a_picture_of_each(browser, analyzed, tmp_path, left, why):
    ds = analyzed.isel(seed=slice(0, left))
    if why == "diverged":
        ds = analyzed.assign(status=analyzed.status.where(analyzed.seed < left, 2))
    (tmp_path / "page.html").write_text(report.render(ds, "few"), encoding="utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    click(browser, ".heatmap button", 0)
    names = ["best, median, worst"] if left == 1 else ["best, median", "worst"]
    assert [t.split(":")[0] for t in texts(browser, "#cell h3")] == names
    assert drawn(browser) == 2 * left * [True]
    heading = texts(browser, "#heatmaps h3")[0]
    over = "up to 3 seeds" if why == "diverged" else ["1 seed", "2 seeds"][left - 1]
    assert heading.endswith(f"median over {over}, dropout 0")
    assert browser.get_log("browser") == []


def test_the_table_sorts_both_ways(page):
    click(page, "#table thead button", 2)
    column = [float(t) for t in texts(page, "#table tbody tr td:nth-child(3)")]
    assert len(column) == 6 and column == sorted(column)
    click(page, "#table thead button", 2)
    down = [float(t) for t in texts(page, "#table tbody tr td:nth-child(3)")]
    assert down == sorted(column, reverse=True)


def test_a_cell_opens_with_pictures_and_all_seeds_and_closes(page, analyzed):
    click(page, ".heatmap button", 2)
    assert texts(page, "#cell-title") == ["dropout 0, activation relu, sparsity 0.9"]
    assert len(texts(page, "#cell canvas")) == 6  # two pictures of three seeds
    assert len(texts(page, ".seeds tbody tr")) == 3
    assert "sparsity=0.9" in texts(page, "#cell pre")[0]
    best = int(jsuper.best(analyzed).seed.sel(activation="relu", sparsity=0.9, dropout=0))
    assert texts(page, "#cell h3")[0].startswith(f"best: seed {best}, loss")
    assert drawn(page) == 6 * [True]
    click(page, "#cell form button")
    assert page.execute_script("return document.getElementById('cell').open") is False


def test_rows_and_columns_are_chosen_among_all_axes(page, analyzed):
    choose(page, "rows", "dropout")
    first = texts(page, "#heatmaps figure:first-child td")
    assert len(first) == 6 and texts(page, "#curves h3") == ["dropout 0", "dropout 0.2"]
    at = {"dropout": 1, "sparsity": 2, "activation": 0}
    assert float(first[5]) == pytest.approx(shown(analyzed.loss_over_constant[at].median()))
    choose(page, "activation", "hostile")
    second = texts(page, "#heatmaps figure:first-child td")
    assert float(second[5]) == pytest.approx(
        shown(analyzed.loss_over_constant[at | {"activation": 1}].median())
    )
    choose(page, "columns", "dropout")  # which was the rows: they change places
    head = texts(page, "#heatmaps figure:first-child thead th")
    assert head == ["sparsity \\ dropout", "0", "0.2"]


def test_a_link_opens_a_cell_and_buttons_lead_to_its_neighbours(browser, run):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get("about:blank")
    browser.get((run / "report.html").as_uri() + "#relu/0.9/0.2")
    assert texts(browser, "#cell-title") == ["dropout 0.2, activation relu, sparsity 0.9"]
    click(browser, ".steps button", 0)
    assert texts(browser, "#cell-title")[0].endswith("activation relu, sparsity 0.5")
    assert browser.current_url.endswith("#relu/0.5/0.2")
    assert json.dumps(str(run.absolute())) in texts(browser, "#cell pre")[0]
    click(browser, "#cell form button")
    WebDriverWait(browser, 20).until(lambda b: "#" not in b.current_url)  # its event comes later
    assert browser.get_log("browser") == []


def test_a_map_is_one_tab_stop_and_arrow_keys_move_in_it(page):
    stops = page.execute_script(
        "return [...document.querySelectorAll('.heatmap')].map("
        "(t) => [...t.querySelectorAll('button')].filter((b) => b.tabIndex === 0).length)"
    )
    assert set(stops) == {1}
    where = page.execute_script(
        "const buttons = [...document.querySelector('.heatmap').querySelectorAll('button')];"
        "buttons[0].focus();"
        "for (const key of ['ArrowRight', 'ArrowDown', 'ArrowDown'])"
        "  document.activeElement.dispatchEvent("
        "    new KeyboardEvent('keydown', {key, bubbles: true}));"
        "return buttons.indexOf(document.activeElement)"
    )
    assert where == 4  # the second of the second row


def test_the_page_is_dark_where_the_reader_wants_it(page):
    style = "return getComputedStyle(document.body)"
    assert page.execute_script(f"{style}.backgroundColor") == "rgb(255, 255, 255)"
    feature = {"name": "prefers-color-scheme", "value": "dark"}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        colours = page.execute_script(f"const s = {style[7:]}; return [s.backgroundColor, s.color]")
        back, text = (sum(map(int, re.findall(r"\d+", c))) for c in colours)
        assert back < 150 and text > 600
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_table_is_filtered_and_saved(page):
    page.execute_script(
        "const box = document.getElementById('filter'); box.value = 'relu 0.9';"
        "box.dispatchEvent(new Event('input'));"
        "window.saved = []; URL.createObjectURL = (b) => { b.text().then((t) => saved.push(t));"
        " return 'data:,'; }; document.getElementById('csv').click()"
    )
    assert len(texts(page, "#table tbody tr")) == 1
    text = page.execute_async_script(
        "const done = arguments[0];"
        "const wait = () => saved.length ? done(saved[0]) : setTimeout(wait, 20); wait()"
    )
    head, row = text.splitlines()
    assert head.startswith("activation,sparsity,loss_over_constant") and row.startswith("relu,0.9,")


def test_there_is_a_curve_for_every_activation(page):
    assert texts(page, "#curves h3") == ["relu", "hostile"]
    choose(page, "curves of", "loss")
    assert texts(page, "#curves-note")[0].startswith("loss along sparsity")


def test_it_fits_on_a_phone(page):
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.refresh()
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_hostile_text_is_not_run(browser, analyzed, tmp_path):
    ds = analyzed.assign_coords(activation=["relu", HOSTILE])
    (tmp_path / "page.html").write_text(report.render(ds, HOSTILE), encoding="utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    click(browser, ".heatmap button", 4)
    assert browser.title == f"{HOSTILE} · jsuper"
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    assert HOSTILE in texts(browser, "#curves h3")
    assert browser.get_log("browser") == []


def test_cells_of_failed_fits_are_hatched_and_left_out_of_superposition(
    browser, analyzed, tmp_path
):
    """Two fits of one cell get better at the end, one of another."""
    improvement = 0 * analyzed.loss
    improvement[0, 2, 0, :2], improvement[0, 1, 0, 0] = 0.5, 0.5
    loss = (analyzed.loss_over_constant * 0 + 0.3).assign_attrs(description="words")
    ds = analyzed.assign(
        loss_over_constant=loss, improvement=improvement, improvement_stderr=0 * improvement
    )
    (tmp_path / "page.html").write_text(report.render(ds, "failed"), encoding="utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    for k, name in enumerate(toy.HEADLINES[:2]):
        cells = texts(browser, f"#heatmaps figure:nth-child({k + 1}) td")
        marked = f"#heatmaps figure:nth-child({k + 1}) .failed"
        assert len(texts(browser, marked)) == 1
        own = ds[name].sel(activation="relu", sparsity=0.9, dropout=0)
        own = own[2:] if k else own
        assert float(cells[2]) == pytest.approx(shown(own.median()))
        title = browser.execute_script("return document.querySelector(arguments[0]).title", marked)
        assert "2 failed fits of 3 seeds, median" in title
    assert texts(browser, "#failed-fits li") == [
        "activation relu, sparsity 0.5, dropout 0.0: 1 still improving of 3",
        "activation relu, sparsity 0.9, dropout 0.0: 2 still improving of 3",
    ]
    click(browser, "#heatmaps .failed")
    outcomes = ["ok, still improving", "ok, still improving", "ok"]
    assert texts(browser, ".seeds td:last-child") == outcomes
    assert texts(browser, "#table thead th")[-1] == "failed fits"
    assert browser.get_log("browser") == []


# ---- the page of factorizations ----


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
    browser.get((factorized / "report.html").as_uri())
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
    assert "component ━━ 0  ━━ 1" in texts(its_page, "#cell figcaption")[2]


def test_what_a_smaller_factorization_lacks_is_not_drawn(its_page):
    click(its_page, "#heatmaps figure:first-child .heatmap button", 0)
    plots = its_page.find_elements("css selector", "#cell svg")
    assert [width > 1 for width, *_ in read(its_page, plots[1])] == [True, True]
    assert all("NaN" not in p.get_attribute("innerHTML") for p in plots)


def test_the_page_of_factorizations_shows_their_measures(its_page):
    headings = [t.split(":")[0] for t in texts(its_page, "#heatmaps h3")]
    assert headings == list(OF_FACTORIZATIONS)
    assert texts(its_page, "#curves h3") == ["rank 2"]
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
    assert "━━ 9" in path[1]


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
    browser.get((mlps / "report.html").as_uri())
    headings = [t.split(":")[0] for t in texts(browser, "#heatmaps h3")]
    assert headings == list(OF_MLPS)
    sizes = []
    for position in (0, 1):
        click(browser, "#heatmaps figure:first-child .heatmap button", position)
        captions = texts(browser, "#cell figcaption")
        assert any("reads × writes" in text for text in captions)
        assert not any("NaN" in text for text in captions)
        picture = "document.querySelector('#cell canvas[aria-label^=contributions]').height"
        sizes.append(browser.execute_script(f"return {picture}"))
    assert sizes == [2 * 102, 2 * 202]  # neurons of 50 pixels each, twice as sharp
    assert browser.get_log("browser") == []
