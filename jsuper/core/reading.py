"""Text that somebody else may have written: its size is checked before it is parsed.

A parser can take far more memory than its input has bytes, and Python's give up on deep nesting and
on huge integers with errors of several types. Here each of them is a ValueError that says what is
wrong. No jax is imported.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from jsuper.core.files import opened

SMALL_JSON = 10**6  # bytes of one file about a session
CLAIMS_JSON = 10**8
LARGEST_JSON = 2**30  # a manifest of 10,000 chunks has a few million bytes
ALWAYS_JSON = 10**7  # bytes: an ordinary manifest is read whatever the machine is doing
JSON_GROWTH = 30  # Python's objects take up to this many times the bytes of their JSON
LARGEST_TOML = 10**7  # a list of a million seeds
MOST_KEYS = 1000
DEEPEST = 50  # levels of lists and tables in files that jsuper writes: far fewer

# Comments and strings; one that is not closed is the rest of the text, where tomllib stops too.
_TOML_TOKEN = re.compile(
    r"""\#[^\n]*+
    | \"{3}(?:[^"\\] | \\. | ""?(?!"))*+ (?:"{3,5} | .*+)
    | '{3}(?:[^'] | ''?(?!'))*+ (?:'{3,5} | .*+)
    | "(?:[^"\\\n] | \\.)*+ (?:" | .*+)
    | '[^'\n]*+ (?:' | .*+)""",
    re.DOTALL | re.VERBOSE,
)
_TOML_TABLE = re.compile(r"^[ \t]*+\[|\{|^[^=.\n]*+\.[^=\n]*+=", re.MULTILINE)
_HALF = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u[dD][89a-fA-F]..|.)", re.DOTALL)


def free_bytes() -> int:
    """Memory that is free on this machine."""
    import psutil

    return psutil.virtual_memory().available


def json_limit(most: int = LARGEST_JSON) -> int:
    """The most bytes of JSON that can be parsed in the memory that is free, 10 MB at least."""
    return min(most, max(free_bytes() // JSON_GROWTH, ALWAYS_JSON))


def read_text(path: Path, most: int) -> str:
    """Return the text of a file of at most so many bytes.

    Raises
    ------
    OSError
        It cannot be read, or is not a file.
    ValueError
        It is larger, or not UTF-8.
    """
    with opened(path) as file:
        check_size(os.fstat(file.fileno()).st_size, most)
        content = file.read(most + 1)
    check_size(len(content), most)
    return content.decode()


def check_size(size: int, most: int) -> None:
    """Raise ValueError where a text is larger than what is read of its kind."""
    if size > most:
        raise ValueError(f"it has more than the {most:,} bytes that are read of such a file")


def parse_json(text: str) -> Any:
    """The data of a JSON text. Half a surrogate pair, which no text can have, becomes U+FFFD.

    Raises
    ------
    ValueError
        It is not JSON, or nested too deeply.
    """
    if "\\ud" in text or "\\uD" in text:
        text = _HALF.sub(lambda m: "\\ufffd" if len(m[0]) == 6 else m[0], text)
    try:
        return json.loads(text)
    except (RecursionError, MemoryError) as error:
        raise ValueError("it is nested too deeply, or too large") from error
    except ValueError as error:
        raise ValueError(_of_digits(error)) from error


def _of_digits(error: ValueError) -> str:
    """Return what a parser says, without Python's advice on integers of thousands of digits."""
    return "it has an integer with too many digits" if "int_max_str" in str(error) else str(error)


def check_depth(data: Any) -> None:
    """Raise ValueError where lists and tables are nested more deeply than jsuper writes them."""
    level = [data]
    for _ in range(DEEPEST):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def parse_toml(text: str) -> dict[str, Any]:
    """Return the fields of a TOML text that has no tables, as a sweep has none.

    `tomllib` keeps every prefix of a dotted key, so the memory of a long one grows with its square.

    Raises
    ------
    ValueError
        It is not TOML, is too large, or has tables or dotted keys.
    """
    check_size(len(text), LARGEST_TOML)
    bare = _TOML_TOKEN.sub(lambda m: "" if m[0][0] == "#" else '""', text)
    if found := _TOML_TABLE.search(bare):
        line = text[: _position(text, found.start())].count("\n") + 1
        raise ValueError(
            f"line {line} has a table or a dotted key; a sweep has plain fields alone, such as "
            "sparsity = [0.9, 0.99]"
        )
    if bare.count("=") + bare.count("[") > MOST_KEYS:
        raise ValueError(f"it has more than {MOST_KEYS:,} fields and lists")
    try:
        return tomllib.loads(text)
    except (RecursionError, MemoryError) as error:
        raise ValueError("it is nested too deeply, or too large") from error
    except ValueError as error:
        raise ValueError(_of_digits(error)) from error


def _position(text: str, place: int) -> int:
    """Where in a text a place is that was found after its strings and comments were cut."""
    shift = 0
    for token in _TOML_TOKEN.finditer(text):
        kept = 0 if token[0][0] == "#" else 2
        if token.start() - shift > place:
            break
        shift += len(token[0]) - kept
    return place + shift
