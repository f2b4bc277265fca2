"""The progress line of a run on standard error: models done, speed, and time left to the page."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from jsuper.core.text import format_duration

if TYPE_CHECKING:
    from jsuper.engine.counters import Progress
    from jsuper.engine.estimates import Estimate

PLAIN_SECONDS = 10.0  # between lines where there is no terminal


@contextlib.contextmanager
def reporter(
    expected: Estimate, progress: Progress, *, quiet: bool = False
) -> Iterator[Callable[[], None]]:
    """Give a function that shows the state of `progress`; call it often."""
    if quiet or not expected.chunks:
        yield lambda: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = BarColumn(20), TextColumn("{task.description}", markup=False)
        with Bar(*columns, console=Console(stderr=True, highlight=False)) as bar:
            task = bar.add_task("", total=1.0)

            said = set()

            def tick() -> None:
                for text in unsaid(progress, said):
                    bar.console.print(text, markup=False)
                share = share_done(expected, progress)
                bar.update(task, completed=share or 0.0, description=line(expected, progress))

            yield tick
    else:
        yield _plain_lines(expected, progress)


def share_done(expected: Estimate, progress: Progress) -> float | None:
    """Return the share of the command's time that is over, below 1; None before it is known."""
    left = expected.seconds_left(progress)
    return None if left is None else min(progress.elapsed() / (progress.elapsed() + left), 0.99)


def line(expected: Estimate, progress: Progress) -> str:
    """Return the line: '46%  120/378 models, 25,600 model-steps/s, 3 min 20 s left'."""
    share, left = share_done(expected, progress), expected.seconds_left(progress)
    parts = [f"{progress.models:,}/{expected.models:,} models"]
    if progress.non_finite:
        parts.append(f"{progress.non_finite:,} non-finite")
    if progress.compiling:
        parts.append("compiling")
    if progress.measuring:
        parts.append("measuring the final loss")
    if left is None or share is None:
        return f"      {', '.join(parts)}, time left not known yet"
    rate = progress.model_steps / max(progress.trained_s or progress.elapsed(), 1e-9)
    return (
        f"{share:4.0%}  {', '.join(parts)}, {rate:,.0f} model-steps/s, {format_duration(left)} left"
    )


def unsaid(progress: Progress, said: set[str]) -> list[str]:
    """Return lines on choices that are not in `said`, and add these."""
    lines = [choice.describe(name) for name, choice in dict(progress.choices).items()]
    lines = [line for line in lines if line not in said]
    said.update(lines)
    return lines


def _plain_lines(expected: Estimate, progress: Progress) -> Callable[[], None]:
    last, said = time.monotonic(), set()

    def tick() -> None:
        nonlocal last
        for text in unsaid(progress, said):
            print(text, file=sys.stderr, flush=True)
        if time.monotonic() - last >= PLAIN_SECONDS:
            last = time.monotonic()
            print(line(expected, progress), file=sys.stderr, flush=True)

    return tick
