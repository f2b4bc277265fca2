"""The commands that look at a run folder and change nothing: `jsuper status`, `jsuper verify`."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import tyro

from jsuper import cli
from jsuper.status import problems, status_of, words
from jsuper.text import printable


@dataclasses.dataclass(frozen=True)
class StatusOptions:
    """Show how far a run is, from any terminal while it is running: done, missing, failed and
    diverged models, rate and time left."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """run folder"""
    json: bool = False
    """as JSON"""


def status(argv: list[str]) -> int:
    """`jsuper status RUN`."""
    options = tyro.cli(
        StatusOptions, prog="jsuper status", args=argv, config=(tyro.conf.FlagCreatePairsOff,)
    )
    return cli.reported(lambda: _show(options))


def _show(options: StatusOptions) -> int:
    found = status_of(options.run)
    more = {"missing": found.missing, "seconds_left": found.seconds_left}
    print(json.dumps(dataclasses.asdict(found) | more) if options.json else words(found))
    return cli.DONE


@dataclasses.dataclass(frozen=True)
class VerifyOptions:
    """Read every byte of a run's chunks and name those that are damaged; exit code 1 if any is."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """run folder"""


def verify(argv: list[str]) -> int:
    """`jsuper verify RUN`."""
    options = tyro.cli(VerifyOptions, prog="jsuper verify", args=argv)
    return cli.reported(lambda: _check(options.run))


def _check(run: str) -> int:
    found = list(problems(run))
    for line in found:
        print(printable(line))
    done = status_of(run)
    print(
        f"{done.chunks_done} of {done.chunks} chunks are there; {len(found) or 'no'} "
        f"problem{'' if len(found) == 1 else 's'}"
    )
    return cli.ERROR if found else cli.DONE
