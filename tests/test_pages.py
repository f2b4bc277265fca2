"""Every Python block of README and docs runs, and every `jsuper` command in them is understood."""

import functools
import importlib.util
import re
import shlex
import shutil
import sys
from unittest.mock import MagicMock

import made_up_baron
import numpy as np
import pytest
from running import REPO, summary_writer

import jsuper
import jsuper.factorization
from jsuper import presets
from jsuper.cli import commands, findings, folders, gallery, inspect, main, options, values
from jsuper.core.errors import SpecError
from jsuper.findings import sweeps

PAGES = {
    str(path.relative_to(REPO)): path.read_text(encoding="utf-8")
    for path in (REPO / "README.md", *sorted((REPO / "docs").rglob("*.md")))
}
BLOCKS = {page: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for page, text in PAGES.items()}
OTHERS = {  # modules of the recipes: the library without which they cannot be imported
    "wandb": "wandb",
    "torch": "torch",
    "torch.utils.tensorboard": "torch",
    "safetensors.torch": "torch",
}

# What is smaller in the tests than on the pages: steps in the text, and defaults. Batches of 32
# have no narrower ones, which would be compiled too.
STEPS = re.compile(r"\bsteps=\d+")
FEW_STEPS = 5
SMALL = {"activation": ("relu", "gelu"), "steps": FEW_STEPS, "batch_size": 32}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The run folders that the pages name, with few steps and models."""
    folder = tmp_path_factory.mktemp("pages")
    sweep = jsuper.Sweep(sparsity=(0.9, 0.99), **SMALL)
    jsuper.run(sweep, folder / "runs" / "activations", progress=False)
    fields = presets.load("development").sweep | {"seeds": 9, "steps": 50, "snapshots": "log(5)"}
    development = jsuper.Sweep.from_dict(fields)
    jsuper.run(development, folder / "runs" / "development", progress=False)
    return folder


@pytest.fixture
def small(monkeypatch):
    """Small defaults of sweeps and of slow measures, and made-up models for the findings."""
    monkeypatch.setattr(jsuper, "Sweep", functools.partial(jsuper.Sweep, **SMALL))
    llc = functools.partial(jsuper.analysis.llc, chains=2, draws=20, burn_in=10)
    monkeypatch.setattr(jsuper.analysis, "llc", llc)
    adversarial = functools.partial(jsuper.analysis.adversarial, samples=64)
    monkeypatch.setattr(jsuper.analysis, "adversarial", adversarial)
    factorization = functools.partial(jsuper.factorization.Sweep, steps=FEW_STEPS)
    monkeypatch.setattr(jsuper.factorization, "Sweep", factorization)
    x = np.random.default_rng(0).integers(0, 3, len(made_up_baron.NAMES))
    found = made_up_baron.made(x, lambda x: -x)
    monkeypatch.setattr(sweeps, "load", lambda folder, names, seeds: found)


def stand_in(page, monkeypatch):
    """Stand-ins for the libraries that a page imports, where they are not installed."""
    absent = [name for name in set(OTHERS.values()) if importlib.util.find_spec(name) is None]
    for module, library in OTHERS.items():
        used = re.search(rf"^(import|from) {module}\b", PAGES[page], re.MULTILINE)
        if used and library in absent:
            monkeypatch.setitem(sys.modules, module, fake := MagicMock())
            fake.SummaryWriter = functools.partial(summary_writer, logged={})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of fits that five steps do not finish
@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks])
def test_every_block_of_a_page_runs(page, runs, small, tmp_path, monkeypatch):
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    stand_in(page, monkeypatch)
    names = {}
    for number, code in enumerate(BLOCKS[page]):
        exec(
            compile(STEPS.sub(f"steps={FEW_STEPS}", code), f"{page}, block {number}", "exec"), names
        )


def test_no_python_is_outside_of_a_block():
    indented = re.compile(
        r"^    ((import|from|def|return) |jsuper\.\w+\(|\w+ = [\w.]+\()", re.MULTILINE
    )
    for page, text in PAGES.items():
        prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        assert not indented.search(prose), page


PARSERS = {
    "status": inspect.StatusOptions,
    "verify": inspect.VerifyOptions,
    "report": commands.ReportOptions,
    "export": commands.ExportOptions,
    "list": folders.ListOptions,
    "compare": folders.CompareOptions,
    "merge": folders.MergeOptions,
    "scrub": commands.ScrubOptions,
    "findings": findings.FindingsOptions,
    "gallery": gallery.GalleryOptions,
}


def commands_of(text):
    """The commands of a page: those on separate lines, and those within the text."""
    text = text.replace("\\\n", " ")
    shell = "".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    lines = re.findall(r"^(jsuper .*)$", shell, re.MULTILINE)
    lines += re.findall(r"^    (jsuper .*)$", text, re.MULTILINE)
    lines += re.findall(r"`(jsuper\s\w[^`]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [" ".join(line.split()) for line in lines]


LINES = [pytest.param(c, id=f"{p}: {c}") for p, text in PAGES.items() for c in commands_of(text)]


@pytest.mark.parametrize("line", LINES)
def test_every_command_is_understood(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text('activation = "relu"\n', encoding="utf-8")
    command, *words = shlex.split(line)[1:]
    assert command in main.COMMANDS
    if "--help" in words or (command == "sweep" and not words):
        return
    if command == "sweep":
        options.parse(words)
    else:
        if command not in ("findings", "gallery") and (not words or words[0].startswith("-")):
            words = ["RUN", *words]  # the text speaks of the command without naming a run
        known = ["out"] if command == "merge" else ()  # its flag without a default
        values.read(PARSERS[command], words, f"jsuper {command}", known)


def test_a_wrong_command_is_noticed(tmp_path, monkeypatch):
    assert commands_of("    jsuper sweep --sede 3\nThen `jsuper\nstatus RUN`, ") == [
        "jsuper sweep --sede 3",
        "jsuper status RUN",
    ]
    with pytest.raises(SpecError, match="sede"):
        options.parse(["--sede", "3"])
    with pytest.raises(SpecError, match="jsno"):
        values.read(inspect.StatusOptions, ["RUN", "--jsno"], "jsuper status")
