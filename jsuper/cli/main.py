"""The command line: `jsuper COMMAND`.

Neither `--help` nor bad input nor a finished run imports jax.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import jsuper
from jsuper.cli.options import default_folder, parse
from jsuper.cli.process import (
    BAD_INPUT,
    reported,
)
from jsuper.cli.sweeping import run_sweep
from jsuper.core.suggestions import not_one_of

if TYPE_CHECKING:
    pass

# Command -> module:function, and what it does.
COMMANDS = {
    "sweep": (
        "jsuper.cli.main:sweep",
        "train a sweep, or resume or extend it: --preset, --config or --model",
    ),
    "status": ("jsuper.cli.inspect:status", "show how far a run is, also while it is running"),
    "verify": ("jsuper.cli.inspect:verify", "read every byte of a run and name the damaged files"),
    "report": ("jsuper.cli.commands:report", "write a run's page, report.html"),
    "export": ("jsuper.cli.commands:export", "write a run's results as csv, netcdf or parquet"),
    "list": ("jsuper.cli.folders:list_runs", "list the run folders below a folder"),
    "compare": ("jsuper.cli.folders:compare", "compare the models of two runs"),
    "merge": ("jsuper.cli.folders:merge", "combine run folders of one sweep into a new one"),
    "scrub": (
        "jsuper.cli.commands:scrub",
        "causal scrubbing: which inputs explain a run's outputs",
    ),
    "study": ("jsuper.cli.commands:study", "train the presets of a study and write its page"),
    "claims": ("jsuper.cli.claims:claims", "train what the published claims need and decide them"),
}


def _function_of(command: str) -> Callable[[list[str]], int]:
    module, name = COMMANDS[command][0].split(":")
    return getattr(import_module(module), name)


def main(argv: list[str] | None = None) -> int:
    """`jsuper COMMAND ...`, also `python -m jsuper COMMAND ...`."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in COMMANDS:
        command = _function_of(argv[0])
        return command(argv[1:])
    parser = argparse.ArgumentParser(
        "jsuper",
        description="A sweep engine for toy models of superposition.",
        epilog="jsuper COMMAND --help describes a command. In Python: import jsuper.",
    )
    parser.add_argument("--version", action="version", version=f"jsuper {jsuper.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (_, help) in COMMANDS.items():
        commands.add_parser(name, help=help, add_help=False)
    if not argv:
        parser.print_help(sys.stderr)
        return BAD_INPUT
    if not argv[0].startswith("-"):
        subject = f"command {argv[0]!r} is not known"
        message = not_one_of(subject, argv[0], COMMANDS, "the commands are")
        print(f"error: {message}", file=sys.stderr)
        return BAD_INPUT
    parser.parse_args(argv[:1])
    return BAD_INPUT


def sweep(argv: list[str] | None = None) -> int:
    """Train a sweep: `python scripts/sweep.py [--preset NAME | --config FILE] [flags]`."""

    def train() -> int:
        asked, options, name = parse(sys.argv[1:] if argv is None else argv)
        folder = default_folder(asked, name) if options.out is None else Path(options.out)
        return run_sweep(asked, options, folder)

    return reported(train)
