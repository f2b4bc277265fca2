"""JAX on the CPU, figures off the screen, no compiled programs in the user's home; fault counts."""

import gc
import importlib.metadata
import json
import os
import signal
import sys

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JSUPER_CACHE"] = "off"
os.environ["MPLBACKEND"] = "Agg"
# Most of the tests' time is compilation, of programs that then run for milliseconds. Set XLA_FLAGS=
# to compile them as for users.
QUICKLY = "--xla_backend_optimization_level=0"
if importlib.metadata.version("jaxlib").startswith("0.10."):  # newer ones may not know these flags
    QUICKLY += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ.setdefault("XLA_FLAGS", QUICKLY)
gc.set_threshold(100_000, 50, 100)  # JAX's tracing makes objects by the million, and few cycles


@pytest.fixture(autouse=True)
def figures_are_closed():
    """No test sees the figures of one before it."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot:
        pyplot.close("all")


@pytest.fixture(autouse=True, scope="module")
def what_earlier_modules_left_is_not_searched():
    """A full collection takes a second where JAX keeps a million objects of earlier tests."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def compiled_programs_do_not_pile_up():
    """XLA crashes a process with too many memory mappings: see `programs.make_room`."""
    yield
    programs = sys.modules.get("jsuper.engine.programs")
    if programs and programs.near_mapping_limit():
        gc.unfreeze()
        sys.modules["jax"].clear_caches()
        programs.make_room()


@pytest.fixture
def signals_are_as_before():
    """The command sets handlers of its own: for tests that call it in their own process."""
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGUSR1
    before = [signal.getsignal(n) for n in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def pytest_addoption(parser):
    parser.addoption(
        "--counts",
        metavar="FILE",
        help="run the fault tests alone, and append what each has tried to FILE: JSON, a line each",
    )


def pytest_collection_modifyitems(config, items):
    if config.getoption("--counts"):
        others = [i for i in items if "tried" not in i.fixturenames]
        config.hook.pytest_deselected(items=others)
        items[:] = [i for i in items if "tried" in i.fixturenames]


@pytest.fixture
def how_often(request):
    """how_often(few, many): repetitions of a random fault; many for docs/reliability.md alone."""
    counts = request.config.getoption("--counts")
    return lambda few, many: many if counts else few


@pytest.fixture
def tried(request):
    """Say what a fault test has done, once it has been seen to be right: for docs/reliability.md.

    tried(fault, what, times): `what` was tried and came out, in a sentence without its period.
    """
    counts = request.config.getoption("--counts")

    def count(fault, what, times=1):
        line = json.dumps({"fault": fault, "tried": int(times), "what": what}) + "\n"
        if counts:
            place = request.config.invocation_params.dir / counts
            descriptor = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                file.write(line.encode())  # at once: other workers append too

    return count
