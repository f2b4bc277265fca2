"""Hidden layers, targets and losses, against definitions in NumPy and gradients of them by JAX."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import slow

import jsuper
from jsuper import Sweep
from jsuper.core import grid
from jsuper.core.errors import SpecError
from jsuper.models.toy import network
from jsuper.models.toy.architecture import (
    LOSSES,
    TARGETS,
    Architecture,
    check_encoder,
    check_loss,
    check_noise,
)
from jsuper.models.toy.config import make_setting, make_static
from jsuper.models.toy.constants import make_constant_loss
from jsuper.models.toy.draws import make_draws
from jsuper.models.toy.gradient import make_batch_loss, make_gradient
from jsuper.models.toy.losses import loss_of
from jsuper.models.toy.model import Params
from jsuper.models.toy.train import make_train
from jsuper.training import keys

TINY = dict(n_features=6, n_hidden=2, batch_size=128, steps=12, seeds=1, sparsity=0.9)
TINY |= dict(activation="relu", tied=False, values="signed", records=4)


def parts_of(**given):
    """The static values and the setting of a sweep with one model."""
    (group,) = grid.expand(Sweep(**TINY | given))
    return group.static, group.settings[0]


def reference(params, x, given, mask=1.0, noise=0.0):
    """Loss and penalty by their definitions, in the words of the documentation."""
    f = {"identity": lambda a: a, "relu": jax.nn.relu, "tanh": jnp.tanh}
    h = params.W @ x
    if params.b_hidden is not None:
        h = h + params.b_hidden[:, None]
    h = f[given.get("hidden_activation", "identity")](h)
    if params.M is not None:
        h = params.M @ h
    h = (h + noise) * mask
    read = params.W if params.W_dec is None else params.W_dec
    z = read.T @ h + params.b[:, None]
    target = given.get("target", "identity")
    if target == "and_pairs":
        y = jnp.stack([x[i] * x[i ^ 1] for i in range(len(x))])
    else:
        y = {"identity": x, "abs": abs(x), "relu": jnp.maximum(x, 0), "square": x**2}[target]
    loss = given.get("loss", "squared")
    if loss == "cross_entropy":
        errors = -y * jnp.log(jnp.exp(z) / jnp.exp(z).sum(axis=0))
    else:
        error = jax.nn.relu(z) - y
        errors = {"squared": error**2, "lp(4)": error**4, "lp(1.5)": abs(error) ** 1.5}.get(loss)
        if loss == "active_only":
            errors = error**2 * (x != 0)
    importance = 0.7 ** jnp.arange(len(x))
    return (importance[:, None] * errors).mean(), jnp.abs(h).sum(axis=0).mean()


CASES = [
    dict(hidden_activation="relu"),
    dict(hidden_activation="tanh", hidden_bias=True, hidden_map="trained"),
    dict(hidden_map="orthogonal", target="abs"),
    dict(target="and_pairs", values="binary", loss="lp(4)"),
    dict(target="square", loss="lp(1.5)", tied=True),
    dict(target="relu", loss="active_only", hidden_l1=0.3, hidden_activation="relu"),
    dict(loss="cross_entropy", activation="softmax", support="exactly(1)", values="binary"),
]
CASES[-1] |= dict(sparsity=1 - 1 / 6)


@pytest.mark.parametrize("given", CASES, ids=lambda given: " ".join(map(str, given.values())))
@pytest.mark.parametrize("batching", [slow("reference"), "sequential"])
def test_loss_and_gradient_are_those_of_the_definition(given, batching):
    values, setting = parts_of(**{"sparsity": 0.98} | given)
    static = make_static(values, [[setting]], batching)
    numbers = make_setting(static, values | setting)
    key = keys.seed_key(3)
    params = jax.jit(make_train(static).init)(numbers, key).params
    noisy = jax.tree.map(lambda a: a + 0.1 * jnp.arange(a.size).reshape(a.shape) % 0.3, params)
    if batching == "sequential" and "sparsity" not in given:
        assert static.widths  # columns without an active feature are left out

    @jax.jit
    def both(params):
        draws = make_draws(static, key, jnp.int32(5), numbers)
        x = static.inputs.batch(draws.whole.data, numbers.law)

        def objective(params):
            loss, size = reference(params, x, given)
            return loss + given.get("hidden_l1", 0) * size, size

        loss = make_batch_loss(static)(params, numbers, draws)
        expected = jax.value_and_grad(objective, has_aux=True)(params)
        return expected, loss, make_gradient(static)(params, numbers, draws)

    ((expected, size), slopes), loss, found = both(noisy)
    penalty = given.get("hidden_l1", 0) * size
    assert loss + penalty == pytest.approx(float(expected), rel=1e-5)
    for name, mine, theirs in zip(Params._fields, found, slopes, strict=True):
        if mine is not None:
            np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-6, err_msg=name)


@pytest.mark.slow
def test_noise_and_dropout_are_added_to_hidden_units_in_training_alone():
    given = dict(hidden_noise="sign(0.5)", hidden_activation="relu", dropout=0.5)
    values, setting = parts_of(**given)
    static = make_static(values, [[setting]], "auto")
    assert not static.widths and not static.slots  # noise differs between samples
    numbers, key = make_setting(static, values | setting), keys.seed_key(0)
    params = jax.jit(make_train(static).init)(numbers, key).params
    draws = make_draws(static, key, jnp.int32(0), numbers)
    x = static.inputs.batch(draws.whole.data, numbers.law)
    noise = 0.5 * jnp.where(draws.whole.noise < 0.5, -1.0, 1.0)
    mask = jnp.where(draws.whole.dropout < 0.5, 0.0, 2.0)
    expected, _ = reference(params, x, given, mask, noise)
    loss = make_batch_loss(static)(params, numbers, draws)
    assert loss == pytest.approx(float(expected), rel=1e-5)
    trained = jsuper.run(Sweep(**TINY | given), progress=False)
    model = jsuper.model(trained.squeeze(drop=False))
    assert float(abs(model.encode(jnp.zeros((1, 6)))).max()) == 0  # no noise, no bias


@pytest.mark.parametrize(
    "law, moments", [("normal", (0, 1, 3)), ("uniform", (0, 1 / 3, 1 / 5)), ("sign", (0, 1, 1))]
)
def test_noise_has_the_moments_of_its_law(law, moments):
    u = keys.uniform(keys.seed_key(1), (200_000,))
    e = np.asarray(network.noise_from(law, u), np.float64)
    assert np.isfinite(network.noise_from(law, jnp.array([0.0, 1 - 2.0**-23]))).all()
    found = e.mean(), (e**2).mean(), (e**4).mean()
    np.testing.assert_allclose(found, moments, atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["fixed", "fixed(gaussian)"])
def test_a_fixed_encoder_and_map_stay_what_they_were(encoder):
    given = dict(encoder=encoder, hidden_map="orthogonal", weight_decay=0.1, snapshots=(0, 12))
    ds = jsuper.run(Sweep(**TINY | given), progress=False).squeeze()
    for name in ("W", "M"):
        assert np.array_equal(ds[f"{name}_snapshots"][0], ds[name])
    assert not np.array_equal(ds.W_dec_snapshots[0], ds.W_dec)
    if encoder == "fixed":
        np.testing.assert_allclose(ds.W.values @ ds.W.values.T, np.eye(2), atol=1e-6)
    np.testing.assert_allclose(ds.M.values @ ds.M.values.T, np.eye(2), atol=1e-6)


def test_an_orthogonal_matrix_has_no_preferred_direction():
    draws = jax.vmap(lambda i: network.orthogonal(keys.seed_key(i), 3, 3))(jnp.arange(2000))
    np.testing.assert_allclose(
        draws @ draws.swapaxes(1, 2), np.tile(np.eye(3), (2000, 1, 1)), atol=1e-5
    )
    assert abs(np.asarray(draws).mean(axis=0)).max() < 0.06  # 0.58 / sqrt(2000) is 0.013
    wide = network.orthogonal(keys.seed_key(0), 5, 2)
    np.testing.assert_allclose(wide.T @ wide, np.eye(2), atol=1e-6)


def test_normalized_columns_have_length_one_after_every_step():
    given = dict(normalize_columns=True, tied=True, snapshots=(0, 1, 12))
    ds = jsuper.run(Sweep(**TINY | given), progress=False).squeeze()
    lengths = np.linalg.norm(ds.W_snapshots.values, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)
    assert not np.array_equal(ds.W_snapshots[0], ds.W_snapshots[2])


@pytest.mark.slow
def test_a_trained_map_starts_at_the_identity_and_moves():
    ds = jsuper.run(
        Sweep(**TINY, hidden_map="trained", snapshots=(0, 12)), progress=False
    ).squeeze()
    assert np.array_equal(ds.M_snapshots[0], np.eye(2)) and not np.array_equal(ds.M, np.eye(2))


# ------------------------------------------------------------------------------------ final losses


@pytest.mark.parametrize("loss", ["squared", "lp(4)", "lp(1.5)", "active_only"])
def test_the_best_constant_is_the_best(loss):
    rng = np.random.default_rng(0)
    y = jnp.asarray(rng.normal(size=(3, 400)) * (rng.random((3, 400)) < 0.4))
    weights = jnp.asarray(rng.dirichlet(np.ones(400)))
    ones = jnp.ones(3)
    of = loss_of(loss)
    best = of.best(y, y, weights, ones)
    levels = np.linspace(-2, 2, 801)
    tried = np.stack([of.of(jnp.full_like(y, c), y, y) @ weights for c in levels])
    np.testing.assert_allclose(best, tried.min(axis=0), rtol=2e-3)
    assert (np.asarray(best) <= tried.min(axis=0) * (1 + 1e-5)).all()


def test_the_best_constant_distribution_has_the_entropy_of_the_mean():
    y = jax.nn.one_hot(jnp.array([0, 0, 1, 2]), 4).T
    weights = jnp.full(4, 0.25)
    best = loss_of("cross_entropy").best(y, y, weights, jnp.ones(4))
    assert float(best.sum()) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(4))
    importance = jnp.array([1.0, 2.0, 0.5, 1.0])
    weighted = float(loss_of("cross_entropy").best(y, y, weights, importance) @ importance)
    tried = [
        float(-np.asarray(importance * y.mean(axis=1))[:3] @ np.log(c))
        for c in np.random.default_rng(0).dirichlet(np.ones(3), 4000)
    ]
    assert weighted <= min(tried) and weighted == pytest.approx(min(tried), rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        dict(target="abs", loss="lp(4)", hidden_activation="relu", hidden_bias=True),
        dict(target="square", loss="active_only"),
    ],
    ids=str,
)
def test_the_final_losses_are_those_of_the_trained_function(given):
    sweep = Sweep(**TINY | given | {"steps": 60, "learning_rate": 0.02})
    ds = jsuper.run(sweep, progress=False).squeeze()
    model = jsuper.model(ds)
    x = jsuper.sample(jsuper.seed_key(9), 0.9, 6, 200_000, values="signed").T
    assert model.loss(x) == pytest.approx(float(ds.loss), rel=0.02)
    out = np.asarray(model(x), np.float64)
    y = np.abs(x) if given["target"] == "abs" else np.asarray(x) ** 2
    importance = 0.7 ** np.arange(6)
    squared = (importance * (out - y) ** 2).mean()
    assert float(ds.squared_error) == pytest.approx(squared, rel=0.02)
    levels = np.linspace(0, 1, 51)
    power = 4 if given["loss"] == "lp(4)" else 2
    active = np.ones_like(x) if power == 4 else np.asarray(x != 0)
    constant = [(active * np.abs(y - c) ** power).mean(axis=0) for c in levels]
    constant = (importance * np.min(constant, axis=0)).mean()
    assert float(ds.loss / ds.loss_over_constant) == pytest.approx(constant, rel=0.02)


@pytest.mark.parametrize(
    "given, square, mean",
    [
        (dict(target="square"), 1 / 5, 1 / 3),
        (dict(target="abs", values="signed"), 1 / 3, 1 / 2),
        (dict(target="relu", values="normal"), 1 / 2, 1 / np.sqrt(2 * np.pi)),
        (dict(target="square", values="exponential"), 24, 2),
        (dict(target="square", values="exponential", support="pairs(0.5)"), 24, 2),
    ],
    ids=str,
)
def test_the_constant_of_single_features_is_exact(given, square, mean):
    p = 0.02
    assert constant(**given, sparsity=1 - p) == pytest.approx(
        p * square - (p * mean) ** 2, rel=1e-4
    )


def constant(**given):
    """The loss of the best constant output, of features with equal importance."""
    values, setting = parts_of(**{"importance_decay": 1.0} | given)
    static = make_static(values, [[setting]])
    return float(jax.jit(make_constant_loss(static))(make_setting(static, values | setting), None))


def test_the_constant_of_pairs_and_of_higher_powers_is_exact():
    p = 0.01
    pairs = p**2 / 9 - (p / 2) ** 4
    assert constant(target="and_pairs", values="uniform", sparsity=1 - p) == pytest.approx(
        pairs, rel=1e-4
    )
    fourth = constant(loss="lp(4)", values="exponential", sparsity=1 - p)
    levels = np.linspace(0, 1, 2001)
    moments = [1, 1, 2, 6, 24]  # of the exponential law
    binomial = [1, -4, 6, -4, 1]
    tried = sum(
        b * m * p * levels ** (4 - k)
        for k, (b, m) in enumerate(zip(binomial, moments, strict=True))
    )
    assert fourth == pytest.approx((tried + (1 - p) * levels**4).min(), rel=1e-3)
    active = constant(loss="active_only", target="and_pairs", values="uniform", sparsity=1 - p)
    assert active == pytest.approx(p * (p / 9 - (p / 4) ** 2), rel=1e-4)


@pytest.mark.slow
def test_a_one_hot_distribution_is_learned_by_the_cross_entropy():
    given = dict(loss="cross_entropy", activation="softmax", support="exactly(1)", values="binary")
    given |= dict(sparsity=1 - 1 / 6, steps=800, learning_rate=0.02, importance_decay=1.0)
    ds = jsuper.run(Sweep(**TINY | given), progress=False).squeeze()
    assert float(ds.loss / ds.loss_over_constant) == pytest.approx(np.log(6) / 6, rel=1e-4)
    assert float(ds.loss_over_constant) < 0.2


@pytest.mark.slow
def test_absolute_values_need_a_hidden_activation():
    """|x| = relu(x) + relu(-x): two hidden units per feature are exact, a linear layer is not."""
    given = dict(n_features=2, n_hidden=4, target="abs", sparsity=0.5, steps=1500)
    given |= dict(learning_rate=0.01, importance_decay=1.0, hidden_activation=("identity", "relu"))
    ds = jsuper.run(Sweep(**TINY | given | {"seeds": 3}), progress=False)
    best = ds.loss_over_constant.min("seed").squeeze()
    assert best.sel(hidden_activation="relu") < 0.05 < 0.5 < best.sel(hidden_activation="identity")


# --------------------------------------------------------------------------------------- the rest


@pytest.mark.slow
def test_settings_batched_together_train_as_each_alone():
    given = dict(hidden_l1=(0.0, 0.1), sparsity=(0.5, 0.9), activation=("relu", "gelu"), seeds=2)
    given |= dict(hidden_activation="relu", hidden_noise=("none", "normal(0.1)"))
    both = jsuper.run(Sweep(**TINY | given), progress=False)
    every = list(itertools.product((0.0, 0.1), (0.5, 0.9), ("none", "normal(0.1)")))
    alone_in = zip((0, 3, 5, 6), ("relu", "gelu", "relu", "gelu"), strict=True)
    for one, activation in ((every[i], a) for i, a in alone_in):  # each pair of values once
        names = dict(zip(("hidden_l1", "sparsity", "hidden_noise"), one, strict=True))
        names["activation"] = activation
        alone = jsuper.run(Sweep(**TINY | given | names | {"seeds": [1]}), progress=False)
        mine = both.sel(seed=1, **names).W.transpose(*alone.squeeze().W.dims)
        np.testing.assert_allclose(mine, alone.squeeze().W, rtol=2e-4, atol=2e-6)


@pytest.mark.slow
def test_functions_of_ones_own_are_hidden_activation_and_target(tmp_path):
    def bent(z):
        return jnp.where(z > 0, z, 0.1 * z)

    def swapped(x):  # samples first
        assert x.shape[1] == 6
        return x[:, ::-1]

    sweep = Sweep(**TINY, hidden_activation=bent, target=swapped)
    ds = jsuper.run(sweep, tmp_path / "run", progress=False).squeeze()
    again = jsuper.run(sweep, tmp_path / "run", progress=False).squeeze()
    assert again.identical(ds) or np.array_equal(again.W, ds.W)
    assert ds.hidden_activation.item() == "bent" and ds.target.item() == "swapped"
    model = jsuper.model(ds, hidden_activation=bent, target=swapped)
    x = jsuper.sample(jsuper.seed_key(2), 0.9, 6, 200_000, values="signed").T
    assert model.loss(x) == pytest.approx(float(ds.loss), rel=0.03)
    with pytest.raises(ValueError, match="give it, as in .*hidden_activation=bent"):
        jsuper.model(ds, target=swapped)
    analyzed = jsuper.analyze(ds.expand_dims(["activation", "sparsity", "seed"]))
    assert np.isnan(analyzed.feature_error).all() and np.isfinite(analyzed.dimensionality).all()

    def swapped(x):
        return 2 * x

    with pytest.raises(SpecError, match="computes something else"):
        jsuper.run(dataclasses.replace(sweep, target=swapped), tmp_path / "run", progress=False)


@pytest.mark.slow
def test_measures_are_those_of_the_function_that_was_trained():
    sweep = Sweep(**TINY | {"steps": 100}, hidden_activation=("identity", "tanh"), target="abs")
    ds = jsuper.analyze(jsuper.run(sweep, progress=False))
    importance = 0.7 ** np.arange(6)
    mine = (importance * ds.feature_error).mean("feature")
    np.testing.assert_allclose(mine, ds.loss, rtol=0.03)
    for name in ("r_squared", "loss_over_zero", "gain"):
        assert np.isnan(ds[name]).all()
    assert np.isfinite(ds.basis_kurtosis).all()


BAD = [
    (dict(hidden_activation="geglu"), r"hidden_activation='geglu' is a gate"),
    (dict(hidden_activation="rleu"), r"hidden_activation='rleu' is not known.*'relu'"),
    (dict(hidden_map="random"), r"hidden_map='random'.*orthogonal"),
    (dict(hidden_noise="normal"), r"hidden_noise='normal' needs a number > 0.*normal\(0.1\)"),
    (dict(hidden_noise="normal(-1)"), r"needs a number > 0"),
    (dict(hidden_noise="gauss(1)"), r"hidden_noise='gauss\(1\)' is not known"),
    (dict(hidden_l1=-1), r"hidden_l1=-1 is not a finite number >= 0"),
    (dict(encoder="fixed", tied=True), r"encoder=fixed\(orthogonal\) .*tied=false"),
    (dict(normalize_columns=True, norm_pull=0.1, weight_decay=0), r"norm_pull .*normalize_columns"),
    (dict(encoder="free"), r"encoder='free' is not known"),
    (dict(target="cube"), r"target='cube' is not known.*function of x"),
    (dict(target="and_pairs", n_features=5), r"and_pairs needs pairs.*n_features=5 is odd"),
    (dict(loss="lp"), r"loss='lp' needs a number >= 1.*lp\(4\)"),
    (dict(loss="lp(0.5)"), r"needs a number >= 1"),
    (dict(loss="squared(2)"), r"squared takes no number"),
    (dict(loss="l4"), r"loss='l4' is not known"),
    (dict(loss="lp(4)", loss_function="lp(3)"), r"loss and loss_function are both given"),
    (dict(loss="cross_entropy"), r"activation=relu does not give one.*softmax"),
    (dict(loss="cross_entropy", activation="softmax"), r"exactly\(1\) with values=binary"),
    (dict(snapshots="log(1)"), r"snapshots='log\(1\)' is neither"),
    (dict(snapshots="log(5)", steps=(5, 9)), r"depends on the number of steps"),
]


@pytest.mark.parametrize("given, message", BAD, ids=lambda value: str(value))
def test_values_that_make_no_sense_are_refused_before_anything_is_compiled(given, message):
    with pytest.raises(SpecError, match=message):
        Sweep(**TINY | given)


@pytest.mark.slow
def test_targets_that_are_no_distribution_are_refused_when_they_are_traced():
    given = TINY | dict(loss="cross_entropy", activation="softmax")
    with pytest.raises(SpecError, match="target=halves has values down to .* sums from"):

        def halves(x):
            return x / 2

        jsuper.run(Sweep(**given, target=halves), progress=False)

    def mixed(x):
        return x - x.mean(0)

    with pytest.raises(SpecError, match="target 'mixed' .*depends on the others of its batch"):
        jsuper.run(Sweep(**TINY, target=mixed), progress=False)

    def shares(x):
        return jax.nn.softmax(3 * x, axis=-1)

    assert np.isfinite(jsuper.run(Sweep(**given, target=shares), progress=False).loss).all()


def test_texts_have_one_form():
    assert check_noise("hidden_noise", " normal( 0.50 ) ") == "normal(0.5)"
    assert check_loss("loss", "lp( 4.0 )") == "lp(4)"
    assert check_encoder("encoder", "fixed") == "fixed(orthogonal)"
    for target in TARGETS:
        assert Sweep(target=target).target == (target,)
    assert set(LOSSES) == {"squared", "lp", "active_only", "cross_entropy"}
    assert Architecture().is_plain and not Architecture(target="abs").is_plain


def test_snapshots_at_steps_with_even_logarithms():
    sweep = Sweep(**TINY | {"steps": 1000}, snapshots="log(4)")
    assert sweep.snapshots == (0, 1, 10, 100, 1000)
    assert Sweep(**TINY, snapshots="log(50)").snapshots == (0, *range(1, 13))


@pytest.mark.slow
def test_snapshots_hold_every_parameter():
    given = dict(snapshots=(0, 6, 12), hidden_bias=True, hidden_map="trained", init_bias_scale=0.1)
    ds = jsuper.run(Sweep(**TINY, **given), progress=False).squeeze()
    for name in ("W", "b", "W_dec", "b_hidden", "M"):
        assert np.array_equal(ds[f"{name}_snapshots"][-1], ds[name]), name
        assert np.isfinite(ds[f"{name}_snapshots"]).all()
    alone = jsuper.run(Sweep(**TINY, **given, snapshot_parameters=False), progress=False).squeeze()
    assert "b_snapshots" not in alone and np.array_equal(alone.W_snapshots, ds.W_snapshots)


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["vmapped", "sequential", "auto"])
def test_every_plan_trains_the_same_models(plan):
    given = dict(hidden_activation="tanh", target="abs", hidden_l1=(0.0, 0.1), seeds=2)
    sweep = Sweep(**TINY | given | {"sparsity": (0.9, 0.99)})
    expected = jsuper.run(sweep, plan="reference", progress=False)
    found = jsuper.run(sweep, plan=plan, progress=False)
    np.testing.assert_allclose(found.W, expected.W, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=0.02)


def test_a_target_that_is_not_finite_is_refused_when_it_is_traced():
    def logarithm(x):
        return jnp.log(x)

    with pytest.raises(SpecError, match="target=logarithm is not finite for some samples"):
        jsuper.run(Sweep(**TINY, target=logarithm), progress=False)
