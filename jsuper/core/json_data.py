"""Field values as JSON data, and the digests that identify sweeps and chunks."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

JSON = Any
"""What `json` reads and writes: a dict, a list, a string, a number, true, false or None."""
JSONObject = dict[str, JSON]
"""A parsed JSON or TOML table."""


def plain(value: Any) -> JSON:
    """Return a field's value as JSON data: tuples become lists, callables their label.

    An empty table becomes None, which a sweep's data leave out. A callable's label is its name
    until it is traced, and then name@digest of what it computes.
    """
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()} or None
    if callable(value):
        return getattr(value, "label", name_of(value))
    return value


def label(value: Any) -> Any:
    """Return a value as tables, files and coordinates show it: a callable by its name."""
    return name_of(value) if callable(value) else value


def name_of(function: Callable) -> str:
    """Return a callable's `__name__`; a partial has that of its function, an object its class's."""
    if isinstance(name := getattr(function, "__name__", None), str):
        return name
    if isinstance(function, functools.partial):
        return name_of(function.func)
    return type(function).__name__


def without_negative_zero(value: JSON) -> JSON:
    """Return a number, or a list of numbers, with 0.0 for -0.0; other values unchanged.

    Sweeps contain no -0.0, but run folders of older versions may.
    """
    if isinstance(value, (list, tuple)):
        return [without_negative_zero(v) for v in value]
    return value + 0.0 if isinstance(value, float) else value


def same(one: JSON, other: JSON) -> bool:
    """Return whether two values are the same JSON: 0, 0.0 and false differ, but -0.0 is 0.0."""
    one, other = without_negative_zero(one), without_negative_zero(other)
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def canonical_json(data: JSON) -> str:
    """Return the one JSON text of some data: sorted keys, no spaces.

    Raises
    ------
    ValueError
        A number is not finite.
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(data: JSON, length: int = 16) -> str:
    """Return the first hex digits of the SHA-256 of data's canonical JSON."""
    return digest_text(canonical_json(data), length)


def digest_text(text: str, length: int = 16) -> str:
    """Return the first hex digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]
