"""What a run folder has to say about its models, for the family that has to compare them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jsuper.core.grid import Chunk


@dataclass(frozen=True)
class Existing:
    """A run folder as its manifest describes it."""

    folder: str
    sweep: dict[str, Any]
    functions: dict[str, Any]
    """label of a function -> what it computed"""
    chunks: list[Chunk]
    read: Callable[[Chunk], dict[str, Any] | None]
    """the arrays of a chunk; None where its file is missing or damaged"""
