"""Scrubbing of whole sweeps: values, what has none, words, the page and the command."""

import runpy
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from running import REPO, slow

import jsuper
from jsuper.analysis import hypotheses, samplers
from jsuper.analysis.metrics import toy_scrubbing as of_sweeps
from jsuper.analysis.scrubbing import scrub
from jsuper.cli import commands, main, sweeping
from jsuper.core.family import family_of
from jsuper.plots.scrubbing import missed
from jsuper.store import chunk_files, derived
from jsuper.store.manifest import manifest_of

RNG = np.random.default_rng(0)


def own_function(z):
    return z


SWEEP = jsuper.Sweep(
    activation=("relu", own_function),
    sparsity=(0.0, 0.9),
    n_features=5,
    n_hidden=3,
    seeds=2,
    steps=150,
    learning_rate=1e-2,
    batch_size=128,
    records=2,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    jsuper.run(SWEEP, out=folder, progress=False)
    return folder


@pytest.fixture(scope="module")
def ds(run):
    """The weights of the run under other activations' names, one of them not finite."""
    relu = jsuper.load(run).isel(activation=[0])
    names = ["relu", "softmax", "geglu", "softmax_batch", "own_function"]
    several = xr.concat([relu.assign_coords(activation=[k]) for k in names], "activation")
    gated = several.activation == "geglu"
    several = several.assign(V=several.W.where(gated) / 2, c=several.b.where(gated) + 0.3)
    several.status[0, 0, 0] = 2
    return jsuper.scrub_all(several)


@pytest.mark.parametrize("activation", ["relu", *map(slow, ("softmax", "geglu"))])
def test_a_sweep_has_what_scrub_finds_of_each_model(ds, activation):
    one = ds.sel(activation=activation, sparsity=0.9, seed=1)
    gate = {k: one[k].values for k in ("V", "c") if activation == "geglu"}
    ready = hypotheses.standard_hypotheses(one.W.values)
    random = [hypotheses.random_like(ready["cluster"], s) for s in range(of_sweeps.RANDOM)]
    tried = np.stack([*ready.values(), *random])
    samples = samplers.sparse(0.9, 5, of_sweeps.BLOCKS * samplers.BLOCK)
    importance = 0.7 ** np.arange(5)
    weights, bias = one.W.values, one.b.values
    found = scrub(weights, bias, activation, samples, tried, importance, **gate)
    close = {"rtol": 2e-4, "atol": 2e-5}
    for i, name in enumerate(ready):
        mine = one.sel(hypothesis=name)
        if name == "random":
            expected = found.recovered[-of_sweeps.RANDOM :].mean()
            np.testing.assert_allclose(mine.scrub_recovered, expected, **close)
            continue
        for field in ("recovered", "low", "high", "change", "loss_recovered", "recovered_output"):
            np.testing.assert_allclose(mine[f"scrub_{field}"], getattr(found, field)[i], **close)
    recovered = {k: float(one.scrub_recovered.sel(hypothesis=k)) for k in one.hypothesis.values}
    gain = recovered["cluster"] - recovered["random"]
    assert one.scrub_useful == pytest.approx(gain, abs=1e-6)
    share = (recovered["cluster"] - recovered["self"]) / (1 - recovered["self"])
    assert recovered["self"] < 0.999
    assert one.scrub_interference.sel(hypothesis="cluster") == pytest.approx(share, abs=1e-3)
    size = one.scrub_inputs.sel(hypothesis=["all", "self", "none"])
    np.testing.assert_allclose(size, [5, 1, 0], atol=1e-5)
    assert recovered["subspaces"] <= recovered["cluster"] + 1e-4


def test_what_cannot_be_scrubbed_has_no_value_and_spoils_none(ds):
    for name, (dims, words) in of_sweeps.VARIABLES.items():
        assert ds[name].dims == (*ds.status.dims, *dims) and ds[name].description == words
        assert ds[name][0, 0, 0].isnull().all()
        assert ds[name].sel(activation=["softmax_batch", "own_function"]).isnull().all()
    scrubs = ds.scrub_recovered.isel(activation=slice(3))
    assert int(scrubs.isnull().sum()) == len(of_sweeps.HYPOTHESES)
    assert (scrubs.sel(hypothesis="all").fillna(1) == 1).all()
    assert of_sweeps.left_out(ds) == ["softmax_batch", "own_function"]


@pytest.mark.slow
def test_untied_models_are_read_by_their_own_decoder():
    tied = {"activation": "relu", "sparsity": 0.9, "n_features": 5, "n_hidden": 3, "steps": 50}
    trained = jsuper.run(jsuper.Sweep(**tied, tied=(True, False), seeds=1), progress=False)
    ds = jsuper.scrub_all(trained).squeeze()
    one = ds.sel(tied=False)
    own = one.W_dec.values
    assert abs(own - one.W.values).max() > 0.1
    samples = samplers.sparse(0.9, 5, of_sweeps.BLOCKS * samplers.BLOCK)
    importance = 0.7 ** np.arange(5)
    tried = hypotheses.standard_hypotheses(one.W.values)["self"]
    weights, bias = one.W.values, one.b.values
    found = scrub(weights, bias, "relu", samples, tried, importance, W_dec=own)
    mine = one.scrub_recovered.sel(hypothesis="self")
    np.testing.assert_allclose(mine, found.recovered, rtol=2e-4, atol=2e-5)
    assert abs(mine - scrub(weights, bias, "relu", samples, tried, importance).recovered) > 0.01


@pytest.mark.slow
def test_models_of_several_shapes(ds):
    """A smaller model has no values beyond its own features, and the larger one is its own."""
    small = ds.isel(activation=[0]).drop_vars([*of_sweeps.VARIABLES, "hypothesis", "V", "c"])
    padded = {k: small[k].pad(feature=(0, 1), constant_values=np.nan) for k in ("W", "b")}
    drawn = {
        k: (v.dims, RNG.normal(size=v.shape).astype(np.float32) / 2) for k, v in padded.items()
    }
    small, large = (small.drop_vars(["W", "b"]).assign(k) for k in (padded, drawn))
    both = xr.concat([small.drop_vars("n_features"), large.drop_vars("n_features")], "n_features")
    both = both.assign_coords(n_features=[5, 6]).transpose("activation", "sparsity", "seed", ...)
    found = jsuper.scrub_all(both)
    first = found.sel(n_features=5).transpose(..., "hypothesis", "feature")
    assert first.scrub_recovered_output.isel(feature=5).isnull().all()
    before = ds.isel(activation=[0]).scrub_recovered_output
    after = first.scrub_recovered_output.isel(feature=slice(5))
    np.testing.assert_allclose(after, before.transpose(*after.dims), rtol=1e-4, atol=1e-5)
    assert found.sel(n_features=6).scrub_recovered.isel(seed=1).notnull().all()
    assert found.scrub_recovered_output.isel(feature=5, seed=1).sel(n_features=6).notnull().any()


def test_words_by_hand(ds):
    cell = ds.isel(activation=[0], sparsity=[0], seed=[1]).copy(deep=True)
    names = list(of_sweeps.HYPOTHESES)

    def word(**recovered):
        values = np.array([{"all": 1.0, "none": 0.0, "subspaces": 1.0}.get(k, 0) for k in names])
        for k, v in recovered.items():
            values[names.index(k)] = v
        missed = 1 - recovered["self"]
        cell.scrub_recovered[:] = values
        cell.scrub_interference[:] = 1 - (1 - values) / (missed if missed >= 0.001 else np.nan)
        return of_sweeps.explanation(cell).word.item()

    assert word(self=0.9999, antipodal=1, cluster=1, random=1) == "self"
    assert word(self=0.9, antipodal=0.999, cluster=1, random=0.9) == "pairs"
    assert word(self=0.9, antipodal=0.95, cluster=1, random=0.95) == "cluster"
    assert word(self=0.9, antipodal=0.95, cluster=1, random=1) == "number"
    assert word(self=0.9, antipodal=0.9, cluster=0.9, random=0.9) == "neither"
    cell.status[:] = 2
    assert word(self=0.9, antipodal=0.9, cluster=0.9, random=0.9) == ""


def test_the_page_shows_it(ds):
    found = family_of("toy").figures(ds.drop_vars(["V", "c"]))
    assert [caption[:16] for caption, _ in found] == ["Causal scrubbing"]
    axes = found[0][1].axes
    assert [ax.get_title() for ax in axes[:2]] == ["relu\n1 of 4 models left out", "softmax"]
    assert "own_function\n4 of 4 models left out" in [ax.get_title() for ax in axes]
    own = ds.sel(activation="softmax", hypothesis="self")
    lines = {line.get_label(): line for line in axes[1].lines}
    np.testing.assert_allclose(
        lines["self"].get_ydata(), 1 - own.scrub_recovered.median("seed"), rtol=1e-5
    )
    ax = missed(ds.sel(activation="relu"))
    assert ax.get_title() == "relu, 1 of 4 models left out"
    with pytest.raises(ValueError, match="select one"):
        missed(ds)
    plt.close("all")


def test_the_script_keeps_its_numbers_and_remakes_them_when_stale(run, capsys, monkeypatch):
    reports = []
    monkeypatch.setattr(sweeping, "write_report", lambda *folder: reports.append(folder[0]))
    monkeypatch.setattr(sys, "argv", ["scrub.py", str(run)])
    script = REPO / "scripts" / "scrub.py"
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(script), run_name="__main__")
    shown = capsys.readouterr()
    assert "scrubbing 8 models" in shown.err and reports == [run]
    assert "recovered by antipodal, median over 2 seeds" in shown.out
    assert "of 4 cells" in shown.out and "not scrubbed: own_function" in shown.out
    kept = jsuper.load(run)
    fresh = jsuper.scrub_all(kept.drop_vars([*of_sweeps.VARIABLES, "hypothesis"]))
    for name, (_, words) in of_sweeps.VARIABLES.items():
        np.testing.assert_array_equal(kept[name], fresh[name])
        assert kept[name].description == words

    assert main.main(["scrub", str(run), "--no-report"]) == 0  # nothing is computed again
    assert "scrubbing 8" not in capsys.readouterr().err
    path = derived.path_of(run, "scrubbing")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])  # a damaged file is as none
    with pytest.warns(UserWarning, match="damaged or.*jsuper scrub"):
        assert "scrub_recovered" not in jsuper.load(run)
    path.write_bytes(whole)
    chunk = chunk_files.chunk_path(run, manifest_of(run).chunks[0].name)
    chunk.rename(chunk.with_suffix(".away"))  # other chunks than it was made from
    with pytest.warns(UserWarning, match="other chunks.*jsuper scrub"):
        assert "scrub_recovered" not in jsuper.load(run)
    chunk.with_suffix(".away").rename(chunk)
    assert "scrub_recovered" in jsuper.load(run)
    monkeypatch.setattr("jsuper.cli.scrub.__version__", "0.0.9")  # made by another jsuper
    assert commands.scrub([str(run), "--no-report"]) == 0
    assert "from other chunks or settings" in capsys.readouterr().err


def test_the_command_refuses(tmp_path, run, capsys):
    assert commands.scrub([str(tmp_path)]) == 2
    assert "not a run folder" in capsys.readouterr().err
    assert commands.scrub([str(run), "--overlap", "2"]) == 2
    assert "overlap=2 is not in (0, 1]: try 0.1" in capsys.readouterr().err
    with pytest.raises(ValueError, match="cannot be scrubbed"):
        _ = family_of("factorization").scrubbing
