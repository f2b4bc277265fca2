"""How long a command takes: an estimate before it starts, and the time left once it trains.

The cost of a step is known in seconds of one core of the reference machine (`CPU_COST`). A small
program measures, before the start, how much slower this machine is with all workers busy and with
whatever else runs on it. Once models are trained, their own speed is used.
"""

from __future__ import annotations

import functools
import heapq
import math
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import jax
import jax.numpy as jnp
import numpy as np

from jsuper.core.family import family_of
from jsuper.core.grid import Chunk
from jsuper.core.json_data import digest, plain
from jsuper.engine.blocks import split
from jsuper.engine.counters import Progress
from jsuper.engine.devices import CPU_COST, Plan
from jsuper.training import jax_config

# Rough seconds of the reference machine (two cores of an AMD EPYC, jax 0.10.2). They were fitted by
# hand to a few runs beside other work, and no benchmark reproduces them yet.
DRAW_SECONDS = 0.7e-9  # a random number of a batch
EVALUATION_SECONDS = 2e-3  # the final loss of a model, the mean of the preset `activations`
COMPILE_SECONDS = (1.5, 0.13)  # a program, and each branch of it
FINISH_SHARE = 0.6  # of this, the evaluation's program takes while models are trained already
CACHED = 0.3  # of the time to compile, if the user's folder has the compiled program
RESULT_SECONDS = (0.75, 1.8, 0.8e-3)  # summary and figure, page, and each model of the page
OTHER_SLOWNESS = 0.75  # power of the probe's slowness by which all but training takes longer
PROBE_SECONDS, PROBE_STEPS = 13e-6, 1000  # of a step of the probe, and its steps a call
PROBED_SECONDS = 0.15
KNOWN_SECONDS = 2.0  # of training, after which the speed is known


@dataclass(frozen=True)
class Estimate:
    """What a command is expected to take."""

    chunks: int
    models: int
    workers: int
    programs: int
    work: float
    """core-seconds of training on the reference machine"""
    evaluation: float
    """core-seconds of evaluation on the reference machine"""
    compiling: float
    """seconds; NaN where no speed is known, on accelerators"""
    training: float
    evaluating: float
    results: float
    """seconds for the summary, the figure and the page"""

    @property
    def seconds(self) -> float:
        """Seconds from the start to the page."""
        return self.compiling + self.training + self.evaluating + self.results

    def seconds_left(self, progress: Progress) -> float | None:
        """Return the seconds to the page, by the speed until now; None before it is known."""
        elapsed = progress.elapsed()
        if not progress.work or (not progress.models and progress.train_s < KNOWN_SECONDS):
            return None
        models = max(self.models - progress.models, 0)
        if progress.train_s:
            slowness = progress.slowness
            each = self.evaluation / self.models * slowness
            if progress.evaluate_s:
                each = progress.evaluate_s / progress.models
        else:  # of a cluster only finished chunks are known, evaluation included
            slowness, each = elapsed * self.workers / progress.work, 0.0
        programs = max(self.programs - progress.compiles, 0) if progress.compiles else 0
        workers = min(self.workers, max(math.ceil(self.chunks * models / self.models), 1))
        training = max(self.work - progress.work, 0.0) * slowness / workers
        if not progress.models:  # the evaluation's program may not be compiled yet
            ready = (1 + FINISH_SHARE) * progress.compile_s
            training = max(training, ready - elapsed)
        compiling = programs * progress.compile_s / max(progress.compiles, 1)
        return compiling / self.workers + training + models * each / workers + self.results


def estimate(
    plan: Plan,
    todo: list[Chunk],
    n_models: int = 0,
    *,
    slowness: float = 1.0,
    figure: bool = False,
    page: bool = False,
) -> Estimate:
    """Return what training some of a run's chunks is expected to take.

    Parameters
    ----------
    plan
        Where and how models run.
    todo
        The chunks to train.
    n_models
        Number of models of the whole run, all of which the page shows.
    slowness
        Of `probed_slowness`.
    figure, page
        Whether the summary with its figure, and the page, are written afterwards.
    """
    training = [chunk_seconds(plan, c) for c in todo]
    evaluation = [c.n_models * EVALUATION_SECONDS for c in todo]
    programs = _programs(plan, todo)
    fixed, each = COMPILE_SECONDS
    known = math.nan if plan.platform != "cpu" else slowness
    other = known**OTHER_SLOWNESS
    cached = CACHED if is_cached(plan, todo) else 1.0
    compiling = cached * sum(fixed + each * branches for branches in programs.values())
    compiling /= max(min(plan.workers, len(programs)), 1)
    trained = makespan(training, plan.workers)
    first, second, per_model = RESULT_SECONDS
    results = figure * first + page * (second * cached + per_model * n_models)
    return Estimate(
        chunks=len(todo),
        models=_models(todo),
        workers=plan.workers,
        programs=len(programs),
        work=sum(training),
        evaluation=sum(evaluation),
        compiling=other * compiling + max(other * FINISH_SHARE * compiling - known * trained, 0.0),
        training=known * trained,
        evaluating=known * makespan(evaluation, plan.workers),
        results=slowness**OTHER_SLOWNESS * results if todo else 0.0,
    )


