"""Optimizers and schedules: their update rules, names and defaults."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jsuper
from jsuper.core.errors import SpecError
from jsuper.engine import programs
from jsuper.models.toy.train import Static, make_setting, make_train
from jsuper.training import optax_names, optax_schedules
from jsuper.training.optimizer_texts import (
    check_optimizer,
    default_decay,
    make_optimizer,
    program_of,
)
from jsuper.training.optimizers import OPTIMIZERS, Optimizer
from jsuper.training.schedules import SCHEDULES, check_schedule, make_schedule


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "rmsprop"])
def test_optimizers_are_pytorchs(optimizer):
    torch = pytest.importorskip("torch")
    rate, decay, momentum = 0.01, 0.1, 0.8
    start, grads = np.linspace(-1, 1, 7), np.random.default_rng(0).normal(size=(30, 7))
    theirs = torch.nn.Parameter(torch.tensor(start))
    options = {"lr": rate, "weight_decay": decay}
    if optimizer == "sgd":
        options["momentum"] = momentum
    names = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop"}
    step = getattr(torch.optim, names[optimizer])([theirs], **options)
    with jax.enable_x64(True):
        ours = jnp.asarray(start)
        transform = make_optimizer(optimizer, rate, decay, momentum)
        state = transform.init(ours)
        for g in grads:
            theirs.grad = torch.tensor(g)
            step.step()
            updates, state = transform.update(jnp.asarray(g), state, ours)
            ours = ours + updates
    assert np.asarray(ours) == pytest.approx(theirs.detach().numpy(), rel=1e-6)


def factors(text, steps=11):
    return [float(make_schedule(text)(jnp.int32(step), steps)) for step in range(steps)]


def test_schedules_are_those_of_their_formulas():
    step = np.arange(11)
    half = (1 + np.cos(np.pi * step / 11)) / 2
    rest = (1 + np.cos(np.pi * np.arange(7) / 7)) / 2
    expected = {
        "constant": np.ones(11),
        "linear": 1 - step / 11,
        "cosine": np.cos(0.5 * np.pi * step / 10),
        "warmup(4)": np.minimum(1, (step + 1) / 4),
        "half_cosine": half,
        "half_cosine(final=0.1)": 0.1 + 0.9 * half,
        "warmup_half_cosine(4)": [0.25, 0.5, 0.75, 1, *rest],
        "warmup_half_cosine(4, final=0.5)": [0.25, 0.5, 0.75, 1, *(0.5 + 0.5 * rest)],
    }
    assert {text.partition("(")[0] for text in expected} == SCHEDULES.keys()
    for text, values in expected.items():
        assert factors(text) == pytest.approx(np.asarray(values), abs=1e-6), text
    assert factors("cosine", 1) == factors("half_cosine", 1) == [1.0]


def test_half_a_cosine_is_pytorchs():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 11, eta_min=0.1)
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert factors("half_cosine(0.1)") == pytest.approx(rates, abs=1e-6)


@pytest.mark.parametrize(
    "text, canonical",
    [
        ("constant", "constant"),
        (" linear ", "linear"),
        ("linear()", "linear"),
        ("warmup( n=100 )", "warmup(100)"),
        ("half_cosine(0)", "half_cosine"),
        ("half_cosine( 0.10 )", "half_cosine(final=0.1)"),
        ("warmup_half_cosine(final=1, n=5)", "warmup_half_cosine(5, final=1.0)"),
    ],
)
def test_a_schedule_has_one_text(text, canonical):
    assert check_schedule("schedule", text) == canonical
    assert check_schedule("schedule", canonical) == canonical


@pytest.mark.parametrize(
    "value, message",
    [
        ("warmupp(3)", "did you mean 'warmup'"),
        ("warmup", r"write warmup\(n\)"),
        ("warmup()", r"schedule='warmup\(\)': write warmup\(n\)"),
        ("warmup(0)", "n=0 is not"),
        ("warmup(2.5)", "n=2.5 is not a whole number"),
        ("warmup(1, 2)", r"write warmup\(n\)"),
        ("warmup(k=1)", r"write warmup\(n\)"),
        ("linear(1)", "write linear without numbers"),
        ("half_cosine(2)", "final=2 is not"),
        ("half_cosine(x)", r"write half_cosine\(final=0\)"),
        (3, "schedule=3 is not known"),
    ],
)
def test_other_schedules_are_refused(value, message):
    with pytest.raises(SpecError, match=message):
        check_schedule("schedule", value)


OF_OPTAX = {
    "constant_schedule(value=0.5)": optax.constant_schedule(0.5),
    "cosine_decay_schedule(decay_steps=8, alpha=0.1)": optax.cosine_decay_schedule(1.0, 8, 0.1),
    "cosine_onecycle_schedule(transition_steps=9)": optax.cosine_onecycle_schedule(9, 1.0),
    "exponential_decay(transition_steps=5, decay_rate=0.5)": optax.exponential_decay(1.0, 5, 0.5),
    "linear_onecycle_schedule(transition_steps=9)": optax.linear_onecycle_schedule(9, 1.0),
    "linear_schedule(end_value=0.2, transition_steps=5)": optax.linear_schedule(1.0, 0.2, 5),
    "polynomial_schedule(end_value=0, power=2, transition_steps=9)": optax.polynomial_schedule(
        1.0, 0.0, 2, 9
    ),
    "warmup_constant_schedule(warmup_steps=4)": optax.warmup_constant_schedule(0.0, 1.0, 4),
    "warmup_cosine_decay_schedule(warmup_steps=3, decay_steps=9)": (
        optax.warmup_cosine_decay_schedule(0.0, 1.0, 3, 9)
    ),
    "warmup_exponential_decay_schedule(warmup_steps=3, transition_steps=2, decay_rate=0.5)": (
        optax.warmup_exponential_decay_schedule(0.0, 1.0, 3, 2, 0.5)
    ),
}


def test_schedules_of_optax_are_optaxs():
    assert {text.partition("(")[0] for text in OF_OPTAX} == optax_schedules.functions().keys()
    for text, theirs in OF_OPTAX.items():
        assert check_schedule("schedule", text) == text
        assert factors(text) == pytest.approx([float(theirs(i)) for i in range(11)], abs=1e-6), text


@pytest.mark.parametrize(
    "value, message",
    [
        ("cosine_decay_schedule", r"lacks decay_steps; write cosine_decay_schedule\(decay_steps="),
        ("cosine_decay_schedule(9)", "'9' has no name.*it takes init_value=1, decay_steps"),
        ("cosine_decay_schedule(decay_steps=0)", "cannot be used: ValueError: .*positive"),
        ("cosine_decay_schedule(steps=3)", "'steps' is no argument of.*did you mean 'decay_steps'"),
        ("linear_schedule(end_value=0, transition_steps=1.5)", "1.5 is not a whole number"),
        ("warmup_constant_schedule(warmup_steps=1, warmup_steps=2)", "an argument twice"),
    ],
)
def test_wrong_numbers_of_a_schedule_of_optax_are_refused(value, message):
    with pytest.raises(SpecError, match=message):
        check_schedule("schedule", value)


def test_a_warm_up_has_to_end_before_the_training():
    with pytest.raises(SpecError, match=r"warmup\(50\) rises for 50 steps, and steps=50"):
        jsuper.Sweep(schedule="warmup(50)", steps=(50, 100))
    with pytest.raises(SpecError, match="rises for 50 steps, and steps=50"):
        jsuper.Sweep(schedule="warmup_constant_schedule(warmup_steps=50)", steps=50)


def test_names_are_checked_without_jax():
    code = (
        "import sys; from jsuper.training.optimizer_texts import check_optimizer as check;"
        "assert check('optimizer', 'sgd(0.50)') == 'sgd(0.5)';"
        "assert check('optimizer', 'adamw(1, b2=.95)') == 'adamw(1, b2=0.95)';"
        "sys.exit(any(name in sys.modules for name in ('jax', 'optax')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    "value, message",
    [
        ("adamx", "optimizer='adamx' is not known; did you mean 'adamax'.*adamw, adam, sgd, sgdw"),
        ("sgd(fast)", r"'fast' is not a learning rate > 0; write for example sgd\(0\.5\)"),
        ("sgd(0)", "'0' is not a learning rate > 0"),
        ("sgd(1", r"'\(1' is not a learning rate > 0"),
        (3, "optimizer=3 is not known"),
    ],
)
def test_a_wrong_optimizer_is_refused(value, message):
    with pytest.raises(SpecError, match=message):
        check_optimizer("optimizer", value)


@pytest.mark.parametrize(
    "text, canonical",
    [
        ("adamw( b2 = .95 )", "adamw(b2=0.95)"),
        ("adamw(b1=0.9)", "adamw"),
        ("adam(eps=1e-6, b1=0.5)", "adam(b1=0.5, eps=1e-06)"),
        ("sgd( momentum=0, 0.50 )", "sgd(0.5, momentum=0)"),
        ("sgdw(nesterov=True)", "sgdw(nesterov=true)"),
        ("lion(b1=0.90)", "lion(b1=0.9)"),
        ("muon(1.0, ns_steps=3.0, nesterov=False)", "muon(1, ns_steps=3, nesterov=false)"),
    ],
)
def test_an_optimizer_has_one_text(text, canonical):
    assert check_optimizer("optimizer", text) == canonical
    assert check_optimizer("optimizer", canonical) == canonical


@pytest.mark.parametrize(
    "value, message",
    [
        ("adamw(b3=1)", "'b3' is no argument of adamw.*it takes b1=0.9, b2=0.999, eps=1e-08"),
        ("adamw(b1=2)", r"adamw\(b1=2\)': b1=2 is not in \[0, 1\)"),
        ("adamw(b1=true)", "b1=true is not a number"),
        ("sgd(nesterov=1)", "nesterov=1 is not true or false"),
        ("sgd(momentum=x)", "momentum=x is not a finite number"),
        ("sgd(weight_decay=1)", "weight_decay is no argument; give the field weight_decay"),
        ("sgd(learning_rate=1)", r"learning_rate is no argument; write sgd\(0\.5\)"),
        ("sgd(0.1, 0.2)", "'0.1, 0.2' is not a learning rate > 0"),
        ("lion(b1=0.1, b1=0.2)", "has an argument twice"),
        ("lion(b3=1)", "'b3' is no argument of lion.*it takes b1=0.9, b2=0.99"),
        ("muon(ns_steps=2.5)", "ns_steps=2.5 is not a whole number"),
        ("lbfgs", "'lbfgs' of optax cannot be used: its update needs the loss"),
        ("schedule_free_sgd", "cannot be used: the weights to evaluate are not those"),
        ("noisy_sgd", "cannot be used: its noise"),
    ],
)
def test_wrong_arguments_are_refused(value, message):
    with pytest.raises(SpecError, match=message):
        check_optimizer("optimizer", value)


def stepped(transform, steps=4):
    """Parameters after some steps of a transformation."""
    params = {"W": jnp.linspace(-1, 1, 6).reshape(2, 3), "b": jnp.array([0.5, -0.1, 0.2])}
    state, draws = transform.init(params), np.random.default_rng(0)
    for _ in range(steps):
        grads = jax.tree.map(lambda p: jnp.asarray(draws.normal(size=p.shape), p.dtype), params)
        updates, state = transform.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return np.concatenate([np.ravel(p) for p in jax.tree.leaves(params)])


COUPLED = optax.add_decayed_weights(0.1)


@pytest.mark.parametrize(
    "text, theirs",
    [
        ("adamw(b2=0.95)", lambda: optax.adamw(0.03, b2=0.95, weight_decay=0.1)),
        ("adam(b1=0.5, eps=1e-6)", lambda: optax.chain(COUPLED, optax.adam(0.03, 0.5, eps=1e-6))),
        ("sgd(momentum=0.5)", lambda: optax.chain(COUPLED, optax.sgd(0.03, momentum=0.5))),
        ("sgd(nesterov=true)", lambda: optax.chain(COUPLED, optax.sgd(0.03, 0.8, nesterov=True))),
        ("lion", lambda: optax.lion(0.03, weight_decay=0.1)),
        ("nadamw(b1=0.8)", lambda: optax.nadamw(0.03, b1=0.8, weight_decay=0.1)),
        ("muon(ns_steps=3)", lambda: optax.contrib.muon(0.03, ns_steps=3, weight_decay=0.1)),
        ("adagrad", lambda: optax.chain(COUPLED, optax.adagrad(0.03))),
    ],
)
def test_optimizers_are_optaxs(text, theirs):
    ours = make_optimizer(text, 0.03, 0.1, 0.8)
    np.testing.assert_array_equal(stepped(ours), stepped(theirs()))


@pytest.mark.parametrize(
    "text, decay", [("lion", 1e-3), ("nadamw", 1e-4), ("muon", 0.0), ("dog", 0.0), ("yogi", 0.0)]
)
def test_an_optimizer_of_optax_has_optaxs_decay(text, decay):
    assert default_decay(text) == decay


TRAINED = sorted(optax_names.functions().keys() - OPTIMIZERS)
RATES = {"optimistic_gradient_descent": 0.5, "lars": 0.1, "sm3": 0.1}
RATES |= dict.fromkeys(("adadelta", "cocob", "dadapt_adamw", "dog", "dowg", "prodigy"), 1)
SMALL = dict(n_features=4, n_hidden=2, batch_size=64, steps=60, check_fit=False)


@pytest.mark.parametrize("name", TRAINED)
def test_every_name_of_optax_is_traced_in_a_training(name):
    static = Static(optimizer=name, n_features=3, n_hidden=2, batch_size=8, steps=2)
    setting = make_setting(static, {"optimizer": name, "learning_rate": 0.01, "weight_decay": 0.0})
    found = jax.eval_shape(make_train(static), setting, jsuper.seed_key(0))
    assert found["W"].shape == (2, 3)


def test_names_of_optax_are_an_axis():
    """The weights move and stay finite, and the loss falls."""
    texts = "sgd(1e-30)", "lion(0.01)", "muon(0.01)"  # the first hardly moves
    one = dict(activation="relu", sparsity=0.5, weight_decay=0.0, seeds=1)
    ds = jsuper.run(jsuper.Sweep(optimizer=texts, **one, **SMALL), progress=False).squeeze()
    assert (ds.status == 1).all() and np.isfinite(ds.W).all()
    still, *trained = (ds.isel(optimizer=i) for i in range(len(texts)))
    for found in trained:
        assert not np.array_equal(found.W, still.W) and found.loss < still.loss


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_name_of_optax_trains(name):
    """The weights stay finite, and the loss falls."""
    text, key = f"{name}({RATES.get(name, 0.01)})", jsuper.seed_key(0)
    static = Static(optimizer=text, activations=("relu",), **SMALL)
    setting = make_setting(static, {"sparsity": 0.5, "weight_decay": 0.0})
    train = make_train(static)

    @jax.jit
    def trained(setting, key):
        first = train.init(setting, key)
        return first, train.advance(first, setting, key, 0, static.steps)

    first, last = trained(setting, key)
    assert last.first_bad_step == -1
    x = np.maximum(np.random.default_rng(0).uniform(-1, 1, (4, 10_000)), 0)

    def loss(state):
        W, b = state.params.W, state.params.b
        return np.mean((np.maximum(W.T @ (W @ x) + b[:, None], 0) - x) ** 2)

    assert loss(last) < loss(first)


@pytest.mark.slow
def test_one_program_trains_all_learning_rates_of_an_optimizer(monkeypatch):
    """The same bits, with XLA's optimizations as for users."""
    level = {"xla_backend_optimization_level": 3}
    monkeypatch.setattr(programs, "compile_for", lambda _, lowered: lowered.compile(level))
    monkeypatch.setattr(programs, "_programs", {})
    shape = dict(activation="relu", sparsity=0.5, n_features=3, n_hidden=2, batch_size=8, seeds=1)
    rates = [round(0.1 * (i + 1), 1) for i in range(10)]
    texts = tuple(f"sgd({rate:g}, momentum=0.5)" for rate in rates)
    ds = jsuper.run(jsuper.Sweep(**shape, optimizer=texts, steps=7), progress=False)
    assert json.loads(ds.attrs["timing"])["compiles"] == 1
    one = jsuper.Sweep(**shape, optimizer="sgd(momentum=0.5)", learning_rate=tuple(rates), steps=7)
    found = jsuper.run(one, progress=False)
    assert np.array_equal(ds.W.squeeze(), found.W.squeeze())


