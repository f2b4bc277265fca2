"""Former names of public functions, which work for one more release."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """Return a module's `__getattr__` that resolves former names with a DeprecationWarning.

    Parameters
    ----------
    module
        The module's `__name__`.
    names
        Former name -> present name.
    """

    def getattribute(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(
            f"{module}.{name} is now {names[name]}; the former name is removed in the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(import_module(module), names[name])

    return getattribute
