"""Causal scrubbing of a run folder: stored next to its chunks, and repeated when these change."""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from jsuper.analysis import scrub_all
from jsuper.cli import scrub_tables
from jsuper.core import files
from jsuper.core.errors import SpecError
from jsuper.core.family import family_of
from jsuper.core.status import OK
from jsuper.core.version import __version__
from jsuper.store import derived
from jsuper.store.dataset import load
from jsuper.store.manifest import manifest_of

if TYPE_CHECKING:
    import xarray

    from jsuper.core.protocols import Scrubbing

NAME = "scrubbing"


def kept_or_new(folder: Path, overlap: float) -> xarray.Dataset:
    """Return a run's Dataset with its scrubbing, from RUN/scrubbing.npz if that is up to date.

    Raises
    ------
    FileNotFoundError
        There is no run folder.
    SpecError
        None of its models can be scrubbed.
    RunError
        Its manifest cannot be read, or RUN/scrubbing.npz is not a file.
    OSError
        The file cannot be written.
    """
    path = derived.path_of(folder, NAME)
    files.check_file(path)  # before the work
    manifest = manifest_of(folder)
    family = family_of(manifest.sweep["model"]).scrubbing
    about = {"overlap": overlap, "blocks": family.BLOCKS, "jsuper": __version__}
    made_from = derived.fingerprint(folder, manifest)  # before the chunks are read
    with warnings.catch_warnings():  # what is stale is made anew here
        warnings.simplefilter("ignore", UserWarning)
        ds = load(folder)
    kept = derived.read(folder, NAME, made_from, ds, about)
    if kept is not None and kept.data_vars.keys() == family.VARIABLES.keys():
        return ds.assign(kept.data_vars)
    if path.exists():
        print("the stored scrubbing was made from other chunks or settings", file=sys.stderr)
    print(f"scrubbing {ds['status'].size:,} models ...", file=sys.stderr, flush=True)
    start = time.monotonic()
    ds = scrub_all(ds, overlap)
    check_any(ds, family)
    derived.write(folder, NAME, ds[list(family.VARIABLES)], made_from, about)
    print(f"... in {time.monotonic() - start:.0f} s", file=sys.stderr)
    return ds


def check_any(ds: xarray.Dataset, family: Scrubbing) -> None:
    """Raise SpecError if there are models, and none of them can be scrubbed."""
    fine = ds["status"] == OK
    if not fine.any() or ds[next(iter(family.VARIABLES))].where(fine).notnull().any():
        return
    sampler = json.loads(ds.attrs["sweep"]).get("inputs")
    why = f"it must be a function of its sample alone: {', '.join(family.left_out(ds))}"
    if sampler:
        why = f"the run folder does not hold the samples of inputs={sampler.split('@')[0]}"
    raise SpecError(f"no output of this run can be scrubbed; {why}")


def show(ds: xarray.Dataset) -> None:
    """Print the tables, and what they leave out."""
    model = json.loads(ds.attrs["sweep"])["model"]
    family = family_of(model).scrubbing
    scrub_tables.show(ds, family, family_of(model).spec.Sweep.main_axes)
    left = int((ds["status"] != OK).sum())
    if left:
        print(f"left out: {left:,} of {ds['status'].size:,} models, missing or not finite")
    names = family.left_out(ds)
    if names:
        print(f"not scrubbed: {', '.join(names)}; an output must be a function of its sample alone")
