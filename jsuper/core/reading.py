"""Files that anybody may have written: their size is checked before they are read and parsed.

Parsing JSON can take far more memory than the text has bytes, and Python's parser gives up on deep
nesting and on huge integers with errors of several types. Here each of them is a ValueError that
says what is wrong.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from jsuper.core.files import opened
from jsuper.core.json_data import JSON

SMALL_JSON = 10**6  # bytes of a file about one session
FINDINGS_JSON = 10**8
LARGEST_JSON = 2**30  # a manifest of 10,000 chunks has a few million bytes
ALWAYS_JSON = 10**7  # bytes of an ordinary manifest, which is read however little memory is free
JSON_GROWTH = 30  # Python's objects take up to this many times the bytes of their JSON
DEEPEST = 50  # levels of lists and tables; files that jsuper writes have far fewer

_SURROGATES = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u[dD][89a-fA-F]..|.)", re.DOTALL)


def free_bytes() -> int:
    """Return the bytes of free memory on this machine."""
    import psutil

    return psutil.virtual_memory().available


def json_limit(most: int = LARGEST_JSON) -> int:
    """Return the largest size of JSON that fits in free memory when parsed, at least 10 MB."""
    return min(most, max(free_bytes() // JSON_GROWTH, ALWAYS_JSON))


def read_text(path: Path, most: int) -> str:
    """Return the text of a file that has at most `most` bytes.

    Raises
    ------
    OSError
        The path cannot be read, or is not a file.
    ValueError
        The file is larger, or not UTF-8.
    """
    with opened(path) as file:
        check_size(os.fstat(file.fileno()).st_size, most)
        content = file.read(most + 1)
    check_size(len(content), most)
    return content.decode()


def check_size(size: int, most: int) -> None:
    """Raise ValueError if a text is larger than the limit for its kind."""
    if size > most:
        raise ValueError(f"it is larger than {most:,} bytes, the limit for such a file")


def parse_json(text: str) -> JSON:
    """Return the data in a JSON text; a lone surrogate, which is not text, becomes U+FFFD.

    Raises
    ------
    ValueError
        The text is not JSON, or nested too deeply.
    """
    if "\\ud" in text or "\\uD" in text:
        text = _SURROGATES.sub(lambda m: "\\ufffd" if len(m[0]) == 6 else m[0], text)
    try:
        return json.loads(text)
    except (RecursionError, MemoryError) as error:
        raise ValueError("it is nested too deeply, or too large") from error
    except ValueError as error:
        raise ValueError(parser_message(error)) from error


def parser_message(error: ValueError) -> str:
    """Return a parser's message, without Python's advice on integers of thousands of digits."""
    return "it has an integer with too many digits" if "int_max_str" in str(error) else str(error)


def check_depth(data: JSON) -> None:
    """Raise ValueError if lists and tables are nested more deeply than jsuper writes them."""
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
