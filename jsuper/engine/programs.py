"""Compiled programs of a block: one per static values, shape and device, kept for the process."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jsuper.core.family import family_of
from jsuper.core.protocols import ProgramStatic, PyTree, Training
from jsuper.engine import checked_cache
from jsuper.engine.blocks import Block
from jsuper.engine.devices import Device, Plan, cores
from jsuper.training import jax_config
from jsuper.training.keys import seed_key
from jsuper.training.loop import Train

if TYPE_CHECKING:
    from jax.stages import Traced

    from jsuper.engine.counters import Progress

MAPPINGS, MOST_MAPPINGS = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
MEMORY_SHARE = 0.7  # of the device's free memory that a block may plan for
NO_MESH = jax.sharding.AbstractMesh((), ())
FIRST_SEGMENT = 5  # steps, before the speed is known


@dataclass
class Program:
    """The compiled parts of a block's training, with the speed that was last seen."""

    init: Callable
    advance: Callable
    finish: Callable
    steps: int
    stops: tuple[int, ...]
    fixed: int | None  # steps of every call, where the program was compiled for so many
    memory: int  # bytes: arguments, results and temporaries of `advance`
    ends: Callable | None = None  # state -> steps of each model, if some end before the others
    seconds_per_step: float | None = None

    def observe(self, seconds_per_step: float) -> None:
        """Remember how long a step of the block takes."""
        self.seconds_per_step = seconds_per_step

    def steps_in(self, seconds: float) -> int:
        """About how many steps take so long."""
        if self.seconds_per_step is None:
            return FIRST_SEGMENT
        return int(seconds / max(self.seconds_per_step, 1e-9))

    def seconds_of(self, steps: int) -> float:
        """About how long so many steps take; infinite as long as none has been timed."""
        return math.inf if self.seconds_per_step is None else steps * self.seconds_per_step


@dataclass(frozen=True)
class Key:
    """All that a compiled program depends on."""

    model: str
    static: ProgramStatic
    sequential: bool
    paired: bool
    shape: tuple[int, int]  # settings, seeds
    device: Device


class ProgramError(RuntimeError):
    """A program was traced, but the compiler refused it; the compiler's error is the cause."""


