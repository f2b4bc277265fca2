"""Optimizers and schedules: their update rules, names and defaults."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jsuper
from jsuper.core.errors import SpecError
from jsuper.training.optimizers import (
    OPTIMIZERS,
    Optimizer,
    check_optimizer,
    default_decay,
    make_optimizer,
)
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


def test_a_warm_up_has_to_end_before_the_training():
    with pytest.raises(SpecError, match=r"warmup\(50\) rises for 50 steps, and steps=50"):
        jsuper.Sweep(schedule="warmup(50)", steps=(50, 100))


def test_names_are_checked_without_jax():
    code = (
        "import sys; from jsuper.training.optimizers import check_optimizer as check;"
        "assert check('optimizer', 'sgd(0.50)') == 'sgd(0.5)';"
        "sys.exit(any(name in sys.modules for name in ('jax', 'optax')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    "value, message",
    [
        ("adamx", "optimizer='adamx' is not known; did you mean 'adam'"),
        ("sgd(fast)", r"'fast' is not a learning rate > 0; write for example sgd\(0\.5\)"),
        ("sgd(0)", "'0' is not a learning rate > 0"),
        ("sgd(1", r"'\(1' is not a learning rate > 0"),
        (3, "optimizer=3 is not known"),
    ],
)
def test_a_wrong_optimizer_is_refused(value, message):
    with pytest.raises(SpecError, match=message):
        check_optimizer("optimizer", value)


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
