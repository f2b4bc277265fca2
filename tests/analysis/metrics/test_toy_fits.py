"""Failed fits: the rule, the improvement that it rests on, and where they are shown."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from running import array, data_of
from sparse_features import nonzero_features

import jsuper
from jsuper import plots, report
from jsuper.analysis.evaluation import failed_fit, still_improves
from jsuper.analysis.metrics import toy as measures
from jsuper.analysis.metrics import toy_fits
from jsuper.cli import options, summary
from jsuper.core.family import family_of, sweep_from_dict
from jsuper.engine import programs
from jsuper.models.toy import evaluation
from jsuper.models.toy.ending import earlier_step
from jsuper.models.toy.evaluation import COLUMNS, COMPARED_ROUNDS
from jsuper.models.toy.inputs.features import importance
from jsuper.training import keys

NAN = float("nan")
TINY = jsuper.Sweep(
    activation="relu",
    sparsity=0.9,
    seeds=2,
    steps=50,
    n_features=5,
    n_hidden=2,
    batch_size=32,
    records=5,
    learning_rate=0.01,
)


def run(**changes):
    plan = changes.pop("plan", None)
    return jsuper.run(dataclasses.replace(TINY, **changes), progress=False, plan=plan)


# ---- the rule ----

CASES = {  # loss over the constant's, improvement, its standard error; improves, failed
    "a fit": ((0.3, 0.01, 0.001), False, False),
    "worse than the constant": ((1.01, 0.0, 0.001), False, True),
    "the constant itself": ((1.0, 0.0, 0.001), False, False),
    "still improving": ((0.3, 0.2, 0.01), True, True),
    "both": ((2.7, 0.2, 0.01), True, True),
    "by 10 % and no more": ((0.3, 0.1, 0.001), False, False),
    "by less than three errors": ((0.3, 0.2, 0.07), False, False),
    "by more than three errors": ((0.3, 0.2, 0.06), True, True),
    "getting worse": ((0.3, -0.5, 0.001), False, False),
    "nothing left to learn": ((1e-5, 0.5, 0.001), False, False),
    "not measured": ((0.3, NAN, NAN), False, False),
    "not measured, and worse": ((1.5, NAN, NAN), False, True),
    "diverged": ((NAN, NAN, NAN), False, False),
    "diverged at the end": ((NAN, 0.5, 0.001), False, False),
    "from infinity": ((0.3, 1.0, NAN), False, False),
}


@pytest.mark.parametrize(("numbers", "improves", "failed"), CASES.values(), ids=CASES)
def test_the_rule(numbers, improves, failed):
    assert bool(still_improves(*numbers)) is improves
    assert bool(failed_fit(*numbers)) is failed
    assert bool(failed_fit(numbers[0])) is (numbers[0] > 1)  # without an improvement


def test_the_rule_of_arrays_is_that_of_numbers():
    rng = np.random.default_rng(0)
    loss = 10 ** rng.uniform(-5, 1, (40, 50))
    fall, error = rng.uniform(-0.3, 0.5, (40, 50)), rng.uniform(0, 0.1, 50)
    loss[rng.random(loss.shape) < 0.1] = np.nan
    expected = [
        [
            loss[i, j] > 1 or (fall[i, j] > 0.1 and fall[i, j] > 3 * error[j] and loss[i, j] > 1e-4)
            for j in range(50)
        ]
        for i in range(40)
    ]
    assert np.array_equal(failed_fit(loss, fall, error), expected) and 0.1 < np.mean(expected) < 0.9
    traced = jax.jit(failed_fit)(loss.astype(np.float32), fall, error)
    assert np.array_equal(traced, expected)


# ---- the improvement ----


@pytest.mark.parametrize(
    ("steps", "earlier"), [(1, 0), (2, 1), (5, 4), (9, 8), (10, 9), (11, 9), (10_000, 9_000)]
)
def test_the_earlier_step_is_at_nine_tenths(steps, earlier):
    assert earlier_step(steps) == earlier < steps


@functools.partial(jax.jit, static_argnums=2)
def columns(key, i, n_features, density):
    """The non-zero columns of a round, and the chance of one."""
    densities = jnp.broadcast_to(density, n_features)
    return nonzero_features(keys.stream(key, keys.EVALUATION, i), densities, COLUMNS)


def rounds(W, b, key, density):
    """The losses of ReLU models on the evaluation's first rounds, in float64 NumPy."""
    losses = []
    for i in range(COMPARED_ROUNDS):
        x, chance = columns(key, np.int32(i), len(b), np.full(len(b), density, np.float32))
        x, chance = np.asarray(x, np.float64), float(chance)
        errors = (np.maximum(W.T @ (W @ x) + b[:, None], 0) - x) ** 2
        at_zero = np.maximum(b, 0) ** 2
        per_feature = chance * errors.mean(axis=1) + (1 - chance) * at_zero
        losses.append(np.mean(importance(0.7, len(b)) * per_feature))
    return np.array(losses)


