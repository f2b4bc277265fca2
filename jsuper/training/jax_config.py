"""What jsuper does with each option of `jax.config`, so that results do not depend on the user's.

An option is shielded (jsuper sets it for its own code, in its own threads), refused before anything
is compiled, used as the user set it, or without effect on jsuper's results. The tables contain
every option of JAX 0.10 and 0.12; options of other versions are left as they are.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import jax

from jsuper.core.errors import SpecError

# Option -> the value that jsuper's code runs with. Each is a setting of the calling thread alone.
SHIELDED: dict[str, Any] = {
    # Errors about code that is right in JAX's default mode.
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_allow_f16_reductions": True,
    "jax_legacy_prng_key": "allow",
    # Debugging: stops at NaN, which is data here, or makes a run many times slower.
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,  # models share the draws of a seed on purpose
    "jax_disable_jit": False,
    "jax_enable_checks": False,
    "jax_check_tracer_leaks": False,
    "jax_check_static_indices": False,
    "jax_error_checking_behavior_divide": "ignore",
    "jax_error_checking_behavior_nan": "ignore",
    "jax_error_checking_behavior_oob": "ignore",
    "jax_no_tracing": False,
    "jax_no_execution": False,
    "jax_transfer_guard": "allow",
    "jax_transfer_guard_device_to_device": "allow",
    "jax_transfer_guard_device_to_host": "allow",
    "jax_transfer_guard_host_to_device": "allow",
    "jax_array_garbage_collection_guard": "allow",  # "fatal" ends the process
    "jax_scan3": False,  # loops that cannot be vmapped yet
    # Other random numbers.
    "jax_random_seed_offset": 0,
    "jax_default_prng_impl": "threefry2x32",
    "jax_enable_custom_prng": False,
    "jax_threefry_partitionable": True,
    "jax_threefry_gpu_kernel_lowering": False,
    "jax_accurate_erf_inv": False,
    "jax_high_dynamic_range_gumbel": False,
    # Another arithmetic or order of sums, or slower programs.
    "jax_default_matmul_precision": None,
    "jax_softmax_custom_jvp": False,
    "jax_use_hlo_logistic_lowering": None,
    "jax_optimization_level": "UNKNOWN",
    "jax_exec_time_optimization_effort": 0.0,
    "jax_memory_fitting_level": "O2",
    "jax_memory_fitting_effort": 0.0,
    "jax_compiler_enable_remat_pass": True,
    "jax_enable_pgle": False,  # compiles again in the middle of a run
    # A cache that cannot be read or written costs time, not the run.
    "jax_raise_persistent_cache_errors": False,
}

# Option -> (value to use, why another one is refused). These cannot be set for one thread.
REFUSED: dict[str, tuple[Any, str]] = {
    "jax_disable_most_optimizations": (
        False,
        "it rounds differently and makes training many times slower",
    ),
}

# Where the option takes effect -> options. jsuper follows the user's choice.
USED: dict[str, tuple[str, ...]] = {
    "training sets them for each program; analysis follows the dtype of its arrays": (
        "jax_enable_x64",
        "jax_default_device",
    ),
    "`check_devices` raises an error if JAX finds no such device": (
        "jax_platforms",
        "jax_platform_name",
        "jax_xla_backend",
        "jax_backend_target",
        "jax_pjrt_client_create_options",
        "jax_num_cpu_devices",
        "jax_mock_gpu_topology",
        "mock_num_gpu_processes",
        "jax_cuda_visible_devices",
        "jax_rocm_visible_devices",
        "jax_oneapi_visible_devices",
    ),
    "`use_compilation_cache` keeps a cache that the user chose": (
        "jax_enable_compilation_cache",
        "jax_compilation_cache_dir",
        "jax_compilation_cache_max_size",
        "jax_compilation_cache_check_contents",
        "jax_compilation_cache_expect_pgle",
        "jax_compilation_cache_include_metadata_in_key",
        "jax_persistent_cache_enable_xla_caches",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
        "jax_remove_custom_partitioning_ptr_from_cache_key",
    ),
}

# Why the options have no effect on results -> options.
HARMLESS: dict[str, tuple[str, ...]] = {
    "logs, warnings, dumps and the text of errors": (
        "jax_captured_constants_report_frames",
        "jax_captured_constants_warn_bytes",
        "jax_check_proxy_envs",
        "jax_compiler_detailed_logging_min_ops",
        "jax_debug_log_modules",
        "jax_distributed_debug",
        "jax_dump_ir_modes",
        "jax_dump_ir_to",
        "jax_explain_cache_misses",
        "jax_hlo_source_file_canonicalization_regex",
        "jax_include_debug_info_in_dumps",
        "jax_include_full_tracebacks_in_locations",
        "jax_log_checkpoint_residuals",
        "jax_log_compiles",
        "jax_logging_level",
        "jax_pprint_use_color",
        "jax_send_traceback_to_runtime",
        "jax_source_url_schema",
        "jax_traceback_filtering",
        "jax_traceback_in_locations_limit",
        "jax_tracer_error_num_traceback_frames",
    ),
    "several processes with one JAX: jsuper's processes share only files": (
        "jax_cpu_collectives_implementation",
        "jax_cpu_get_global_topology_timeout_minutes",
        "jax_cpu_get_local_topology_timeout_minutes",
        "jax_cross_host_transfer_socket_address",
        "jax_cross_host_transfer_timeout_seconds",
        "jax_cross_host_transfer_transfer_size",
        "jax_cross_host_transport_addresses",
        "jax_distributed_verify_secure_credentials",
        "jax_enable_preemption_service",
        "jax_enable_recoverability",
        "jax_force_dcn_cross_host_transfers",
        "jax_mtls_ca_file",
        "jax_mtls_cert_file",
        "jax_mtls_key_file",
        "jax_mtls_peer_uri_prefix",
        "jax_share_binary_between_hosts",
        "jax_share_binary_between_hosts_timeout_ms",
        "jax_thread_guard",
    ),
    "arrays spread over several devices: jsuper has none": (
        "check_vma",
        "jax_auto_pcast",
        "jax_disable_vmap_shmap_error",
        "jax_disallow_mesh_context_manager",
        "jax_raise_on_ppermute_sort_diff",
        "jax_remove_size_one_mesh_axis_from_type",
        "jax_sort_devices_by_process_index",
        "jax_use_cpp_shard_args",
        "jax_use_rgv3",
        "jax_use_shardy_partitioner",
    ),
    "kernels and functions that jsuper does not use": (
        "jax2tf_associative_scan_reductions",
        "jax2tf_default_native_serialization",
        "jax_bcoo_cusparse_lowering",
        "jax_experimental_unsafe_xla_runtime_errors",
        "jax_export_calling_convention_version",
        "jax_export_deserialize_expired_versions",
        "jax_explicit_x64_dtypes",  # it asks for no 64-bit type where they are off
        "jax_export_ignore_forward_compatibility",
        "jax_mosaic_allow_hlo",
        "jax_mosaic_unzip_debug_locations",
        "jax_mutable_array_checks",
        "jax_pallas_auto_assign_collective_ids",
        "jax_pallas_auto_assign_collective_ids_limit",
        "jax_pallas_enable_debug_checks",
        "jax_pallas_poison_buffers",
        "jax_pallas_use_mosaic_gpu",
        "jax_pallas_verbose_errors",
        "jax_ragged_dot_use_gpu_pallas_triton_lowering",
        "jax_ragged_dot_use_ragged_dot_instruction",
        "jax_refs_to_pins",
        "jax_serialization_version",
        "jax_use_emit_pipeline_primitive",
        "jax_use_magma",
    ),
    "JAX's own transitions and internals: the same results but for rounding": (
        "eager_constant_folding",
        "jax_cpu_enable_async_dispatch",
        "jax_custom_jvp3",
        "jax_custom_vjp3",
        "jax_debug_leaked_clients_on_clear_backends",
        "jax_disable_bwd_checks",
        "jax_embedded_constants_max_bytes",
        "jax_pgle_aggregation_percentile",  # without effect, as profiles are not used
        "jax_pgle_profiling_runs",
        "jax_remat3",
        "jax_remat_barrier_no_cotangents",
        "jax_use_direct_linearize",
        "jax_use_simplified_jaxpr_constants",
        "jax_xla_profile_version",
    ),
}


_process: int | None = None  # which has used JAX first; forks of it lack JAX's threads


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Set the options of `SHIELDED` in this thread; also a decorator, `@shielded()`.

    Raises
    ------
    RuntimeError
        This process was forked from one that has used JAX.
    """
    check_not_forked()
    with contextlib.ExitStack() as stack:
        for option, value in _differing():
            if (context := _context(option)) is not None:
                stack.enter_context(context(value))
        yield


