"""JAX on the CPU, figures off the screen, no compiled programs in the user's home; fault counts."""

import importlib.metadata
import json
import os
import signal
import sys

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JSUPER_CACHE"] = "off"
os.environ["MPLBACKEND"] = "Agg"
if importlib.metadata.version("jaxlib").startswith("0.10."):
    # Most of the tests' time is compilation, which is faster without these emitters. Newer versions
    # cannot leave them out. Set XLA_FLAGS= to compile what users run, as CI does for slow tests.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")


@pytest.fixture(autouse=True)
def figures_are_closed():
    """No test sees the figures of one before it."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot:
        pyplot.close("all")


@pytest.fixture(autouse=True, scope="module")
def compiled_programs_do_not_pile_up():
    """XLA crashes a process with too many memory mappings: see `programs.make_room`."""
    yield
    programs = sys.modules.get("jsuper.engine.programs")
    if programs and programs.near_mapping_limit():
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
