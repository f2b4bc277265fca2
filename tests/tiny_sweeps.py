"""Tiny sweeps on the command line, how their commands end, and how bad input is refused."""

import re
import subprocess

from running import state

from jsuper.cli import process, sweeping

SIZE = " --batch-size 64 --n-features 6 --n-hidden 2 --platform cpu --workers 2"
TINY = ("--activation relu gelu --sparsity 0 0.9 --seeds 2 --steps 30" + SIZE).split()
WITH_REPORT = list(TINY)
TINY.append("--no-report")
GRID = [*TINY, "--seeds", "4"]  # two chunks


def end(process):
    """(exit code, standard output, standard error) of a process, once it has ended."""
    with process:
        try:
            out, error = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()  # otherwise the end of the block would wait for it
            raise
    return process.returncode, out, error


def assert_refused(result, said):
    """Exit code 2, one or two lines on standard error of which the last says why."""
    code, _, error = result
    lines = error.strip().splitlines()
    assert code == process.BAD_INPUT == 2, error
    assert 1 <= len(lines) <= 2 and lines[-1].startswith("error: "), error
    assert re.search(said, lines[-1]), error


def assert_nothing_is_left(run, capsys):
    """The same command again changes nothing."""
    capsys.readouterr()
    before = state(run)
    assert sweeping.sweep([*GRID, "--out", str(run)]) == 0
    assert "All 16 models are done" in capsys.readouterr().out and state(run) == before
