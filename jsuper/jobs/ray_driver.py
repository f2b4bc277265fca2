"""Chunks trained by a Ray cluster (extra `cluster`): one task for each, which writes its own file.

The run folder is shared by all nodes. A task gets the name of a chunk, finds the rest in the
manifest, and returns two counts, so no weights pass through Ray. Worker processes are kept between
tasks, or each chunk would be compiled again. What a task does is in tasks.py.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import socket
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from jsuper.core.errors import SpecError
from jsuper.core.grid import Chunk
from jsuper.core.json_data import JSONObject
from jsuper.core.version import __version__
from jsuper.engine.devices import Plan
from jsuper.engine.estimates import chunk_seconds
from jsuper.jobs import runner
from jsuper.jobs.job import Job
from jsuper.jobs.ray_worker import Order, answer, train_chunk
from jsuper.store import chunk_files, sharing

if TYPE_CHECKING:
    from jsuper.engine.counters import Progress
    from jsuper.engine.stopping import Stop

MOST_DEATHS = 3  # of workers that train one chunk, before it is given up
MOST_LOST_NODES = 12  # that train one chunk: nodes come and go, and seldom because of it
PER_WORKER = 2  # tasks in flight for each that can run: the next one waits where it will run
PROBE_SECONDS = 120.0  # a worker process has to start for it
RESOURCES = {"cpu": "CPU", "gpu": "GPU"}


@dataclasses.dataclass(frozen=True)
class RemoteDevice:
    """A place for one task: what a plan shows of a device that is not this process's."""

    platform: str
    id: int
    device_kind: str = "Ray worker"


@dataclasses.dataclass(frozen=True)
class ClusterPlan(Plan):
    """How models run on a cluster's workers."""

    trains_here: ClassVar[bool] = False
    nodes: int = 1
    cache: bool = True

    @property
    def threads(self) -> int:
        """A task is a process."""
        return 1

    @property
    def memory_of(self) -> str:
        """Each task takes the expected memory."""
        return " a task"

    def describe(self) -> str:
        """Nodes, tasks and batching in a few words."""
        nodes = f"{self.nodes} node{'s' * (self.nodes > 1)}"
        return f"Ray, {nodes}, {self.workers} tasks at once ({self.platform}), {self.batching_text}"


# ------------------------------------------------------------------------------------- the cluster


def connect(address: str | None, workers: int | None = None) -> None:
    """Connect to a cluster, or start one of this machine alone that only it can reach.

    A process that is connected already stays so.

    Parameters
    ----------
    address
        Of a cluster, "auto" for the one that this machine belongs to; None: a new one.
    workers
        Tasks at once of a new one; a core each by default.

    Raises
    ------
    SpecError
        Ray is not installed, or no cluster answers.
    """
    if address is None:  # read when Ray is imported: its node is then 127.0.0.1, for others unseen
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # a lost node's log is no news
    try:
        import ray
    except ImportError as error:
        raise SpecError("engine='ray' needs Ray: pip install 'jsuper[cluster]'") from error
    if ray.is_initialized():
        return
    quiet: JSONObject = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            ray.init(address="local", include_dashboard=False, num_cpus=workers, **quiet)
        else:
            _check_reachable(address)
            ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise SpecError(
            f"address={address!r} cannot be used: {str(error).splitlines()[0]}; start a cluster "
            "with `ray start`, or leave the address out for one of this machine"
        ) from error


def _check_reachable(address: str) -> None:
    """Raise OSError or ValueError where nobody answers, which Ray would try for many minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon and address != "auto":
        raise ValueError("it is neither auto nor host:port")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def make_cluster_plan(platform: str, workers: int | None, batching: str, cache: bool) -> Plan:
    """Return the plan for the cluster that this process is connected to.

    Parameters
    ----------
    platform
        Cpu, gpu, or auto: gpu where the cluster has any.
    workers
        Tasks at once; as many as the cluster has room for by default.
    batching
        One of `jsuper.engine.devices.BATCHINGS`; auto is kernel on GPUs, where it is used wherever
        it agrees, so that every task makes the same choice.
    cache
        Keep compiled programs in the user's folder of each node.

    Raises
    ------
    SpecError
        The cluster has no such device.
    """
    platform = ("gpu" if _slots("gpu") else "cpu") if platform == "auto" else platform
    if platform not in RESOURCES:
        raise SpecError(
            f"platform={platform!r} is not for engine 'ray', which has cpu and gpu; give every "
            "host a share of the chunks instead: --shard i/N"
        )
    slots = _slots(platform)
    if not slots:
        raise SpecError(f"platform={platform!r} is not available in the Ray cluster")
    if batching == "auto" and platform == "gpu":
        batching = "kernel"
    places = tuple(RemoteDevice(platform, i) for i in range(min(slots, workers or slots)))
    nodes = len(_nodes(platform))
    return ClusterPlan(platform, places, batching, nodes=nodes, cache=cache)


def _slots(platform: str) -> int:
    """Return how many tasks the cluster has room for, now."""
    return sum(int(n["Resources"].get(RESOURCES[platform], 0)) for n in _nodes(platform))


def _nodes(platform: str) -> list[JSONObject]:
    """Return the nodes that are alive and can run a task."""
    import ray

    nodes = [n for n in ray.nodes() if n["Alive"]]
    return [n for n in nodes if n["Resources"].get(RESOURCES[platform], 0) >= 1]


def task_options(platform: str) -> JSONObject:
    """Return what a task asks of Ray: a core, a GPU where it needs one, and a process that stays.

    Ray's own retries are off, since they do not tell a chunk that kills its workers from a node
    that is lost.
    """
    return {
        "num_cpus": 1,
        "num_gpus": int(platform == "gpu"),
        "max_calls": 0,  # with GPUs Ray's default is a new process, and a new program, per task
        "max_retries": 0,
    }


# -------------------------------------------------------------------------------- the shared folder


def check_shared(folder: Path, platform: str) -> None:
    """Raise SpecError unless every node sees this folder, may write in it, and has this jsuper.

    If it does not exist yet, the nearest folder above it is checked.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    place = sharing.nearest(folder)
    token = f".probe-{uuid.uuid4().hex}"
    with open(place / token, "x") as file:  # a new file, so it is no link
        file.write(token)
    task = ray.remote(num_cpus=0, max_retries=0)(answer)
    try:
        for node in _nodes(platform):
            where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked = task.options(scheduling_strategy=where).remote(str(place), token)
            host = node["NodeManagerHostname"]
            try:
                version, file = ray.get(asked, timeout=PROBE_SECONDS)
            except Exception as error:
                why = str(getattr(error, "cause", None) or error).strip().splitlines()[-1]
                raise SpecError(
                    f"out={str(folder)!r} cannot be used from node {host}: {why}; give a folder "
                    "that all nodes share, and install the same jsuper on them"
                ) from error
            if not (place / file).exists():
                raise SpecError(
                    f"out={str(folder)!r} is another folder on node {host}; give one that all "
                    "nodes share"
                )
            if version != __version__:
                raise SpecError(
                    f"node {host} has jsuper {version}, and this is {__version__}; install "
                    "the same on all nodes"
                )
    finally:
        for path in place.glob(f"{token}*"):
            path.unlink(missing_ok=True)


