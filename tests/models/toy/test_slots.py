"""A switch over activations whose places in a block are known."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jsuper
from jsuper.core.grid import expand
from jsuper.engine.blocks import split
from jsuper.engine.devices import Plan, chunks_of
from jsuper.models.toy.config import Static
from jsuper.models.toy.slots import layout_of, switch

STATIC = Static(("relu", "tanh"), at_once=True, rows=2, slots=(0, 0, 1))
BRANCHES = [lambda x, y: x + y, lambda x, y: x * y]
VMAPPED = Plan("cpu", (jax.devices("cpu")[0],), "vmapped")


def both_vmaps(static, activation, x, y):
    of_settings = jax.vmap(switch(static, BRANCHES), (0, 0, None))
    return jax.vmap(of_settings, (None, 0, 0))(activation, x, y)


def inputs(places):
    rng = np.random.default_rng(0)
    return rng.random((4, places), np.float32), rng.random(4, np.float32)


def test_each_branch_runs_for_its_own_models_alone():
    activation = jnp.array([0, 0, 1, 0, 0, 1])
    x, y = inputs(6)
    found = both_vmaps(STATIC, activation, x, y)
    expected = np.where(activation == 0, x + y[:, None], x * y[:, None])
    np.testing.assert_array_equal(found, expected)
    text = str(jax.make_jaxpr(lambda *a: both_vmaps(STATIC, *a))(activation, x, y))
    shapes = {kind: shape for shape, kind in re.findall(r"f32\[([\d,]+)\] = (add|mul)", text)}
    assert shapes == {"add": "4,2,2", "mul": "4,2,1"} and "cond" not in text


@pytest.mark.parametrize("static", [STATIC, dataclasses.replace(STATIC, at_once=False)])
def test_of_other_blocks_it_is_the_usual_switch(static):
    activation = jnp.array([1, 0, 1, 1])
    x, y = inputs(4)
    expected = np.where(activation == 0, x + y[:, None], x * y[:, None])
    np.testing.assert_array_equal(both_vmaps(static, activation, x, y), expected)
    assert static.at_once is False or layout_of(static, 4) is None


def test_one_model_takes_its_branch():
    assert switch(STATIC, BRANCHES)(jnp.int32(1), 2.0, 5.0) == 10


def blocks_of(keep=slice(None), **given):
    sweep = jsuper.Sweep(**dict(steps=2, seeds=1, n_features=6, n_hidden=2, batch_size=8) | given)
    (chunk,) = chunks_of(VMAPPED, sweep, expand(sweep))
    chunks = [dataclasses.replace(chunk, settings=chunk.settings[keep])]
    return split(VMAPPED, chunks, chunks)


def test_activations_share_a_program_where_they_share_rows():
    grid = dict(activation=("relu", "tanh"), sparsity=(0.5, 0.7, 0.9))
    (block,) = blocks_of(**grid)
    assert block.static.slots == (0, 1) and block.static.activations == ("relu", "tanh")
    alone = blocks_of(slice(2, 4), **grid)  # relu at .9, tanh at .5
    assert [b.static.activations for b in alone] == [("relu",), ("tanh",)]


def test_random_gated_and_coupled_activations_have_programs_of_their_kind():
    found = blocks_of(activation=("relu", "gelu_stochastic", "tanh"), sparsity=(0.5, 0.9))
    assert {b.static.activations for b in found} == {("relu", "tanh"), ("gelu_stochastic",)}