@pytest.mark.parametrize("text", ["adamw(0.0017)", "sgd(0.3)", "rmsprop(0.0013, decay=0.9)"])
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_a_traced_rate_gives_the_bits_of_a_compiled_one(text, dtype):
    """Which is what earlier versions compiled."""
    shape = dict(n_features=3, n_hidden=2, batch_size=8, steps=20, schedule="linear", dtype=dtype)
    in_program = Static(optimizer=text, **shape)
    traced = Static(optimizer=program_of(text), own_rate=dtype == "float64", **shape)
    setting = make_setting(traced, {"optimizer": text, "learning_rate": 7.0, "weight_decay": 0.03})
    with jax.enable_x64(dtype == "float64"):
        key = jsuper.seed_key(3)
        one, two = (jax.jit(make_train(s))(setting, key) for s in (in_program, traced))
        assert np.array_equal(one["W"], two["W"]) and np.array_equal(one["b"], two["b"])


@pytest.mark.slow
def test_an_optimizer_is_one_entry_of_the_table(monkeypatch):
    """Names, defaults and training follow from the entry; SIGN has no other place in jsuper."""

    def sign(learning_rate, weight_decay):
        decay = optax.add_decayed_weights(weight_decay)
        return optax.chain(
            optax.scale_by_sign(), decay, optax.scale_by_learning_rate(learning_rate)
        )

    monkeypatch.setitem(OPTIMIZERS, "sign", Optimizer(sign, default_decay=0.25, decoupled=True))
    shape = dict(activation="relu", sparsity=0.5, n_features=3, n_hidden=2, batch_size=8)
    sweep = jsuper.Sweep(**shape, optimizer="sign(0.5)", steps=1, seeds=1)
    assert sweep.weight_decay == (default_decay("sign"),) == (0.25,)
    before = jsuper.run(
        jsuper.Sweep(**shape, steps=1, learning_rate=1e-30, seeds=1), progress=False
    )
    after = jsuper.run(sweep, progress=False)
    moved = after.W.values - before.W.values * (1 - 0.5 * 0.25)
    assert np.abs(moved) == pytest.approx(np.where(np.abs(moved) < 0.25, 0, 0.5), abs=1e-6)