_programs: dict[Key, Program] = {}
_failures: dict[Key, str] = {}  # programs that the compiler refused, since `forget_failures` -> why
_locks: dict[Key, threading.Lock] = {}
_guard = threading.Lock()
_compilers = ThreadPoolExecutor(max(3, cores() // 2), thread_name_prefix="jsuper-compiler")


@contextlib.contextmanager
def context(static: ProgramStatic, device: Device) -> Iterator[None]:
    """JAX as every program here expects it, in this thread only, whatever the user configured."""
    with (
        jax_config.shielded(),
        jax.enable_x64(static.dtype == "float64"),
        jax.default_device(device),
        # JAX keeps what it traces for each mesh. Its rules for vmap set this one, which differs
        # from none: without it, functions are traced both outside of these rules and inside.
        jax.sharding.use_abstract_mesh(NO_MESH),
    ):
        yield


def key_of(block: Block, plan: Plan, device: Device) -> Key:
    """Return what the compiled program of a block depends on."""
    paired = not block.chunk.static["unpaired"]
    return Key(block.chunk.model, block.static, plan.sequential, paired, block.shape, device)


def compiled(key: Key, progress: Progress) -> Program:
    """Return the program of a key: compiled by the first thread that needs it, then kept.

    Raises
    ------
    ProgramError
        The compiler refuses it, or has refused it since `forget_failures`.
    """
    with _guard:
        lock = _locks.setdefault(key, threading.Lock())
    with lock, context(key.static, key.device):
        if key in _failures:
            raise ProgramError(_failures[key])
        with _guard:
            program = _programs.pop(key, None)
        if program is None:
            make_room()
            program = _compiled_now(key, progress)
        with _guard:
            _programs[key] = program  # the last one, since it is used now
        return program


def _compiled_now(key: Key, progress: Progress) -> Program:
    """Compile the program of a key, and count the seconds."""
    began = time.perf_counter()
    progress.add(compiling=1)
    try:
        family = family_of(key.model).train
        functions = batched(family.make_train(key.static, key.sequential), key.paired)
        arguments = example_arguments(family, key.static, key.shape, key.paired)
        return compile_program(functions, arguments, key, progress)
    except ProgramError as error:
        _failures[key] = str(error)
        raise
    finally:
        progress.add(compiling=-1, compiles=1, compile_s=time.perf_counter() - began)


def make_room() -> None:
    """Forget the half of the programs not used for longest if there are too many mappings.

    A program for a CPU takes about a thousand memory mappings. Linux allows 65,530 by default, and
    XLA crashes the process when it gets no more.
    """
    if near_mapping_limit():
        with _guard:
            for key in list(_programs)[: (len(_programs) + 1) // 2]:
                del _programs[key]
        gc.collect()


def near_mapping_limit() -> bool:
    """Return whether the process has more than half of the memory mappings that Linux allows."""
    try:
        limit = int(MOST_MAPPINGS.read_text())
        return MAPPINGS.read_bytes().count(b"\n") > limit // 2
    except OSError:  # another system
        return False


def forget_failures() -> None:
    """Let programs that could not be compiled be tried again."""
    _failures.clear()


@dataclass(frozen=True)
class Batched:
    """init, advance and finish over (seeds, settings), and the train that they come from."""

    init: Callable
    advance: Callable
    finish: Callable
    train: Train


def batched(train: Train, paired: bool) -> Batched:
    """Add the axes over models: seeds outermost, settings within, a seed's key shared by them."""
    key = None if paired else 0

    def over(function: Callable, inner: tuple, outer: tuple) -> Callable:
        return jax.vmap(jax.vmap(function, inner), outer)

    return Batched(
        init=over(train.init, (0, key), (None, 0)),
        advance=over(train.advance, (0, 0, key, None, None), (0, None, 0, None, None)),
        finish=over(train.finish, (0, 0, key), (0, None, 0)),
        train=train,
    )


def compile_program(functions: Batched, arguments: tuple, key: Key, progress: Progress) -> Program:
    """Compile a block's functions; `finish` beside `advance` and the training, until it is called.

    Tracing holds Python's lock, compiling does not: `advance`, which the training waits for, is
    traced before the others, and these while it is compiled.
    """
    settings, keys = arguments
    train = functions.train
    state = jax.eval_shape(functions.init, settings, keys)
    fixed = fixed_steps(train, key.sequential)
    first_is_traced = threading.Event()

    def background(trace: Callable[[], Traced], first: bool = False) -> Future:
        def compile_traced() -> Any:
            if not first:
                first_is_traced.wait()
            with context(key.static, key.device):
                try:
                    traced = trace()
                finally:
                    first_is_traced.set()
                    progress.add(traced=first)
                try:
                    return compile_for(key.device, traced.lower())
                except Exception as error:  # Python's too: a primitive without a lowering
                    raise ProgramError(f"{type(error).__name__}: {error}") from error

        return _compilers.submit(compile_traced)

    def finish(*arguments: PyTree) -> PyTree:
        try:
            call = finishing.result()
        except ProgramError as error:  # before other blocks are trained in vain
            _failures[key] = str(error)
            raise
        return call(*arguments)

    advancing = background(lambda: trace_advance(functions, state, settings, keys, fixed), True)
    starting = background(lambda: jax.jit(functions.init).trace(settings, keys))
    finishing = background(lambda: jax.jit(functions.finish).trace(state, settings, keys))
    init, advance = starting.result(), advancing.result()
    usage = advance.memory_analysis()
    memory = 0
    if usage is not None:
        memory = usage.temp_size_in_bytes + usage.argument_size_in_bytes
        memory += usage.output_size_in_bytes - usage.alias_size_in_bytes
    return Program(
        init=init,
        advance=advance if fixed is None else lambda s, p, k, start, n: advance(s, p, k, start),
        finish=finish,
        steps=train.steps,
        stops=train.stops,
        fixed=fixed,
        memory=memory,
        ends=None if train.ends is None else jax.jit(train.ends),
    )


def compile_for(device: Device, lowered: Any) -> Any:
    """Compile; for a CPU with vectors of 512 bits where it has them (XLA prefers 256)."""
    if device.platform != "cpu":
        return lowered.compile()
    try:
        return lowered.compile(compiler_options={"xla_cpu_prefer_vector_width": 512})
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):  # XLA does not promise to keep it
            raise
        return lowered.compile()


def trace_advance(
    functions: Batched, state: PyTree, settings: PyTree, keys: PyTree, fixed: int | None
) -> Traced:
    """Return `advance`, traced with a number of steps as argument, or with `fixed` of them."""
    step = jax.ShapeDtypeStruct((), np.int32)
    if fixed is None:
        jitted = jax.jit(functions.advance, donate_argnums=0)
        return jitted.trace(state, settings, keys, step, step)
    fixed_advance = jax.jit(
        lambda s, p, k, start: functions.advance(s, p, k, start, fixed), donate_argnums=0
    )
    return fixed_advance.trace(state, settings, keys, step)


def fixed_steps(train: Train, sequential: bool) -> int | None:
    """Return the number of steps of every call on an accelerator, or None.

    A loop of known length needs no host. None on a CPU, where calls follow the clock, and if the
    recorded steps are not evenly spaced.
    """
    if sequential:
        return None
    gaps = np.diff(train.stops, append=train.steps)
    even = len(gaps) == 1 or (gaps[:-1] == gaps[0]).all() and gaps[-1] <= gaps[0]
    return int(gaps[0]) if even else None


def example_arguments(
    family: Training, static: ProgramStatic, shape: tuple[int, int], paired: bool
) -> tuple[PyTree, PyTree]:
    """Shapes and dtypes of (settings, keys) of a block."""
    n_settings, n_seeds = shape
    one = family.make_setting(static, {})
    settings = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct((n_settings, *np.shape(a)), np.asarray(a).dtype), one
    )
    lead = (n_seeds,) if paired else (n_seeds, n_settings)
    keys = jax.eval_shape(lambda: jnp.broadcast_to(seed_key(0), lead))
    return settings, keys


def fitting_key(key: Key, progress: Progress) -> Key:
    """`key` with its shape cut down until the compiled program fits the device's free memory."""
    free = free_memory(key.device)
    while free is not None and key.shape != (1, 1):
        need = compiled(key, progress).memory
        if need <= MEMORY_SHARE * free:
            break
        rows, columns = key.shape
        share = MEMORY_SHARE * free / need
        if columns > 1:
            shape = (rows, max(1, min(int(columns * share), columns - 1)))
        else:
            shape = (max(1, min(int(rows * share), rows - 1)), 1)
        key = dataclasses.replace(key, shape=shape)
    return key


def free_memory(device: Device) -> int | None:
    """Bytes of a device that nothing holds, such as a notebook's own arrays; None: no limit."""
    stats = device.memory_stats() or {}
    if "bytes_limit" not in stats:
        return None
    return stats["bytes_limit"] - stats.get("bytes_in_use", 0)


def cache_folder(name: str) -> Path | None:
    """Return a folder of what outlives a process, for this user; None if there should be none."""
    choice = os.environ.get("JSUPER_CACHE", "")
    if choice.lower() in ("off", "0", "no"):
        return None
    if choice:
        return Path(choice) if name == "xla" else Path(choice) / name
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "jsuper" / name


def use_compilation_cache() -> None:
    """Keep compiled programs in a per-user folder, unless the user has chosen one or none.

    The folder is $JSUPER_CACHE (`off`: none), else jsuper/ in the user's cache folder. Programs in
    it have checksums against damage, not against an attacker: it must not be a folder that others
    can write to.
    """
    chosen = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    folder = cache_folder("xla")
    if folder is None or chosen:
        return
    if not checked_cache.install(folder):
        return  # programs that cannot be checked are not kept
    jax.config.update("jax_compilation_cache_dir", str(folder))
    least = jax.config.jax_persistent_cache_min_compile_time_secs  # pyright: ignore[reportAttributeAccessIssue]
    if least == 1.0:  # JAX's default, which leaves out the programs of small sweeps
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")  # they have no checksums
