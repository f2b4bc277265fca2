"""An exported file is whole, holds what the run holds, and replaces another only when asked to."""

import os
import time

import pytest
from one_chunk import CHUNK, SWEEP, arrays_of

import jsuper
from jsuper import SpecError
from jsuper.analysis import export as exporting
from jsuper.cli import main
from jsuper.core import files
from jsuper.store import chunk_files
from jsuper.store.manifest import write_manifest

FORMATS = {"csv": "results.csv", "netcdf": "results.nc", "parquet": "results.parquet"}
LIBRARIES = {"csv": "pandas", "netcdf": "h5netcdf", "parquet": "pyarrow"}


@pytest.fixture(params=FORMATS)
def format(request):
    pytest.importorskip(LIBRARIES[request.param])
    return request.param


@pytest.fixture
def run(tmp_path):
    """A run folder of one chunk, written a minute ago."""
    folder = tmp_path / "run"
    write_manifest(folder, SWEEP, [CHUNK], [])
    chunk_files.write_chunk(folder, CHUNK, arrays_of(CHUNK))
    os.utime(chunk_files.chunk_path(folder, CHUNK.name), (time.time() - 60,) * 2)
    return folder


def test_a_file_is_replaced_with_force_alone(tried, capsys, run, format):
    path = run / FORMATS[format]
    path.write_text("mine")
    command = ["export", str(run), "--format", format]
    assert main.main(command) == 2 and path.read_text() == "mine"
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"error: {path} exists and is newer than all of the run's chunks; to replace it, give "
        "--force (force=True in Python)"
    )
    with pytest.raises(SpecError, match="give --force"):
        jsuper.export(run, format)
    assert path.read_text() == "mine"
    assert main.main([*command, "--force"]) == 0 and path.read_bytes() != b"mine"
    whole = path.read_bytes()
    assert jsuper.export(run, format, force=True) == path
    assert format == "netcdf" or path.read_bytes() == whole  # HDF5 stores the time
    tried("An export over an older file", "refused without --force, the file untouched", 2)


def test_the_message_says_that_a_file_lacks_results(capsys, run):
    path = jsuper.export(run, "csv")
    os.utime(path, (time.time() - 120,) * 2)
    assert main.main(["export", str(run)]) == 2
    error = capsys.readouterr().err
    assert "is older than 1 of the run's 1 chunks, whose results it lacks; to replace it" in error


@pytest.mark.parametrize("target", ["outside", "nothing"])
def test_a_link_is_replaced_and_never_written_through(tmp_path, tried, run, format, target):
    path, outside = run / FORMATS[format], tmp_path / "outside"
    outside.write_text("mine")
    path.symlink_to(tmp_path / target)
    with pytest.raises(SpecError, match="exists"):
        jsuper.export(run, format)
    assert path.is_symlink()
    jsuper.export(run, format, force=True)
    assert not path.is_symlink() and outside.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["outside", "run"]
    tried(
        "An export over an older file",
        "a link to a file outside of the folder, or to nothing: replaced with --force, the file "
        "outside untouched",
    )


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_a_file_that_does_not_read_back_is_not_kept(tried, monkeypatch, run, format, share):
    """The disk loses the end of the file, and says nothing."""
    path, fsync = run / FORMATS[format], os.fsync
    path.write_text("mine")

    def lossy(descriptor):
        os.ftruncate(descriptor, int(share * os.fstat(descriptor).st_size))
        fsync(descriptor)

    monkeypatch.setattr(files.os, "fsync", lossy)
    with pytest.raises(OSError, match="does not read back") as error:
        jsuper.export(run, format, force=True)
    assert error.value.filename == str(path)
    assert path.read_text() == "mine" and list(run.glob(".*.tmp")) == []
    tried(
        "An export that does not read back",
        "the file cut off at four lengths from 0 to 90 % before it got its name, as csv, netCDF "
        "and parquet: an error that names it, and the older file untouched",
    )


def test_a_netcdf_file_that_does_not_fit_in_memory_is_refused(monkeypatch, run):
    pytest.importorskip("h5netcdf")
    from types import SimpleNamespace

    import psutil

    def loaded(folder):
        ds = jsuper.load(folder)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=0))
        return ds

    monkeypatch.setattr(exporting, "load", loaded)
    with pytest.raises(jsuper.RunError, match="netCDF file of this run needs .* of memory more"):
        jsuper.export(run, "netcdf")
    assert not (run / "results.nc").exists()
