"""Every preset: its parts, its figure and its check, on results of a reduced sweep."""

import dataclasses
import functools
import math
import subprocess
import sys

import matplotlib
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from running import slow

import jsuper
from jsuper import presets
from jsuper.analysis import polygons, vulnerability_checks
from jsuper.analysis.checked import Checked, mean_of, share_of, wilson
from jsuper.cli import main, results
from jsuper.core.errors import SpecError
from jsuper.core.family import sweep_from_dict
from jsuper.core.toml import read_toml

NEEDED = {"relu", "identity", "gelu", "gelu_stochastic", "sgd(2)"}  # by the checks
NEEDED |= {"independent", "pairs(1)", "exclusive(2)"}
SMALL = {
    "toy": {"batch_size": 8, "steps": 6, "records": 3},
    "factorization": {"steps": 6, "records": 3},
    "mlp": {"batch_size": 8, "steps": 6, "records": 3, "d_embed": 20},
}


def reduced(preset):
    """The preset's sweep with the ends of its axes, few seeds and few steps."""
    sweep = sweep_from_dict(preset.sweep)
    small = {"seeds": 2} | SMALL[sweep.model]
    for name, values in sweep.axes.items():
        if name in sweep.zipped:
            continue
        kept = tuple(v for v in values if v in NEEDED) if isinstance(values[0], str) else ()
        small[name] = kept or values[:1] + values[-1:] if len(values) > 2 else values
    if "warmup" in str(getattr(sweep, "schedule", "")):
        small |= {"schedule": "constant"}  # a warm-up is longer than these steps
    if "push_step" in sweep.axes:
        small |= {"steps": 40, "records": 40, "push_step": (0, 20)}
    if getattr(sweep, "snapshots", ()):
        small |= {"snapshots": (0, 2, 4, 6)}
    if min(getattr(sweep, "n_features", (0,))) >= 400:
        fewer = 2 if sweep.n_hidden == (2,) else (4, 6)[-len(sweep.n_hidden) :]
        small |= {"n_features": 24, "n_hidden": fewer}
    return dataclasses.replace(sweep, **small)


QUICK = {"scurves_decay"}
OF_ONE_SEED = {"abs_value", "abs_value_small", "correlated", "development", "double_descent"}
OF_ONE_SEED |= {"geometry", "pentagon", "privileged_basis", "scaling"}


@pytest.mark.parametrize("name", [n if n in QUICK else slow(n) for n in presets.names()])
def test_a_preset_has_all_parts_and_they_run_on_a_reduced_sweep(name, monkeypatch):
    few = functools.partial(polygons.llc, chains=2, draws=20, burn_in=10)
    monkeypatch.setattr(polygons, "llc", few)
    few = functools.partial(vulnerability_checks.adversarial, samples=64)
    monkeypatch.setattr(vulnerability_checks, "adversarial", few)
    preset = presets.load(name)
    assert preset.title and 0 < preset.minutes <= 30
    assert preset.source.link.startswith("https://") and 2000 < preset.source.year < 2100
    assert preset.sweep == read_toml(presets.path_of(name))
    ds = jsuper.run(reduced(preset), progress=False)
    found = preset.function(preset.check)(ds)
    assert found and all(isinstance(one, Checked) for one in found)
    assert all(one.expected.startswith(("theory", "published")) for one in found)
    one_seed = [ds.isel(seed=[0])] if name in OF_ONE_SEED else []
    assert all(preset.function(preset.check)(one) for one in one_seed)
    if preset.figure:
        matplotlib.use("Agg")
        for part in [ds, *one_seed]:
            assert isinstance(preset.function(preset.figure)(part), (Axes, Figure))


def test_the_listing_has_a_line_for_every_preset_with_its_time():
    lines = presets.listing().splitlines()
    assert [line.split()[1] for line in lines] == presets.names()
    assert all(line.endswith((" min)", " s)")) for line in lines)


def test_loading_presets_imports_no_jax():
    code = (
        "import sys; from jsuper import presets; presets.listing(); assert 'jax' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = 5\n", r"table \[source\] must have exactly author, title, year, link"),
        (
            "[preset]\ntitle = 'x'\n[source]\nauthor='a'\ntitle='t'\nyear=2022\nlink='l'\n",
            r"table \[preset\] must have exactly title, minutes, figure, check",
        ),
        ("[preset]\ntitle = \n", r"mine\.toml is not valid TOML"),
    ],
)
def test_a_preset_that_lacks_a_part_is_refused(tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(presets, "FOLDER", tmp_path)
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(SpecError, match=message):
        presets.load("mine")


def test_a_copy_of_a_preset_is_a_config():
    path = presets.path_of("dropout")
    assert sweep_from_dict(read_toml(path)) == sweep_from_dict(presets.load("dropout").sweep)


def test_the_command_prints_source_and_check_and_draws_the_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = "--preset dropout --sparsity 0.5 0.9 --dropout 0 0.5 --importance-decay 1 --seeds 2"
    command = ["sweep", *flags.split(), "--steps", "3", "--batch-size", "8", "--out", "run"]
    assert main.main([*command, "--no-report"]) == 0
    out = capsys.readouterr().out
    assert "source   Pona (2023), Superposition and Dropout, https://" in out
    assert out.index("source ") < out.index("model ") < out.index("checked  features represented")
    assert (tmp_path / "run" / "figures" / "dropout.png").exists()
    assert main.main([*command, "--no-report"]) == 0
    again = capsys.readouterr().out
    assert "All 8 models are done" in again
    assert again.endswith(out[out.index("figure   run/figures/dropout.png") :])


def test_what_a_changed_preset_lacks_is_a_note(capsys):
    def lacking():
        raise ValueError("ds has no axis")

    results.or_note("figure", lacking)
    assert "the preset's figure is left out: ds has no axis" in capsys.readouterr().out


def test_intervals_of_checked_numbers():
    assert wilson(0, 0)[0] != wilson(0, 0)[0]
    assert wilson(0, 100) == pytest.approx((0, 0.03699), abs=1e-5)
    assert wilson(50, 100) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    share = share_of("x", [True] * 9 + [False], "theory: 1")
    assert str(share) == "x: 0.9 [0.596, 0.982]; theory: 1"
    mean = mean_of("y", [1.0, 2.0, 3.0, math.nan], "theory: 2")
    assert (mean.low, mean.high) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
    assert math.isnan(mean_of("z", [1.0], "theory: 1").low)
