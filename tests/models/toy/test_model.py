"""One model: forward pass, initial weights, loss and gradient."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import slow

import jsuper
from jsuper.models.toy import model, rows
from jsuper.models.toy.activations.names import BATCH_COUPLED
from jsuper.models.toy.activations.registry import REGISTRY
from jsuper.models.toy.config import arrange, make_setting, make_static
from jsuper.models.toy.draws import make_draws, order, running_count
from jsuper.models.toy.gradient import make_batch_loss, make_gradient
from jsuper.models.toy.model import Params
from jsuper.models.toy.rows import step_gradient
from jsuper.models.toy.widths import couples_batch, narrow_widths

KEY = jsuper.seed_key(3)


def random_params(n=20, m=5):
    W = jax.random.normal(jax.random.key(1), (m, n)) * 0.4
    b = jax.random.normal(jax.random.key(2), (n,)) * 0.2
    return Params(W, b)


def test_forward_is_the_papers_formula():
    W, b, *_ = random_params(6, 2)
    x = np.random.default_rng(0).uniform(size=(6, 9))
    W64, b64 = np.asarray(W, np.float64), np.asarray(b, np.float64)
    expected = np.maximum(W64.T @ (W64 @ x) + b64[:, None], 0)
    assert np.asarray(jsuper.forward(W, b, "relu", x)) == pytest.approx(expected, abs=1e-6)
    one = jsuper.forward(W, b, "relu", x[:, 0])
    assert one.shape == (6,)
    assert np.asarray(one) == pytest.approx(expected[:, 0], abs=1e-6)


def test_forward_takes_parameters_and_functions():
    W, b, *_ = random_params(6, 2)
    x = np.full(6, 0.5)
    quarter = jsuper.forward(W, b, "elu(0.25)", x)
    assert jsuper.forward(W, b, lambda z: jax.nn.elu(z, 0.25), x) == pytest.approx(quarter)
    assert jsuper.forward(W, b, "elu", x) != pytest.approx(quarter)


@pytest.mark.parametrize("x", [np.zeros(7), np.zeros((7, 3)), np.zeros((6, 3, 1))])
def test_forward_refuses_shapes_that_do_not_fit(x):
    W, b, *_ = random_params(6, 2)
    with pytest.raises(ValueError, match="do not fit"):
        jsuper.forward(W, b, "relu", x)


@pytest.mark.parametrize(
    ("n", "m", "instances", "xavier", "notebook"),
    [
        (5, 2, 10, 0.5345, 0.2582),
        slow(100, 20, 20, 0.1291, 0.02887),
        slow(200, 20, 20, 0.09535, 0.02132),
    ],
)
def test_initial_scale_is_xavier_or_the_notebooks(n, m, instances, xavier, notebook):
    assert model.init_std("xavier", n, m, 1.0, instances) == pytest.approx(xavier, rel=1e-3)
    assert model.init_std("notebook", n, m, 1.0, instances) == pytest.approx(notebook, rel=1e-3)
    assert model.init_std("normal", n, m, 1.5, instances) == 1.5
    assert model.init_std("unit", n, m, 1.0, instances) == pytest.approx(m**-0.5)
    drawn = model.init_params(KEY, m, n, xavier, "float32")
    assert float(drawn.W.std()) == pytest.approx(xavier, rel=0.6 if m == 2 else 0.1)
    assert (drawn.b == 0).all()


def test_the_loss_is_the_mean_over_batch_and_features():
    rng = np.random.default_rng(0)
    x, x_hat, weights = rng.normal(size=(4, 6)), rng.normal(size=(4, 6)), rng.uniform(size=4)
    expected = np.mean(weights[:, None] * (x - x_hat) ** 2)
    loss = model.weighted_error(jnp.asarray(x_hat), jnp.asarray(x), jnp.asarray(weights))
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_the_last_column_may_stand_for_many():
    rng = np.random.default_rng(0)
    x, x_hat, weights = rng.normal(size=(4, 6)), rng.normal(size=(4, 6)), rng.uniform(size=4)
    repeated = [np.concatenate([a, *[a[:, -1:]] * 9], axis=1) for a in (x_hat, x)]
    narrow = model.weighted_error(jnp.asarray(x_hat), jnp.asarray(x), jnp.asarray(weights), 10)
    assert float(narrow) == pytest.approx(
        float(model.weighted_error(*map(jnp.asarray, repeated), jnp.asarray(weights))), rel=1e-6
    )


def difference(a, b):
    """The largest difference of two gradients, relative to the largest entry."""
    pairs = list(zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))
    scale = max(float(jnp.abs(q).max()) for _, q in pairs)
    return max(float(jnp.abs(p - q).max()) / scale for p, q in pairs)


SPARSITIES_AND_DROPOUTS = [(0.0, 0.0), (0.97, 0.0), (0.99, 0.3), (0.999, 0.0)]
VALUES = {
    "n_features": 20,
    "n_hidden": 5,
    "batch_size": 1024,
    "feature_sparsity": None,
    "unpaired": False,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "vector"),
    [
        (tuple(REGISTRY), None),
        (("relu", "sigmoid", "softmax", "solu_batch"), tuple(np.linspace(0.95, 0.9999, 20))),
    ],
    ids=["one sparsity", "per feature"],
)
def test_gradient_of_every_activation_is_that_of_the_plain_loss(names, vector):
    """Narrow and whole batches, with and without dropout, against jax.grad of the plain loss."""
    settings = [
        {"activation": name, "sparsity": sparsity, "dropout": dropout}
        for name in names
        for sparsity, dropout in SPARSITIES_AND_DROPOUTS
    ]
    values = VALUES | {"feature_sparsity": vector}
    static = make_static(values, [settings], "rows")
    assert static.widths == ((32, 256, 512) if vector is None else (512,))
    made = [make_setting(static, values | p) for p in settings]
    stacked = jax.tree.map(lambda *a: np.stack(a), *made)
    params = random_params()
    fast, plain = make_gradient(static), jax.grad(make_batch_loss(static))

    @jax.jit
    def both(settings):
        draws = make_draws(static, KEY, jnp.int32(11), settings)
        return jax.lax.map(lambda s: (fast(params, s, draws), plain(params, s, draws)), settings)

    got, expected = both(stacked)
    for i, setting in enumerate(settings):
        pair = [jax.tree.map(lambda a, i=i: a[i], g) for g in (got, expected)]
        # normalising over the batch cancels nearly all of the gradient, and with it its digits
        tolerance = 1e-3 if setting["activation"] in BATCH_COUPLED else 1e-5
        assert difference(*pair) <= tolerance, setting


@pytest.mark.slow
@pytest.mark.parametrize(
    "vector", [None, tuple(np.linspace(0.95, 0.9999, 20))], ids=["one sparsity", "per feature"]
)
def test_rows_of_models_have_the_gradients_of_single_ones(vector):
    """Every activation that can share, at several densities and dropouts, two seeds at once."""
    names = [name for name in REGISTRY if name not in BATCH_COUPLED]
    settings = [
        {"activation": name, "sparsity": sparsity, "dropout": dropout, "importance_decay": 0.9}
        for sparsity in (0.5, 0.97, 0.999)
        for dropout in (0.0, 0.3)
        for name in names
    ][1:]  # a slot stays empty
    values = VALUES | {"feature_sparsity": vector}
    static = make_static(values, [settings], "rows")
    assert static.rows == 3 and len(static.slots) == 2 * len(names) and static.widths
    places = arrange(static, settings)
    assert sorted(i for i in places if i >= 0) == list(range(len(settings)))
    assert len(places) == len(settings) + 1 and min(places) == ~0
    made = [make_setting(static, values | settings[max(i, ~i)]) for i in places]
    stacked = jax.tree.map(lambda *a: np.stack(a), *made)
    one = random_params()
    params = jax.tree.map(
        lambda a: jnp.stack([a * (1 + 0.001 * i) for i in range(len(places))]), one
    )
    keys = jnp.stack([jsuper.seed_key(seed) for seed in (3, 4)])
    plain = jax.grad(make_batch_loss(static))
    fast = step_gradient(static, sequential=True)

    @jax.jit
    def both(key):
        draws = make_draws(static, key, jnp.int32(11))
        expected = jax.lax.map(lambda model: plain(*model, draws), (params, stacked))
        return jax.vmap(fast, (0, 0, None, None))(params, stacked, key, jnp.int32(11)), expected

    got, expected = jax.vmap(both)(keys)
    for seed, i in itertools.product(range(len(keys)), range(len(settings))):
        at = seed, places.index(i)
        pair = [jax.tree.map(lambda a, at=at: a[at], g) for g in (got, expected)]
        assert difference(*pair) <= 1e-5, settings[i]


def test_a_diverged_model_leaves_the_other_teams_as_they_are():
    """Teams wait for each other, but see nothing of each other's results."""
    names = ("relu", "gelu", "tanh", "sigmoid", "elu", "selu", "softplus", "softsign", "mish")
    settings = [{"activation": name, "sparsity": 0.9, "dropout": 0.0} for name in names]
    static = make_static(VALUES | {"batch_size": 32}, [settings], "rows")
    assert [t.stop - t.start for t in rows.teams_of(len(static.slots))] == [4, 5]
    made = [make_setting(static, VALUES | settings[i]) for i in arrange(static, settings)]
    stacked = jax.tree.map(lambda *a: np.stack(a), *made)
    params = jax.tree.map(lambda a: jnp.stack([a] * len(names)), random_params())
    fast = jax.jit(
        lambda p: rows.row_gradient_at(static, 32)(
            p, stacked, make_draws(static, KEY, jnp.int32(1))
        )
    )
    broken = jax.tree.map(lambda a: a.at[0].set(jnp.nan), params)
    fine, found = fast(params), fast(broken)
    assert jnp.isnan(found.W[0]).all()
    assert (found.W[1:] == fine.W[1:]).all() and (found.b[1:] == fine.b[1:]).all()


