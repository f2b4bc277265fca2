"""What a sweep of the family is: its fields, arrays and cost. Imports no jax."""

from dataclasses import dataclass
from typing import ClassVar

from jsuper.core.checks import choice, integer, real
from jsuper.core.fields import Axis, setting, static
from jsuper.core.sweep import BaseSweep


@dataclass(frozen=True, kw_only=True)
class Sweep(BaseSweep):
    """Decay to zero, x ← x - rate · x, from a normal start."""

    model: ClassVar[str] = "decay"
    main_axes: ClassVar[tuple[str, ...]] = ("rate", "scale")

    rate: Axis[float] = setting((0.1, 0.2), "rate of decay", real(0, 1))
    scale: Axis[float] = setting(1.0, "standard deviation of the start", real(0))
    length: Axis[int] = static(3, "number of coordinates", integer(1), axis=True)
    steps: Axis[int] = static(20, "steps", integer(1), axis=True)
    dtype: str = static("float32", "precision", choice("float32", "float64"))


ATTRIBUTES = {"final": "x after the last step", "size": "its norm"}
SUMMARY = "size"
FINITE = ("final", "size")


def layout(static, settings):
    return {"final": (("coordinate",), (static["length"],)), "size": ((), ())}


def work(static):
    return float(static["length"]), float(static["length"])
