"""Help, the list of commands, and modules that are imported when they are used."""

import re
import subprocess
import sys

import pytest
from messages import assert_says, call
from running import REPO

import jsuper
from jsuper.cli import main


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_the_list_of_commands_describes_each_without_jax(arguments):
    code = (
        "import runpy, sys; sys.argv[0] = 'jsuper'\n"
        "try: runpy.run_module('jsuper', run_name='__main__')\n"
        "finally: assert not {'jax', 'matplotlib', 'xarray'} & sys.modules.keys()"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=False)
    assert done.returncode == (0 if arguments else 2) and "Error" not in done.stderr
    text = done.stdout or done.stderr
    for name, (_, does) in main.COMMANDS.items():
        assert_says(text, rf"\n    {name} +{re.escape(does.split()[0])}")


OLDER = {"study": "findings", "claims": "findings"}


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_has_a_help(command, capsys):
    assert call([command, "--help"]) == 0
    assert_says(
        capsys.readouterr().out, rf"usage: jsuper {OLDER.get(command, command)}\b", r"--help"
    )


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "jsuper", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=True)
    assert done.stdout == f"jsuper {jsuper.__version__}\n"


LAZY = "plots.weights analysis.superposition report.write factorization.Sweep mlp.Sweep"


@pytest.mark.parametrize("path", LAZY.split())
def test_submodules_come_when_they_are_used(path):
    module, name = path.split(".")
    code = (
        "import sys, jsuper; assert not {'jax', 'matplotlib'} & sys.modules.keys()\n"
        f"assert '{module}' in dir(jsuper) and '{module}' not in vars(jsuper)\n"
        f"assert jsuper.{path} is not None"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)


def test_a_sweep_and_its_summary_need_no_slow_parts_of_libraries():
    code = (
        "import sys, jsuper.models.toy.train, jsuper.analysis.evaluation\n"
        "import jsuper.analysis.answering\n"
        "slow = {'scipy.stats', 'scipy.optimize', 'jax.experimental.pallas'}\n"
        "assert not slow & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)


def test_an_attribute_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'jsuper' has no attribute 'sweeps'"):
        _ = jsuper.sweeps