@pytest.mark.parametrize("models", [1, 6, 7, 8, 27, 41])
def test_teams_are_of_equal_size_and_have_every_model_once(models):
    teams = rows.teams_of(models)
    sizes = [team.stop - team.start for team in teams]
    assert max(sizes) <= rows.TEAM and max(sizes) - min(sizes) <= 1
    assert [i for team in teams for i in range(models)[team]] == list(range(models))


@pytest.mark.slow
def test_whole_and_narrow_programs_see_the_same_batch():
    settings = [{"activation": "relu", "sparsity": s, "dropout": 0.2} for s in (0.9, 0.999)]
    static = make_static(VALUES, [settings], "sequential")
    stacked = jax.tree.map(lambda *a: np.stack(a), *[make_setting(static, s) for s in settings])
    density = stacked.density
    draws = make_draws(static, KEY, jnp.int32(5), stacked)
    whole = make_draws(dataclasses.replace(static, widths=()), KEY, jnp.int32(5))
    assert (draws.whole.data == whole.whole.data).all() and whole.narrow is None
    both = [np.concatenate([d.data, d.dropout]) for d in (draws.narrow, whole.whole)]
    there = {column.tobytes() for column in both[1].T}
    columns = [column.tobytes() for column in both[0].T]
    assert len(set(columns)) == len(columns) == static.widths[-1] and set(columns) <= there
    active = (draws.narrow.data < density[1]).any(0)
    assert active.sum() == (whole.whole.data < density[1]).any(0).sum()
    assert not active[active.sum() :].any(), "those of the lowest density come first"


