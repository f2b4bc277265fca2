"""Whatever the user set in `jax.config`: the same numbers, or one line that names the option."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import REPO

import jsuper
from jsuper.analysis import kurtosis, superposition
from jsuper.cli import process, sweeping
from jsuper.core.errors import SpecError
from jsuper.engine.devices import make_plan
from jsuper.models.toy.widths import couples_batch
from jsuper.training import jax_config, keys

# Shielded option -> a value that changes numbers, raises or ends the process without the shield.
HARMFUL = {
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_allow_f16_reductions": False,
    "jax_legacy_prng_key": "error",
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_debug_key_reuse": True,
    "jax_disable_jit": True,
    "jax_enable_checks": True,
    "jax_check_tracer_leaks": True,
    "jax_check_static_indices": True,
    "jax_error_checking_behavior_divide": "raise",
    "jax_error_checking_behavior_nan": "raise",
    "jax_error_checking_behavior_oob": "raise",
    "jax_no_tracing": True,
    "jax_no_execution": True,
    "jax_transfer_guard": "disallow_explicit",
    "jax_transfer_guard_device_to_device": "disallow_explicit",
    "jax_transfer_guard_device_to_host": "disallow_explicit",
    "jax_transfer_guard_host_to_device": "disallow_explicit",
    "jax_array_garbage_collection_guard": "fatal",
    "jax_scan3": True,
    "jax_random_seed_offset": 5,
    "jax_default_prng_impl": "rbg",
    "jax_enable_custom_prng": True,
    "jax_threefry_partitionable": False,
    "jax_threefry_gpu_kernel_lowering": True,
    "jax_accurate_erf_inv": True,
    "jax_high_dynamic_range_gumbel": True,
    "jax_default_matmul_precision": "bfloat16",
    "jax_softmax_custom_jvp": True,
    "jax_use_hlo_logistic_lowering": True,
    "jax_optimization_level": "O0",
    "jax_exec_time_optimization_effort": -1.0,
    "jax_memory_fitting_level": "O0",
    "jax_memory_fitting_effort": -1.0,
    "jax_compiler_enable_remat_pass": False,
    "jax_enable_pgle": True,
    "jax_raise_persistent_cache_errors": True,
}
# Of the options without effect, those that reach programs or their compilation on a CPU.
TRANSITIONS = {
    "eager_constant_folding": True,
    "jax_custom_vjp3": True,
    "jax_disable_bwd_checks": True,
    "jax_embedded_constants_max_bytes": 0,
    "jax_explicit_x64_dtypes": "allow",
    "jax_explain_cache_misses": True,
    "jax_include_full_tracebacks_in_locations": False,
    "jax_log_compiles": True,
    "jax_mutable_array_checks": False,
    "jax_remat3": True,
    "jax_send_traceback_to_runtime": "full",
    "jax_use_shardy_partitioner": False,
    "jax_use_simplified_jaxpr_constants": True,
    "jax_cpu_enable_async_dispatch": False,
    "jax_num_cpu_devices": 2,
}
SWEEP = dict(activation="softmax", sparsity=0.9, dropout=0.1, n_features=6, n_hidden=4)
SWEEP |= dict(seeds=2, steps=30, batch_size=64)
NOTEBOOK = """
import sys, jax, numpy as np
for option, value in OPTIONS.items():
    jax.config.update(option, value)
import jsuper
from jsuper.training.jax_config import shielded
ds = jsuper.analyze(jsuper.run(jsuper.Sweep(**SWEEP), progress=False, workers=1))
names = ("W", "b", "loss", "loss_curve", "feature_error", "basis_kurtosis_rotated")
found = {k: ds[k].values for k in names}
x = jsuper.sample(jsuper.seed_key(7), sparsity=0.9, n_features=6, batch=5)
one = ds.squeeze().isel(seed=0)
x_hat = jsuper.forward(one.W.values, one.b.values, "softmax", x)
with shielded():  # a transfer guard also guards the copies of this script
    found |= {"x": np.asarray(x), "x_hat": np.asarray(x_hat)}
