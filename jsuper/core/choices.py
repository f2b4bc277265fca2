"""What was chosen for a program, and why: kept by run folders, so that every process agrees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jsuper.core.json_data import JSONObject


class Choice(NamedTuple):
    """Whether the kernel of a program is used, and why, in words."""

    uses_kernel: bool
    reason: str

    def describe(self, name: str) -> str:
        """Return a line on a program of this name."""
        return f"kernel   {name}: {'' if self.uses_kernel else 'not used, '}{self.reason}"


def as_data(choices: Mapping[str, Choice], device: str) -> JSONObject:
    """Return choices as JSON data, with the kind of device that they were made on."""
    return {"device": device, "programs": {k: list(v) for k, v in choices.items()}}


def chosen_before(sessions: Iterable[JSONObject], device: str) -> dict[str, Choice]:
    """Return the choices of sessions on a kind of device; of several, the first ones.

    What is damaged is left out, and tried again.
    """
    found: dict[str, Choice] = {}
    for session in sessions:
        kernels = session.get("kernels")
        if not isinstance(kernels, dict) or kernels.get("device") != device:
            continue
        programs = kernels.get("programs")
        for name, value in (programs if isinstance(programs, dict) else {}).items():
            if isinstance(value, list) and list(map(type, value)) == [bool, str]:
                found.setdefault(name, Choice(*value))
    return found
