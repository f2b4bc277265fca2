"""The command line: `jsuper COMMAND`.

Neither `--help` nor bad input nor a finished run imports jax.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import jsuper
from jsuper.cli import commands, findings, folders, gallery, inspect, process, sweeping
from jsuper.core.suggestions import not_one_of

Command = Callable[[list[str]], int]  # arguments -> exit code
COMMANDS: dict[str, tuple[Command, str]] = {
    "sweep": (sweeping.sweep, "train, resume or extend a sweep: --preset, --config or --model"),
    "status": (inspect.status, "show how far a run is, also while it is running"),
    "verify": (inspect.verify, "read every byte of a run and name the damaged files"),
    "report": (commands.report, "write a run's page, report.html"),
    "export": (commands.export, "write a run's results as csv, netcdf, parquet or safetensors"),
    "list": (folders.list_runs, "list the run folders below a folder"),
    "compare": (folders.compare, "compare the models of two runs"),
    "merge": (folders.merge, "combine run folders of one sweep into a new one"),
    "scrub": (commands.scrub, "causal scrubbing: which inputs explain a run's outputs"),
    "gallery": (gallery.gallery, "repeat published figures: train what is missing, draw, check"),
    "findings": (findings.findings, "train what the findings need, decide them, write their pages"),
    "study": (findings.study, "the older name of findings, for one release"),
    "claims": (findings.claims, "the older name of findings, for one release"),
}


def main(argv: list[str] | None = None) -> int:
    """Run `jsuper COMMAND ...`, also `python -m jsuper COMMAND ...`."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in COMMANDS:
        command, _ = COMMANDS[argv[0]]
        return command(argv[1:])
    parser = argparse.ArgumentParser(
        "jsuper",
        description="A sweep engine for toy models of superposition.",
        epilog="jsuper COMMAND --help describes a command. In Python: import jsuper.",
    )
    parser.add_argument("--version", action="version", version=f"jsuper {jsuper.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (_, description) in COMMANDS.items():
        subparsers.add_parser(name, help=description, add_help=False)
    if not argv:
        parser.print_help(sys.stderr)
        return process.BAD_INPUT
    if not argv[0].startswith("-"):
        subject = f"command {argv[0]!r} is not known"
        message = not_one_of(subject, argv[0], COMMANDS, "the commands are")
        print(f"error: {message}", file=sys.stderr)
        return process.BAD_INPUT
    parser.parse_args(argv[:1])
    return process.BAD_INPUT
