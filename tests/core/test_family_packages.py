"""A family of another package, declared as CONTRIBUTING.md says: every process finds it."""

import os
import re
import subprocess
import sys
import tomllib

import contributing
import pytest
from running import REPO

import jsuper
from jsuper.core.family import FAMILIES, Family, family_of

PROJECT = tomllib.loads(contributing.block("A model family", "toml"))["project"]
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".format(**PROJECT)
ENTRY_POINTS = "".join(
    f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
    for group, entries in PROJECT["entry-points"].items()
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The environment of processes in which the package jsuper-decay is installed."""
    place = tmp_path_factory.mktemp("site")
    (place / "second_family").symlink_to(REPO / "tests" / "second_family")
    about = place / "jsuper_decay-0.3.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(METADATA)
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    path = [str(place), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path)}


def python(code, environment, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def jsuper_command(environment, *arguments):
    return python(
        "import sys; from jsuper.cli.main import main; sys.exit(main())", environment, *arguments
    )


@pytest.fixture(scope="module")
def run(installed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    flags = ("--model", "decay", "--rate", "0.1", "0.5", "--seeds", 2, "--out", folder)
    code, said = jsuper_command(installed, "sweep", *flags)
    assert code == 0 and "size, median over 2 seeds" in said, said
    return folder


@pytest.mark.slow
def test_another_process_loads_verifies_and_extends_its_run(installed, run):
    code, said = python(
        "import sys, jsuper; print(dict(jsuper.analyze(jsuper.load(sys.argv[1])).sizes))",
        installed,
        run,
    )
    assert code == 0 and "'rate': 2" in said, said
    code, said = jsuper_command(installed, "verify", run)
    assert code == 0 and "no problems" in said, said
    flags = ("--model", "decay", "--rate", "0.1", "0.5", "--seeds", 3, "--out", run)
    code, said = jsuper_command(installed, "sweep", *flags)
    assert code == 0, said


@pytest.mark.parametrize("command", ["status", "verify", "report", "export"])
def test_without_the_package_its_name_is_said(run, command):
    if command == "export":
        command = ["export", run, "--format", "csv"]
    code, said = jsuper_command(
        os.environ, *([command, run] if isinstance(command, str) else command)
    )
    assert code != 0 and "model family 'decay'" in said, said
    assert "not installed" in said and "install the package jsuper-decay" in said, said


def test_loading_says_so_too(run):
    text = (run / "manifest.json").read_text()
    assert '"package": "jsuper-decay"' in text
    with pytest.raises(jsuper.RunError, match="install the package jsuper-decay"):
        jsuper.load(run)


@pytest.mark.parametrize("package", ["x; rm -rf /", 7, None, "a" * 101])
def test_a_package_of_a_strange_name_is_not_repeated(run, tmp_path, package):
    text = (run / "manifest.json").read_text()
    stated = {"x; rm -rf /": '"x; rm -rf /"', 7: "7", None: "null"}.get(package, f'"{package}"')
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "manifest.json").write_text(text.replace('"jsuper-decay"', stated))
    with pytest.raises(jsuper.RunError, match="install the package that has it"):
        jsuper.load(folder)


def test_a_family_is_registered_once_under_its_name(monkeypatch):
    monkeypatch.setattr("jsuper.core.family.FAMILIES", dict(FAMILIES))
    mine = Family("decay", spec="second_family.spec", train="second_family.train")
    jsuper.register_family(mine)
    jsuper.register_family(mine)
    assert family_of("decay") is mine
    with pytest.raises(ValueError, match="'toy' is already registered; choose another name"):
        jsuper.register_family(
            Family("toy", spec="second_family.spec", train="second_family.train")
        )
    with pytest.raises(TypeError, match="family='decay' is not a jsuper.Family"):
        jsuper.register_family("decay")


def test_a_family_may_leave_out_all_but_its_sweep_and_its_training(monkeypatch, tmp_path):
    monkeypatch.setattr("jsuper.core.family.FAMILIES", dict(FAMILIES))
    jsuper.register_family(Family("decay", spec="second_family.spec", train="second_family.train"))
    from second_family.spec import Sweep

    ds = jsuper.run(Sweep(seeds=2), tmp_path / "run", progress=False)
    assert set(jsuper.analyze(ds)) == set(ds)
    page = jsuper.report.write(tmp_path / "run").read_text(encoding="utf-8")
    assert re.search(r"function drawModel\(place, arrays\) \{\}", page)
    with pytest.raises(jsuper.SpecError, match="cannot be scrubbed"):
        jsuper.scrub_all(ds)
