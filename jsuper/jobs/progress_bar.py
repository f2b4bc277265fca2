"""One line on standard error that moves: models done, model-steps per second, time left."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tqdm import tqdm

from jsuper.core.grid import Chunk

if TYPE_CHECKING:
    from jsuper.engine.counters import Progress

PLAIN_SECONDS = 10.0  # between lines where there is no terminal
REFRESH_SECONDS = 0.5


@contextlib.contextmanager
def reporter(
    chunks: list[Chunk], progress: Progress, *, quiet: bool = False
) -> Iterator[Callable[[], None]]:
    """Give a function that shows the state of `progress`; call it often."""
    total = sum(c.n_models * c.static["steps"] for c in chunks)
    if quiet or not total:
        yield lambda: None
    elif sys.stderr.isatty():
        with _bar(total) as bar:
            yield lambda: _update(bar, progress, sum(c.n_models for c in chunks))
    else:
        yield _plain_lines(total, sum(c.n_models for c in chunks), progress)


def _bar(total: int) -> tqdm:
    return tqdm(
        total=total,
        unit=" model-steps",
        unit_scale=True,
        mininterval=REFRESH_SECONDS,
        smoothing=0.1,
        dynamic_ncols=True,
        file=sys.stderr,
        bar_format="{percentage:3.0f}% |{bar}| {desc}, {rate_fmt}, {elapsed} < {remaining}",
    )


def _update(bar: tqdm, progress: Progress, models: int) -> None:
    bar.set_description_str(state(progress, models), refresh=False)
    bar.update(progress.model_steps - bar.n)
    if time.time() - bar.last_print_t >= REFRESH_SECONDS:
        bar.last_print_t = time.time()
        bar.refresh()


def state(progress: Progress, models: int) -> str:
    """'120/567 models', and what else is worth saying: compiling, models that diverged."""
    text = f"{progress.models}/{models} models"
    if progress.non_finite:
        text += f", {progress.non_finite} non-finite"
    text += ", compiling" if progress.compiling else ""
    return text + (", measuring the final loss" if progress.measuring else "")


def _plain_lines(total: int, models: int, progress: Progress) -> Callable[[], None]:
    began = last = time.monotonic()

    def tick() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PLAIN_SECONDS:
            return
        last = now
        rate = progress.model_steps / (now - began)
        left = f"{(total - progress.model_steps) / rate:,.0f} s left" if rate else "starting"
        share = progress.model_steps / total
        line = f"{share:4.0%}  {state(progress, models)}, {rate:,.0f} model-steps/s, {left}"
        print(line, file=sys.stderr, flush=True)

    return tick
