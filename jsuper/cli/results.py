"""What a preset shows besides the summary: its source, its figure, and the number it checks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsuper.core.files import remove, write_atomically, write_text
from jsuper.core.reading import SMALL_JSON, read_text
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
    """Draw the preset's figure into the run folder, and print and keep the checked numbers.

    Flags may have changed the sweep so that one of them does not apply; a note then says why.
    """
    from jsuper.store.dataset import load

    ds = load(folder)
    if preset.figure:
        path = folder / "figures" / f"{preset.name}.png"
        draw = preset.function(preset.figure)
        or_note("figure", lambda: save(lambda: draw(ds), path, root=folder))
    or_note("check", lambda: check(ds, folder, preset))


def show_again(folder: Path, preset: Preset) -> None:
    """Print the figure's path and the checked numbers that `show` has kept."""
    figure, checks = folder / "figures" / f"{preset.name}.png", _kept(folder, preset)
    if preset.figure and figure.exists():
        print(f"figure   {printable(figure)}")
    with contextlib.suppress(OSError, ValueError):  # older runs have no such file
        for line in read_text(checks, SMALL_JSON).splitlines():
            print(printable(line))


def or_note(part: str, work: Callable[[], Any]) -> None:
    """Do the work, or print what the sweep lacks for it: an axis, a value or a variable."""
    try:
        work()
    except (ValueError, KeyError) as error:
        print(f"note     the preset's {part} is left out: {printable(error)}")


def save(draw: Callable[[], Any], path: Path, *, root: Path | None = None, note: str = "") -> None:
    """Draw a Figure or Axes, write it as PNG with a note below it, and print its path."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawn = draw()
    figure = drawn if hasattr(drawn, "savefig") else drawn.figure
    options = {"format": "png", "dpi": 200}
    if note:
        figure.text(0.99, -0.01, note, ha="right", va="top", color="tab:red")
        options["bbox_inches"] = "tight"  # the note lies outside of the figure
    write_atomically(path, lambda f: figure.savefig(f, **options), root=root)
    plt.close(figure)
    print(f"figure   {printable(path)}")


def check(ds: xarray.Dataset, folder: Path, preset: Preset) -> None:
    """Print the preset's checked numbers, and keep them in the run folder."""
    remove(_kept(folder, preset), folder)
    found = preset.function(preset.check)(ds)
    text = "".join(f"checked  {checked}\n" for checked in found)
    print(text, end="")
    write_text(_kept(folder, preset), text, folder)


def _kept(folder: Path, preset: Preset) -> Path:
    """Return the file of the checked numbers."""
    return folder / "figures" / f"{preset.name}.txt"
