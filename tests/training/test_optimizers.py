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
from jsuper.training.schedules import SCHEDULES


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


def test_schedules_are_the_notebooks():
    steps = np.arange(11)
    values = {
        name: [float(schedule(jnp.int32(step), 11)) for step in steps]
        for name, schedule in SCHEDULES.items()
    }
    assert values["constant"] == [1.0] * 11
    assert values["linear"] == pytest.approx(1 - steps / 11)
    assert values["cosine"] == pytest.approx(np.cos(0.5 * np.pi * steps / 10), abs=1e-6)
    assert float(SCHEDULES["cosine"](jnp.int32(0), 1)) == 1.0


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
