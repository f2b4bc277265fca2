"""What a preset shows besides the summary: its source, its figure, and the number it checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsuper.core.files import write_atomically
from jsuper.core.text import printable
from jsuper.presets import Preset

if TYPE_CHECKING:
    import xarray


def preset_text(preset: Preset) -> str:
    """Return what a preset shows, how long it takes, and where it comes from."""
    return (
        f"preset   {preset.name}: {preset.title}; about {preset.duration} on two cores\n"
        f"source   {preset.source}"
    )


def show(folder: Path, preset: Preset) -> None:
    """Draw the preset's figure into the run folder, and print the checked numbers.

    Flags may have changed the sweep so that one of them does not apply; a note then says why.
    """
    from jsuper.store.dataset import load

    ds = load(folder)
    if preset.figure:
        _or_note("figure", lambda: _draw(ds, folder, preset))
    _or_note("check", lambda: _check(ds, preset))


def _or_note(part: str, work: Callable[[], Any]) -> None:
    """Do the work, or print what the sweep lacks for it: an axis, a value or a variable."""
    try:
        work()
    except (ValueError, KeyError) as error:
        print(f"note     the preset's {part} is left out: {printable(error)}")


def _draw(ds: xarray.Dataset, folder: Path, preset: Preset) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawn = preset.function(preset.figure)(ds)
    figure = drawn if hasattr(drawn, "savefig") else drawn.figure
    path = folder / "figures" / f"{preset.name}.png"
    write_atomically(path, lambda f: figure.savefig(f, format="png", dpi=200), root=folder)
    plt.close(figure)
    print(f"figure   {printable(path)}")


def _check(ds: xarray.Dataset, preset: Preset) -> None:
    for checked in preset.function(preset.check)(ds):
        print(f"checked  {checked}")
