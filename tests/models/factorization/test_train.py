"""Factorizations: losses, gradients and training against NumPy, closed forms and themselves."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import python, slow
from scipy.special import log_softmax, rel_entr, softmax

import jsuper
from jsuper.analysis.lowrank import exact, riccati
from jsuper.core.errors import SpecError
from jsuper.engine.devices import make_plan
from jsuper.factorization import Sweep
from jsuper.models.factorization import model, train
from jsuper.models.factorization.model import Params
from jsuper.models.factorization.train import Static
from jsuper.training import keys

RNG = np.random.default_rng(0)
SMALL = Static(rank=2, pairs=3, size=12, steps=40, records=8)


@pytest.fixture(autouse=True)
def double():
    """Closed forms are checked in float64; the engine chooses for itself."""
    with jax.enable_x64(True):
        yield


def random_params(K=3, d=6, scale=1.0):
    return Params(*(jnp.asarray(scale * RNG.normal(size=(K, d))) for _ in range(2)))


def target_of(probabilities=None, rank=2, d=6, strengths=(2.0, 1.0), kind="orthonormal"):
    key = keys.stream(jsuper.seed_key(3), keys.TARGET)
    return model.make_target(
        key, rank, d, np.array(strengths), kind, probabilities, dtype="float64"
    )


def matrix_of(target):
    return np.asarray((target.strengths[:, None] * target.U).T @ target.V)


# ---- losses and gradients ----


def test_the_squared_loss_is_half_the_sum_of_squares():
    params, target = random_params(), target_of()
    Z = np.asarray(params.A).T @ np.asarray(params.B)
    assert np.asarray(model.product(params)) == pytest.approx(Z)
    expected = ((matrix_of(target) - Z) ** 2).sum() / 2
    assert float(model.squared_loss(params, target)) == pytest.approx(expected)
    zero = Params(jnp.zeros((1, 6)), jnp.zeros((1, 6)))
    assert float(model.squared_loss(zero, target)) == pytest.approx((2**2 + 1**2) / 2)


@pytest.mark.parametrize("probabilities", [None, "softmax", "itself"])
@pytest.mark.parametrize("K", [1, 3, 9])
def test_gradients_are_those_of_the_losses(probabilities, K):
    params = random_params(K)
    mixture = {"kind": "mixture", "strengths": (0.7, 0.3)} if probabilities == "itself" else {}
    target = target_of(probabilities, **mixture)
    logits = 1 if probabilities is None else 6 * 6
    expected = jax.jit(jax.grad(lambda p: logits * model.loss(p, target)))(params)
    found = jax.jit(model.gradient)(params, target)
    assert np.asarray(found.A) == pytest.approx(np.asarray(expected.A), rel=1e-9, abs=1e-11)
    assert np.asarray(found.B) == pytest.approx(np.asarray(expected.B), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 300.0])
def test_kl_is_the_relative_entropy(scale):
    C, Z = (scale * RNG.normal(size=(5, 5)) for _ in range(2))
    P, Q = softmax(C), softmax(Z)
    expected = rel_entr(P, Q).sum() if scale < 100 else (P * (C - Z)).sum()  # Q is 0 in places
    if scale >= 100:
        expected = (P * (log_softmax(C) - log_softmax(Z))).sum()
    found = model.kl(jnp.asarray(Z), jnp.asarray(C))
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1.0])
def test_kl_is_exact_near_its_floor_in_single_precision(scale):
    """Half the variance of the log-ratio under P, where a difference of entropies has no digit."""
    C = scale * RNG.normal(size=(50, 50))
    step = 1e-4 * scale * RNG.normal(size=(50, 50))
    C, Z = C.astype(np.float32), (C + step).astype(np.float32)
    step, P = Z.astype(float) - C, softmax(C.astype(float))
    expected = ((step - (P * step).sum()) ** 2 * P).sum() / 2
    found = model.kl(jnp.asarray(Z), jnp.asarray(C))
    assert found.dtype == np.float32
    assert float(found) == pytest.approx(expected, rel=1e-4)
    assert float(model.kl(jnp.asarray(C), jnp.asarray(C))) < 1e-13 * scale**2
    assert float(model.kl(jnp.asarray(C) + 1, jnp.asarray(C))) < 1e-12


def test_impossible_entries_cost_what_is_put_on_them():
    P = np.array([[0.5, 0.0], [0.25, 0.25]])
    Z = RNG.normal(size=(2, 2))
    log_p = model.log_distribution(P)
    assert float(model.kl(jnp.asarray(Z), log_p)) == pytest.approx(rel_entr(P, softmax(Z)).sum())
    far = np.array([[0.0, 90.0], [0.0, 0.0]])
    expected = 90 + np.log(0.5) * 0.5 + np.log(0.25) * 0.5
    assert float(model.kl(jnp.asarray(far), log_p)) == pytest.approx(expected)


@pytest.mark.parametrize(
    "C", [-np.eye(2), np.full((2, 2), 0.3), np.full((2, 2), np.nan), np.full((2, 2), np.inf)]
)
def test_what_is_no_distribution_is_refused(C):
    with pytest.raises(ValueError, match="C is not a distribution: its entries lie between"):
        model.log_distribution(C)


# ---- targets and starts ----


def test_the_target_has_the_strengths_asked_for():
    target = target_of(rank=3, d=7, strengths=(3.0, 2.0, 0.5))
    assert np.linalg.svd(matrix_of(target))[1][:4] == pytest.approx([3, 2, 0.5, 0], abs=1e-12)
    for basis in (target.U, target.V):
        assert np.asarray(basis @ basis.T) == pytest.approx(np.eye(3), abs=1e-12)
    fewer = target_of(rank=2, d=7)
    assert np.asarray(fewer.U) == pytest.approx(np.asarray(target.U)[:2])
    log_p = np.asarray(target_of("softmax").log_p)
    assert log_softmax(log_p) == pytest.approx(log_softmax(matrix_of(target_of())))


def test_a_mixture_is_a_distribution_and_its_pairs_are_singular():
    strengths = (0.7, 0.3)
    plain = target_of(kind="mixture", strengths=strengths)
    C = matrix_of(plain)
    assert (C > 0).all() and C.sum() == pytest.approx(1)
    assert np.linalg.matrix_rank(C, tol=1e-12) == 2
    itself = target_of("itself", kind="mixture", strengths=strengths)
    assert softmax(np.asarray(itself.log_p)) == pytest.approx(C)
    log_p = np.log(C)
    values = np.linalg.svd(log_p - log_p.mean())[1]
    assert np.asarray(itself.strengths) == pytest.approx(values[:2])


@pytest.mark.parametrize(("K", "d"), [slow(3, 8), slow(8, 8), (11, 8), (1, 1)])
def test_a_balanced_start_is_balanced(K, d):
    key = keys.stream(jsuper.seed_key(5), keys.INIT)
    params = model.init_params(key, K, d, 0.1, "balanced", "float64")
    A, B = (np.asarray(side).T for side in (params.A, params.B))
    assert riccati.invariant(A, B) == pytest.approx(np.zeros((K, K)), abs=1e-15)
    assert K == 1 or not np.allclose(A, B)
    assert np.abs(A).max() < 1


def test_starts_have_the_scale_and_do_not_depend_on_the_number_of_pairs():
    key = keys.stream(jsuper.seed_key(5), keys.INIT)
    many = model.init_params(key, 40, 200, 0.3)
    few = model.init_params(key, 2, 200, 0.3)
    for side, other in ((many.A, few.A), (many.B, few.B)):
        assert float(side.std()) == pytest.approx(0.3, rel=0.03)
        assert (np.asarray(side)[:2] == np.asarray(other)).all()
    assert abs(float((many.A * many.B).mean())) < 0.01


def test_what_is_recorded_is_what_numpy_finds():
    params, target = random_params(4, 9), target_of(d=9)
    Z = np.asarray(model.product(params))
    U, V = np.asarray(target.U), np.asarray(target.V)
    aligned = np.asarray(model.alignment(params, target))
    assert aligned.shape == (2, 4)
    assert aligned.sum(axis=1) == pytest.approx(np.diag(U @ Z @ V.T))
    assert aligned[1, 2] == pytest.approx((U[1] @ params.A[2]) * (V[1] @ params.B[2]))
    inside, outside = model.norms(params.A, target.U)
    projector = U.T @ U
    assert float(inside) == pytest.approx(((params.A @ projector) ** 2).sum())
    assert float(outside) == pytest.approx(((params.A @ (np.eye(9) - projector)) ** 2).sum())
    singular = np.linalg.svd(Z)[1][:4]
    assert np.asarray(model.singular_values(params)) == pytest.approx(singular)


TWO_WORKERS = """
import threading
import jax, numpy as np
from jsuper.models.factorization import model

