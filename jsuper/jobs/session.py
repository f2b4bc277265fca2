"""What a run folder records of one session of work: when, on which machine, with what software."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from jsuper.core.json_data import JSONObject
from jsuper.core.version import __version__

if TYPE_CHECKING:
    from jsuper.engine.devices import Plan

PACKAGES = ("jax", "jaxlib", "optax", "flax", "numpy")


def session_metadata(plan: Plan) -> JSONObject:
    """Return versions, devices, plan, commit, host, command and start of a session, for JSON."""
    return {
        "versions": {"python": platform.python_version(), "jsuper": __version__}
        | {p: version(p) for p in PACKAGES},
        "devices": [f"{d.platform}:{d.id} {d.device_kind}" for d in plan.worker_devices],
        "plan": plan.describe(),
        "git": _git_commit(),
        "host": platform.node(),
        "argv": sys.argv,
        "started": timestamp(),
    }


def timestamp() -> str:
    """Return the time in UTC, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git_commit() -> str | None:
    """Return the commit of jsuper's checkout, with '+' for changes; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        dirty = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True)
    except OSError:
        return None
    return None if commit.returncode else commit.stdout.strip() + ("+" if dirty.stdout else "")
