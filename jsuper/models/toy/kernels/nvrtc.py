"""CUDA C++ to PTX by NVRTC, the compiler in NVIDIA's wheels that jax[cuda13] installs."""

from __future__ import annotations

import ctypes
import re
import site
import sys
from pathlib import Path

ARCHITECTURE = "compute_90"  # H100 and H200; newer devices compile its PTX further
OPTIONS = ("--std=c++17", "--prec-div=false")
VERSION = ".version 8.0"  # of PTX: nothing newer is used, and older drivers refuse newer ones
PLACES = ("nvidia/cu1*/lib/libnvrtc.so.1*", "nvidia/cuda_nvrtc/lib/libnvrtc.so.1*")


def compiled(source: str, architecture: str = ARCHITECTURE) -> str:
    """Return the PTX of a source.

    Raises
    ------
    RuntimeError
        There is no NVRTC, or it refuses the source.
    """
    library = ctypes.CDLL(found())
    program = ctypes.c_void_p()
    create = library.nvrtcCreateProgram(
        ctypes.byref(program), source.encode(), b"train.cu", 0, None, None
    )
    if create:
        raise RuntimeError(f"NVRTC cannot start: error {create}")
    options = [f"--gpu-architecture={architecture}", *OPTIONS]
    given = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
    try:
        failed = library.nvrtcCompileProgram(program, len(options), given)
        if failed:
            raise RuntimeError(f"NVRTC refuses the kernel: {_text(library, program, 'ProgramLog')}")
        ptx = _text(library, program, "PTX")
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
    return re.sub(r"^\.version .*$", VERSION, ptx, flags=re.MULTILINE)


def _text(library: ctypes.CDLL, program: ctypes.c_void_p, of: str) -> str:
    size = ctypes.c_size_t()
    getattr(library, f"nvrtcGet{of}Size")(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    getattr(library, f"nvrtcGet{of}")(program, text)
    return text.value.decode()


def found() -> str:
    """Return the library of NVIDIA's wheels, or its name for the loader.

    Raises
    ------
    RuntimeError
        Neither is there.
    """
    for base in dict.fromkeys([*site.getsitepackages(), *sys.path]):
        for place in PLACES:
            paths = [p for p in sorted(Path(base).glob(place)) if "builtins" not in p.name]
            if paths:
                return str(paths[0])
    try:
        ctypes.CDLL("libnvrtc.so")
    except OSError as error:
        raise RuntimeError(
            "NVRTC is not installed, which compiles the kernel; install jsuper[cuda]"
        ) from error
    return "libnvrtc.so"
