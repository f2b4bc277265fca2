"""The installed command: its subcommands, and export."""

import os
import sys

import pytest
from messages import call
from tiny_sweeps import TINY

import jsuper
from jsuper.cli import main

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


def test_the_installed_command_dispatches(capsys, whole, tmp_path):
    assert main.main(["sweep", "--sparsity", "1"]) == 2
    assert "sparsity=1" in capsys.readouterr().err
    assert main.main(["sweep", *TINY, "--out", str(whole)]) == 0
    assert "All 8 models are done" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["--version"], 0, jsuper.__version__),
        (["--help"], 0, "sweep"),
        ([], 2, "commands"),
        (["swep"], 2, "swep"),
        (["export"], 2, "jsuper export --help"),
    ],
)
def test_the_installed_command_explains_itself(capsys, arguments, code, said):
    assert call(arguments) == code
    out, error = capsys.readouterr()
    assert said in (error if code else out)


def test_export(capsys, finished, monkeypatch):
    pytest.importorskip("pandas")
    assert main.main(["export", str(finished)]) == 0
    assert capsys.readouterr().out.strip() == str(finished / "results.csv")
    assert len((finished / "results.csv").read_text().splitlines()) == 1 + 8
    assert main.main(["export", str(finished), "--format", "xls"]) == 2
    assert "error: format='xls' is not one of csv, netcdf, parquet" in capsys.readouterr().err
    assert main.main(["export", "nowhere"]) == 2
    assert "error: nowhere does not exist; give a run folder" in capsys.readouterr().err


@pytest.mark.parametrize("format, library", [("netcdf", "h5netcdf"), ("parquet", "pyarrow")])
def test_export_names_the_library_that_it_lacks(capsys, finished, monkeypatch, format, library):
    monkeypatch.setitem(sys.modules, library, None)
    assert main.main(["export", str(finished), "--format", format]) == 2
    assert f"error: format='{format}' needs a library: pip" in capsys.readouterr().err
    assert os.listdir(finished / "figures")