# ------------------------------------------------------------------------------------ in the driver


def train(
    job: Job,
    plan: Plan,
    progress: Progress,
    stop: Stop,
    tick: Callable[[], None],
    task: Callable[[Order, str], tuple[int, chunk_files.Lost]] = train_chunk,
) -> Iterator[runner.Finished]:
    """Train what a job lacks on the cluster; a `jsuper.jobs.runner.Train`.

    A chunk whose worker dies is given to another one. After three deaths, lost nodes aside, it is
    written as failed (status 3), and the others go on.

    Parameters
    ----------
    job
        In a folder that all nodes share.
    plan
        Of `make_cluster_plan`.
    progress
        Counters that are kept up to date.
    stop
        Set it to stop: what ends within the grace is kept.
    tick
        Called several times a second.
    task
        What a worker does.

    Raises
    ------
    Exception
        What a task raised, in its own words.
    """
    import ray
    from ray import exceptions

    assert job.folder is not None and isinstance(plan, ClusterPlan)
    retry = frozenset(job.retry)
    folder = str(job.folder.absolute())
    order = ray.put(Order(folder, plan.platform, plan.batching, plan.cache, retry))
    remote = ray.remote(**task_options(plan.platform))(task)
    again = [c for c in job.share if c.name in job.retry]
    waiting, flying = collections.deque([*job.todo, *again]), {}
    deaths: collections.Counter[tuple[str, bool]] = collections.Counter()
    try:
        while (waiting or flying) and stop.allows(0.0) and not (stop.is_set() and not flying):
            tick()
            while waiting and len(flying) < PER_WORKER * plan.workers and not stop.is_set():
                chunk = waiting.popleft()
                flying[remote.remote(order, chunk.name)] = chunk
            for reference in ray.wait(list(flying), timeout=0.2)[0]:
                chunk = flying.pop(reference)
                try:
                    steps, lost = ray.get(reference)
                except exceptions.RayTaskError as error:
                    raise (error.cause or error) from error
                except exceptions.RayError as error:
                    lost_node = isinstance(error, exceptions.NodeDiedError)
                    deaths[chunk.name, lost_node] += 1
                    if deaths[chunk.name, lost_node] < (MOST_DEATHS, MOST_LOST_NODES)[lost_node]:
                        _print(
                            f"chunk {chunk.name} has lost its {'node' if lost_node else 'worker'}, "
                            "and goes to another"
                        )
                        waiting.append(chunk)
                        continue
                    steps, lost = 0, _give_up(job, chunk)
                work = chunk_seconds(plan, chunk)
                progress.add(
                    model_steps=steps, work=work, models=chunk.n_models, non_finite=sum(lost)
                )
                yield chunk.name, lost
    finally:
        for reference in flying:
            ray.cancel(reference, force=True)


def _give_up(job: Job, chunk: Chunk) -> chunk_files.Lost:
    """Write a chunk whose models all failed, print a message, and return their number."""
    from jsuper.engine.blocks import failed

    message = "the Ray workers that trained it died"
    runner.write(job, chunk, failed(chunk, chunk.settings, chunk.seeds, message))
    _print(
        f"chunk {chunk.name} has killed its workers: its {chunk.n_models} models are marked "
        "failed; run again to try them again"
    )
    return chunk_files.Lost(0, chunk.n_models)


def _print(text: str) -> None:
    print(f"\n{text}", file=sys.stderr, flush=True)
