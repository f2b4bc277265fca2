"""Measure the page of about 100,000 models: its bytes, and the seconds until a browser shows it.

Writes results/report_page.json. The models are made up: the time does not depend on their weights.
Chromium and chromedriver are needed, and the package selenium.

    python benchmarks/report_page.py
"""

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from helpers.options import read_options
from helpers.timing import RESULTS, describe_machine, seconds_of, write_json

import jsuper
from jsuper import report
from jsuper.analysis.metrics import toy
from jsuper.engine.devices import make_plan
from jsuper.jobs.job import prepare
from jsuper.models.toy.activations.names import ACTIVATIONS
from jsuper.report.ahead import made_up
from jsuper.store.dataset import to_dataset

TIMES = """
    const done = arguments[0], wait = () => {
      const [page] = performance.getEntriesByType("navigation");
      const paint = performance.getEntriesByName("first-contentful-paint")[0];
      if (paint && page.loadEventEnd) done([paint.startTime, page.loadEventEnd]);
      else setTimeout(wait, 20);
    };
    wait();
"""


@dataclass(frozen=True)
class Options:
    """Time the page of many models."""

    rounds: int = 7
    """rounds, whose median is reported"""
    out: Path = RESULTS
    """folder of the results"""


def sweeps() -> dict[str, jsuper.Sweep]:
    """Return the default sweep, and sweeps of about 100,000 models in few and in many cells."""
    sparsity = tuple(np.round(1 - np.geomspace(1, 0.001, 37), 5).tolist())
    density = tuple(np.round(1 - np.geomspace(1, 0.01, 100), 5).tolist())
    decay = tuple(np.geomspace(0.1, 10, 100).round(4).tolist())
    return {
        "default": jsuper.Sweep(activation=ACTIVATIONS),
        "27 x 37 cells": jsuper.Sweep(activation=ACTIVATIONS, sparsity=sparsity, seeds=100),
        "100 x 100 cells": jsuper.Sweep(
            activation="relu", sparsity=density, importance_decay=decay, n_features=2, n_hidden=1,
            seeds=10,
        ),
    }  # fmt: skip


def dataset_of(sweep: jsuper.Sweep) -> Any:
    """Return a Dataset of made-up models with made-up headlines."""
    ds = to_dataset(sweep.to_dict(), prepare(sweep, None, make_plan("cpu")).chunks, made_up)
    rng = np.random.default_rng(0)
    for name in {*toy.HEADLINES, "failed_fit"} - set(ds):
        values = (name != "failed_fit") * rng.uniform(0.1, 1, ds["status"].shape)
        ds[name] = (ds["status"].dims, values, {"description": name})
    return ds.assign(loss_over_constant=ds["loss_over_constant"].clip(max=0.9))


def write_page(ds: Any, path: Path) -> None:
    """Write the page of a Dataset."""
    path.write_text(report.render(ds, "page"))


def shown(path: Path, rounds: int) -> dict[str, float]:
    """Return the medians of the seconds until something and everything is painted."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    browser = webdriver.Chrome(options)
    times = []
    for _ in range(rounds):
        browser.get("about:blank")
        browser.get(path.as_uri())
        times.append(browser.execute_async_script(TIMES))
    browser.quit()
    first, all_drawn = (median(column) / 1000 for column in zip(*times, strict=True))
    return {"first_paint_s": first, "drawn_s": all_drawn}


def main() -> None:
    """Time, print and write."""
    options = read_options(Options)
    found: dict[str, Any] = describe_machine("cpu")
    with tempfile.TemporaryDirectory() as folder:
        for name, sweep in sweeps().items():
            ds, path = dataset_of(sweep), Path(folder) / "report.html"
            seconds = seconds_of(partial(write_page, ds, path))
            text = path.read_text()
            found[name] = {
                "models": int(ds["status"].size),
                "bytes": path.stat().st_size,
                "written_s": seconds,
                "without_weights": '"without_pictures": ' in text,
                "without_curves": '"without_curves": ' in text,
                "without_seeds": '"without_seeds": ' in text,
            } | shown(path, options.rounds)
            print(name, found[name], flush=True)
    write_json(options.out / "report_page.json", found)


if __name__ == "__main__":
    main()
