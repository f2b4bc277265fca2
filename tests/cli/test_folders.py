"""The commands list, compare and merge: what they print, and their exit codes."""

import shutil
import subprocess
import sys

import pytest
from running import DATA, REPO, chunk_files, state

import jsuper
from jsuper.cli import main
from jsuper.cli.options import PRESETS, preset_of
from jsuper.core.family import sweep_from_dict
from jsuper.core.toml import read_toml

STORED = DATA / "run-0.1-function"


@pytest.fixture
def runs(tmp_path):
    """Two copies of a run below a folder, the second of them lacks a chunk."""
    for name in ("one", "more/two"):
        shutil.copytree(STORED, tmp_path / "runs" / name)
    chunk_files(tmp_path / "runs" / "more" / "two")[0].unlink()
    return tmp_path / "runs"


def test_list_shows_every_run_below_a_folder(runs, capsys):
    (runs / "broken").mkdir()
    (runs / "broken" / "manifest.json").write_text('{"schema": 99}')
    (runs / "notes").mkdir()
    before = state(runs)
    assert main.main(["list", str(runs)]) == 0
    out, error = capsys.readouterr()
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert lines.keys() == {"run", "one", "more/two", "broken"}
    assert "toy: 2 sparsities x 2 seeds" in lines["one"] and " 4/4 " in lines["one"]
    assert " 2/4 " in lines["more/two"] and "unreadable" in lines["broken"]
    assert error.startswith(f"warning: {runs / 'broken'}") and "update jsuper" in error
    assert state(runs) == before


def test_list_of_a_folder_without_runs(tmp_path, capsys):
    assert main.main(["list", str(tmp_path)]) == 0
    assert f"no run folders in {tmp_path}" in capsys.readouterr().out
    assert main.main(["list", str(tmp_path / "none")]) == 2
    assert "is not a directory" in capsys.readouterr().err


def test_a_preset_is_known_whatever_its_seeds():
    for path in PRESETS.glob("*.toml"):
        stored = sweep_from_dict(read_toml(path) | {"seeds": 7}).with_stored({}).to_dict()
        assert preset_of(stored) == path.stem
    assert preset_of(jsuper.Sweep(activation="relu", sparsity=0.5).to_dict()) is None


def test_compare_prints_differences_and_its_exit_code_tells(runs, capsys):
    one, two = str(runs / "one"), str(runs / "more" / "two")
    assert main.main(["compare", one, two]) == 0
    out = capsys.readouterr().out
    assert f"2 models in both, 2 only in {one}, 0 only in {two}" in out
    assert main.main(["compare", one, "nowhere"]) == 2
    assert main.main(["compare", one, two, "--tolerance", "-1"]) == 2
    assert "tolerance=-1 is not a finite number >= 0: try 1e-5" in capsys.readouterr().err


def test_merge_makes_a_folder_that_can_be_resumed(runs, tmp_path, capsys):
    one, two, out = str(runs / "one"), str(runs / "more" / "two"), str(tmp_path / "all")
    before = state(runs)
    assert main.main(["merge", two, one, "--out", out]) == 0
    assert "done     4 of 4 models" in capsys.readouterr().out
    assert main.main(["compare", one, out, "--tolerance", "0"]) == 0
    assert main.main(["merge", two, one, "--out", out]) == 2
    assert main.main(["merge", one, "--out", str(tmp_path / "b")]) == 2
    assert "merge needs at least two run folders" in capsys.readouterr().err
    assert main.main(["merge", two, two, "--out", str(tmp_path / "b")]) == 0
    assert "to train what is missing" in capsys.readouterr().out
    assert state(runs) == before


def test_runs_that_cannot_be_compared_or_are_damaged_are_told_apart(runs, tmp_path, capsys):
    one, two = runs / "one", runs / "more" / "two"
    path = chunk_files(two)[0]
    path.write_bytes(path.read_bytes()[:-100])
    assert main.main(["merge", str(one), str(two), "--out", str(tmp_path / "three")]) == 0
    out, error = capsys.readouterr()
    assert "4 ok" in out and f"warning: chunk {path.name} cannot be read" in error
    (two / "manifest.json").write_text('{"a":')
    assert main.main(["compare", str(one), str(two)]) == 2
    inside_a_file = str(one / "manifest.json" / "x")
    assert main.main(["merge", str(one), str(one), "--out", inside_a_file]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_none_of_them_imports_jax(runs):
    code = (
        "import sys; from jsuper.cli import main; main.main(sys.argv[1:])\n"
        "assert 'jax' not in sys.modules"
    )
    one = str(runs / "one")
    for command in (["list", str(runs)], ["compare", one, one], ["merge", one, one, "--out", "c"]):
        subprocess.run(
            [sys.executable, "-c", code, *command],
            cwd=runs,
            check=True,
            env={"PYTHONPATH": str(REPO)},
        )


@pytest.mark.parametrize("arguments", [["sweep", "--help"], ["list", "."]])
def test_a_reader_that_ends_early_is_not_an_error_message(arguments):
    command = [sys.executable, "-m", "jsuper", *arguments]
    with subprocess.Popen(
        command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()  # as `jsuper list . | true`
        error = process.stderr.read()
        assert process.wait(60) == 1
    assert "Broken" not in error and "Traceback" not in error
