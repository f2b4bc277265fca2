"""Chunks trained by a Ray cluster are those of a local run, whatever is lost on the way."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray
from running import REPO

import jsuper
from jsuper.cli import sweeping
from jsuper.cli.options import parse
from jsuper.core.errors import SpecError
from jsuper.engine.counters import Progress
from jsuper.engine.devices import make_plan
from jsuper.engine.stopping import Stop
from jsuper.jobs import ray_driver, ray_worker, runner
from jsuper.jobs.job import prepare
from jsuper.store import chunk_files
from jsuper.store.manifest import manifest_of, read_manifest, write_manifest
from jsuper.store.status import status_of

SIZE = "--batch-size 64 --n-features 6 --steps 30 --no-report"
GRID = f"--activation relu --sparsity 0 0.9 --seeds 8 --n-hidden 2 {SIZE}".split()
TWO_PROGRAMS = f"--activation relu gelu --sparsity 0.9 --seeds 4 --n-hidden 2 3 {SIZE}".split()
# Ray leaves sockets and files to the end of a process; the nodes of a test are forked from it.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::FutureWarning", "ignore:os.fork:RuntimeWarning"
)


@pytest.fixture(autouse=True)
def as_before(signals_are_as_before):
    """Signals and the environment, which Ray and the command change."""
    variables = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(variables)


@pytest.fixture(scope="module")
def two_nodes():
    """A cluster on this machine: a head that runs no tasks, and two nodes of one core each."""
    from ray.cluster_utils import Cluster

    soon = {"health_check_period_ms": 200, "health_check_initial_delay_ms": 200}
    head = {"num_cpus": 0, "_system_config": soon}  # a dead node is noticed soon
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    ray_driver.connect(cluster.address)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def job_of(folder):
    """A job in a folder with a partition of eight chunks, and the cluster's plan."""
    sweep, _, _ = parse(GRID)
    if not read_manifest(folder):
        write_manifest(folder, sweep, prepare(sweep, folder, make_plan("cpu", 8)).chunks, [])
    plan = ray_driver.make_cluster_plan("cpu", None, "auto", cache=False)
    return prepare(sweep, folder, plan), plan


def execute(job, plan, task, stop=None, tick=lambda: None):
    progress = Progress()

    def train(*arguments):
        yield from ray_driver.train(*arguments, task=task)

    runner.execute(job, plan, progress, stop or Stop(), tick, train)
    return progress


def counting(order, name):
    """`tasks.train_chunk` that takes a while and leaves a file for each attempt."""
    folder = Path(order.folder) / "attempts"
    folder.mkdir(exist_ok=True)
    node = ray.get_runtime_context().get_node_id()
    (folder / f"{name}.{os.getpid()}.{node}.{time.time_ns()}").touch()
    time.sleep(0.3)
    return ray_worker.train_chunk(order, name)


def poisoned(order, name):
    """`counting`, but the first chunk of the manifest kills its worker."""
    if name != manifest_of(order.folder).chunks[0].name:
        return counting(order, name)
    (Path(order.folder) / "attempts").mkdir(exist_ok=True)
    (Path(order.folder) / "attempts" / f"{name}.{os.getpid()}").touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return 0, 0


@pytest.fixture(scope="module", autouse=True)
def tasks_by_value():
    """Workers do not have this file."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def attempts(folder):
    return [p.name.split(".")[0] for p in (folder / "attempts").iterdir()]


def assert_same(found, expected):
    """Bitwise: a chunk is trained by the same program wherever it is."""
    found, expected = jsuper.load(found), jsuper.load(expected)
    assert (found.status == 1).all() and (expected.status == 1).all()
    for name, values in expected.data_vars.items():
        np.testing.assert_array_equal(found[name], values, err_msg=str(name))


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The run of eight chunks, trained here."""
    return trained_here(tmp_path_factory.mktemp("local") / "run", GRID, 8)


def trained_here(folder, flags, workers):
    more = ["--workers", str(workers), "--platform", "cpu", "--no-cache", "--out", str(folder)]
    assert sweeping.sweep([*flags, *more]) == 0
    return folder


# ------------------------------------------------------------------------------------- fast ones


def test_a_task_asks_for_its_device_and_keeps_its_process():
    assert ray_driver.task_options("cpu") == {
        "num_cpus": 1,
        "num_gpus": 0,
        "max_calls": 0,
        "max_retries": 0,
    }
    assert ray_driver.task_options("gpu")["num_gpus"] == 1
    kept = ray.remote(**ray_driver.task_options("gpu"))(ray_worker.train_chunk)
    assert kept._default_options["max_calls"] == 0


