"""TOML files of sweeps, which anybody may have written: checked before they are parsed.

`tomllib` can take far more memory than its input has bytes, and gives up on deep nesting and on
huge integers with errors of several types. Here each of them is a ValueError that says what is
wrong.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from jsuper.core.errors import SpecError
from jsuper.core.json_data import JSONObject
from jsuper.core.reading import check_size, parser_message

LARGEST_TOML = 10**7  # bytes: a list of a million seeds
MOST_KEYS = 1000

# Comments and strings; one that is not closed is the rest of the text, where tomllib stops too.
_TOML_TOKEN = re.compile(
    r"""\#[^\n]*+
    | \"{3}(?:[^"\\] | \\. | ""?(?!"))*+ (?:"{3,5} | .*+)
    | '{3}(?:[^'] | ''?(?!'))*+ (?:'{3,5} | .*+)
    | "(?:[^"\\\n] | \\.)*+ (?:" | .*+)
    | '[^'\n]*+ (?:' | .*+)""",
    re.DOTALL | re.VERBOSE,
)
_DESCRIPTION = re.compile(r"^\[preset\][ \t]*$", re.MULTILINE)  # begins that of a preset
_TOML_GROUP = r"\[zipped\.[A-Za-z0-9_-]++\][ \t\r]*+$"  # the only tables
_TOML_TABLE = re.compile(rf"^[ \t]*+(?!{_TOML_GROUP})\[|\{{|^[^=.\n]*+\.[^=\n]*+=", re.MULTILINE)


def read_toml(path: str | Path) -> JSONObject:
    """Return the fields of the sweep in a TOML file.

    What follows a line [preset] is the description of a preset, and is left out.

    Raises
    ------
    SpecError
        The file is missing, or is not TOML; the message has the path and the line.
    """
    try:
        with open(path, "rb") as file:  # a pipe too
            text = file.read(LARGEST_TOML + 1).decode()
        check_size(len(text), LARGEST_TOML)
        return parse_toml(_DESCRIPTION.split(text, 1)[0])
    except OSError as error:
        raise SpecError(f"config {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SpecError(f"config {str(path)!r} is not valid TOML: {error}") from error


def read_tables(path: Path) -> JSONObject:
    """Return the tables that describe a preset, from its line [preset] on.

    For the files of this package: unlike `parse_toml` it trusts the text.

    Parameters
    ----------
    path
        An existing file.

    Raises
    ------
    SpecError
        The file is not TOML.
    """
    text = path.read_text(encoding="utf-8")
    start = _DESCRIPTION.search(text)
    try:
        return tomllib.loads(text[start.start() :]) if start else {}
    except ValueError as error:
        raise SpecError(f"preset {path.name} is not valid TOML: {error}") from error


def parse_toml(text: str) -> JSONObject:
    """Return the fields in a TOML text, whose only tables are `[zipped.NAME]`.

    Dotted keys are refused because `tomllib` keeps every prefix of one, so that the memory of a
    long key grows with its square.

    Raises
    ------
    ValueError
        The text is not TOML, is too large, or has other tables or dotted keys.
    """
    check_size(len(text), LARGEST_TOML)
    bare = _TOML_TOKEN.sub(lambda m: "" if m[0][0] == "#" else '""', text)
    if found := _TOML_TABLE.search(bare):
        line = text[: _position(text, found.start())].count("\n") + 1
        raise ValueError(
            f"line {line} has a table or a dotted key; a sweep has only plain fields, such as "
            "sparsity = [0.9, 0.99], and tables [zipped.NAME] of fields that vary together"
        )
    if bare.count("=") + bare.count("[") > MOST_KEYS:
        raise ValueError(f"it has more than {MOST_KEYS:,} fields and lists")
    try:
        return tomllib.loads(text)
    except (RecursionError, MemoryError) as error:
        raise ValueError("it is nested too deeply, or too large") from error
    except ValueError as error:
        raise ValueError(parser_message(error)) from error


def _position(text: str, place: int) -> int:
    """Return the position in a text of a place in its copy without strings and comments."""
    shift = 0
    for token in _TOML_TOKEN.finditer(text):
        kept = 0 if token[0][0] == "#" else 2
        if token.start() - shift > place:
            break
        shift += len(token[0]) - kept
    return place + shift