def values(A, B):
    return model.singular_values(model.Params(A, B))

x = np.random.default_rng(0).normal(size=(200, 8, 100)).astype(np.float32)
program = jax.jit(jax.vmap(values)).lower(x, x).compile()
work = [threading.Thread(target=lambda: [jax.block_until_ready(program(x, x)) for _ in range(300)])
        for _ in range(2)]
[w.start() for w in work]
[w.join() for w in work]
"""


@pytest.mark.slow
def test_factorizations_of_two_workers_do_not_wait_for_each_other():
    """Batches of LAPACK calls did, without end, on jax 0.10 with as many threads as cores."""
    code, said = python(TWO_WORKERS)
    assert code == 0, said


# ---- training ----


@functools.cache
def compiled(static):
    """The whole training and the start alone, compiled once for all settings."""
    return jax.jit(train.make_train(static)), jax.jit(train.make_init(static))


def run(static, seed=0, **point):
    setting = train.make_setting(static, point)
    result = compiled(static)[0](setting, jsuper.seed_key(seed))
    return {k: np.asarray(v) for k, v in result.items()}


def start_of(static, seed=0, **point):
    state = compiled(static)[1](train.make_setting(static, point), jsuper.seed_key(seed))
    return np.asarray(state.params.A), np.asarray(state.params.B), state.target


def numpy_training(static, point, seed):
    """Plain loops with the dense residual, float64: every optimizer by its textbook formula."""
    A, B, target = start_of(static, seed, **point)
    theta = [A, B]
    rate, decay, C = point["learning_rate"], point["weight_decay"], matrix_of(target)
    first, second = ([np.zeros_like(t) for t in theta] for _ in range(2))
    losses = []
    for step in range(static.steps):
        A, B = theta
        gap = A.T @ B - C
        losses.append((gap**2).sum() / 2)
        for i, g in enumerate((B @ gap.T, A @ gap)):
            coupled = g if static.optimizer in ("sgdw", "adamw") else g + decay * theta[i]
            if static.optimizer.startswith("sgd"):
                first[i] = static.momentum * first[i] + coupled
                update = first[i]
            else:
                first[i] = 0.9 * first[i] + 0.1 * coupled
                second[i] = 0.999 * second[i] + 0.001 * coupled**2
                unbiased = np.sqrt(second[i] / (1 - 0.999 ** (step + 1)))
                update = first[i] / (1 - 0.9 ** (step + 1)) / (unbiased + 1e-8)
            update = update + (decay * theta[i] if static.optimizer in ("sgdw", "adamw") else 0)
            theta[i] = theta[i] - rate * update
    return *theta, losses


@pytest.mark.parametrize("optimizer", ["adamw", *map(slow, ("sgd", "sgdw", "adam"))])
def test_training_is_that_of_plain_numpy(optimizer):
    momentum = 0.5 if optimizer.startswith("sgd") else 0.0
    static = dataclasses.replace(SMALL, optimizer=optimizer, dtype="float64", momentum=momentum)
    point = {"learning_rate": 0.05, "weight_decay": 0.1, "strength": 1.5, "strength_ratio": 0.5}
    found = run(static, 4, **point)
    A, B, losses = numpy_training(static, point, 4)
    assert found["A"] == pytest.approx(A, rel=1e-9, abs=1e-11)
    assert found["B"] == pytest.approx(B, rel=1e-9, abs=1e-11)
    assert static.recorded.tolist() == [0, 5, 10, 15, 20, 25, 30, 35, 40]
    assert found["loss_curve"][:-1] == pytest.approx(losses[::5], rel=1e-9)
    assert found["loss_curve"][-1] == found["loss"]
    assert found["time"] == pytest.approx(static.recorded * 0.05 / (1 - momentum))
    assert found["strengths"] == pytest.approx([1.5, 0.75])
    assert found["alignment"].shape == (2, 3, 9)


FLOW = Static(size=10, dtype="float64", steps=1200, records=12)
RATES = (0.01, 0.005)


def ratio_of_errors(found, flow):
    """Largest distance from the flow at times 1 to 6 at the first rate, over that at half of it."""
    errors = [np.abs(f - flow(t))[np.isin(t.round(6), range(7))].max() for f, t in found]
    assert 1e-6 < errors[1] < 0.02
    return errors[0] / errors[1]


@pytest.mark.parametrize(("rank", "pairs"), [(3, 2), slow(1, 1), slow(2, 4)])
def test_training_converges_to_the_balanced_flow_at_first_order(rank, pairs):
    static = dataclasses.replace(FLOW, rank=rank, pairs=pairs, init="balanced")
    point = {"init_scale": 0.2, "strength_ratio": 0.6}
    A, B, target = start_of(static, 1, **point)
    found = [run(static, 1, learning_rate=rate, **point) for rate in RATES]

    def flow(times):
        return riccati.balanced_flow(times, A.T, B.T, matrix_of(target)).loss

    ratio = ratio_of_errors([(f["loss_curve"], f["time"]) for f in found], flow)
    assert ratio == pytest.approx(2, rel=0.1)


@pytest.mark.slow
def test_training_one_pair_from_any_start_converges_to_its_flow_with_decay():
    point = {"init_scale": 0.3, "weight_decay": 0.2, "strength": 1.3}
    A, B, target = start_of(FLOW, 2, **point)
    u, v = np.asarray(target.U)[0], np.asarray(target.V)[0]
    alpha, beta = A[0] @ u, B[0] @ v
    rho = A[0] @ A[0] - alpha**2, B[0] @ B[0] - beta**2

    def flow(times):
        return exact.rank_one_flow(times, alpha, beta, *rho, 1.3, 0.2)

    found = [run(FLOW, 2, learning_rate=rate, **point) for rate in RATES]
    aligned = [(f["alignment"][0, 0], f["time"]) for f in found]
    ratio = ratio_of_errors(aligned, lambda t: flow(t).alpha * flow(t).beta)
    assert ratio == pytest.approx(2, rel=0.1)
    for side, name in enumerate(("rho_a", "rho_b")):
        outside = [(f["norm_outside"][side], f["time"]) for f in found]
        ratio = ratio_of_errors(outside, lambda t, name=name: getattr(flow(t), name))
        assert ratio == pytest.approx(2, rel=0.1)


@pytest.mark.slow
def test_the_difference_of_gram_matrices_is_conserved_and_decays_with_decay():
    static = dataclasses.replace(FLOW, pairs=2, steps=6000, records=2)
    for decay in (0.0, 0.3):
        point = {"learning_rate": 1e-3, "init_scale": 0.3, "weight_decay": decay}
        A, B, _ = start_of(static, 6, **point)
        found = run(static, 6, **point)
        expected = riccati.invariant_at(np.array([6.0]), A.T, B.T, decay)[0]
        after = riccati.invariant(found["A"].T, found["B"].T)
        size = np.abs(riccati.invariant(A.T, B.T)).max()
        assert after == pytest.approx(expected, abs=3e-3 * size)


def test_stretching_time_and_target_changes_nothing_else():
    """C → cC, W → √c W, rate → rate/c is a symmetry of plain descent on the squared error."""
    static = dataclasses.replace(SMALL, dtype="float64")
    one = run(static, init_scale=0.1, learning_rate=0.1)
    other = run(static, init_scale=0.5, learning_rate=0.1 / 25, strength=25.0)
    assert other["alignment"] == pytest.approx(25 * one["alignment"])
    assert other["loss_over_zero"] == pytest.approx(one["loss_over_zero"])


@pytest.mark.slow
def test_cross_entropy_at_small_logits_is_the_squared_error_in_rescaled_time():
    static = Static(rank=2, pairs=2, size=40, steps=200, records=10, dtype="float64")
    both = [
        run(dataclasses.replace(static, objective=o), learning_rate=0.05, init_scale=0.1)
        for o in ("squared", "cross_entropy")
    ]
    squared, entropy = (b["alignment"].sum(axis=1) for b in both)
    assert squared[:, -1].max() > 0.8
    assert entropy == pytest.approx(squared, abs=0.03)
    shares = [b["loss_curve"] / b["zero_loss"] for b in both]
    assert shares[1] == pytest.approx(shares[0], abs=0.08)
    assert both[1]["zero_loss"] == pytest.approx(both[0]["zero_loss"] / 40**2, rel=0.1)


@pytest.mark.parametrize("probabilities", [slow("softmax"), "itself"])
def test_cross_entropy_learns_its_distribution(probabilities):
    static = Static(
        rank=2,
        pairs=3,
        size=6,
        steps=3000,
        objective="cross_entropy",
        optimizer="adam",
        probabilities=probabilities,
        target="mixture" if probabilities == "itself" else "orthonormal",
        records=2,
    )
    strength = {} if probabilities == "itself" else {"strength": 6.0}
    found = run(static, learning_rate=0.01, **strength)
    assert found["loss_curve"][0] > 0.05
    assert found["loss_over_zero"] < (1e-5 if probabilities == "softmax" else 0.05)


def test_log_spaced_records_begin_densely_and_end_with_the_last_step():
    static = Static(steps=1000, records=20, spacing="log", size=5)
    steps = static.recorded.tolist()
    assert steps[:3] == [0, 1, 2] and steps[-1] == 1000 and len(steps) <= 21
    assert steps == sorted(set(steps))
    assert np.isfinite(run(static)["loss_curve"]).all()


# ---- the sweep ----

TINY = {"size": 12, "steps": 60, "records": 6, "seeds": 3}


@pytest.mark.slow
def test_every_plan_gives_the_same_models():
    sweep = Sweep(rank=2, pairs=(2, 3), learning_rate=(0.01, 0.1), **TINY)
    reference = jsuper.run(sweep, progress=False)
    assert reference.alignment.dims[-3:] == ("component", "pair", "step")
    assert np.isnan(reference.A.sel(pairs=2).isel(pair=2)).all()
    ds = jsuper.run(sweep, plan=make_plan("cpu", batching="vmapped"), progress=False)
    for name in ("A", "alignment", "loss_curve", "singular_values"):
        expected = reference[name].values
        assert ds[name].values == pytest.approx(expected, rel=1e-4, abs=1e-5, nan_ok=True)


@pytest.mark.filterwarnings("ignore:learning rate times strength is 50:UserWarning")
@pytest.mark.filterwarnings("ignore:.* models are not finite:RuntimeWarning")
@pytest.mark.slow
def test_a_sweep_is_stored_extended_and_a_diverged_model_spoils_no_other(tmp_path):
    sweep = Sweep(pairs=2, learning_rate=(0.01, 50.0), **TINY)
    ds = jsuper.run(sweep, out=tmp_path / "run", progress=False)
    assert jsuper.load(tmp_path / "run").drop_attrs().identical(ds.drop_attrs())
    bad = ds.sel(learning_rate=50.0)
    assert (bad.status == 2).all() and (bad.first_bad_step > 0).all()
    assert np.isnan(bad.loss).all() and np.isfinite(bad.A).all()
    assert np.isnan(bad.loss_curve.isel(step=-1)).all()
    more = dataclasses.replace(sweep, rank=(1, 2), learning_rate=0.01)
    both = jsuper.run(more, out=tmp_path / "other", progress=False)
    fine = ds.sel(learning_rate=0.01, rank=1)
    assert both.A.sel(rank=1).values == pytest.approx(fine.A.values, rel=1e-6)
    assert float(both.alignment.sel(rank=1).isel(component=1).count()) == 0


@pytest.mark.parametrize(
    ("size", "rank", "pairs", "objective"),
    [(1, 1, 1, "squared"), slow(3, 3, 5, "squared"), (1, 1, 2, "cross_entropy")],
)
def test_the_smallest_sizes_train(size, rank, pairs, objective):
    static = Static(size=size, rank=rank, pairs=pairs, objective=objective, steps=9)
    found = run(static)
    assert found["status"] == 1 and np.isfinite(found["loss"])
    assert found["singular_values"].shape == (min(pairs, size), 10)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rank": 0}, "rank=0 is not >= 1"),
        ({"pairs": 0}, "pairs=0 is not >= 1"),
        ({"rank": (2, 9), "size": 5}, "rank=9 is above size=5: a matrix of 5 x 5 has rank 5"),
        ({"objective": "cross_entropi"}, "did you mean 'cross_entropy'"),
        ({"objective": "cross_entropy", "probabilities": "itself"}, "entries below zero; use"),
        (
            {
                "objective": "cross_entropy",
                "probabilities": "itself",
                "target": "mixture",
                "strength": (1, 2),
            },
            "needs strength=1, at which a mixture's entries sum to 1, not 1, 2",
        ),
        ({"probabilities": "itself", "target": "mixture"}, "needs objective=cross_entropy"),
        ({"strength": 0}, "strength=0 is not a finite number > 0"),
        ({"strength_ratio": 1.5}, r"strength_ratio=1.5 is not in \(0, 1\]: 1 makes all equal"),
        ({"optimizer": "adm"}, "did you mean 'adam'"),
    ],
)
def test_bad_input_is_refused(fields, words):
    with pytest.raises(SpecError, match=words):
        Sweep(**fields)


def test_notes_say_what_is_out_of_reach_or_no_flow():
    assert Sweep(rank=(1, 3), pairs=(1, 2)).notes() == [
        "pairs=1 < rank=3: the target is out of reach",
        "pairs=2 < rank=3: the target is out of reach",
    ]
    assert "learning rate times strength is 5" in Sweep(strength=1000.0).notes()[0]
    assert Sweep(optimizer="sgd(0.001)", strength=100.0).notes() == []
    assert Sweep(optimizer="adam", strength=1000.0).notes() == []


@pytest.mark.slow
def test_a_target_that_is_learned_from_the_start_has_no_measures_and_spoils_none():
    """A distribution over one entry is 1: the loss of Z = 0 is 0."""
    sweep = Sweep(size=(1, 6), objective="cross_entropy", steps=20, seeds=2)
    ds = jsuper.analyze(jsuper.run(sweep)).squeeze(["rank", "pairs"])
    assert (ds["status"] == 1).all()
    assert np.isnan(ds["bumps"].sel(size=1)).all() and np.isfinite(ds["bumps"].sel(size=6)).all()


@pytest.mark.slow
def test_half_of_a_loss_is_not_reached_by_rounding():
    """One pair learns one of two equal components: the loss ends at exactly half."""
    sweep = Sweep(rank=2, pairs=1, size=8, steps=2000, learning_rate=0.02, seeds=4)
    with pytest.warns(UserWarning, match="pairs=1 < rank=2: the target is out of reach"):
        ds = jsuper.analyze(jsuper.run(sweep))
    assert np.asarray(ds["loss_over_zero"]) == pytest.approx(0.5, abs=1e-4)
    assert np.isinf(ds["loss_half_time"]).all()


def test_the_target_of_a_seed_is_that_of_its_models():
    ds = jsuper.run(Sweep(rank=2, pairs=3, size=8, steps=5, seeds=2, strength_ratio=0.5))
    target = train.target_of(1, Static(rank=2, size=8, dtype="float32"), strength_ratio=0.5)
    one = ds.isel(rank=0, pairs=0, seed=1)
    aligned = (target.U @ one["A"].values.T) * (target.V @ one["B"].values.T)
    assert one["alignment"].values[..., -1] == pytest.approx(aligned, abs=1e-6)
    assert one["strengths"].values == pytest.approx(target.strengths)
