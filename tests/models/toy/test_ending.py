"""`until="converged"`: a model is that of a run with as many steps as it has used."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import jsuper
from jsuper import SpecError
from jsuper.analysis.evaluation import still_improves
from jsuper.engine.counters import Progress
from jsuper.engine.devices import make_plan
from jsuper.engine.stopping import Stop
from jsuper.engine.workers import train_chunks
from jsuper.jobs.job import existing_job
from jsuper.models.toy.ending import compared_steps, earlier_step

STEPS = 50
TINY = dict(
    activation=("relu", "identity"),
    sparsity=(0.5, 0.97),
    n_features=4,
    n_hidden=4,
    batch_size=32,
    learning_rate=0.02,
    steps=STEPS,
    until="converged(10)",
    records=9,
    snapshots=(0, 20, STEPS),
    seeds=2,
)
SWEEP = jsuper.Sweep(**TINY)


def uniform(key, batch):
    return jax.random.uniform(key, (batch, 4))


def trained(sweep, plan="auto"):
    return jsuper.run(sweep, plan=plan, workers=1, progress=False)


@pytest.fixture(scope="module")
def found():
    return trained(SWEEP)


def test_every_comparison_is_with_90_percent_of_the_steps():
    steps = compared_steps("converged", 100_000)
    assert steps[:3] == (10_000, 11_112, 12_347) and steps[-1] <= earlier_step(100_000)
    assert [earlier_step(step) for step in steps[1:]] == list(steps[:-1])
    assert compared_steps("converged", 50_000) == tuple(s for s in steps if s <= 45_000)
    assert compared_steps("steps", 100_000) == ()


def test_models_end_at_different_steps(found):
    used = np.unique(found.steps_used)
    assert len(used) > 3 and set(used) <= {*compared_steps("converged(10)", STEPS), STEPS}
    improving = still_improves(
        found.loss_over_constant, found.improvement, found.improvement_stderr
    )
    assert not (improving & (found.steps_used < STEPS)).any()


def assert_close(found, expected, here=True):
    """The same models, to rounding, where they are to be compared."""
    for name in ("W", "b", "loss", "loss_stderr", "improvement", "improvement_stderr"):
        own = [a.where(here, 0) for a in (found[name], expected[name])]
        np.testing.assert_allclose(*own, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_a_model_is_that_of_a_run_with_as_many_steps(found):
    for steps in np.unique(found.steps_used):
        fixed = dataclasses.replace(SWEEP, until="steps", steps=int(steps), snapshots=())
        assert_close(found, trained(fixed), found.steps_used == steps)


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["sequential", "vmapped", "reference"])
def test_every_plan_ends_alike(found, plan):
    ds = trained(SWEEP, plan)
    np.testing.assert_array_equal(ds.steps_used, found.steps_used)
    assert_close(ds, found)


def test_records_are_nan_after_the_end(found):
    reached = found.step < found.steps_used
    assert (np.isfinite(found.loss_curve) == reached).all()
    kept = np.isfinite(found.W_snapshots).all(["hidden", "feature"])
    assert (kept == (found.snapshot_step <= found.steps_used)).all()
    last = found.sel(snapshot_step=STEPS)
    whole = found.steps_used == STEPS
    assert (last.W_snapshots == found.W).where(whole, True).all()


@pytest.mark.slow
def test_a_model_does_not_depend_on_others_or_on_the_maximum(found):
    shorter = dataclasses.replace(SWEEP, steps=40, activation="identity", seeds=[0], snapshots=())
    alone, all_ = trained(shorter), found.sel(activation=["identity"], seed=[0])
    ended = all_.steps_used <= earlier_step(40)
    assert ended.any()
    for name in ("W", "b"):
        own = [a.where(ended, 0) for a in (alone[name], all_[name])]
        np.testing.assert_allclose(*own, rtol=1e-4, atol=1e-6)  # other programs round differently


@pytest.mark.slow
def test_a_folder_of_models_that_end_early_is_read(found, tmp_path):
    jsuper.run(SWEEP, tmp_path / "run", progress=False)
    ds = jsuper.load(tmp_path / "run")
    np.testing.assert_array_equal(ds.steps_used, found.steps_used)
    assert ds.steps_used.attrs["description"].startswith("optimizer steps")
    assert existing_job(SWEEP, tmp_path / "run").todo == []


def test_the_engine_leaves_out_steps_that_no_model_takes(found):
    sweep = dataclasses.replace(SWEEP, steps=100_000, snapshots=())
    job = existing_job(sweep, None)
    plan, progress = make_plan("cpu", 1, "auto"), Progress()
    for _, arrays in train_chunks(plan, job.todo, job.chunks, progress, Stop()):
        assert arrays["steps_used"].max() < 200
    assert progress.model_steps < 8 * 200


@pytest.mark.slow
def test_diverged_models_have_the_steps_until_then():
    ds = trained(dataclasses.replace(SWEEP, optimizer="sgd", learning_rate=(0.01, 1e30)))
    assert (ds.status.sel(learning_rate=1e30) == 2).all()
    bad = ds.sel(learning_rate=1e30)
    np.testing.assert_array_equal(bad.steps_used, bad.first_bad_step)
    assert (ds.steps_used.sel(learning_rate=0.01) >= 12).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        dict(dtype="float64"),
        dict(hidden_activation="relu", target="abs", values="signed", tied=False),
        dict(loss="lp(4)"),
        dict(inputs=uniform),
    ],
    ids=["float64", "hidden", "lp", "sampler"],
)
def test_other_programs_end_as_well(fields):
    sweep = jsuper.Sweep(**TINY | ({"sparsity": 0.0} if "inputs" in fields else {}) | fields)
    ds = trained(sweep)
    assert (ds.steps_used < STEPS).any()
    steps = int(ds.steps_used.min())
    expected = trained(dataclasses.replace(sweep, until="steps", steps=steps, snapshots=()))
    here = ds.steps_used == steps
    np.testing.assert_allclose(ds.W.where(here, 0), expected.W.where(here, 0), 1e-4, 1e-6)


@pytest.mark.slow
def test_models_with_their_own_draws_end_as_well():
    ds = trained(dataclasses.replace(SWEEP, unpaired=True))
    assert (ds.steps_used < STEPS).any()
    assert (np.isfinite(ds.loss_curve) == (ds.step < ds.steps_used)).all()


@pytest.mark.slow
def test_one_model_by_hand(found):
    from jsuper.models.toy.train import Static, make_setting, make_train

    static = Static(
        activations=("relu",), n_features=4, n_hidden=4, batch_size=32, steps=STEPS,
        until="converged(10)", check_fit=True, records=9,
    )  # fmt: skip
    setting = make_setting(static, {"sparsity": 0.5, "learning_rate": 0.02})
    one = make_train(static)(setting, jsuper.seed_key(1))
    same = found.sel(activation="relu", sparsity=0.5, seed=1).squeeze()
    assert one["steps_used"] == same.steps_used
    np.testing.assert_allclose(one["W"], same.W, rtol=1e-4)


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(until="convergence"), "until='convergence' is not known: write steps, converged"),
        (dict(until="converged(0)"), "not known"),
        (dict(until="converged"), "steps=50 ends before the first comparison.*steps >= 12347"),
        (dict(check_fit=False), r"until=converged\(10\) compares the losses that check_fit"),
        (dict(keep_state=True), "keep_state"),
        (dict(schedule="linear"), "schedule=linear, which is planned for all steps"),
        (dict(schedule="warmup(20)"), r"still rises: give converged\(40\)"),
        (dict(push=0.5, push_step=20), "push_step"),
        (dict(dataset_size=50), "dataset_size"),
        (dict(steps=2**24 + 1), "at most 16,777,216"),
    ],
    ids=lambda v: ", ".join(v) if isinstance(v, dict) else "",
)
def test_what_cannot_end_by_itself_is_refused(fields, message):
    with pytest.raises(SpecError, match=message):
        jsuper.Sweep(**TINY | {"snapshots": ()} | fields)


@pytest.mark.parametrize(
    "text, canonical",
    [("converged( 10000 )", "converged"), (" steps", "steps"), ("converged(50)", "converged(50)")],
)
def test_texts_have_one_form(text, canonical):
    assert jsuper.Sweep(until=text, steps=10**6).until == (canonical,)


@pytest.mark.slow
def test_both_endings_are_an_axis():
    sweep = dataclasses.replace(SWEEP, until=("steps", "converged(10)"), steps=50, snapshots=())
    ds = trained(sweep)
    assert np.isnan(ds.steps_used.sel(until="steps")).all()
    assert np.isfinite(ds.steps_used.sel(until="converged(10)")).all()


def test_a_run_that_ended_by_itself_is_not_continued(found):
    fields = json.loads(found.attrs["sweep"]) | {"keep_state": True}
    with pytest.raises(SpecError, match=r"until=converged\(10\) has trained its models"):
        jsuper.continue_run(found.assign_attrs(sweep=json.dumps(fields)), 100)
