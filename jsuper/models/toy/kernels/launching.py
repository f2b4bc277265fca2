"""A launch of the kernel inside a JAX program: PTX by NVRTC, and a call that XLA compiles in.

XLA's own custom call for PTX is internal to it. Where it is refused, nothing is lost: the trial of
`trial.py` finds out, and the vmapped plan runs.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jsuper.models.toy.kernels import nvrtc
from jsuper.models.toy.kernels.source import WARPS, Kernel, source_of

TARGET = "__gpu$xla.gpu.ptx"


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
    call = jax.ffi.ffi_call(TARGET, shapes, input_output_aliases=aliases)
    numbers = {"grid_x": grid[0], "grid_y": grid[1], "grid_z": 1, "block_x": 32 * WARPS}
    numbers |= {"block_y": 1, "block_z": 1, "shared_mem_bytes": 0}
    found = call(
        *operands,
        *state,
        name="train",
        kernel_type="ptx",
        kernel_data=ptx_of(kernel),
        **{k: np.int32(v) for k, v in numbers.items()},
    )
    return tuple(found)


@functools.cache
def ptx_of(kernel: Kernel) -> str:
    """Return the PTX of a kernel; compiled once a process."""
    return nvrtc.compiled(source_of(kernel))
