"""The kernel's own source under emulation, against the plain steps."""

import emulated
import jax
import numpy as np
import pytest

import jsuper
from jsuper.core.grid import expand
from jsuper.engine import programs
from jsuper.models.toy import train as toy
from jsuper.models.toy.activations.names import ACTIVATIONS
from jsuper.models.toy.fields import SPARSITIES
from jsuper.models.toy.kernels import lanes, launching, segment
from jsuper.models.toy.kernels.slopes import NotCoveredError
from jsuper.models.toy.kernels.source import Kernel, most_models, source_of
from jsuper.training import keys
from jsuper.training.keys import seed_key

SEEDS, STEPS = 2, 4
SMALL = dict(n_features=5, n_hidden=2, batch_size=32, sparsity=(0.5, 0.9))


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch):
    monkeypatch.setattr(launching, "launch", emulated.launch)


def trained(steps=STEPS, plans=("kernel", "reference"), **given):
    """The states of a sweep at the start, and after some steps by each of the plans."""
    sweep = jsuper.Sweep(**{"sparsity": SPARSITIES, "seeds": SEEDS, "steps": 1000} | given)
    group = expand(sweep)[0]
    statics = [toy.make_static(group.static, [group.settings], plan) for plan in plans]
    points = [group.settings[max(i, ~i)] for i in toy.arrange(statics[0], group.settings)]
    settings = [
        jax.tree.map(lambda *a: np.stack(a), *(toy.make_setting(static, p) for p in points))
        for static in statics
    ]

    @jax.jit
    def states(settings):
        seeds = jax.vmap(seed_key)(np.arange(SEEDS, dtype=np.uint32))
        found = []
        for static, plan, own in zip(statics, plans, settings, strict=True):
            functions = programs.batched(toy.make_train(static, plan == "reference"), True)
            if not found:
                found.append(functions.init(own, seeds))
            found.append(functions.advance(found[0], own, seeds, np.int32(0), steps))
        return found

    return states(settings)


def agree(found, wanted):
    """Parameters to 1e-5 of the largest, moments to 1e-4 of theirs, whole numbers exactly."""
    largest = max(float(abs(a).max()) for a in (wanted.params.W, wanted.params.b))
    pairs = zip(*(segment.arrays_of(toy.core_of(s)) for s in (found, wanted)), strict=True)
    for i, (own, other) in enumerate(pairs):
        own, other = np.asarray(own), np.asarray(other)
        if other.dtype.kind == "f":
            atol = 1e-5 * largest if i < 2 else 1e-4 * abs(other).max()
            np.testing.assert_allclose(own, other, rtol=0, atol=atol)
        else:
            np.testing.assert_array_equal(own, other)


def test_a_grid_is_trained_as_by_the_plain_steps():
    start, found, wanted = trained(activation="relu")
    agree(found, wanted)
    assert float(abs(wanted.params.W - start.params.W).max()) > 1e-3


