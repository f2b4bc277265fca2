"""Timing in turns, ratios within a round, programs in new processes, and the machine."""

import datetime
import importlib.metadata
import json
import os
import platform as python_platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeVar

import jax

from jsuper.core import files

from .cases import Case

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
T = TypeVar("T")

STAT = Path("/proc/stat")
PACKAGES = ("jsuper", "jax", "jaxlib", "optax", "torch", "numpy")


# Appended to a program that runs in a new process. VmHWM is the peak of that process alone;
# `ru_maxrss` would start at the peak of its parent.
PRINT_PEAK = """
import pathlib, re, sys
status = pathlib.Path("/proc/self/status")
peak = re.search(r"VmHWM:\\s*(\\d+) kB", status.read_text() if status.exists() else "")
print(1024 * int(peak[1]) if peak else None, file=sys.stderr)
"""


class Finished(NamedTuple):
    """A program that ran in a new process."""

    output: str
    seconds: float
    peak_bytes: int | None  # known on Linux


def run_python(
    program: str, *arguments: object, cache: str = "off", source: Path = ROOT
) -> Finished:
    """Run Python code in a new process.

    Parameters
    ----------
    program
        Code; its arguments are in `sys.argv`.
    arguments
        Passed as text.
    cache
        Folder of JAX's compiled programs.
    source
        Checkout from which jsuper is imported.
    """
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program + PRINT_PEAK, *map(str, arguments)],
        env=os.environ | {"JSUPER_CACHE": cache, "PYTHONPATH": str(source)},
        cwd=source,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"a benchmark's program failed:\n{done.stderr}")
    peak = done.stderr.split()[-1]
    return Finished(done.stdout, seconds, None if peak == "None" else int(peak))


def seconds_of(work: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turns(ways: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Call every function once per round and return its values, one for each round."""
    results = [{name: run() for name, run in ways.items()} for _ in range(rounds)]
    return {name: [result[name] for result in results] for name in ways}


def ratios(fast: list[float], slow: list[float]) -> dict[str, Any]:
    """Return the ratio of two rates in each round, and its median."""
    by_round = [ours / theirs for ours, theirs in zip(fast, slow, strict=True)]
    return {"median": median(by_round), "rounds": by_round}


def measure(cases: list[Case], rounds: int) -> list[dict[str, Any]]:
    """Time warmed-up cases in turn.

    Returns
    -------
    list[dict[str, Any]]
        For each case what it trained, and by round `seconds` (compilation excluded), `wall_s`
        (everything), `model_steps_per_s`, with its median, and `others` (see `_Neighbours`).
    """
    seconds: list[list[float]] = [[] for _ in cases]
    walls: list[list[float]] = [[] for _ in cases]
    others: list[list[float]] = [[] for _ in cases]
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", flush=True)
        for index, case in enumerate(cases):
            started, neighbours = time.perf_counter(), _Neighbours()
            seconds[index].append(case.run())
            walls[index].append(time.perf_counter() - started)
            others[index].append(neighbours.share())
    return [_row(*measured) for measured in zip(cases, seconds, walls, others, strict=True)]


class _Neighbours:
    """Share of the processors that other processes used since this was made; 0 if unknown.

    Eager PyTorch slows down most on a busy machine, which flatters the other ways.
    """

    def __init__(self) -> None:
        self.before = self._read()

    def share(self) -> float:
        """Return the share of all processor time that others used, from 0 to 1."""
        total, idle, own = (now - then for now, then in zip(self._read(), self.before, strict=True))
        return max(0.0, (total - idle - own) / total) if total else 0.0

    @staticmethod
    def _read() -> tuple[float, float, float]:
        """Return total, idle and own processor seconds."""
        if not STAT.exists():
            return 0.0, 0.0, 0.0
        # The first line is user, nice, system, idle, iowait, irq, softirq, steal, in ticks.
        words = STAT.read_text(encoding="ascii").splitlines()[0].split()[1:9]
        seconds = [int(word) / os.sysconf("SC_CLK_TCK") for word in words]
        return sum(seconds), seconds[3] + seconds[4], time.process_time()


def _row(
    case: Case, seconds: list[float], walls: list[float], others: list[float]
) -> dict[str, Any]:
    """Return the JSON of one case."""
    rates = [case.model_steps / s for s in seconds]
    return {
        "way": case.way,
        "size": case.size,
        "activations": len(case.activations),
        "models": case.models,
        "steps": case.work.steps,
        "model_steps": case.model_steps,
        "compile_s": case.compile_s,
        "median": median(rates),
        "model_steps_per_s": rates,
        "seconds": seconds,
        "wall_s": walls,
        "others": others,
    }


def best_ratios(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare the best case of jsuper with the best of every other way, and its two batchings.

    Parameters
    ----------
    rows
        From `measure`.

    Returns
    -------
    dict[str, Any]
        The best case of each way by its median, and the ratios with one value for each round.
    """
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["way"] not in best or row["median"] > best[row["way"]]["median"]:
            best[row["way"]] = row
    wanted = [("jsuper", way) for way in best if way != "jsuper"] + [("sequential", "whole")]
    compared = {
        f"{fast}/{slow}": ratios(best[fast]["model_steps_per_s"], best[slow]["model_steps_per_s"])
        for fast, slow in wanted
        if fast in best and slow in best
    }
    kept = ("size", "median")
    return {
        "best": {way: {key: row[key] for key in kept} for way, row in best.items()},
        "ratios": compared,
    }


def figure_path(path: Path) -> Path:
    """Return where the figure of a result is: that of a committed one is in the docs."""
    return (
        ROOT / "docs" / f"{path.stem}.png" if path.parent == RESULTS else path.with_suffix(".png")
    )


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Write a report; its folder is made if needed, and an older file is replaced as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, json.dumps(report, indent=1) + "\n")


def seconds_of_sessions(folder: Path) -> float:
    """Return the wall time of all sessions of a run folder together."""
    total = datetime.timedelta()
    for path in (folder / "sessions").glob("*.json"):
        session = json.loads(path.read_text(encoding="utf-8"))
        ends = (datetime.datetime.fromisoformat(session[key]) for key in ("started", "ended"))
        total -= next(ends) - next(ends)
    return total.total_seconds()


def describe_machine(platform: str) -> dict[str, Any]:
    """Return the date, the device, and the versions of everything measured."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "platform": platform,
        "device_kind": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "cpu_model": _cpu_model(),
        "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "cpu_count": os.cpu_count(),
        "versions": {
            "python": python_platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
    }


def device_name(report: dict[str, Any]) -> str:
    """Return the device's name and size, for a title."""
    if report["platform"] != "cpu":
        return f"{report['devices']} x {report['device_kind']}"
    return f"{report['cpu_model']}, {report['cpu_cores'] or report['cpu_count']} cores"


def _version(package: str) -> str | None:
    """Return the installed version, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    """Return the processor's name; on Linux /proc/cpuinfo has the useful one.

    Virtual machines hide the model in the name, but show family and model, which tell generations
    of processors apart.
    """
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.split(":", 1) for line in info.read_text(encoding="utf-8").splitlines())
        found = {pair[0].strip(): pair[1].strip() for pair in lines if len(pair) == 2}
        if "model name" in found:
            family, model = found.get("cpu family"), found.get("model")
            ending = f" (family {family}, model {model})" if family and model else ""
            return found["model name"] + ending
    return python_platform.processor() or python_platform.machine()


def _commit() -> str | None:
    """Return the commit of the checkout, with a plus sign where files have changed since."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    try:
        described = subprocess.run(git, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
