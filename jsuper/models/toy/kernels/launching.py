"""A launch of the kernel inside a JAX program: PTX by NVRTC, and a call that XLA compiles in.

XLA's own custom call for PTX is internal to it. Where a version refuses it, a trial finds out, and
`launcher.py` has another way; if that fails too, the vmapped plan runs.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jsuper.models.toy.kernels import launcher, nvrtc
from jsuper.models.toy.kernels.source import WARPS, Kernel, source_of

TARGET = "__gpu$xla.gpu.ptx"
_refused: list[str] = []  # the error by which XLA has refused its call for PTX, if it has
_compilers = ThreadPoolExecutor(thread_name_prefix="jsuper-nvrtc")


def launch(
    kernel: Kernel, grid: tuple[int, int], operands: Sequence[ArrayLike], state: Sequence[Array]
) -> tuple[Array, ...]:
    """Return a state after one launch; what the kernel does not train stays.

    Parameters
    ----------
    kernel
        What it is made for.
    grid
        Blocks of threads, (seeds, groups of models).
    operands
        In the order of the kernel's arguments.
    state
        Its last ones, which are replaced in place.

    Raises
    ------
    NotCoveredError
        The kernel cannot be written for this activation or size.
    RuntimeError
        The compiler is missing, or refuses it.
    """
    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in state]
    aliases = {len(operands) + i: i for i in range(len(shapes))}
    numbers = {"grid_x": grid[0], "grid_y": grid[1], "grid_z": 1, "block_x": 32 * WARPS}
    numbers |= {"block_y": 1, "block_z": 1, "shared_mem_bytes": 0}
    if _refused:
        return launcher.launch(ptx_of(kernel), shapes, aliases, (*operands, *state), numbers)
    call = jax.ffi.ffi_call(TARGET, shapes, input_output_aliases=aliases)
    found = call(
        *operands,
        *state,
        name="train",
        kernel_type="ptx",
        kernel_data=ptx_of(kernel),
        **{k: np.int32(v) for k, v in numbers.items()},
    )
    return tuple(found)


def fall_back(error: str) -> bool:
    """Return whether a launch that ended with this error may be tried again, in another way.

    Programs that were traced before the first refusal end with it too.
    """
    if TARGET not in error:
        return False
    _refused.append(error)
    return True


@functools.cache
def begin(kernel: Kernel) -> Future[str]:
    """Begin to compile a kernel to PTX, once a process, beside others."""
    source = source_of(kernel)
    return _compilers.submit(lambda: nvrtc.compiled(source))


def ptx_of(kernel: Kernel) -> str:
    """Return the PTX of a kernel."""
    return begin(kernel).result()
