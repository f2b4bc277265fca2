"""A run with its page, and a browser that shows it."""

import browsing
import pytest

import jsuper
from jsuper import report


def hostile(z):
    """A user's function; tests make its name hostile."""
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
    snapshots=(0, 10),
)


@pytest.fixture(scope="package")
def run(tmp_path_factory):
    """A run folder with its page."""
    folder = tmp_path_factory.mktemp("runs") / "a <b>run</b>"
    jsuper.run(SWEEP, out=folder, progress=False)
    report.write(folder)
    return folder


@pytest.fixture(scope="package")
def analyzed(run):
    return jsuper.analyze(jsuper.load(run))


@pytest.fixture(scope="package")
def browser(tmp_path_factory):
    driver = browsing.started(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, run):
    """The page, freshly opened; afterwards the console holds no word."""
    browser.get("about:blank")
    browsing.visit(browser, run / "report.html")
    yield browser
    assert browser.get_log("browser") == []


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of a Dataset; afterwards the console holds no word."""

    def open_page(ds, title="mine"):
        (tmp_path / "page.html").write_text(report.render(ds, title), encoding="utf-8")
        browser.get("about:blank")
        browsing.visit(browser, tmp_path / "page.html")
        return browser

    yield open_page
    assert browser.get_log("browser") == []