@pytest.mark.parametrize(("size", "width"), [(2, 1), (100, 100), (1024, 64), (1025, 900)])
def test_order_puts_columns_below_lower_thresholds_first(size, width):
    values = np.asarray(jax.random.uniform(KEY, (size,)))
    thresholds = np.array([0.001, 0.05, 0.3, np.inf], np.float32)
    got = np.asarray(jax.jit(order, static_argnums=2)(values, thresholds, width))
    level = (values[None] >= thresholds[:, None]).sum(0)
    assert got.tolist() == np.argsort(level, kind="stable")[:width].tolist()


@pytest.mark.parametrize("size", [1, 31, 32, 33, 5000])
def test_running_count_is_that_of_numpy(size):
    flags = np.asarray(jax.random.bernoulli(KEY, 0.3, (size,)))
    assert running_count(flags).tolist() == np.cumsum(flags).tolist()


def test_widths_follow_the_sparsities():
    def widths(*sparsities, activation="relu", batch=1024, vector=None):
        values = VALUES | {"batch_size": batch, "feature_sparsity": vector}
        return narrow_widths(
            values, [{"activation": activation, "sparsity": s} for s in sparsities]
        )

    assert widths(0.0, 0.7, 0.9) == ()
    assert widths(0.97) == (512,)
    assert widths(0.0, 0.97, 0.997, 0.999) == (32, 128, 512)
    assert widths(0.999, batch=64) == (32,) and widths(0.999, batch=32) == ()
    assert widths(0.999, activation="softmax_batch") == ()
    assert widths(0.0, vector=(0.999,) * 20) == (32,)


