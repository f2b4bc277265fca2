"""Reading an .npz that somebody else may have made: nothing is executed, no memory beyond its size.

Members have to be stored as they are, as `np.savez` does, so that a small file cannot unfold into a
large one, and each array's header has to agree with the bytes that follow before any is read.
"""

from __future__ import annotations

import functools
import io
import math
import os
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from jsuper.core.files import opened

Arrays = dict[str, np.ndarray]

LARGEST_DIRECTORY = 10**6  # bytes of an archive's list of members, of which a chunk has about 20
HEADER_BYTES = 1000  # of an array, at most
ZIP64_TAIL = 98  # bytes of the records that end an archive

# What reading a damaged archive can raise, from zipfile, zlib, NumPy and json.
UNREADABLE = (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, RuntimeError)
UNREADABLE += (zipfile.BadZipFile, zlib.error, IndexError, OverflowError, MemoryError)
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_arrays(
    path: Path,
    only: Collection[str] | None = None,
    most: Mapping[str, int] | None = None,
    expected: Mapping[str, int] | None = None,
) -> Arrays:
    """Return the arrays of an .npz by name; reading checks every CRC.

    Parameters
    ----------
    path
        The file.
    only
        Names of those to read; None: all.
    most
        The most bytes of each array, without its header; others are not read. None: as the
        file has it.
    expected
        The CRC of each array that is read. None: that of the file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    UNREADABLE
        It is damaged, or not as `np.savez` writes it.
    """
    with opened(path) as raw:
        if raw.read(4) != b"PK\3\4":  # zipfile would look for an archive anywhere in it
            raise ValueError("it does not begin as an .npz does")
        _check_directory(raw)
        return _members(raw, only, most, expected)


def checksums(path: Path) -> dict[str, int]:
    """Return the CRC of every array of an .npz, from its list of members; no array is read.

    Raises
    ------
    UNREADABLE
        The file is missing, damaged, or not as `np.savez` writes it.
    """
    with opened(path) as raw:
        _check_directory(raw)
        with zipfile.ZipFile(raw) as file:
            return {m.filename.removesuffix(".npy"): m.CRC for m in file.infolist()}


def _check_directory(raw: IO[bytes]) -> None:
    """Raise ValueError where the list of members, which zipfile reads whole, is large.

    It stands at the end of the file, and `np.savez` writes no comment after it.
    """
    end = raw.seek(0, os.SEEK_END)
    raw.seek(max(end - ZIP64_TAIL, 0))
    tail = raw.read(ZIP64_TAIL)
    if tail[-22:-18] != b"PK\5\6":
        raise ValueError("it does not end as an .npz does")
    size = int.from_bytes(tail[-10:-6], "little")
    if tail[-42:-38] == b"PK\6\7":  # a record with wider numbers stands before it
        size = int.from_bytes(tail[40:48], "little") if tail[:4] == b"PK\6\6" else end
    if size > LARGEST_DIRECTORY:
        raise ValueError("its list of arrays is too large")


def _members(
    raw: IO[bytes],
    only: Collection[str] | None,
    most: Mapping[str, int] | None,
    expected: Mapping[str, int] | None,
) -> Arrays:
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
            if (only is None or name in only) and (most is None or name in most):
                if most is not None and member.file_size > most[name] + HEADER_BYTES:
                    raise ValueError(
                        f"its array {name} has {member.file_size:,} bytes, and {most[name]:,} are "
                        "expected"
                    )
                if expected is not None and expected.get(name) != member.CRC:
                    raise ValueError(f"its array {name} has another checksum")
                with file.open(member) as stream:
                    arrays[name] = _array(stream, member.file_size)
    return arrays


def _array(stream: IO[bytes], size: int) -> np.ndarray:
    """Return an array whose header agrees with the number of bytes."""
    content = memoryview(bytearray(stream.read(size + 1)))  # to the end, where the CRC is checked
    version = npy.read_magic(io.BytesIO(content[:8]))
    if version not in HEADERS:
        raise ValueError(f"its arrays have the format {version}")
    width = 2 if version == (1, 0) else 4  # of the header's own length
    start = 8 + width + int.from_bytes(content[8 : 8 + width], "little")
    shape, fortran, dtype = _header(version, bytes(content[8:start]))
    if math.prod(shape) * dtype.itemsize != len(content) - start:
        raise ValueError("the header of an array does not agree with its bytes")
    order = "F" if fortran else "C"
    return np.frombuffer(content[start:], dtype).reshape(shape, order=order)


@functools.lru_cache(maxsize=256)  # chunks of a run have the same ones
def _header(version: tuple[int, int], header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of an array, from the bytes after its magic."""
    try:
        shape, fortran, dtype = HEADERS[version](io.BytesIO(header))
    except Exception as error:  # of NumPy's parsers, one of which tokenizes Python
        raise ValueError(f"the header of an array cannot be read: {error}") from error
    if dtype.hasobject:
        raise ValueError("an array holds pickled objects, which are never read")
    return shape, fortran, dtype
