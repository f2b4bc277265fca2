"""Outcomes of trials, kept for the process and in the user's cache folder, one file for each."""

from __future__ import annotations

import contextlib
import json

from jsuper.core import files
from jsuper.core.choices import Choice
from jsuper.engine.programs import cache_folder

_known: dict[str, Choice] = {}


def recall(key: str) -> Choice | None:
    """Return the outcome of a trial; None if there has been none, or its file is damaged."""
    folder = cache_folder("trials")
    if key not in _known and folder is not None:
        with contextlib.suppress(OSError, ValueError):
            uses_kernel, reason = json.loads((folder / f"{key}.json").read_text())
            if type(uses_kernel) is bool and type(reason) is str:
                _known[key] = Choice(uses_kernel, reason)
    return _known.get(key)


def remember(key: str, choice: Choice) -> None:
    """Keep an outcome. A full or read-only disk costs the file, not the run."""
    _known[key] = choice
    folder = cache_folder("trials")
    if folder is not None:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            files.write_text(folder / f"{key}.json", json.dumps(list(choice)))


def forget() -> None:
    """Forget what this process knows; files stay."""
    _known.clear()