def test_a_function_that_couples_the_batch_is_found_out():
    assert couples_batch(lambda z: z - z.mean(axis=1, keepdims=True))
    assert not couples_batch(lambda z: jax.nn.softmax(z, axis=0))
    assert couples_batch("softmax_batch") and not couples_batch("softmax")

    @jax.jit
    def traced(a):  # as a user's own function that builds a training inside
        return a + couples_batch(lambda z: z * z.mean(axis=1, keepdims=True))

    assert traced(1) == 2


def one_sparse_relu_loss(W, b):
    """Population loss for x = λ e_j, j uniform, λ ~ U[0, 1], ReLU, unit importance (mean over i).

    The integral over λ of (x_i - relu(G_ij λ + b_i))² in closed form; Chen et al., arXiv
    2310.06301, treat the same potential.
    """
    G, n = W.T @ W, len(b)
    total = 0.0
    for i in range(n):
        for j in range(n):
            w, c = G[i, j], b[i]
            if i != j and c <= 0:
                total += max(w + c, 0) ** 3 / (3 * w) if w > 0 else 0.0
            elif i != j:
                total += w**2 / 3 + w * c + c**2 if w + c >= 0 else -(c**3) / (3 * w)
            else:
                N = (1 - w) ** 2 - 3 * (1 - w) * c + 3 * c**2
                if c > 0:
                    total += N / 3
                else:
                    total += (N + c**3 * (1 + w) / w**2) / 3 if w + c > 0 else 1 / 3
    return total / n**2


@pytest.mark.parametrize("seed", range(4))
def test_one_sparse_inputs_give_the_exact_relu_loss(seed):
    rng = np.random.default_rng(seed)
    W, b = rng.normal(size=(2, 5)) * 0.8, rng.normal(size=5) * 0.4
    nodes = (np.arange(20_000) + 0.5) / 20_000
    with jax.enable_x64(True):
        x = np.concatenate([np.eye(5)[:, [j]] * nodes for j in range(5)], axis=1)
        x_hat = jsuper.forward(W, b, "relu", x)
        loss = model.weighted_error(x_hat, jnp.asarray(x), jnp.ones(5))
    assert float(loss) == pytest.approx(one_sparse_relu_loss(W, b), rel=1e-6)
