"""The kernel on a CPU: its source compiled by g++, with threads that take turns."""

import ctypes
import functools
import hashlib
import subprocess
import tempfile
from pathlib import Path

import jax
import numpy as np

from jsuper.models.toy.kernels.source import source_of

HERE = Path(__file__).parent
OPERANDS = [
    "data",
    "active",
    "place",
    "row",
    "span",
    "factor",
    "density",
    "rate",
    "decay",
    "importance",
]
STATE = ["W", "b", "count", "mu_W", "mu_b", "nu_W", "nu_b", "bad"]
INTEGERS = {"active", "place", "row", "span", "count", "bad"}
FLAGS = [
    "-O0",  # compiling takes longer than running
    "-std=c++14",  # the headers of later standards take longer to compile
    "-ffp-contract=fast",
    "-fno-strict-aliasing",
    "-shared",
    "-fPIC",
    "-w",
]


@functools.cache
def loaded(source: str) -> ctypes.CDLL:
    """The compiled source, with `run(grid_x, grid_y, order, arrays)`."""
    return ctypes.CDLL(str(compiled(source)))


@functools.cache
def compiled(source: str) -> Path:
    """The shared object of a source."""
    names = [*OPERANDS, *(f"{k}0" for k in STATE), *(f"{k}1" for k in STATE)]
    kinds = ["int*" if name.rstrip("01") in INTEGERS else "float*" for name in names]
    arguments = ", ".join(f"({kind})given[{i}]" for i, kind in enumerate(kinds))
    glue = f"""
static void** given;
static void once() {{ train({arguments}); }}
extern "C" void run(int x, int y, int order, void** arrays) {{
  given = arrays;
  emulator::order = order;
  emulator::launch(x, y, THREADS, once);
}}
"""
    name = hashlib.sha1(source.encode()).hexdigest()[:16]
    folder = Path(tempfile.mkdtemp(prefix="kernel-"))
    text = folder / f"{name}.cpp"
    text.write_text('#include "emulator.h"\n' + source + glue)
    out = folder / f"{name}.so"
    subprocess.run(["g++", *FLAGS, f"-I{HERE}", str(text), "-o", str(out)], check=True)
    return out


def run(source, grid, operands, state, order=0):
    """The state after one launch, for NumPy arrays."""
    given = [np.ascontiguousarray(a) for a in (*operands, *state)]
    found = [np.array(a) for a in state]  # in place on a device: what is not trained stays
    pointers = (ctypes.c_void_p * (len(given) + len(found)))(
        *(a.ctypes.data for a in (*given, *found))
    )
    loaded(source).run(*grid, order, pointers)
    return tuple(found)


def launch(kernel, grid, operands, state):
    """In place of `launching.launch`, inside a JAX program on a CPU."""
    source, number = source_of(kernel), len(operands)
    shapes = tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in state)
    loaded(source)  # not in the callback, whose thread would wait for the compiler

    def call(*arrays):
        return run(source, grid, arrays[:number], arrays[number:])

    return jax.pure_callback(call, shapes, *operands, *state)
