"""The page of a run: what it embeds, what it says, and that a real browser can work with it."""

import base64
import json
import re
import shutil

import numpy as np
import pytest
from second_family.spec import Sweep as Decay

import jsuper
from jsuper import cli, families, report
from jsuper.report.data import best_median_worst, embedded
from jsuper.toy import measures

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


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def array(text, dtype="<f4"):
    return np.frombuffer(base64.b64decode(text), dtype)


def test_the_page_embeds_every_headline_of_every_model(run, analyzed):
    data = data_of((run / "report.html").read_text(encoding="utf-8"))
    assert [a["name"] for a in data["axes"]] == ["dropout", "activation", "sparsity", "seed"]
    assert data["shown"] == [*measures.HEADLINES, "loss"]
    for name in data["shown"]:
        values = analyzed[name].transpose("dropout", "activation", "sparsity", "seed").values
        np.testing.assert_array_equal(array(data["values"][name]), values.ravel())


def test_the_pictures_are_those_of_the_best_median_and_worst_seed(analyzed):
    data = embedded(analyzed, measures, ("activation", "sparsity"))
    at = {"dropout": 0.2, "activation": "relu", "sparsity": 0.9}
    order = analyzed.loss.sel(at).argsort().values
    chosen = array(data["chosen"], "<i4").reshape(2, 2, 3, 3)
    assert chosen[1, 0, 2].tolist() == order.tolist()
    W = array(data["pictures"]["W"]["values"]).reshape(2, 2, 3, 3, 4, 6)
    np.testing.assert_array_equal(W[1, 0, 2], analyzed.W.sel(at).values[order])


def test_pictures_that_would_swell_the_page_are_left_out_and_said_so(analyzed, monkeypatch):
    monkeypatch.setattr("jsuper.report.data.PICTURE_BYTES", 100)
    data = embedded(analyzed, measures, ("activation", "sparsity"))
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
    assert cli.report([str(folder)]) == 0
    assert str(folder / "report.html") in capsys.readouterr().out
    assert "0 missing" not in (folder / "report.html").read_text(encoding="utf-8")


def test_what_is_no_run_folder_has_no_page(tmp_path, capsys):
    assert cli.report([str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_family_without_activations_or_sparsity_has_a_page(tmp_path, monkeypatch):
    monkeypatch.setitem(families.FAMILIES, "decay", "second_family")
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
    assert len(texts(page, "#heatmaps figure")) == len(measures.HEADLINES)
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