@pytest.mark.slow
def test_every_activation_is_trained_as_by_the_plain_steps():
    """In one program of a small grid: compilation would take most of the time."""
    start, found, wanted = trained(activation=tuple(ACTIVATIONS), **SMALL)
    agree(found, wanted)
    assert wanted.params.W.shape[1] == len(ACTIVATIONS) * len(SMALL["sparsity"])
    moved = abs(np.asarray(wanted.params.W - start.params.W)).max(axis=(0, 2, 3))
    assert (moved > 1e-3).all()


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(dict(n_features=5, n_hidden=2), marks=pytest.mark.slow),
        pytest.param(dict(n_features=2, n_hidden=1), marks=pytest.mark.slow),
        pytest.param(dict(n_features=7, n_hidden=3, batch_size=77), marks=pytest.mark.slow),
        pytest.param(dict(n_features=40, n_hidden=10, batch_size=128), marks=pytest.mark.slow),
        pytest.param(dict(n_features=10, n_hidden=5, batch_size=31), marks=pytest.mark.slow),
        pytest.param(
            dict(n_features=5, n_hidden=2, activation="softmax", batch_size=33),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_sizes_and_odd_batches(given):
    _, found, wanted = trained(**{"activation": "relu"} | given)
    agree(found, wanted)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(dict(values="signed"), marks=pytest.mark.slow),
        pytest.param(dict(support="sets(4, 0.8)"), marks=pytest.mark.slow),
        pytest.param(dict(schedule="cosine", learning_rate=(1e-3, 3e-3)), marks=pytest.mark.slow),
        pytest.param(dict(reduction="sum", bias=False), marks=pytest.mark.slow),
        pytest.param(dict(decay_on="W", weight_decay=0.1), marks=pytest.mark.slow),
        pytest.param(dict(support="shared", sparsity=(0.5, 0.9)), marks=pytest.mark.slow),
        pytest.param(dict(density_power=1.0, sparsity=0.9), marks=pytest.mark.slow),
        pytest.param(dict(dataset_size=100, sparsity=0.5), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_laws_and_trainings(given):
    _, found, wanted = trained(**{"activation": "relu", "batch_size": 64} | given)
    agree(found, wanted)


@pytest.mark.slow
def test_the_activations_of_a_seed_share_a_program_and_its_draws():
    sparsity = (0.0, 0.9, 0.999)
    _, found, wanted = trained(
        activation=("relu", "gelu", "softmax"), sparsity=sparsity, batch_size=64
    )
    agree(found, wanted)


@pytest.mark.slow
def test_a_diverging_model_is_frozen_at_the_same_step_and_no_other():
    _, found, wanted = trained(
        30, activation="exp", sparsity=(0.0, 0.99), learning_rate=(1e-3, 30.0)
    )
    bad = np.asarray(wanted.first_bad_step)
    assert (bad >= 0).any() and (bad < 0).any()
    np.testing.assert_array_equal(found.first_bad_step, bad)
    np.testing.assert_array_equal(found.opt_state[0].count, wanted.opt_state[0].count)


@pytest.mark.slow
def test_segments_end_where_the_steps_do():
    steps = 2 * segment.STEPS + 5
    _, found, wanted = trained(steps, activation="relu", **SMALL)
    agree(found, wanted)
    assert int(found.opt_state[0].count.max()) == steps


@pytest.mark.slow
def test_draws_that_need_too_much_memory_take_several_launches(monkeypatch):
    _, expected = trained(20, ["kernel"], activation="relu", **SMALL)
    monkeypatch.setattr(segment, "BYTES", 4 * 5 * 32 * SEEDS * 7)
    _, found = trained(20, ["kernel"], activation="relu", **SMALL)
    np.testing.assert_array_equal(found.params.W, expected.params.W)


@pytest.mark.parametrize("activation", ["relu", pytest.param("softmax", marks=pytest.mark.slow)])
def test_warps_may_run_in_any_order_between_barriers(activation):
    """The same bits: no warp reads what another one writes meanwhile."""
    kernel = Kernel(activation, 5, 2, 96, models=2)
    rng, seeds, steps, n, m, a = np.random.default_rng(0), 2, 3, 5, 2, 3
    active = np.sort(rng.integers(0, 97, (steps, seeds, a)), axis=-1).astype(np.int32)
    operands = [rng.random((steps, seeds, n, 96), np.float32), active]
    operands += [np.array([[0, 2], [1, -1]], np.int32), np.arange(a, dtype=np.int32)]
    operands += [np.array([7, steps, a, a, 2], np.int32), np.ones(steps, np.float32)]
    operands += [np.array([0.1, 0.4, 1.0], np.float32), np.full(a, 1e-2, np.float32)]
    operands += [np.full(a, 0.1, np.float32), np.ones((a, n), np.float32)]
    state = [0.3 * rng.normal(size=(seeds, a, m, n)), np.zeros((seeds, a, n))]
    state = [*state, np.zeros((seeds, a), np.int32), *(0 * s for s in (state[0], state[1]) * 2)]
    state = [s.astype(np.float32) if s.dtype.kind == "f" else s for s in state]
    state.append(np.full((seeds, a), -1, np.int32))
    runs = [emulated.run(source_of(kernel), (seeds, 2), operands, state, o) for o in (0, 1, 2, -1)]
    for run in runs[1:]:
        for own, first in zip(run, runs[0], strict=True):
            np.testing.assert_array_equal(own, first)
    assert (runs[0][2] == steps).all() and not np.array_equal(runs[0][0], state[0])


@pytest.mark.parametrize("n, m, expected", [(20, 5, 8), (40, 10, 2), (5, 2, 8)])
def test_models_of_a_block_fit_shared_memory(n, m, expected):
    assert most_models(n, m) == expected
    with pytest.raises(NotCoveredError, match="900 features and 40 hidden units"):
        most_models(900, 40)


@pytest.fixture
def on_a_tpu(monkeypatch):
    """Pallas interprets the kernel for TPUs."""
    monkeypatch.setattr(keys, "platform", lambda: "tpu")
    run = lanes.run
    monkeypatch.setattr(lanes, "run", lambda *a: run(*a, interpret=True))


@pytest.mark.parametrize(
    "given",
    [
        dict(activation=("relu", "softmax")),
        pytest.param(dict(activation="gelu", batch_size=24), marks=pytest.mark.slow),
        pytest.param(
            dict(activation="relu", values="signed", schedule="cosine"), marks=pytest.mark.slow
        ),
    ],
    ids=str,
)
def test_the_kernel_for_tpus_trains_as_the_plain_steps(given, on_a_tpu):
    _, found, wanted = trained(3, **SMALL | given)
    agree(found, wanted)


@pytest.mark.slow
def test_the_kernel_for_tpus_freezes_a_diverging_model_alone(on_a_tpu):
    given = dict(activation="exp", learning_rate=(1e-3, 30.0))
    _, found, wanted = trained(8, **SMALL | given)
    bad = np.asarray(wanted.first_bad_step)
    assert (bad >= 0).any() and (bad < 0).any()
    np.testing.assert_array_equal(found.first_bad_step, bad)
    np.testing.assert_array_equal(found.opt_state[0].count, wanted.opt_state[0].count)


def test_what_the_kernel_for_tpus_does_not_cover_is_said(on_a_tpu):
    group = expand(jsuper.Sweep(activation="relu", batch_size=33, steps=10))[0]
    static = toy.make_static(group.static, [group.settings], "kernel")
    assert "a batch size of 33" in toy.kernel_reason(static)
