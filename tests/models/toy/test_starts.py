"""Where training starts: named starts, arrays, Datasets and run folders."""

import json

import numpy as np
import pytest

import jsuper
from jsuper import Sweep
from jsuper.core.errors import SpecError
from jsuper.models.toy.starts import Start, from_arrays

TINY = dict(n_features=6, n_hidden=2, batch_size=64, steps=8, seeds=2, sparsity=(0.5, 0.9))
TINY |= dict(activation="relu", records=2, snapshots=(0,), importance_decay=1.0)


@pytest.fixture(scope="module")
def trained():
    return jsuper.run(Sweep(**TINY), progress=False)


def first(**given):
    """The Dataset of a tiny sweep, with its initial parameters as snapshots."""
    return jsuper.run(Sweep(**TINY | given), progress=False)


def test_named_starts_are_what_they_say():
    ds = first(start=("zeros", "identity", "kgon(4)", "kgon(3, 0.5)"), sparsity=0.5, seeds=1)
    W, b = (ds[f"{k}_snapshots"].squeeze().values for k in ("W", "b"))
    assert not b.any() and not W[0].any()
    assert np.array_equal(W[1], np.eye(2, 6))
    square = [[1, 0, -1, 0, 0, 0], [0, 1, 0, -1, 0, 0]]
    np.testing.assert_allclose(W[2], square, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(W[3], axis=0), [0.5] * 3 + [0] * 3, atol=1e-6)
    angles = W[3].T @ W[3]
    assert angles[0, 1] == pytest.approx(0.25 * np.cos(2 * np.pi / 3), abs=1e-6)


def test_noise_is_added_to_the_weights_and_biases_of_a_polygon():
    given = dict(sparsity=0.5, seeds=400, steps=1, n_hidden=3)
    noisy = first(start="kgon(4, 0.5, 0.1)", **given).squeeze()
    W, b = (noisy[f"{k}_snapshots"].values for k in ("W", "b"))
    square = 0.5 * np.array([[1, 0, -1, 0, 0, 0], [0, 1, 0, -1, 0, 0], [0] * 6])
    added = np.concatenate([W - square, b[:, None]], axis=1)
    assert abs(added.mean(0)).max() < 4 * 0.1 / 20
    np.testing.assert_allclose(added.std(0), 0.1, rtol=4 / 800**0.5)
    correlations = np.corrcoef(added.reshape(400, -1).T)
    assert abs(correlations - np.eye(24)).max() < 4.5 / 20
    unbiased = first(start="kgon(4, 0.5, 0.1)", bias=False, **given | {"seeds": 1})
    assert not unbiased.b_snapshots.any()
    assert np.array_equal(unbiased.W_snapshots.squeeze(), W[0])


def test_the_text_of_a_polygon_has_one_form():
    texts = {"kgon( 4,1 , 0.10)": "kgon(4, 1, 0.1)", "kgon(4, 1, 0)": "kgon(4)"}
    texts |= {"kgon(4,.5)": "kgon(4, 0.5)"}
    assert {text: Sweep(**TINY, start=text).values_of("start")[0] for text in texts} == texts
    Sweep(**TINY, start="kgon(4, 1, 0.1)", normalize_columns=True)  # no column is 0


def test_pca_is_the_best_linear_model():
    lists = {"steep": (1.0, 0.5, 0.3, 0.2, 0.1, 0.05)}
    given = dict(start="pca", importance=lists, sparsity=0.5, seeds=1, importance_decay=1.0)
    ds = first(**{k: v for k, v in given.items() if k != "importance_decay"}).squeeze()
    W, b = ds.W_snapshots.values.squeeze(), ds.b_snapshots.values.squeeze()
    np.testing.assert_allclose(abs(W @ W.T), np.eye(2), atol=1e-4)
    # features are independent with one variance: the two most important ones are kept
    np.testing.assert_allclose(np.diag(W.T @ W), [1, 1, 0, 0, 0, 0], atol=0.05)
    np.testing.assert_allclose(b, [0, 0] + [0.25] * 4, atol=0.05)


def test_models_of_a_dataset_start_those_with_their_coordinates(trained):
    ds = first(start=trained)
    for name in ("W", "b"):
        assert np.array_equal(ds[f"{name}_snapshots"].squeeze(), trained[name].squeeze())
    extended = first(start=trained.sel(sparsity=[0.9]), activation=("relu", "gelu"))
    for activation in ("relu", "gelu"):
        mine = extended.W_snapshots.sel(activation=activation, sparsity=0.5).squeeze()
        assert np.array_equal(mine, trained.W.sel(sparsity=0.9).squeeze())


def test_a_single_model_starts_all_whatever_is_batched_with_it(trained):
    one = trained.sel(seed=1, sparsity=0.9)
    ds = first(start=("random", one), weight_decay=(0.0, 0.1))
    mine = ds.W_snapshots.isel(start=1).squeeze("snapshot_step")
    assert (mine == one.W.squeeze()).all()
    assert ds.start.values[0] == "random" and ds.start.values[1].startswith("weights_")
    plain = first(weight_decay=(0.0, 0.1))
    assert np.array_equal(ds.W.isel(start=0).squeeze(), plain.W.squeeze())


