"""What the accelerator plans compile to, for devices that are not there.

    python benchmarks/deviceless.py [--devices h100 h200]

Needs the extra `aot`. Both plans are compiled by XLA for each device: launches and bytes of device
memory per model-step are read from the scheduled program; registers, spills and the instructions of
a kernel from NVIDIA's assembler. Nothing is timed: rates are predicted, or bounds, from bytes,
operations and instructions. Writes deviceless.json.
"""

import dataclasses
import datetime
import glob
import os
import re
import site
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["TPU_SKIP_MDS_QUERY"] = "1"

import jax
import numpy as np
from helpers import tpu
from helpers.baselines import Work
from helpers.ceilings import flop_of_step
from helpers.hlo import Totals, totals_of
from helpers.issue import clocks_of_a_tile, tile_loop
from helpers.options import read_options
from helpers.timing import RESULTS, write_json
from jax.experimental import topologies

import jsuper
from jsuper.core.grid import expand
from jsuper.engine import programs
from jsuper.models.toy import train as toy
from jsuper.models.toy.activations.names import ACTIVATIONS
from jsuper.models.toy.fields import SPARSITIES
from jsuper.models.toy.kernels.launching import ptx_of
from jsuper.models.toy.kernels.segment import STEPS, kernel_of
from jsuper.models.toy.kernels.source import WARPS, source_of
from jsuper.training import keys as random_keys

# Bytes/s of device memory, single-precision operations/s, bytes of memory, of an SXM module; from
# NVIDIA's data sheets.
DEVICES = {
    "h100": ("NVIDIA H100 80GB HBM3", 3.35e12, 66.9e12, 84_942_979_072),
    "h200": ("NVIDIA H200", 4.8e12, 66.9e12, 151_397_597_184),
}
LAUNCH_SECONDS = 2e-6  # least time of a launch
MULTIPROCESSORS, CLOCK = 132, 1.98e9
MOST_BLOCKS = 4  # on a multiprocessor
ISSUED = 0.7  # instructions a clock outside of tiles, assumed
TPU_SEEDS = 36  # with seven sparsities, 252 models on two times 128 lanes
TPU_ACTIVATIONS, LANES, BATCH = ("relu", "gelu", "softmax"), 128, 1024
CONFIG = """gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: {bandwidth:.0f} l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: {memory} shared_memory_per_block_optin: 232448
  cuda_compute_capability {{ major: 9 }} registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}}
platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 10 }} device_description_str: "{name}"
"""


@dataclasses.dataclass
class Options:
    """The accelerator plans, compiled without an accelerator."""

    devices: tuple[str, ...] = tuple(DEVICES)
    """h100 and h200"""
    tpus: tuple[str, ...] = ("v5e", "v6e")
    """v5e and v6e; TPU_ACTIVATIONS, each in a separate program"""
    activations: tuple[str, ...] = ACTIVATIONS
    """those of one program"""
    seeds: int = 286
    """seeds of a block, with seven sparsities each"""
    out: Path = RESULTS
    """folder of deviceless.json"""


def device_of(name: str) -> Any:
    """Return a device that XLA can compile for."""
    title, bandwidth, _, memory = DEVICES[name]
    config = CONFIG.format(name=title, bandwidth=bandwidth, memory=memory)
    topology = topologies.get_topology_desc(
        platform="cuda", topology_name=name, topology="1x1x1", target_config=config
    )
    return topology.devices[0]


def compiled(plan: str, activations: tuple[str, ...], seeds: int, device: Any) -> tuple[Any, int]:
    """Return the compiled `advance`, and its steps."""
    static, places = static_of(plan, activations)
    functions = programs.batched(toy.make_train(static, False), True)
    settings, keys = programs.example_arguments(toy, static, (places, seeds), True)
    state = jax.eval_shape(functions.init, settings, keys)
    steps = programs.fixed_steps(functions.train, False)
    assert steps is not None
    here = jax.sharding.SingleDeviceSharding(device)
    state, settings, keys, step = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=here),
        (state, settings, keys, jax.ShapeDtypeStruct((), np.int32)),
    )
    advance = jax.jit(lambda s, p, k, i: functions.advance(s, p, k, i, steps), donate_argnums=0)
    with jax.threefry_partitionable(True):
        return advance.lower(state, settings, keys, step).compile(), steps


