"""An extension of the site's reference (mkdocs.yml): the real defaults of parameters.

Griffe reads the source without running it, where a sweep's field is `static(5, "number of ...",
...)`; and it gives parameters that a docstring describes together the default of the first.
"""

import dataclasses
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from griffe import Extension  # pyright: ignore[reportMissingImports] - `.[docs]` installs it

sys.path.insert(0, str(Path(__file__).parents[1]))  # the reference is of this checkout

SECTION = re.compile(r"^(Parameters|Attributes)\n-+\n.*?(?=^\w+\n---|\Z)", re.MULTILINE | re.DOTALL)
TOGETHER = re.compile(r"^(\w+(?:, \w+)+)\n((?:    .*\n|\n|    .*\Z)+)", re.MULTILINE)


class Defaults(Extension):
    """Replaces the declarations of fields by their defaults, and describes each parameter."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Describe parameters one by one."""
        if obj.docstring:
            obj.docstring.value = one_by_one(obj.docstring.value)

    def on_attribute_instance(self, *, attr: Any, **_: Any) -> None:
        """Give a field of a sweep its default, before dataclasses get their signatures."""
        if attr.parent.name not in ("BaseSweep", "Fields") or not attr.parent.is_class:
            return
        sweep = getattr(import_module(attr.module.path), attr.parent.name)
        defaults = {field.name: field.default for field in dataclasses.fields(sweep)}
        if attr.name in defaults:
            attr.value = text_of(defaults[attr.name])


def one_by_one(docstring: str) -> str:
    """Return a docstring in which `a, b` are two parameters with the same description."""

    def each(found: re.Match[str]) -> str:
        names, description = found.groups()
        return "".join(f"{name}\n{description.rstrip()}\n" for name in names.split(", ")) + "\n"

    return SECTION.sub(lambda section: TOGETHER.sub(each, section[0]), docstring)


def text_of(default: Any) -> str:
    """Return a default as a user would give it: a single value of an axis without its tuple."""
    if type(default).__name__ == "Omitted":
        return "None"
    return repr(default[0] if isinstance(default, tuple) and len(default) == 1 else default)