np.savez(sys.argv[1], **found)
"""


def restored(options):
    """Set options for the test; give back how to undo it."""
    before = jax.config.values
    for option, value in options.items():
        jax.config.update(option, value)
    return lambda: [jax.config.update(option, before[option]) for option in options]


def known(table):
    """The entries of a table whose options the installed version has."""
    return {option: value for option, value in table.items() if option in jax.config.values}


# ------------------------------------------------------------------------------------- the tables


def tables():
    yield from jax_config.SHIELDED
    yield from jax_config.REFUSED
    for table in (jax_config.USED, jax_config.HARMLESS):
        for options in table.values():
            yield from options


@pytest.mark.parametrize("option", sorted(jax.config.values))
def test_every_option_of_jax_is_in_one_table(option):
    count = list(tables()).count(option)
    assert count == 1, (
        f"{option} is in {count} tables: say in jsuper/training/jax_config.py what it does"
    )


def test_every_shielded_option_has_a_harmful_value():
    assert HARMFUL.keys() == jax_config.SHIELDED.keys()


def test_options_of_other_versions_are_tolerated(monkeypatch):
    monkeypatch.setitem(jax_config.SHIELDED, "jax_option_of_another_version", True)
    monkeypatch.setitem(jax_config.REFUSED, "jax_another_one", (True, "it is bad"))
    jax_config.check()
    with jax_config.shielded():
        assert keys.seed_key(0).shape == ()


# ------------------------------------------------------------------------------- shielded options


def small_programs(W, b, x):
    """What the user can call that draws, computes or tries a function out."""
    return {
        "key": jsuper.seed_key(7),
        "unpaired": keys.unpaired_key(7, {"a": 1}),
        "x": jsuper.sample(jsuper.seed_key(7), sparsity=0.9, n_features=4, batch=5),
        "x_hat": jsuper.forward(W, b, "sigmoid", x),
        "dimensionality": superposition.dimensionality(W),
        "kurtosis": kurtosis.basis_kurtosis(W).value,
        "couples": couples_batch(lambda z: z - z.mean(axis=1, keepdims=True)),
    }


def numbers(found):
    """As NumPy arrays."""
    return {
        k: np.asarray(jax.random.key_data(v) if k in ("key", "unpaired") else v)
        for k, v in found.items()
    }


@pytest.fixture(scope="module")
def inputs():
    return jnp.linspace(-1, 1, 8).reshape(2, 4), jnp.linspace(0, 1, 4), jnp.linspace(0, 1, 4)


@pytest.fixture(scope="module")
def expected(inputs):
    return numbers(small_programs(*inputs))


@pytest.mark.parametrize("option", HARMFUL)
def test_a_shielded_option_changes_nothing(option, inputs, expected):
    if option not in jax.config.values:
        pytest.skip(f"JAX {jax.__version__} has no {option}")
    undo = restored({option: HARMFUL[option]})
    try:
        jax_config.check()
        found = small_programs(*inputs)
        with jax_config.shielded():
            assert getattr(jax.config, option) in (jax_config.SHIELDED[option], None)
    finally:
        undo()
    assert {k: v.tolist() for k, v in numbers(found).items()} == {
        k: v.tolist() for k, v in expected.items()
    }


def test_the_shield_is_of_this_thread_and_ends():
    undo = restored({"jax_random_seed_offset": 5})
    try:
        with jax.numpy_rank_promotion("raise"):
            with jax_config.shielded():
                assert jax.config.jax_numpy_rank_promotion == "allow"
            assert jax.config.jax_numpy_rank_promotion == "raise"
        assert jax.config.jax_random_seed_offset == 5
    finally:
        undo()


def ended(*command, **variables):
    """A process that ends well; what it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """A function: the arrays of NOTEBOOK, run in a process with options."""
    folder = tmp_path_factory.mktemp("notebook")

    def run(name, options):
        head = f"OPTIONS, SWEEP = {known(options)!r}, {SWEEP!r}\n"
        ended("-c", head + NOTEBOOK, folder / f"{name}.npz")
        with np.load(folder / f"{name}.npz") as arrays:
            return dict(arrays)

    return run


