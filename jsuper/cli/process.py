"""The process of a command: exit codes, errors and warnings as lines, signals, folders."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from jsuper.core.errors import SpecError
from jsuper.core.files import RunError
from jsuper.core.text import printable
from jsuper.store import sharing

DONE, ERROR, BAD_INPUT, SOME_NON_FINITE, SOME_FAILED = 0, 1, 2, 3, 4
STOPPED, STOPPED_AT_ONCE = 75, 130
SAME_REQUEST_SECONDS = 0.5


def reported(command: Callable[[], int]) -> int:
    """Return a command's exit code; bad input becomes one line on standard error."""
    atexit.unregister(gc.freeze)  # a process may run several commands
    atexit.register(gc.freeze)  # Python's last collection would search all that JAX has traced
    try:
        with plain_warnings():
            try:
                return command()
            finally:
                sys.stdout.flush()
    except (SpecError, FileNotFoundError) as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # what reads the output has ended, as in `jsuper list runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the exit fails too
        return ERROR
    except (RunError, OSError) as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return ERROR


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Print warnings as one line, without the line of code that gave them."""

    def show(message: Warning | str, *where: object, **more: object) -> None:
        del where, more
        print(f"warning: {printable(message)}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def on_signal(act: Callable[[], None]) -> None:
    """Call `act` at the first SIGINT, SIGTERM or SIGUSR1, and end the process at the next one.

    A signal that follows within an instant is the same request: `timeout` and some schedulers
    signal the process and then its group.
    """
    first: list[float] = []

    def handle(number: int, frame: object) -> None:
        del number, frame
        now = time.monotonic()
        if not first:
            first.append(now)
            act()
        elif now - first[0] > SAME_REQUEST_SECONDS:
            os._exit(STOPPED_AT_ONCE)

    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):  # the last is not on Windows
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), handle)


def concluded(work: Callable[[], None]) -> bool:
    """Do the work that follows the training; return False if a signal stopped it."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    on_signal(interrupt)
    try:
        work()
    except KeyboardInterrupt:
        print("Stopped. All models are kept; run again for the report.", file=sys.stderr)
        return False
    return True


def check_writable(folder: Path) -> None:
    """Raise SpecError unless files can be written in the folder; nothing remains there.

    A missing folder is created below a temporary one, since other processes may create it too.
    """
    try:
        whole, existing = Path(os.path.abspath(folder)), sharing.nearest(folder)
        if existing == whole:
            with tempfile.TemporaryFile(dir=whole):
                return
        with tempfile.TemporaryDirectory(prefix=".jsuper-", dir=existing) as place:
            (Path(place) / whole.relative_to(existing)).mkdir(parents=True)
    except OSError as error:
        raise SpecError(
            f"out={str(folder)!r} cannot be written ({error.strerror}); give another folder"
        ) from error


def start_analysis(cache: bool = True) -> None:
    """Start JAX for measuring models: on the CPU, unless it runs or the user chose otherwise.

    Parameters
    ----------
    cache
        Keep compiled programs.

    Raises
    ------
    SpecError
        The user chose a platform that this machine does not have.
    """
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # an accelerator would not help
    from jsuper.engine.programs import use_compilation_cache
    from jsuper.training.jax_config import check_devices

    check_devices()
    if cache:
        use_compilation_cache()
