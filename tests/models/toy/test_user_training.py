"""Optimizers and schedules that are Python functions."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jsuper
from jsuper.core.errors import SpecError
from jsuper.core.json_data import plain

SMALL = dict(activation="relu", sparsity=0.5, seeds=1, steps=12, batch_size=16)
SMALL |= dict(n_features=4, n_hidden=2, records=2, check_fit=False)


def mine(learning_rate, weight_decay):
    """AdamW with another β₂."""
    return optax.adamw(learning_rate, b2=0.95, weight_decay=weight_decay)


def scaled(factor, name="mine"):
    """Adam at another rate, as a function with a value from outside."""

    def function(learning_rate, weight_decay):
        del weight_decay
        return optax.adam(factor * learning_rate)

    function.__name__ = name
    return function


def halving(step):
    """Half the rate after every 5 steps."""
    return 0.5 ** (step // 5)


def run(**fields):
    """The weights of a small sweep."""
    return jsuper.run(jsuper.Sweep(**SMALL | fields), progress=False).squeeze()


def test_a_function_trains_as_optaxs_name_does():
    rates = dict(learning_rate=0.01, weight_decay=0.1)
    ours = run(optimizer=mine, **rates)
    np.testing.assert_array_equal(ours.W, run(optimizer="adamw(b2=0.95)", **rates).W)
    assert str(ours.optimizer.values) == "mine"


def test_a_schedule_is_a_factor():
    text = "exponential_decay(transition_steps=5, decay_rate=0.5, staircase=true)"
    ours = run(schedule=halving, learning_rate=0.01)
    np.testing.assert_allclose(ours.W, run(schedule=text, learning_rate=0.01).W, rtol=1e-5)


def test_identity_is_what_is_computed():
    def label(optimizer, **fields):
        return plain(jsuper.Sweep(**SMALL | fields, optimizer=optimizer).traced().optimizer[0])

    assert label(scaled(2.0)) == label(scaled(2.0)) != label(scaled(3.0))
    assert label(scaled(2.0)).startswith("mine@")
    assert label(mine) != label(mine, n_features=5)
    assert jsuper.Sweep(optimizer=mine).weight_decay == (0.0,)


def test_a_folder_is_resumed_only_with_the_same_functions(tmp_path):
    sweep = jsuper.Sweep(**SMALL | dict(steps=3), optimizer=scaled(2.0), schedule=halving)
    first = jsuper.run(sweep, tmp_path / "run", progress=False)
    again = jsuper.run(dataclasses.replace(sweep, optimizer=scaled(2.0)), tmp_path / "run")
    assert first.W.equals(again.W)
    assert jsuper.load(tmp_path / "run").W.equals(first.W)
    with pytest.raises(SpecError, match="with a function 'mine' that computes something else"):
        jsuper.run(dataclasses.replace(sweep, optimizer=scaled(3.0)), tmp_path / "run")

    def other(step):
        return 0.25 ** (step // 5)

    other.__name__ = "halving"
    with pytest.raises(SpecError, match="with a function 'halving' that computes something else"):
        jsuper.run(dataclasses.replace(sweep, schedule=other), tmp_path / "run")


def prints(learning_rate, weight_decay):
    """Calls Python while it runs."""

    def update(updates, state, params=None):
        jax.debug.print("{b}", b=updates.b)
        return updates, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def transposes(learning_rate, weight_decay):
    """Returns updates of other shapes."""
    return optax.stateless(lambda updates, params: jax.tree.map(jnp.transpose, updates))


def one_number(learning_rate):
    """Lacks the weight decay."""
    return optax.sgd(learning_rate)


def of_the_loss(learning_rate, weight_decay):
    """Needs the loss in its update."""
    return optax.polyak_sgd()


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(optimizer=prints), "optimizer 'prints' cannot be used: it has side effects"),
        (dict(optimizer=transposes), "'transposes' cannot be used: its updates do not have"),
        (dict(optimizer=one_number), r"write def one_number\(learning_rate, weight_decay\)"),
        (dict(optimizer=of_the_loss), "'of_the_loss' cannot be used: TypeError"),
        (dict(optimizer=lambda a, b: optax.sgd(a)), "has no name; define it with def"),
        (dict(optimizer=(mine, scaled(2.0))), "optimizer contains 'mine' twice"),
        (dict(optimizer=mine, decay_on="W"), "has no choice of the parameters"),
        (dict(schedule=lambda step: 1.0), "has no name"),
        (dict(schedule=jnp.zeros), "schedule 'zeros' cannot be used"),
        (dict(schedule=jnp.log), "schedule 'log' cannot be used: .*one finite number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_what_cannot_be_used_is_refused(fields, message):
    with pytest.raises(SpecError, match=message):
        jsuper.Sweep(**SMALL | fields).traced()


def test_factorizations_have_names_only():
    with pytest.raises(SpecError, match="optimizer=.* is not known"):
        jsuper.factorization.Sweep(optimizer=mine)