def _models(chunks: Iterable[Chunk]) -> int:
    return sum(c.n_models for c in chunks)


def makespan(seconds: Iterable[float], workers: int) -> float:
    """Return when the last of some tasks ends, each taken in turn by the first free worker."""
    free = [0.0] * workers
    for task in seconds:
        heapq.heapreplace(free, free[0] + task)
    return max(free)


# ------------------------------------------------------------------------------- the reference core


def step_seconds(plan: Plan, chunk: Chunk) -> float:
    """Return core-seconds of a step of all models of a chunk, on the reference machine."""
    family = family_of(chunk.model)
    multiply_adds, elements = family.spec.work(chunk.static)
    per_step, per_multiply_add, per_element = CPU_COST
    whole = per_multiply_add * multiply_adds + per_element * elements
    shares, draws = family.step_work(chunk.static, chunk.settings, plan.batching)
    drawn = len(chunk.settings) if chunk.static["unpaired"] else 1
    microseconds = sum(per_step + share * whole for share in shares)
    return len(chunk.seeds) * (1e-6 * microseconds + drawn * draws * DRAW_SECONDS)


def chunk_seconds(plan: Plan, chunk: Chunk) -> float:
    """Return core-seconds of a chunk's training, on the reference machine."""
    return chunk.static["steps"] * step_seconds(plan, chunk)


@functools.cache
def probed_slowness(workers: int) -> float:
    """Return how many times longer than on the reference machine a step takes, all workers busy."""
    uniform = np.random.default_rng(0).uniform(size=(20, 1024)).astype(np.float32)

    def step(_: int, W: jax.Array) -> jax.Array:
        h = W @ x
        z = jnp.tanh(W.T @ h)
        dz = (z - x) * (1 - z * z)
        return W - 1e-4 * (h @ dz.T + (W @ dz) @ x.T)

    with jax_config.shielded(), jax.default_device(jax.devices("cpu")[0]):
        x = jnp.asarray(uniform)
        W = jnp.full((5, 20), 0.1, jnp.float32)
        steps = jax.jit(lambda W: jax.lax.fori_loop(0, PROBE_STEPS, step, W)).lower(W).compile()

    def seconds_per_step(_: int) -> float:
        calls, began = 0, time.perf_counter()
        while time.perf_counter() - began < PROBED_SECONDS:
            with jax_config.shielded():
                jax.block_until_ready(steps(W))
            calls += 1
        return (time.perf_counter() - began) / (calls * PROBE_STEPS)

    with ThreadPoolExecutor(workers) as pool:
        return median(pool.map(seconds_per_step, range(workers))) / PROBE_SECONDS


# -------------------------------------------------------------------------------- compiled programs


def _branches(chunk: Chunk) -> set[str]:
    """Return the values of the setting that selects a branch of the chunk's program."""
    name = family_of(chunk.model).spec.Sweep.branch
    return {str(s[name]) for s in chunk.settings} if name else {""}


def _programs(plan: Plan, chunks: list[Chunk]) -> dict[str, int]:
    """Return an identity of every program that chunks need -> its number of branches."""
    # the chunks of a run share their settings
    alike = list({(id(c.static), id(c.settings), len(c.seeds)): c for c in chunks}.values())
    programs, known = {}, {}  # groups whose static values differ may share a program
    for block in split(plan, alike, alike):
        static = {k: plain(v) for k, v in block.chunk.static.items()}
        branches = sorted(_branches(block.chunk))
        identity = digest([static, branches, block.shape])
        name = known.setdefault((block.static, block.shape, *branches), identity)
        programs[name] = len(branches)
    return programs


def _cache_folder() -> str | None:
    return jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]


def _marker(plan: Plan, chunks: list[Chunk]) -> Path | None:
    """Return the file that stands for compiled programs; None where none are kept."""
    folder = _cache_folder()
    if not folder:
        return None
    programs = sorted(_programs(plan, chunks))
    return Path(folder) / f"jsuper-{digest([version('jax'), plan.describe(), programs])}"


def is_cached(plan: Plan, chunks: list[Chunk]) -> bool:
    """Return whether the user's folder has the programs of chunks, as far as that is known."""
    marker = _marker(plan, chunks)
    return marker is not None and marker.exists()


def mark_cached(plan: Plan, chunks: list[Chunk]) -> None:
    """Remember that the programs of chunks are in the user's folder."""
    marker = _marker(plan, chunks)
    if marker is not None and marker.parent.is_dir():
        marker.touch()
