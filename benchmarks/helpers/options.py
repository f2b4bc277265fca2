"""The options of a benchmark."""

import sys
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import tyro

Options = TypeVar("Options")


def read_options(cls: type[Options], description: str | None = None) -> Options:
    """Return the options of the command line; whole numbers below 1 end the program.

    Parameters
    ----------
    cls
        A dataclass, whose fields are the options.
    description
        Text of `--help`; by default the docstring of `cls`.
    """
    options = tyro.cli(cls, description=description)
    if wrong := too_small(options):
        sys.exit(f"{', '.join(wrong)}: give at least 1")
    return options


def too_small(options: Any, prefix: str = "--") -> list[str]:
    """Return the whole numbers below 1, such as "--rounds 0"."""
    found = []
    for field in fields(options):
        value, name = getattr(options, field.name), prefix + field.name.replace("_", "-")
        if is_dataclass(value):
            found += too_small(value, f"{name}.")
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int) and not isinstance(number, bool) and number < 1:
                found.append(f"{name} {number}")
    return found
