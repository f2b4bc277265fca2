"""Timing in turns, ratios within a round, and what must be known about the machine."""

import datetime
import importlib.metadata
import json
import os
import platform as python_platform
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

import jax
from cases import Case

from jsuper.core import files

STAT = Path("/proc/stat")
PACKAGES = ("jsuper", "jax", "jaxlib", "optax", "torch", "numpy")


def measure(cases: list[Case], rounds: int) -> list[dict[str, Any]]:
    """Return times the cases in turn, `rounds` times.

    Parameters
    ----------
    cases
        Warmed up.
    rounds
        Runs of each case.

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
    """What other processes took of the processors since this was made; 0 where not known.

    Eager PyTorch suffers most from them, so a busy machine flatters the other ways.
    """

    def __init__(self) -> None:
        self.before = self._read()

    def share(self) -> float:
        """Return the others' share of all processor time, from 0 to 1."""
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
    """Return a case for the JSON."""
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
    """Compare the best case of jsuper with the best case of every other way, and its own two.

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
    ratios = {}
    for fast, slow in wanted:
        if fast in best and slow in best:
            rates = (best[fast]["model_steps_per_s"], best[slow]["model_steps_per_s"])
            by_round = [ours / theirs for ours, theirs in zip(*rates, strict=True)]
            ratios[f"{fast}/{slow}"] = {"median": median(by_round), "rounds": by_round}
    kept = ("size", "median")
    return {
        "best": {way: {key: row[key] for key in kept} for way, row in best.items()},
        "ratios": ratios,
    }


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Write what was measured; the file is whole, or the older one."""
    files.write_text(path, json.dumps(report, indent=1) + "\n")


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
    """Return the device in words, for a title."""
    if report["platform"] != "cpu":
        return f"{report['devices']} x {report['device_kind']}"
    return f"{report['cpu_model']}, {report['cpu_cores'] or report['cpu_count']} cores"


def _version(package: str) -> str | None:
    """Return the version installed, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    """Return the processor's name; Linux keeps the useful one in a file."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return python_platform.processor() or python_platform.machine()


def _commit() -> str | None:
    """Return the commit of the checkout, with a plus sign where files have changed since."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    try:
        described = subprocess.run(git, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
