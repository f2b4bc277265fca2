"""Reading an .npz that somebody else may have made: nothing is executed, no memory beyond its size.

Members have to be stored as they are, as `np.savez` does, so that a small file cannot unfold into a
large one, and each array's header has to agree with the bytes that follow before any is read.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

Arrays = dict[str, np.ndarray]

# What reading a damaged archive can raise, from zipfile, zlib, NumPy and json.
UNREADABLE = (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, RuntimeError)
UNREADABLE += (zipfile.BadZipFile, zlib.error, IndexError, OverflowError, MemoryError)
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_arrays(path: Path, only: Collection[str] | None = None) -> Arrays:
    """The arrays of an .npz by name; reading checks every CRC.

    Args:
        path: the file.
        only: names of those to read; None: all.

    Raises:
        FileNotFoundError: there is no such file.
        UNREADABLE: it is damaged, or not as `np.savez` writes it.
    """
    with open(path, "rb") as raw:
        if raw.read(4) != b"PK\3\4":  # zipfile would look for an archive anywhere in it
            raise ValueError("it does not begin as an .npz does")
        return _members(raw, only)


def _members(raw: IO[bytes], only: Collection[str] | None) -> Arrays:
    with zipfile.ZipFile(raw) as file:
        members = file.infolist()
        if sum(m.file_size for m in members) > os.fstat(raw.fileno()).st_size:
            raise ValueError("its arrays are larger than the file")
        if len({m.filename for m in members}) < len(members):
            raise ValueError("it has two arrays of one name")
        arrays = {}
        for member in members:
            name = member.filename.removesuffix(".npy")
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"its array {name} is compressed")
            if only is None or name in only:
                with file.open(member) as stream:
                    arrays[name] = _array(stream, member.file_size)
    return arrays


def _array(stream: IO[bytes], size: int) -> np.ndarray:
    """An array whose header agrees with the number of bytes."""
    version = npy.read_magic(stream)
    if version not in HEADERS:
        raise ValueError(f"its arrays have the format {version}")
    try:
        shape, fortran, dtype = HEADERS[version](stream)
    except Exception as error:  # of NumPy's parsers, one of which tokenizes Python
        raise ValueError(f"the header of an array cannot be read: {error}") from error
    if dtype.hasobject:
        raise ValueError("an array holds pickled objects, which are never read")
    if math.prod(shape) * dtype.itemsize != size - stream.tell():
        raise ValueError("the header of an array does not agree with its bytes")
    content = stream.read(size)  # to the end, where the CRC is checked
    order = "F" if fortran else "C"
    return np.frombuffer(bytearray(content), dtype).reshape(shape, order=order)