@pytest.fixture(scope="module")
def default(notebook):
    return notebook("default", {})


@pytest.mark.slow
def test_all_shielded_options_at_once_leave_a_notebook_as_it_is(notebook, default):
    found = notebook("harmful", HARMFUL)
    assert found.keys() == default.keys()
    for name, value in default.items():
        assert np.array_equal(found[name], value, equal_nan=True), name


@pytest.mark.slow
def test_options_without_effect_change_rounding_alone(notebook, default):
    found = notebook("transitions", TRANSITIONS)
    for name, value in default.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_all_shielded_options_at_once_leave_the_command_and_its_page_as_they_are(tmp_path, default):
    variables = {option.upper(): str(value) for option, value in HARMFUL.items()}
    flags = (
        "--activation softmax --sparsity 0.9 --dropout 0.1 --n-features 6 --n-hidden 4 --seeds 2"
    )
    flags += " --steps 30 --batch-size 64 --workers 1 --platform cpu"
    script = REPO / "scripts" / "sweep.py"
    output = ended(script, *flags.split(), "--out", tmp_path / "run", **variables)
    assert "report.html" in output and (tmp_path / "run" / "report.html").exists()
    ds = jsuper.load(tmp_path / "run")
    for name in ("W", "b", "loss", "loss_curve"):
        assert np.array_equal(ds[name].values.squeeze(), default[name].squeeze()), name


# -------------------------------------------------------------------------------- refused options


@pytest.mark.parametrize("option", jax_config.REFUSED)
def test_what_cannot_be_shielded_is_refused_by_name(option, tmp_path, capsys):
    wanted, _ = jax_config.REFUSED[option]
    undo = restored({option: not wanted})
    try:
        with pytest.raises(SpecError, match=f"{option}={not wanted}.*{option.upper()}"):
            make_plan("cpu")
        assert sweeping.sweep(["--seeds", "1", "--out", str(tmp_path / "run")]) == process.BAD_INPUT
        assert not (tmp_path / "run").exists()
        error = capsys.readouterr().err.splitlines()
        assert error[-1].startswith(f"error: jax.config.{option}=") and len(error) <= 2
    finally:
        undo()


def test_an_option_that_this_jax_cannot_set_for_a_thread_is_refused(monkeypatch):
    undo = restored({"jax_random_seed_offset": 5})
    try:
        jax_config.check()
        monkeypatch.setattr(jax_config, "_context", lambda option: None)
        with pytest.raises(SpecError, match="jax_random_seed_offset=5.*cannot set it"):
            jax_config.check()
    finally:
        undo()


ABSENT = {
    "JAX_PLATFORMS": ("cuda", "tpu", "nonsense"),
    "JAX_PLATFORM_NAME": ("gpu",),
}
NO_DEVICE = """
import sys
from jsuper.cli import sweeping, process
flags = ["--seeds", "1", "--out", sys.argv[1], "--no-report"]
codes = [sweeping.sweep(flags), sweeping.sweep([*flags, "--platform", "gpu"])]
sys.exit(codes != [2] * len(codes))
"""


@pytest.mark.parametrize(
    ("variable", "value"), [(k, v) for k, values in ABSENT.items() for v in values]
)
def test_devices_that_are_absent_are_named(variable, value, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "JAX_PLATFORMS"}
    done = subprocess.run(
        [sys.executable, "-c", NO_DEVICE, str(tmp_path / "run")],
        env=environment | {variable: value},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    errors = [e for e in done.stderr.splitlines() if e.startswith("error: ")]
    assert len(errors) == 2 and "Traceback" not in done.stderr
    assert f"{variable}={value!r} cannot be used" in errors[0] and "jsuper[cuda]" in errors[0]
    assert not (tmp_path / "run").exists()
