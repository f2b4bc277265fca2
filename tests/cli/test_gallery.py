"""The gallery: its table, the command, and the page that is written from it."""

import dataclasses

import matplotlib.image
import pytest
from matplotlib.figure import Figure

import jsuper
from jsuper import presets
from jsuper.cli import main, several
from jsuper.core.family import sweep_from_dict
from jsuper.presets import gallery

ENTRIES = gallery.entries()
SMALL = {"steps": 20, "seeds": 2, "batch_size": 8}
TINY = "features_2d"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch, signals_are_as_before):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tiny(monkeypatch):
    """The gallery with two figures of one small sweep."""
    first = ENTRIES[TINY]
    preset = dataclasses.replace(first.preset, sweep=first.preset.sweep | SMALL)
    grid = dataclasses.replace(preset, name="grid", figure="jsuper.plots.paper:superposition_grid")
    found = {
        TINY: dataclasses.replace(first, preset=preset),
        "grid": dataclasses.replace(first, name="grid", preset=grid, at={"sparsity": [0.0, 0.9]}),
    }
    monkeypatch.setattr(gallery, "entries", lambda: found)
    return found


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_has_functions_a_sweep_and_texts(name):
    entry = ENTRIES[name]
    assert callable(entry.preset.function(entry.preset.figure))
    assert callable(entry.preset.function(entry.preset.check))
    assert entry.seen.endswith(".") and not entry.where.endswith(".")
    assert entry.sweep() == sweep_from_dict(presets.load(entry.run).sweep)
    small, full = entry.sweep(reduced=True), entry.sweep()
    assert max(small.values_of("steps")) * 10 == max(full.values_of("steps"))
    assert small.seed_count <= 2 and entry.minutes(reduced=True) <= entry.minutes()


def test_names_are_those_of_presets_or_of_further_figures_of_one():
    for name, entry in ENTRIES.items():
        assert entry.name == entry.preset.name == name
        assert name == entry.run or (name not in presets.names() and entry.run in ENTRIES)
        if name != entry.run:
            assert entry.preset.figure != presets.load(entry.run).figure


def test_without_names_all_figures_are_listed(capsys):
    assert main.main(["gallery"]) == 0
    out = capsys.readouterr().out
    for name, entry in ENTRIES.items():
        assert f"{name} " in out and f"{entry.preset.title} ({entry.preset.duration})" in out


def test_an_unknown_name_is_refused(tmp_path, capsys):
    assert main.main(["gallery", "pentagone"]) == 2
    assert "figure 'pentagone' is not known; did you mean 'pentagon'?" in capsys.readouterr().err
    assert main.main(["gallery", "pentagon", "--platform", "quantum"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_figures_of_one_sweep_are_trained_once(tiny, tmp_path, capsys):
    call = ["gallery", TINY, "grid", "--runs", "runs", "--platform", "cpu"]
    assert main.main(call) == 0
    out = capsys.readouterr().out
    assert "1 of 1 sweeps to train" in out
    folder = tmp_path / "runs" / TINY
    assert jsuper.load(folder).sizes["seed"] == 2
    for name, entry in tiny.items():
        assert (folder / "figures" / f"{name}.png").exists()
        assert f"gallery  {name}: {entry.preset.title}\nsource   Elhage et al. (2022)" in out
    assert out.count("checked  features at sparsity 0, best of 2 seeds: ") == 2
    assert "; published: 2, orthogonal" in out
    assert main.main([*call, "--out", "figures"]) == 0
    out = capsys.readouterr().out
    assert "sweep" not in out.replace("sweeps", "") and "to train" not in out
    drawn = sorted(p.name for p in (tmp_path / "figures").iterdir())
    assert drawn == ["features_2d.png", "grid.png"]


def test_a_run_with_more_seeds_serves(tiny, tmp_path, capsys):
    more = dataclasses.replace(tiny[TINY].sweep(), seeds=3)
    jsuper.run(more, tmp_path / "runs" / TINY, progress=False)
    assert main.main(["gallery", "grid", "--runs", "runs"]) == 0
    assert "best of 3 seeds" in capsys.readouterr().out


def test_a_reduced_figure_says_so(tiny, tmp_path, capsys):
    assert main.main(["gallery", "grid", "--runs", "runs", "--reduced", "--platform", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "reduced  2 of 2 seeds, 2 of 20 steps; the numbers are not those of the full" in out
    folder = tmp_path / "runs" / f"{TINY}-reduced"
    assert max(jsuper.load(folder)["step"].values) < 20
    assert matplotlib.image.imread(folder / "figures" / "grid.png").ndim == 3
    assert not (tmp_path / "runs" / TINY).exists()


def test_what_a_signal_stopped_is_not_drawn(tiny, monkeypatch, capsys):
    monkeypatch.setattr(several, "train", lambda *args: 75)
    assert main.main(["gallery", TINY]) == 75
    assert "checked" not in capsys.readouterr().out


def test_a_figure_is_drawn_of_what_it_selects(tiny):
    ds = jsuper.run(tiny["grid"].sweep(), progress=False)
    figure = tiny["grid"].draw(ds)
    assert isinstance(figure, Figure)
    titles = {ax.get_title() for ax in figure.axes} - {""}
    assert titles == {"S = 0", "S = 0.9"}
