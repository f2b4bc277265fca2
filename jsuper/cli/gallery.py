"""The command `gallery`: train what published figures need, draw them, print checked numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from jsuper.cli import process, results, several
from jsuper.cli.options import check_platform
from jsuper.cli.values import no_default, read
from jsuper.core.text import printable
from jsuper.presets import gallery as table
from jsuper.presets.gallery import Entry


@dataclasses.dataclass(frozen=True)
class GalleryOptions:
    """Repeat published figures: train what is missing, draw each, and print its checked numbers.

    Without names all figures are listed, with their expected time on two cores. Figures of one
    sweep share a run folder, RUNS/SWEEP, and a finished run is not trained again. docs/gallery.md
    shows them.
    """

    names: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[NAME ...]")
    ] = ()
    """figures; a list of them is printed by default"""
    runs: str = "runs/gallery"
    """folder of the run folders"""
    out: Annotated[str | None, no_default("FOLDER")] = None
    """folder of the figures, FOLDER/NAME.png; by default figures/ of the run folder"""
    reduced: Annotated[bool, no_default()] = False
    """a quick look: two seeds and a tenth of the steps, in run folders RUNS/SWEEP-reduced; the
    figure says so, and its numbers are not those of the full sweep"""
    platform: str = "auto"
    """auto, cpu, gpu or tpu"""


def gallery(argv: list[str] | None = None) -> int:
    """`jsuper gallery [NAME ...]`."""
    return process.reported(lambda: _gallery(read(GalleryOptions, argv, "jsuper gallery")))


def _gallery(options: GalleryOptions) -> int:
    check_platform(options.platform)
    chosen = table.chosen(options.names)
    if not chosen:
        print(f"{table.listing()}\n\njsuper gallery NAME trains what is missing and draws it.")
        return process.DONE
    runs = Path(options.runs)
    for folder in (runs, Path(options.out or runs)):
        process.check_writable(folder)
    by_folder = {e.folder(options.reduced): e for e in chosen}
    asked = {k: several.as_held(e.sweep(options.reduced), runs / k) for k, e in by_folder.items()}
    minutes = {k: e.minutes(options.reduced) for k, e in by_folder.items()}
    code = several.train(asked, minutes, runs, options.platform)
    if code not in (process.DONE, process.SOME_FAILED):
        return code

    def show() -> None:
        process.start_analysis()
        for entry in chosen:
            _show(entry, runs / entry.folder(options.reduced), options)

    return code if process.concluded(show) else process.STOPPED


def _show(entry: Entry, folder: Path, options: GalleryOptions) -> None:
    """Draw an entry, and print its source and its checked numbers."""
    from jsuper.store.dataset import load

    print(f"\ngallery  {entry.name}: {entry.preset.title}\nsource   {entry.source}")
    if options.reduced:
        print(f"reduced  {reduced_text(entry)}; the numbers are not those of the full sweep")
    ds = load(folder)
    path = Path(options.out or folder / "figures") / f"{entry.name}.png"
    note = f"reduced: {reduced_text(entry)}" if options.reduced else ""
    results.or_note("figure", lambda: results.save(lambda: entry.draw(ds), path, note=note))
    results.or_note("check", lambda: results.check(ds, folder, entry.preset))
    print(f"results  {printable(folder)}")


def reduced_text(entry: Entry) -> str:
    """Return how much smaller the reduced sweep is: "2 of 10 seeds, 300 of 3,000 steps"."""
    small, full = entry.sweep(reduced=True), entry.sweep()
    steps = (max(s.values_of("steps")) for s in (small, full))
    return f"{small.seed_count} of {full.seed_count} seeds, {{:,}} of {{:,}} steps".format(*steps)