@pytest.fixture(scope="module")
def shorter_and_whole():
    """The same models after 90 % of the steps and after all of them."""
    return run(steps=45), run(steps=50)


def test_the_improvement_is_that_of_plain_numpy(shorter_and_whole):
    shorter, whole = (ds.squeeze() for ds in shorter_and_whole)
    for seed in (0, 1):
        key, one, other = jsuper.seed_key(seed), shorter.sel(seed=seed), whole.sel(seed=seed)
        before, after = (
            rounds(m.W.values.astype(float), m.b.values.astype(float), key, 0.1)
            for m in (one, other)
        )
        ratio = after.mean() / before.mean()
        stderr = np.std(after - ratio * before, ddof=1) / np.sqrt(COMPARED_ROUNDS) / before.mean()
        assert float(other.improvement) == pytest.approx(1 - ratio, abs=2e-5)
        assert float(other.improvement_stderr) == pytest.approx(stderr, rel=0.01)
        assert 0.003 < 1 - ratio < 0.3 and stderr < 0.1 * np.std(after) / after.mean()


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["rows", "sequential", "reference", "vmapped"])
def test_every_plan_measures_the_same_improvement(shorter_and_whole, plan):
    found, expected = run(plan=plan), shorter_and_whole[1]
    for name in ("improvement", "improvement_stderr"):
        assert found[name].values == pytest.approx(expected[name].values, rel=1e-2, abs=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        {"tied": False, "activation": "glu"},
        {"activation": "softmax_batch", "dropout": 0.2},
        {"dtype": "float64"},
        {"push": (0.0, 3.0), "push_step": 47},
    ],
    ids=["untied and gated", "over the batch", "float64", "pushed"],
)
def test_the_earlier_weights_are_those_of_a_shorter_training(kind, monkeypatch):
    """All losses are measured on the rounds of the improvement, and no more."""
    monkeypatch.setattr(evaluation, "RELATIVE_ERROR", np.inf)
    monkeypatch.setattr(evaluation, "MIN_ROUNDS", COMPARED_ROUNDS)
    monkeypatch.setattr(programs, "_programs", {})
    whole = run(**kind)
    without = {k: v for k, v in kind.items() if not k.startswith("push")}
    shorter = run(steps=45, **without)
    error = abs(whole.improvement - (1 - whole.loss / shorter.loss))
    assert (error < 2e-5).all() and (abs(whole.improvement) > 1e-3).all()
    assert whole.improvement.dtype == whole.W.dtype
    if "push" in kind:  # after 90 %: the loss rises, which is no improvement
        assert (whole.improvement.sel(push=3.0) < -0.1).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*the weights hardly leave their initial values:UserWarning")
def test_weights_that_stand_still_do_not_improve():
    ds = run(learning_rate=1e-30, steps=1)
    assert (abs(ds.improvement) < 1e-6).all() and (ds.improvement_stderr < 1e-6).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* models are not finite:RuntimeWarning")
def test_a_model_that_diverged_has_no_improvement_and_spoils_no_other():
    rates = (1e-3, 1e30, 2e-3)
    ds = run(activation="exp", learning_rate=rates)
    fine = ds.status == 1
    assert fine.any() and (~fine).sum() == 2
    for name in ("improvement", "improvement_stderr"):
        assert (ds[name].notnull() == fine).all()
    analyzed = jsuper.analyze(ds)
    assert (analyzed.failed_fit.notnull() == fine).all()
    assert not any(models.where(~fine, False).any() for models in toy_fits.failed_fits(ds).values())