def static_of(plan: str, activations: tuple[str, ...]) -> tuple[Any, int]:
    """Return the program of some activations at seven sparsities, and its models for each seed."""
    sweep = jsuper.Sweep(activation=activations, sparsity=SPARSITIES)
    group = expand(sweep)[0]
    return toy.make_static(group.static, [group.settings], plan), len(group.settings)


def assembled(activation: str, folder: Path) -> dict[str, Any]:
    """Return registers and spilled bytes of a kernel, and the rate that its instructions allow."""
    static, _ = static_of("kernel", (activation,))
    rows = len(SPARSITIES)
    kernel = kernel_of(static, 0, rows)
    ptx, cubin = folder / "train.ptx", folder / "train.cubin"
    ptx.write_text(ptx_of(kernel))
    text = output_of("ptxas", "-v", "-arch=sm_90a", str(ptx), "-o", str(cubin))
    patterns = {
        "registers": r"Used (\d+) registers",
        "spilled_bytes": r"(\d+) bytes spill stores",
        "shared_bytes": r"(\d+) bytes smem",
    }
    found: dict[str, Any] = {k: int(re.findall(p, text)[0]) for k, p in patterns.items()}
    numbers = {k: int(v) for k, v in re.findall(r"(COLS|SPLIT) = (\d+)", source_of(kernel))}
    columns = 32 * numbers["COLS"] // numbers["SPLIT"]
    loop = tile_loop(output_of("nvdisasm", "-hex", "-c", str(cubin)))
    active = (1024 * (1 - (1 - (1 - s)) ** 20) for s in SPARSITIES)
    tiles = sum(-(-min(a + 1, 1024) // columns) for a in active)
    resident = min(65_536 // (32 * WARPS * found["registers"]), MOST_BLOCKS)
    per_tile = clocks_of_a_tile(loop, max(1, resident * WARPS // 4))
    clocks = (tiles * per_tile + instructions_beside(rows, numbers["SPLIT"]) / ISSUED) / 4
    found |= {"instructions_of_a_tile": len(loop), "columns_of_a_tile": columns}
    issued = MULTIPROCESSORS * CLOCK * 4 * rows / (len(loop) * tiles)
    found["issue_bound_model_steps_per_s"] = round(issued, -5)
    rate = MULTIPROCESSORS * CLOCK * rows / clocks
    return found | {"predicted_model_steps_per_s": round(rate, -5)}


def instructions_beside(models: int, split: int) -> float:
    """Return the instructions of a block and step outside of tiles: folding sums, and Adam."""
    folding = (models + WARPS - 1) * (400 if split == 2 else 700)
    return folding + WARPS * models * 130 + WARPS * 100


def output_of(name: str, *arguments: str) -> str:
    """Return what one of NVIDIA's programs in the wheels prints."""
    places = [f"{base}/nvidia/**/bin/{name}" for base in site.getsitepackages()]
    path = next(path for place in places for path in glob.glob(place, recursive=True))
    found = subprocess.run([path, *arguments], capture_output=True, text=True, check=True)
    return found.stdout + found.stderr


def predicted(totals: Totals, models: int, device: str) -> float:
    """Return model-steps/s if every launch is bound by its bytes, its operations, or its start."""
    _, bandwidth, operations, _ = DEVICES[device]
    seconds = sum(
        times * max(moved / bandwidth, work / operations, LAUNCH_SECONDS)
        for moved, work, times in totals.launches
    )
    return models / seconds


def ceiling(device: str) -> float:
    """Return the dense model-steps/s that a device's multiply-adds allow."""
    return round(DEVICES[device][2] / flop_of_step(Work(steps=0)), -5)


def rows_of(options: Options, name: str) -> Iterator[dict[str, Any]]:
    """Yield what both plans compile to for a device."""
    device = device_of(name)
    models = options.seeds * len(SPARSITIES) * len(options.activations)
    program, steps = compiled("vmapped", options.activations, options.seeds, device)
    totals = totals_of(program.as_text(), steps, 1)
    yield {
        "device": name,
        "plan": "vmapped",
        "activations": list(options.activations),
        "launches_per_step": round(totals.launches_per_step, 2),
        "bytes_per_model_step": round(totals.bytes_per_step / models),
        "predicted_model_steps_per_s": round(predicted(totals, models, name), -4),
        "ceiling_model_steps_per_s": ceiling(name),
    }
    program, steps = compiled("kernel", options.activations, options.seeds, device)
    totals = totals_of(program.as_text(), steps, STEPS)
    launches = STEPS * totals.launches_per_step / len(options.activations)
    yield {
        "device": name,
        "plan": "kernel",
        "activations": list(options.activations),
        "launches_per_20_steps_and_activation": round(launches, 2),
        "bytes_per_model_step": round(totals.bytes_per_step / models),
        "bytes_bound_model_steps_per_s": round(
            models / (totals.bytes_per_step / DEVICES[name][1]), -4
        ),
        "ceiling_model_steps_per_s": ceiling(name),
    }


def tpu_row(name: str, plan: str, activation: str) -> dict[str, Any]:
    """Return what a plan compiles to for a TPU: rates with its draws, and of the kernel alone."""
    topology = topologies.get_topology_desc(platform="tpu", topology_name=f"{name}:2x2")
    program, _ = compiled(plan, (activation,), TPU_SEEDS, topology.devices[0])
    models, is_kernel = TPU_SEEDS * len(SPARSITIES), plan == "kernel"
    cycles: float = tpu.loop_cycles(program.as_text())
    row = {"device": name, "plan": plan, "activations": [activation], "models": models}
    if is_kernel:
        own = -(-models // LANES) * tpu.kernel_cycles(BATCH)
        row["kernel_model_steps_per_s"] = round(models * tpu.CLOCKS[name] / own, -4)
        cycles = cycles / STEPS + own
    row["predicted_model_steps_per_s"] = round(models * tpu.CLOCKS[name] / cycles, -4)
    memory = program.memory_analysis()
    return row | {"temporary_bytes": memory.temp_size_in_bytes}


def main() -> None:
    """Compile both plans for every device, assemble all kernels, and write the JSON."""
    os.environ["LIBTPU_INIT_ARGS"] = tpu.ARGUMENTS
    random_keys.platform = lambda: "gpu"  # JAX has no other device here
    options = read_options(Options)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    report: dict[str, Any] = {"date": today, "jax": jax.__version__, "seeds": options.seeds}
    report["programs"] = []
    for name in options.devices:
        random_keys.platform = lambda: "gpu"  # JAX has no other device here
        for row in rows_of(options, name):
            report["programs"].append(row)
            print(row, flush=True)
    for name in options.tpus:
        random_keys.platform = lambda: "tpu"
        plans = [("kernel", activation) for activation in TPU_ACTIVATIONS]
        for plan, activation in [*plans, ("vmapped", TPU_ACTIVATIONS[0])]:
            row = tpu_row(name, plan, activation)
            report["programs"].append(row)
            print(row, flush=True)
    random_keys.platform = lambda: "gpu"
    report["kernels"] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.activations:
            report["kernels"][name] = assembled(name, Path(folder))
            print(name, report["kernels"][name], flush=True)
    for key in ("issue_bound", "predicted"):
        rates = [k[f"{key}_model_steps_per_s"] for k in report["kernels"].values()]
        report[f"{key}_harmonic_mean"] = round(len(rates) / sum(1 / r for r in rates), -5)
        print(f"{key}, harmonic mean:", report[f"{key}_harmonic_mean"])
    write_json(options.out / "deviceless.json", report)


if __name__ == "__main__":
    main()
