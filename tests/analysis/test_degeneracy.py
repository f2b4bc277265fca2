"""Local learning coefficients of the models of a sweep."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from k_gons import k_gons, trained, with_snapshots

import jsuper
from jsuper import analysis
from jsuper.analysis import degeneracy, learning_coefficient, theory
from jsuper.analysis.snapshots import of_snapshots
from jsuper.core.errors import SpecError

FEW = {"chains": 2, "draws": 20, "burn_in": 10}


@pytest.fixture
def long_chains(monkeypatch):
    """Chains for which it pays to compile with more optimizations than tests do."""
    of_models = jax.jit(
        degeneracy.of_models.__wrapped__,
        static_argnames=("kind", "lengths", "chains", "batch_size", "control_variates"),
        compiler_options={"xla_backend_optimization_level": 1},
    )
    monkeypatch.setattr(degeneracy, "of_models", of_models)


@pytest.mark.slow
def test_k_gons_have_half_the_directions_in_which_their_loss_rises(long_chains):
    # To leading order the loss is homogeneous of degree 2 in as many directions, so λ is half of
    # them. Triangle: 3 lengths, 3 biases, and W of the 3 other features, which raises outputs whose
    # bias is 0. Square: 8 weights but a rotation, 4 biases, and W of the 2 others. Pentagon and
    # hexagon, with biases below 0: the weights but a rotation, and biases, of embedded features.
    found = analysis.llc(k_gons(3, 4, 5, 6), chains=16, draws=20_000, burn_in=5000)
    expected = np.array([(3 + 3 + 6) / 2, (7 + 4 + 4) / 2, (9 + 5) / 2, (11 + 6) / 2])
    values = found.llc.values.ravel()
    np.testing.assert_allclose(values, expected, rtol=0.1)
    assert (np.argsort(values) == np.argsort(expected)).all()
    assert (found.llc_stderr < 0.2).all() and (abs(found.llc_drift) < 1).all()


@pytest.mark.slow
def test_the_order_of_pentagon_and_hexagon_with_the_defaults(long_chains):
    ds = k_gons(5, 6)
    found = analysis.llc(ds)
    pentagon, hexagon = found.llc.values.ravel()
    assert pentagon == pytest.approx(7, rel=0.1)
    assert hexagon == pytest.approx(8.5, rel=0.1)
    exact = [
        theory.one_sparse_relu_loss(*map(jnp.asarray, w)) for w in zip(*weights(ds), strict=True)
    ]
    np.testing.assert_allclose(found.llc_loss.values.ravel(), exact, rtol=0.01)
    assert found.llc_chains.dims == (*ds.status.dims, "chain")
    assert found.attrs["n_beta"] == 1e5


def weights(ds):
    return ds.W.values[0, 0], ds.b.values[0, 0]


@pytest.mark.slow
def test_it_is_the_estimate_for_the_closed_form_of_the_loss(long_chains):
    ds = k_gons(6)
    settings = {"n_beta": 1e5, "epsilon": 5e-6, "gamma": 1.0, "chains": 16, "draws": 10_000}
    start = tuple(jnp.asarray(a[0]) for a in weights(ds))

    def loss(params):
        return theory.one_sparse_relu_loss(*params)

    exact = learning_coefficient.estimate(loss, start, key=jsuper.seed_key(3), **settings)
    found = analysis.llc(ds, **settings)
    error = np.hypot(exact.stderr, found.llc_stderr.item())
    assert abs(found.llc.item() - exact.value) < 3 * error


@pytest.mark.slow
def test_a_model_does_not_depend_on_the_others_and_snapshots_are_models():
    whole = analysis.llc(k_gons(4, 5, 6), **FEW)
    alone = analysis.llc(k_gons(4, 5, 6).isel(seed=[1]), **FEW)
    np.testing.assert_allclose(alone.llc, whole.llc.isel(seed=[1]), rtol=1e-3)
    snapshots = analysis.llc(with_snapshots(4, 5, 6), **FEW)
    assert snapshots.llc.dims[0] == "snapshot_step"
    np.testing.assert_allclose(snapshots.llc.values.ravel(), whole.llc.values.ravel(), rtol=1e-3)


@pytest.mark.slow
def test_snapshots_without_biases_are_refused():
    ds = trained(2, snapshots=(0, 1), bias=(True, False), snapshot_parameters=False)
    with pytest.raises(SpecError, match="the run has no b_snapshots"):
        analysis.llc(ds, **FEW)
    with pytest.raises(SpecError, match="no snapshots"):
        analysis.llc(k_gons(5), snapshots=True)
    lenient = of_snapshots(ds, need_bias=False)
    assert np.isnan(lenient.b.isel(bias=0)).all() and (lenient.b.isel(bias=1) == 0).all()


@pytest.mark.slow
def test_models_without_biases_and_trained_models_need_no_snapshots_of_them():
    ds = trained(2, snapshots=(0, 1), bias=(True, False), snapshot_parameters=False)
    assert np.isfinite(analysis.llc(ds, snapshots=False, **FEW).llc).all()
    without = ds.isel(bias=[1])
    found = analysis.llc(without, **FEW)
    assert np.isfinite(found.llc).all()
    assert found.llc.sizes["snapshot_step"] == 2


@pytest.mark.slow
def test_models_that_are_missing_or_lost_a_snapshot_are_nan():
    ds = k_gons(4, 5, 6)
    ds["status"].values[..., 1] = 2
    found = analysis.llc(ds, **FEW)
    assert np.isnan(found.llc.values.ravel()).tolist() == [False, True, False]
    ds = with_snapshots(4, 5, 6)
    ds["W_snapshots"].values[..., 2, :, :] = np.nan
    found = analysis.llc(ds, **FEW)
    assert np.isnan(found.llc.values.ravel()).tolist() == [False, False, True]


@pytest.mark.slow
def test_other_kinds_of_models_have_a_finite_value():
    sweep = jsuper.Sweep(
        activation=("relu", "geglu"), sparsity=0.8, n_features=4, n_hidden=2, steps=2,
        batch_size=32, seeds=1, tied=(True, False), bias=False,
    )  # fmt: skip
    ds = jsuper.run(sweep, progress=False)
    found = analysis.llc(ds, n_beta=100.0, epsilon=1e-3, batch_size=8, **FEW)
    assert np.isfinite(found.llc).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "law",
    [
        {"sparsity": 0.8, "importance_decay": 0.7},
        {"sparsity": 0.8, "support": "pairs(0.5)", "values": "signed", "dtype": "float64"},
        {"sparsity": 0.5, "normalize": True},
    ],
)
def test_the_loss_at_the_start_is_the_final_loss_of_the_training(law):
    sizes = {"n_features": 6, "n_hidden": 2, "steps": 20, "batch_size": 32, "seeds": 2}
    ds = jsuper.run(jsuper.Sweep(activation="relu", **sizes, **law), progress=False)
    found = analysis.llc(ds, **FEW)
    np.testing.assert_allclose(found.llc_loss, ds.loss, rtol=0.02)


@pytest.mark.slow
def test_a_user_s_sampler_is_nan():
    def sampler(key, batch):
        return jax.random.uniform(key, (batch, 4))

    sweep = jsuper.Sweep(
        inputs=sampler, n_features=4, n_hidden=2, activation="relu", steps=2, seeds=1
    )
    assert np.isnan(analysis.llc(jsuper.run(sweep, progress=False), **FEW).llc).all()


@pytest.mark.slow
def test_bad_settings_are_refused():
    for name, value in (("batch_size", 0), ("n_beta", -1)):
        with pytest.raises(ValueError, match=f"{name}={value}"):
            analysis.llc(k_gons(5), **{name: value})


@pytest.mark.slow
def test_hidden_layers_and_targets_are_those_of_the_training():
    fields = dict(hidden_activation="tanh", hidden_bias=True, hidden_map="orthogonal", target="abs")
    fields |= dict(n_features=4, n_hidden=2, sparsity=0.5, seeds=1, steps=300, batch_size=256)
    fields |= dict(
        loss="lp(4)", tied=False, values="signed", encoder="fixed", activation="softplus"
    )
    ds = jsuper.run(jsuper.Sweep(**fields, snapshots=(0, 300)), progress=False)
    found = jsuper.analysis.llc(ds, chains=2, draws=50, burn_in=50)
    assert found.llc_loss.isel(snapshot_step=-1).item() == pytest.approx(ds.loss.item(), rel=0.02)
    assert np.isfinite(found.llc).all()
    curved = jsuper.analysis.hessian(ds)
    trained = 4 + 2 * 4 + 2  # b, W_dec and b_hidden; W and M stay as they are
    assert np.isfinite(curved.hessian_trace).all()
    assert (curved.hessian_rank <= trained).all()
    assert np.isnan(jsuper.analysis.adversarial(ds).vulnerability).all()
