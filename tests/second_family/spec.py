"""Decay to zero: x ← x - rate · x. Other fields, axes and arrays than the toy model's."""

from dataclasses import dataclass
from typing import ClassVar

from jsuper.core.sweep import BaseSweep, integer, real, setting, static


@dataclass(frozen=True, kw_only=True)
class Sweep(BaseSweep):
    model: ClassVar[str] = "decay"
    main_axes: ClassVar[tuple[str, ...]] = ("rate", "scale")

    rate: tuple[float, ...] = setting((0.1, 0.2), "rate of decay", real(0, 1))
    scale: tuple[float, ...] = setting(1.0, "size of the start", real(0))
    length: tuple[int, ...] = static(3, "number of coordinates", integer(1), axis=True)
    steps: tuple[int, ...] = static(20, "steps", integer(1), axis=True)
    dtype: str = static("float32", "precision", lambda name, value: value)


def layout(static, settings):
    return {"final": (("coordinate",), (static["length"],)), "size": ((), ())}


ATTRIBUTES = {"final": "x after the last step", "size": "its norm"}
SUMMARY = "size"
FINITE = ("final", "size")


def work(static):
    return float(static["length"]), float(static["length"])
