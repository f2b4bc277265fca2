"""A launch of the kernel by a handler that g++ builds here, where XLA's PTX call is refused."""

from __future__ import annotations

import atexit
import ctypes
import functools
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.typing import ArrayLike

NAME = "jsuper_launch"
FLAGS = ("-O2", "-std=c++17", "-shared", "-fPIC", "-w")


def launch(
    ptx: str,
    shapes: Sequence[jax.ShapeDtypeStruct],
    aliases: Mapping[int, int],
    operands: Sequence[ArrayLike],
    numbers: Mapping[str, int],
) -> tuple[Array, ...]:
    """Return the results of one launch.

    Parameters
    ----------
    ptx
        The kernel.
    shapes, aliases
        Of the results, and which operand is replaced by which.
    operands
        In the order of the kernel's arguments.
    numbers
        grid_x, grid_y and block_x.

    Raises
    ------
    RuntimeError
        There is no g++, or it refuses the handler.
    """
    kernel = int.from_bytes(hashlib.sha256(ptx.encode()).digest()[:8], "big", signed=True)
    handler().add(ctypes.c_int64(kernel), ptx.encode())
    call = jax.ffi.ffi_call(NAME, shapes, input_output_aliases=dict(aliases))
    given: dict[str, Any] = {k: np.int32(numbers[k]) for k in ("grid_x", "grid_y", "block_x")}
    with jax.enable_x64(True):  # an attribute of 64 bits
        return tuple(call(*operands, kernel=np.int64(kernel), **given))


@functools.cache
def handler(*flags: str, platform: str = "CUDA") -> ctypes.CDLL:
    """Return the handler's shared object, built and registered once a process."""
    folder = Path(tempfile.mkdtemp(prefix="jsuper-launcher-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    out = folder / "launcher.so"
    with as_file(files("jsuper.models.toy.kernels") / "launcher.cc") as source:
        command = ["g++", *FLAGS, f"-I{jax.ffi.include_dir()}", *flags, str(source), "-o", str(out)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise RuntimeError("there is no g++") from error
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"g++ refuses the launcher: {error.stderr[:500]}") from error
    found = ctypes.CDLL(str(out))
    jax.ffi.register_ffi_target(NAME, jax.ffi.pycapsule(found.launch), platform=platform)
    return found
