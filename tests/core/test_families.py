"""The engine, the store and the command line with a family that they have never seen."""

import jax
import numpy as np
import pytest
import second_family
from second_family.spec import Sweep

import jsuper
from jsuper.cli import sweeping
from jsuper.core.family import FAMILIES
from jsuper.engine.devices import Plan


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(FAMILIES, "decay", second_family.FAMILY)


@pytest.mark.parametrize("batching", ["auto", "vmapped"])
def test_another_family_trains_and_loads(tmp_path, batching):
    sweep = Sweep(rate=(0.1, 0.5), scale=(1.0, 2.0), length=(2, 3), seeds=2)
    plan = Plan("cpu", (jax.devices("cpu")[0],) * 2, batching)
    ds = jsuper.run(sweep, out=tmp_path / "run", plan=plan, progress=False)
    assert ds.final.dims == ("rate", "scale", "length", "seed", "coordinate")
    assert (ds.status == 1).all()
    start = np.asarray(jax.random.normal(jsuper.seed_key(1), (3,)))
    cell = ds.final.sel(rate=0.5, scale=2.0, length=3, seed=1)
    assert cell.values == pytest.approx(2 * start * 0.5**20, rel=1e-4)
    assert np.isnan(ds.final.sel(length=2).isel(coordinate=2)).all()
    assert jsuper.load(tmp_path / "run").drop_attrs().identical(ds.drop_attrs())


def test_the_command_line_takes_another_family(tmp_path, capsys):
    config = tmp_path / "decay.toml"
    config.write_text('model = "decay"\nrate = [0.1, 0.9]\nseeds = 2\n')
    out = str(tmp_path / "run")
    assert sweeping.sweep(["--config", str(config), "--steps", "5", "--out", out]) == 0
    assert "size, median over 2 seeds" in capsys.readouterr().out
    assert sweeping.sweep(["--model", "decay", "--activation", "relu", "--dry-run"]) == 2
    assert "--activation is a field of the model 'toy'" in capsys.readouterr().err
    assert sweeping.sweep(["--model", "decai"]) == 2
    assert "did you mean 'decay'?" in capsys.readouterr().err