def test_a_task_trains_on_the_device_that_it_was_given():
    class Device:
        def __init__(self, number):
            self.id, self.local_hardware_id = 10 + number, number

    devices = tuple(map(Device, range(4)))
    assert ray_worker.device_of(devices, [2]) is devices[2]
    assert ray_worker.device_of(devices, ["3"]) is devices[3]
    assert ray_worker.device_of(devices, []) is devices[0]


def test_tasks_need_no_jax_before_they_begin():
    program = (
        "import sys, jsuper.jobs.ray_worker; "
        "assert not {'jax', 'ray', 'xarray'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--address", "auto"], "add --engine ray"),
        (["--engine", "ray", "--shard", "1/2"], "which takes all chunks"),
        (["--engine", "ray", "--address", "127.0.0.1:1"], "cannot be used: [Errno 111]"),
        (["--engine", "ray", "--address", "nonsense"], "neither auto nor host:port"),
        (["--engine", "ray", "--address", "auto"], "cannot be used"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, capsys, flags, said):
    assert sweeping.sweep([*GRID, *flags, "--out", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SpecError, match=r"pip install 'jsuper\[cluster\]'"):
        ray_driver.connect(None)


@pytest.mark.slow
def test_a_task_trains_what_is_missing_and_nothing_twice(tmp_path, local):
    """Here, without a cluster."""
    order = ray_worker.Order(str(tmp_path / "run"), "cpu", "auto", cache=False)
    source = manifest_of(local)
    sweep, _, _ = parse(GRID)
    write_manifest(tmp_path / "run", sweep, source.chunks, [])
    one = source.chunks[0]
    steps, lost = ray_worker.train_chunk(order, one.name)
    assert (steps, lost) == (30 * one.n_models, (0, 0))
    path = chunk_files.chunk_path(tmp_path / "run", one.name)
    before = path.stat().st_mtime_ns
    assert ray_worker.train_chunk(order, one.name) == (0, (0, 0))
    assert path.stat().st_mtime_ns == before
    found, expected = (chunk_files.read_chunk(f, one) for f in (tmp_path / "run", local))
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


# ------------------------------------------------------------------------------- a real cluster


@pytest.mark.slow
def test_a_node_that_dies_in_the_middle_costs_nothing(tmp_path, tried, two_nodes, local):
    """All chunks are there, none twice, and they are those of a local run."""
    doomed = two_nodes.add_node(num_cpus=1)
    job, plan = job_of(tmp_path / "run")
    assert plan.workers == 3 and len(job.chunks) == 8

    def kill_while_it_trains():
        trains = f"attempts/*.{doomed.node_id}.*"
        while not list((tmp_path / "run").glob(trains)):
            time.sleep(0.05)
        two_nodes.remove_node(doomed, allow_graceful=False)

    stone = threading.Thread(target=kill_while_it_trains, daemon=True)
    stone.start()
    execute(job, plan, counting)
    stone.join()
    names = [c.name for c in manifest_of(tmp_path / "run").chunks]
    begun = attempts(tmp_path / "run")
    assert set(begun) == set(names) and len(names) == 8 < len(begun) <= 8 + plan.workers
    files = [p.name for p in (tmp_path / "run" / "chunks").glob("*.npz")]
    assert sorted(files) == sorted(f"{n}.npz" for n in names)
    assert_same(tmp_path / "run", local)
    tried(
        "A node of a Ray cluster that is lost",
        "one of three nodes killed hard while it trained: all chunks there, none "
        "twice, the same content as a local run",
    )


@pytest.mark.slow
def test_a_chunk_that_kills_its_workers_is_failed_and_the_rest_goes_on(
    tmp_path, tried, two_nodes, capsys
):
    job, plan = job_of(tmp_path / "run")
    execute(job, plan, poisoned)
    found = status_of(tmp_path / "run")
    assert found.missing == 0 and found.failed == job.chunks[0].n_models
    begun = attempts(tmp_path / "run")
    assert begun.count(job.chunks[0].name) == ray_driver.MOST_DEATHS
    assert len(begun) == len(job.chunks) - 1 + ray_driver.MOST_DEATHS
    processes = {p.name.split(".")[1] for p in (tmp_path / "run" / "attempts").iterdir()}
    assert len(processes) <= plan.workers + ray_driver.MOST_DEATHS + 1 < len(begun)  # they are kept
    assert "models are marked failed" in capsys.readouterr().err
    assert job.n_failed == found.failed
    ds = jsuper.load(tmp_path / "run")
    assert ds.W.where(ds.status == 3).isnull().all()
    tried(
        "A worker of a Ray cluster that is killed",
        "a chunk that kills every worker: tried three times, its models marked failed, the other "
        "seven chunks trained",
        ray_driver.MOST_DEATHS,
    )


@pytest.mark.slow
def test_an_error_in_a_task_is_told_and_nothing_is_lost(tmp_path, two_nodes):

    def full(order, name):
        if name == manifest_of(order.folder).chunks[-1].name:
            raise OSError(28, "No space left on device")
        return ray_worker.train_chunk(order, name)

    job, plan = job_of(tmp_path / "run")
    with pytest.raises(OSError, match="No space left on device"):
        execute(job, plan, full)
    execute(job_of(tmp_path / "run")[0], plan, ray_worker.train_chunk)
    assert status_of(tmp_path / "run").ok == 16


@pytest.mark.slow
def test_a_folder_that_is_not_shared_is_found_before_anything_runs(
    tmp_path, two_nodes, monkeypatch
):
    ray_driver.check_shared(tmp_path / "new" / "run", "cpu")
    assert list(tmp_path.iterdir()) == []
    with monkeypatch.context() as patched, pytest.raises(SpecError, match="another folder on node"):
        patched.setattr(ray_driver, "answer", elsewhere)
        ray_driver.check_shared(tmp_path, "cpu")
    with monkeypatch.context() as patched, pytest.raises(SpecError, match="cannot be used from"):
        patched.setattr(ray_driver, "answer", unreadable)
        ray_driver.check_shared(tmp_path, "cpu")
    with monkeypatch.context() as patched, pytest.raises(SpecError, match="has jsuper 0.0.1"):
        patched.setattr(ray_driver, "answer", older)
        ray_driver.check_shared(tmp_path, "cpu")
    assert list(tmp_path.iterdir()) == []


def elsewhere(folder, token):
    """What a node says that has another folder under this name."""
    return jsuper.__version__, f"{token}-elsewhere"


def unreadable(folder, token):
    """What happens on a node that has no such folder."""
    return ray_worker.answer("/nowhere", token)


def older(folder, token):
    """What a node says that has another jsuper."""
    return "0.0.1", ray_worker.answer(folder, token)[1]


@pytest.mark.slow
def test_a_stop_ends_within_the_grace_and_goes_on_later(tmp_path, two_nodes):
    def slow(order, name):
        if name != manifest_of(order.folder).chunks[0].name:
            time.sleep(600)
        return ray_worker.train_chunk(order, name)

    job, plan = job_of(tmp_path / "run")
    stop = Stop()
    stopped = []

    def tick():
        if not stop.is_set() and status_of(tmp_path / "run").ok:
            stopped.append(time.monotonic())
            stop.set(1.0)

    with pytest.raises(runner.StoppedError, match="7 of 8 chunks are left"):
        execute(job, plan, slow, stop, tick)
    assert time.monotonic() - stopped[0] < 20
    time.sleep(1)
    execute(job_of(tmp_path / "run")[0], plan, ray_worker.train_chunk)
    assert status_of(tmp_path / "run").ok == 16


def started(run, *flags):
    command = [sys.executable, str(REPO / "scripts" / "sweep.py"), *flags]
    return subprocess.Popen(
        [*command, "--engine", "ray", "--out", str(run)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # its own process group, as a shell gives it
    )


@pytest.mark.slow
def test_the_command_starts_a_cluster_that_only_this_machine_reaches(tmp_path):
    process = started(tmp_path / "run", *TWO_PROGRAMS, "--workers", "2")
    heard: set[str] = set()
    while process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                listening = [c for c in child.net_connections("inet") if c.status == "LISTEN"]
            except psutil.Error:
                continue
            heard |= {c.laddr.ip.removeprefix("::ffff:") for c in listening}
        time.sleep(1)  # listing all sockets takes long
    out, error = process.communicate()
    assert process.returncode == 0, error
    assert heard == {"127.0.0.1"}
    assert "Ray, 1 node, 2 tasks at once (cpu)" in out and "loss_over_constant" in out
    assert_same(tmp_path / "run", trained_here(tmp_path / "local", TWO_PROGRAMS, 2))
    session = json.loads(jsuper.load(tmp_path / "run").attrs["sessions"])[0]
    assert session["plan"].startswith("Ray, 1 node") and "ended" in session


def cmdline(process):
    """Ray names a worker after the task that it runs."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.slow
def test_ctrl_c_stops_the_command_and_its_cluster(tmp_path):
    run = tmp_path / "run"
    process = started(run, *GRID, "--workers", "2", "--steps", "20000000", "--grace", "1")
    deadline = time.monotonic() + 90
    while not list(run.glob("sessions/*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    children = []
    while not any("train_chunk" in name for name in map(cmdline, children)):  # it trains
        assert time.monotonic() < deadline
        time.sleep(0.2)
        children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) > 3
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, error = process.communicate(timeout=60)
    assert process.returncode == 75, error
    assert "run again to continue" in error and "Traceback" not in error
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