def test_weights_for_each_seed_are_found_in_any_order_of_seeds():
    W = np.random.default_rng(0).normal(size=(3, 2, 6)).astype(np.float32)
    ds = first(start={"W": W}, seeds=[5, 2, 9])
    assert np.array_equal(ds.W_snapshots.sel(sparsity=0.5).squeeze(), W)
    assert not ds.b_snapshots.any()


def test_run_folders_store_the_weights_and_resume(trained, tmp_path):
    sweep = Sweep(**TINY, start=trained)
    stored = first(start=trained)
    jsuper.run(sweep, tmp_path / "run", progress=False)
    ds = jsuper.load(tmp_path / "run")
    (label,) = sweep.start
    assert np.array_equal(ds.W, stored.W) and ds.start.item() == label.__name__
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    arrays = manifest["functions"][label.label]["arrays"]
    raw = bytes.fromhex(arrays["W"]["hex"])
    W = np.frombuffer(raw, arrays["W"]["dtype"]).reshape(arrays["W"]["shape"])
    assert np.array_equal(W, trained.W.squeeze())
    again = jsuper.run(Sweep(**TINY, start=trained), tmp_path / "run", progress=False)
    assert np.array_equal(again.W, ds.W)
    warm = first(start=str(tmp_path / "run"))
    assert np.array_equal(warm.W_snapshots.squeeze(), ds.W.squeeze())
    moved = trained.copy(deep=True)
    moved["W"] = moved["W"] + 1
    with pytest.raises(SpecError, match="start"):
        jsuper.run(Sweep(**TINY, start=moved), tmp_path / "run", progress=False)


def test_the_identity_is_the_content(trained):
    one = Sweep(**TINY, start=trained).start[0]
    again = Sweep(**TINY, start=trained.copy(deep=True)).start[0]
    assert isinstance(one, Start) and one == again and one.label == again.label
    other = Sweep(**TINY, start={"W": np.ones((2, 6))}).start[0]
    assert other != one
    assert from_arrays({"W": np.eye(2, 6)}).label != from_arrays({"W": 2 * np.eye(2, 6)}).label


def test_a_fixed_encoder_of_ones_own():
    W = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    ds = first(start={"W": W}, encoder="fixed", tied=False, sparsity=0.5, seeds=1).squeeze()
    assert np.array_equal(ds.W, W) and not np.array_equal(ds.W_dec, W)


ONE = {"W": np.zeros((2, 6)), "b": np.zeros(6)}
BAD = [
    (dict(start="kgon"), r"start='kgon' needs a number of corners.*kgon\(5\)"),
    (dict(start="kgon(7)"), r"start=kgon\(7\) needs n_features >= 7"),
    (dict(start="kgon(5, -1)"), r"a radius > 0"),
    (dict(start="kgon(5, 1, -1)"), r"a noise >= 0"),
    (dict(start="kgon(5, 1, x)"), r"a noise >= 0"),
    (dict(start="pcs"), r"start='pcs' is neither a run folder nor a known name.*pca"),
    (dict(start=3), r"start=3 is not a name, a run folder"),
    (dict(start={"b": np.zeros(6)}), r"start has no W"),
    (dict(start={"w": np.zeros((2, 6))}), r"start has 'w'.*'W'"),
    (dict(start={"W": np.full((2, 6), np.nan)}), r"start\['W'\] is not an array of finite"),
    (
        dict(start={"W": np.zeros((2, 5))}),
        r"start has W with 5 along 'feature', and n_features is 6",
    ),
    (dict(start={"W": np.zeros((3, 2, 6))}), r"arrays of 3 models, and the sweep 2 seeds"),
    (dict(start={"W": np.zeros((2, 2, 2, 6))}), r"give the parameters of one model"),
    (dict(start=ONE | {"W_dec": np.zeros((2, 6))}), r"start has W_dec.*tied=false"),
    (dict(start=ONE | {"b": np.ones(6)}, bias=False), r"bias=false keeps b at 0"),
    (dict(start=ONE, activation="geglu"), r"gates need V and c in start"),
    (dict(start="zeros", activation="geglu"), r"second matrix of activation=geglu"),
    (dict(start="identity", normalize_columns=True), r"columns of W that are 0"),
    (dict(start={"W": np.zeros((2, 2, 6))}, unpaired=True), r"unpaired sweep share no seed"),
    (dict(start="weights_012345@0123456789ab"), r"is the label of stored weights"),
]


@pytest.mark.parametrize("given, message", BAD, ids=lambda value: str(value)[:40])
def test_starts_that_do_not_fit_are_refused(given, message):
    with pytest.raises(SpecError, match=message):
        Sweep(**TINY | given)


def test_models_that_do_not_fit_are_refused(trained):
    with pytest.raises(SpecError, match=r"start has no model with sparsity=0.7"):
        Sweep(**TINY | {"sparsity": (0.5, 0.7)}, start=trained)
    with pytest.raises(SpecError, match=r"start has no model with seed=2"):
        Sweep(**TINY | {"seeds": 3}, start=trained)
    failed = trained.copy(deep=True)
    failed["status"][0, 0, 0] = 2
    with pytest.raises(SpecError, match="start has 1 models that were not trained to the end"):
        Sweep(**TINY, start=failed)
