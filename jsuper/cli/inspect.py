"""The commands that look at a run folder and change nothing: `jsuper status`, `jsuper verify`."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import tyro

from jsuper.cli import process
from jsuper.cli.values import no_default, read
from jsuper.core.text import printable
from jsuper.store.status import problems, status_of, words


@dataclasses.dataclass(frozen=True)
class StatusOptions:
    """Show how far a run is, also while it is running.

    It prints the numbers of finished, missing, failed and diverged models, the rate and the time
    left.
    """

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """run folder"""
    json: Annotated[bool, no_default()] = False
    """as JSON"""


def status(argv: list[str]) -> int:
    """`jsuper status RUN`."""
    return process.reported(lambda: _show(read(StatusOptions, argv, "jsuper status")))


def _show(options: StatusOptions) -> int:
    found = status_of(options.run)
    more = {"missing": found.missing, "seconds_left": found.seconds_left}
    print(json.dumps(dataclasses.asdict(found) | more) if options.json else words(found))
    return process.DONE


@dataclasses.dataclass(frozen=True)
class VerifyOptions:
    """Read every byte of a run's chunks and name those that are damaged; exit code 1 if any is."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """run folder"""


def verify(argv: list[str]) -> int:
    """`jsuper verify RUN`."""
    return process.reported(lambda: _check(read(VerifyOptions, argv, "jsuper verify").run))


def _check(run: str) -> int:
    found = list(problems(run))
    for line in found:
        print(printable(line))
    done = status_of(run)
    print(
        f"{done.chunks_done} of {done.chunks} chunks are there; {len(found) or 'no'} "
        f"problem{'' if len(found) == 1 else 's'}"
    )
    return process.ERROR if found else process.DONE
