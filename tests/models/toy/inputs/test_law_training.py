"""Training on every law: against a plain NumPy loop, and compacted against whole batches."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_training import adamw_training
from running import slow

import jsuper
from jsuper.engine import programs
from jsuper.models.toy import model
from jsuper.models.toy.config import arrange, make_setting, make_static
from jsuper.models.toy.draws import make_draws
from jsuper.models.toy.gradient import make_batch_loss, make_gradient
from jsuper.models.toy.inputs.names import support_of, values_of
from jsuper.models.toy.rows import step_gradient
from jsuper.training import keys

N, M, BATCH, STEPS = 6, 2, 64, 40
SEED = 4


def numpy_batch(support, u, p):
    """The activities and the draws of values, feature by feature, by the definition of each law."""
    name, numbers = support[0], support[1:]
    active, v = np.zeros((N, u.shape[1]), bool), np.zeros((N, u.shape[1]))
    if name == "sets":
        k, c = numbers
        for i in range(N):
            s, t = u[N + i // k], u[N + N // k + i // k]
            active[i] = np.where(t < np.float32(c), s, u[i]) < np.float32(p)
            v[i] = np.where(t < np.float32(c), u[i], u[i] / p)
    elif name == "exclusive":
        (k,) = numbers
        for i in range(N):
            s, t = u[i // k], u[N // k + i // k]
            active[i] = (s < np.float32(k * p)) & (np.floor(t * k) == i % k)
            v[i] = s / (k * p)
    elif name == "exactly":
        (k,) = numbers
        for column in range(u.shape[1]):
            chosen = set()
            for step, j in enumerate(range(N - k, N)):
                drawn = int(u[N + step, column] * (j + 1))
                chosen.add(j if drawn in chosen else drawn)
            active[list(chosen), column] = True
        v[:] = u[:N]
    elif name == "hierarchy":
        b, q = numbers
        active[0], v[0] = u[0] < np.float32(p), u[0] / p
        for i in range(1, N):
            active[i] = active[(i - 1) // b] & (u[i] < np.float32(q))
            v[i] = u[i] / q
    return active, v


TREE = "hierarchy(2, 0.6)"
LAWS = {
    "pairs(0.5)": (("sets", 2, 0.5), "signed", lambda v: 2 * v - 1),
    "sets(3, 1)": (("sets", 3, 1.0), "uniform", lambda v: v),
    "exclusive(3)": (("exclusive", 3), "uniform(0, 2)", lambda v: 2 * v),
    "exactly(2)": (("exactly", 2), "exponential", lambda v: -np.log(v)),
    TREE: (("hierarchy", 2, 0.6), "binary", lambda v: np.ones_like(v)),
}
ROWS = {"pairs(0.5)": 12, "sets(3, 1)": 10, "exclusive(3)": 4, "exactly(2)": 8}


def numpy_training(support, value, p, rows, offset):
    """AdamW on ReLU models in float64 NumPy, with the draws of the seed."""
    key = jsuper.seed_key(SEED)
    draw = jax.jit(lambda step: keys.uniform(keys.stream(key, keys.DATA, step), (rows, BATCH)))

    def batch_at(step):
        active, v = numpy_batch(support, np.asarray(draw(step), np.float64) + offset, p)
        x = np.zeros_like(v)
        x[active] = value(v[active])
        return x

    return adamw_training(batch_at, STEPS, key, (N, M), decay=0.05)


@pytest.mark.parametrize(
    "text", ["pairs(0.5)", *map(slow, ("exclusive(3)", "sets(3, 1)", "exactly(2)", TREE))]
)
def test_training_is_that_of_a_numpy_loop(text):
    support, values, value = LAWS[text]
    sparsity = round(1 - 2 / N, 12) if text == "exactly(2)" else 0.8
    sweep = jsuper.Sweep(
        activation="relu",
        sparsity=sparsity,
        support=text,
        values=values,
        learning_rate=3e-3,
        weight_decay=0.05,
        seeds=(SEED,),
        n_features=N,
        n_hidden=M,
        batch_size=BATCH,
        steps=STEPS,
        records=1,
        check_fit=False,
        dtype="float64",
    )
    ds = jsuper.run(sweep, progress=False).squeeze()
    offset = 2.0**-24 * (values == "exponential")
    W, b = numpy_training(support, value, 1 - sparsity, ROWS.get(text, N), offset)
    assert ds.W.values == pytest.approx(W, abs=1e-6)  # initial weights are float32
    assert ds.b.values == pytest.approx(b, abs=1e-6)  # initial weights are float32


VALUES = {"n_features": 12, "n_hidden": 4, "batch_size": 512, "unpaired": False}
DENSITIES = {"shared": 0.5, "exactly": 1 / 3}


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    ["independent", "shared", "sets(3, 0.5)", "exclusive(4)", "exactly(4)", "hierarchy(3, 0.5)"],
)
def test_compacted_batches_and_rows_have_the_gradient_of_the_plain_loss(text):
    """Two activations at two densities of every support, with and without a density per feature."""
    name = text.partition("(")[0]
    p = DENSITIES.get(name, 0.1)
    settings = [
        {"activation": a, "sparsity": 1 - d, "dropout": 0.0, "importance_decay": 0.9}
        for d in ((p,) if name == "exactly" else (p, p / 20))
        for a in ("relu", "gelu")
    ]
    values = VALUES | {"support": text, "values": "signed"}
    static = make_static(values, [settings], "rows")
    assert bool(static.widths) == static.inputs.support.narrow
    made = [make_setting(static, values | settings[i]) for i in arrange(static, settings)]
    stacked = jax.tree.map(lambda *a: np.stack(a), *made)
    rng = np.random.default_rng(0)
    params = model.Params(*(jnp.float32(rng.normal(0, 0.4, s)) for s in ((4, 12), 12)))
    key, step = jsuper.seed_key(SEED), jnp.int32(9)
    draws = jax.jit(make_draws, static_argnums=0)(static, key, step, stacked)
    plain, narrow = jax.grad(make_batch_loss(static)), make_gradient(static)
    expected, found = jax.jit(
        lambda s: jax.lax.map(lambda s: [f(params, s, draws) for f in (plain, narrow)], s)
    )(stacked)
    repeated = jax.tree.map(lambda a: jnp.stack([a] * len(made)), params)
    of_step = jax.vmap(step_gradient(static, True), (0, 0, None, None))
    rows = jax.jit(of_step)(repeated, stacked, key, step)
    for got in (found, rows):
        for a, b in zip(*map(jax.tree.leaves, (got, expected)), strict=True):
            assert np.asarray(a) == pytest.approx(np.asarray(b), abs=1e-5 * float(abs(b).max()))


@pytest.mark.slow
def test_models_of_every_law_are_trained_alike_by_every_plan():
    """And measured alike: each plan makes its own samples of the final loss."""
    sweep = jsuper.Sweep(
        activation=("relu", "tanh"),
        sparsity=(0.9, 0.99),
        support=("independent", "pairs(0.5)", "exclusive(2)", "hierarchy(2, 0.5)"),
        values="signed",
        seeds=2,
        n_features=6,
        n_hidden=2,
        batch_size=256,
        steps=30,
    )
    found = {plan: jsuper.run(sweep, progress=False, plan=plan) for plan in ("rows", "vmapped")}
    rows, whole = found["rows"], found["vmapped"]
    assert rows.sizes["support"] == 4 and (rows.status == 1).all()
    assert abs(rows.W - whole.W).max() < 1e-5
    assert abs(rows.loss / whole.loss - 1).max() < 1e-3
    assert (rows.W.isel(support=0) != rows.W.isel(support=1)).any()


def test_laws_that_differ_in_numbers_share_a_program():
    statics = {
        text: make_static(
            VALUES | {"support": text, "values": values},
            [[{"activation": "relu", "sparsity": 0.9, "dropout": 0.0}]],
            "rows",
        )
        for text, values in [
            ("sets(2, 0.25)", "uniform(0, 2)"),
            ("sets(2, 1)", "uniform(1, 2)"),
            ("sets(3, 1)", "uniform(1, 2)"),
        ]
    }
    one, same, other = (dataclasses.replace(s, widths=()) for s in statics.values())
    assert one == same and hash(one) == hash(same) and one != other
    setting = {"activation": "relu", "sparsity": 0.9}
    numbers = make_setting(
        one, VALUES | {"support": "sets(2, 1)", "values": "uniform(1, 2)"} | setting
    )
    assert numbers.support.tolist() == [1.0] and numbers.values.tolist() == [1.0, 2.0]


SHARING = {
    "values": ("uniform(0, 5)", "uniform(-1, 3)", "uniform(1, 2)"),
    "support": ("pairs(0.2)", "pairs(0.9)"),
}
SHARING_ALSO = {"support": ("hierarchy(2, 0.9)", "hierarchy(2, 0.3)")}


def sharing(fields):
    """A sweep of laws that are equal but for traced numbers, so one program has to train all."""
    sizes = dict(activation="relu", sparsity=0.6, n_features=6, n_hidden=2, batch_size=32)
    return jsuper.Sweep(**sizes, **fields, seeds=1, steps=30, records=1)


@pytest.mark.slow
@pytest.mark.parametrize("fields", [SHARING, SHARING_ALSO], ids=["values and sets", "hierarchy"])
def test_laws_that_share_a_program_have_their_own_constant(fields):
    together = jsuper.run(sharing(fields), progress=False)
    for laws in itertools.product(*fields.values()):
        labels = dict(zip(fields, laws, strict=True))
        part = together.sel(labels)
        one = values_of(labels.get("values", "uniform"))
        p = np.broadcast_to(support_of(labels["support"]).densities(0.4, 6), 6)
        constant = (0.7 ** np.arange(6) * (p * one.square - (p * one.mean) ** 2)).mean()
        found = (part.loss / part.loss_over_constant).item()
        assert found == pytest.approx(constant, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("fields", [SHARING, SHARING_ALSO], ids=["values and sets", "hierarchy"])
def test_laws_that_share_a_program_are_trained_as_alone(fields, monkeypatch):
    sweep = sharing(fields)
    together = jsuper.run(sweep, progress=False)
    for laws in list(itertools.product(*fields.values()))[::3]:
        labels = dict(zip(fields, laws, strict=True))
        monkeypatch.setattr(programs, "_programs", {})
        jax.clear_caches()
        alone = jsuper.run(dataclasses.replace(sweep, **labels), progress=False)
        for name in ("W", "b", "loss", "loss_over_constant"):
            assert np.allclose(together[name].sel(labels), alone[name], rtol=1e-5), (labels, name)
