"""Runs that are continued are those that would have been longer."""

import json

import numpy as np
import pytest

import jsuper
from jsuper import Sweep
from jsuper.core.errors import SpecError

TINY = dict(n_features=6, n_hidden=2, batch_size=32, sparsity=(0.5, 0.9), seeds=2, records=4)
TINY |= dict(activation=("relu", "gelu"), keep_state=True)


def assert_same(whole, rest):
    assert set(whole.data_vars) == set(rest.data_vars)
    for name in whole.data_vars:
        assert np.array_equal(whole[name], rest[name], equal_nan=True), name
    assert np.array_equal(whole.step, rest.step)


@pytest.mark.parametrize(
    "fields",
    [
        dict(optimizer="adamw(b2=0.9)", watch=True, push=1.0, push_step=5),
        dict(optimizer="sgd(0.1)", tied=False, schedule="warmup(5)"),
        dict(optimizer="rmsprop", hidden_bias=True, hidden_activation="tanh", target="abs"),
        dict(optimizer="adam", dataset_size=64, weight_decay=0.1, dtype="float64"),
        dict(optimizer="sgdw", activation="geglu", decay_on="W"),
    ],
    ids=lambda fields: fields["optimizer"],
)
def test_twenty_and_twenty_steps_are_forty(fields):
    whole = jsuper.run(Sweep(**TINY | fields, steps=40, snapshots=(0, 10, 30)), progress=False)
    half = jsuper.run(Sweep(**TINY | fields, steps=20, snapshots=(0, 10)), progress=False)
    assert_same(whole, jsuper.continue_run(half, 20, snapshots=[30], progress=False))


def test_folders_are_continued_stopped_and_continued_again(tmp_path):
    whole = jsuper.run(Sweep(**TINY | {"records": 3}, steps=60), progress=False)
    jsuper.run(Sweep(**TINY | {"records": 1}, steps=20), tmp_path / "a", progress=False)
    jsuper.continue_run(tmp_path / "a", 20, tmp_path / "b", progress=False)
    again = jsuper.continue_run(tmp_path / "a", 20, tmp_path / "b", progress=False)  # all is done
    assert again.attrs["timing"] and (again.status == 1).all()
    rest = jsuper.continue_run(tmp_path / "b", 20, tmp_path / "c", progress=False)
    for name in ("W", "b", "loss", "mu_W", "nu_b"):
        assert np.array_equal(whole[name], rest[name]), name
    sweep = json.loads(rest.attrs["sweep"])
    assert sweep["first_step"] == 40 and sweep["steps"] == [60]


def test_another_plan_agrees_to_rounding():
    whole = jsuper.run(Sweep(**TINY, steps=40), plan="vmapped", progress=False)
    half = jsuper.run(Sweep(**TINY, steps=20), plan="vmapped", progress=False)
    rest = jsuper.continue_run(half, 20, plan="reference", progress=False)
    np.testing.assert_allclose(rest.W, whole.W, atol=1e-5 * float(abs(whole.W).max()))


def refused(**fields):
    """A Dataset of a sweep with these fields, as far as it is looked at."""
    import xarray

    sweep = Sweep(**TINY | {"steps": 20} | fields)
    return xarray.Dataset(attrs={"sweep": json.dumps(sweep.to_dict())})


@pytest.mark.parametrize(
    "fields, steps, message",
    [
        (dict(keep_state=False), 20, "no optimizer states; train it with keep_state=True"),
        (dict(steps=(10, 20)), 20, "several numbers of steps"),
        (dict(schedule="linear"), 20, "schedule=linear depends on the number of steps"),
        (dict(unpaired=True), 20, "unpaired models"),
        (dict(), 20, None),
        (dict(start=("zeros", "random")), 20, "several values of start"),
        (dict(), 1, "steps=1 are too few: .*give at least 3"),
        (dict(), 0, "steps=0"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_what_cannot_be_continued_is_refused(fields, steps, message):
    if message is None:
        message, ds = "activation is a Python function", refused()
        stored = json.loads(ds.attrs["sweep"]) | {"activation": ["bent@0123456789ab"]}
        ds.attrs["sweep"] = json.dumps(stored)
    else:
        ds = refused(**fields)
    with pytest.raises(SpecError, match=message):
        jsuper.continue_run(ds, steps)


def test_fields_of_a_continued_run_are_refused_elsewhere():
    with pytest.raises(SpecError, match="first_step=5 is set by jsuper.continue_run"):
        Sweep(**TINY, first_step=5)
    with pytest.raises(SpecError, match="keep_state stores the states of .*optimizer=lion"):
        Sweep(**TINY, optimizer="lion")


def test_a_selection_is_not_continued():
    half = jsuper.run(Sweep(**TINY, steps=20), progress=False)
    for part in (half.isel(seed=[0]), half.isel(seed=0), half.isel(activation=[1])):
        with pytest.raises(SpecError, match=r"has 1 of its 2 values of (seed|activation)"):
            jsuper.continue_run(part, 20)
    with pytest.raises(SpecError, match=r"'log\(5\)' is not a list of steps"):
        jsuper.continue_run(half, 20, snapshots="log(5)")