@pytest.mark.slow
def test_switched_off_nothing_else_changes():
    on, off = run(unpaired=True), run(unpaired=True, check_fit=False)
    assert {"improvement", "improvement_stderr"} == set(on) - set(off)
    for name in off:
        assert np.array_equal(on[name], off[name], equal_nan=True), name
    worse = jsuper.analyze(off).failed_fit == (off.loss_over_constant > 1)
    assert worse.all()  # the other half of the rule
    assert options.parse(["--check-fit", "false"])[0].check_fit is False
    assert options.parse([])[0].check_fit is True


# ---- real models, and what shows them ----


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sigmoid models at sparsity .999 are not finished; nor does log_sigmoid ever fit."""
    sweep = jsuper.Sweep(
        activation=("relu", "sigmoid", "log_sigmoid"),
        sparsity=(0.9, 0.999),
        seeds=2,
        steps=2000,
        batch_size=128,
        records=4,
        learning_rate=2e-3,
    )
    place = tmp_path_factory.mktemp("fits") / "run"
    jsuper.run(sweep, place, progress=False)
    return place


@pytest.fixture(scope="module")
def ds(folder):
    return jsuper.analyze(jsuper.load(folder))


def test_models_that_still_improve_or_cannot_fit_are_failed_fits(ds):
    table = ds[["loss_over_constant", "improvement", "failed_fit"]].to_dataframe()
    at = {"activation": "sigmoid", "sparsity": 0.999}
    assert (ds.failed_fit.sel(at) == 1).all(), table
    assert (ds.improvement.sel(at) > 0.1).all() and (ds.loss_over_constant.sel(at) > 1).all()
    assert (ds.failed_fit.sel(activation="relu", sparsity=0.9) == 0).all(), table
    assert (ds.failed_fit.sel(activation="log_sigmoid") == 1).all(), table
    reasons = toy_fits.failed_fits(ds)
    assert list(reasons) == [toy_fits.IMPROVING, toy_fits.WORSE] == list(toy_fits.ADVICE)
    assert (sum(reasons.values()) == ds.failed_fit).all()  # no model has two reasons
    assert reasons[toy_fits.IMPROVING].sel(at).all()
    others = {"loss_curve", "train_loss"}
    assert "10 %" in ds.failed_fit.description and set(toy_fits.QUALITY) <= {*ds} | others
    assert set(measures.HEADLINES) - set(toy_fits.QUALITY)


def cells_of(models):
    """{(activation, sparsity)} of the cells that have some of these models."""
    stacked = models.any("seed").stack(cell=("activation", "sparsity"))
    return {tuple(c) for c in stacked.cell.values[stacked.values]}


def lines_of(printed):
    """Row -> its cells, of the table on the terminal."""
    lines = [line.split() for line in printed.splitlines()]
    return {words[0]: words[1:] for words in lines if len(words) > 3}


def test_the_table_has_a_star_at_failed_fits_and_names_them(folder, ds, capsys, tmp_path):
    from types import SimpleNamespace

    from jsuper.store.manifest import manifest_of

    sweep = sweep_from_dict(manifest_of(folder).sweep)
    job = SimpleNamespace(folder=folder, sweep=sweep, chunks=manifest_of(folder).chunks)
    summary.show(job)
    printed = capsys.readouterr().out
    rows = lines_of(printed)
    starred = {
        (name, sparsity)
        for name in ds.activation.values
        for sparsity, cell in zip(ds.sparsity.values, rows[name], strict=False)
        if cell.endswith("*")
    }
    assert starred == cells_of(ds.failed_fit == 1) and ("sigmoid", 0.999) in starred
    assert f"* {int(ds.failed_fit.sum())} of 12 fits failed" in printed
    assert re.search(
        r"still improving; train longer \(--steps, or --until converged\)\n"
        r"    sigmoid: \d, sparsity .*0.999",
        printed,
    )


def test_where_no_fit_failed_nothing_is_said(capsys):
    reasons = {"still improving": xr.DataArray(np.zeros((1, 1, 2), bool), dims=("a", "b", "seed"))}
    assert list(summary.failed_text(reasons, toy_fits.ADVICE, ("a", "b"))) == []


def test_many_rows_of_failed_fits_are_counted_and_not_all_printed():
    models = xr.DataArray(
        np.ones((20, 2, 3), bool), {"a": np.arange(20), "b": [1, 2]}, ("a", "b", "seed")
    )
    lines = list(summary.failed_text({toy_fits.WORSE: models}, toy_fits.ADVICE, ("a", "b")))
    assert lines[0] == (
        "* 120 of 120 fits failed: do not interpret their weights; the medians above still count "
        "their losses"
    )
    assert lines[2] == "    a 0: 6, b 1 2" and lines[-1] == "    and 4 more; the page names all"
    assert len(lines) == 2 + summary.MOST_ROWS + 1


def hatched(ax):
    return {(p.get_x() + 0.5, p.get_y() + 0.5) for p in ax.patches if p.get_hatch()}


def made_up():
    """4 cells of 4 seeds: 0 and 1 fits of relu have failed, 2 and 4 of gelu."""
    failed = np.zeros((2, 2, 4))
    failed[0, 1, 0] = failed[1, 0, :2] = failed[1, 1] = 1
    values = np.arange(16.0).reshape(2, 2, 4)
    dims = ("activation", "sparsity", "seed")
    ds = {"status": (dims, np.ones((2, 2, 4), int)), "failed_fit": (dims, failed)}
    ds |= {name: (dims, values) for name in ("loss", "features_represented")}
    return xr.Dataset(ds, {"activation": ["relu", "gelu"], "sparsity": [0.0, 0.9]})


def numbers(ax):
    return [t.get_text() for t in ax.texts]


@pytest.mark.parametrize(
    ("variable", "texts", "title"),
    [
        ("loss", ["1.5", "5.5", "9.5", "14"], "all 16 models; 7 failed fits (hatched"),
        (
            "features_represented",
            ["1.5", "6", "10", "-"],
            "all 16 models; 7 failed fits left out (hatched",
        ),
    ],
)
def test_a_heatmap_hatches_cells_of_failed_fits(variable, texts, title):
    ax = plots.heatmap(made_up(), variable)
    assert hatched(ax) == {(0, 1), (1, 1)}
    assert numbers(ax) == texts and title in ax.get_title()
    assert ax.images[0].norm.vmax < 7  # the scale is that of the fits
    plain = plots.heatmap(made_up().drop_vars("failed_fit"), variable)
    assert not hatched(plain) and "failed" not in plain.get_title()


def test_a_heatmap_of_failed_fits_alone_and_one_of_diverged_models():
    ds = made_up()
    ds["failed_fit"][:] = 1
    assert (
        len(hatched(plots.heatmap(ds, "loss")))
        == len(hatched(plots.heatmap(ds, "loss", spread=True)))
        == 4
    )
    ds["status"][:, :, :3] = 2
    ds["failed_fit"][:] = np.where(ds.status == 1, ds.failed_fit * 0, np.nan)
    assert not hatched(plots.heatmap(ds, "loss"))


def test_the_page_names_failed_fits_and_marks_them(ds):
    page = report.render(ds, "fits")
    data = data_of(page)
    assert data["reasons"] == [toy_fits.IMPROVING, toy_fits.WORSE]
    assert data["quality"] == ["loss_over_constant", "loss"]
    failed = array(data["failed"], "<i1").reshape(3, 2, 2)
    assert np.array_equal(failed > 0, ds.failed_fit == 1)
    reasons = toy_fits.failed_fits(ds)
    assert np.array_equal(failed == 1, reasons[toy_fits.IMPROVING])
    named = re.search(r'id="failed-fits".*?</details>', page, re.DOTALL)[0]
    assert named.count("<li>") == len(cells_of(ds.failed_fit == 1))
    assert "activation sigmoid, sparsity 0.999: 2 still improving of 2" in named
    none = report.render(ds.assign(loss_over_constant=ds.loss_over_constant * 0), "none")
    assert 'id="failed-fits"' not in none


def test_a_family_whose_fits_cannot_fail_has_no_rule():
    assert family_of("factorization").fits is None and family_of("toy").fits is toy_fits