def check_not_forked() -> None:
    """Raise RuntimeError in a process forked from one that has used JAX.

    A fork has none of JAX's threads, and would wait for them for ever.
    """
    global _process
    if _process is None:
        _process = os.getpid()
    elif _process != os.getpid():
        raise RuntimeError(
            "this process was forked from one that has used JAX, and JAX does not work in it; "
            "start processes with multiprocessing.get_context('spawn')"
        )


def _differing() -> list[tuple[str, Any]]:
    """Return (option, value of `SHIELDED`) where the user's value differs and is not None."""
    return [
        (option, value)
        for option, value in SHIELDED.items()
        if getattr(jax.config, option, None) not in (None, value)
    ]


def _context(option: str) -> Any:
    """Return the context manager that sets an option in this thread, or None."""
    public = getattr(jax, option.removeprefix("jax_"), None)
    if public is not None:
        return public
    holder = getattr(jax.config, "_value_holders", {}).get(option)  # JAX exports only some of them
    return holder if callable(holder) else None


def check() -> None:
    """Raise SpecError for a configuration of JAX that jsuper cannot shield itself from.

    Raises
    ------
    SpecError
        The message has the option, its value, why it is refused, and what to do.
    """
    refused = dict(REFUSED)
    for option, value in _differing():
        if _context(option) is None:
            refused[option] = value, "this version of JAX cannot set it for one thread"
    for option, (wanted, why) in refused.items():
        value = jax.config.values.get(option, wanted)
        if value != wanted:
            raise SpecError(
                f"jax.config.{option}={value!r} cannot be used: {why}; unset the variable "
                f"{option.upper()}, or call jax.config.update({option!r}, {wanted!r})"
            )


def check_devices() -> None:
    """Raise SpecError if the user's configuration of JAX selects devices that do not exist.

    Raises
    ------
    SpecError
        JAX cannot start; the message has the options that select devices.
    """
    try:
        jax.local_devices()
    except (RuntimeError, AssertionError) as error:  # the latter if no plugin is installed
        names = ("jax_platforms", "jax_platform_name", "jax_xla_backend")
        values = jax.config.values
        chosen = {n.upper() if n.upper() in os.environ else n: values.get(n) for n in names}
        options = ", ".join(f"{name}={value!r}" for name, value in chosen.items() if value)
        if not options:
            raise
        raise SpecError(
            f"{options} cannot be used: JAX finds no such device on this machine; install "
            "jsuper[cuda] or jsuper[tpu] for an accelerator, or unset it"
        ) from error
