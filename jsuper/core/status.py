"""Status codes of models: the values of `ds.status` and of chunk files."""

from enum import IntEnum


class Status(IntEnum):
    """Status of one model."""

    MISSING = 0
    """not trained yet"""
    OK = 1
    """trained to the end; every number is finite"""
    NON_FINITE = 2
    """diverged at `first_bad_step`"""
    FAILED = 3
    """could not be trained"""


ERROR = "error"  # variable of a chunk file with failed models: why each of them failed
ERROR_BYTES = 300  # of a message, which is cut

# As plain integers, for arithmetic in NumPy and JAX.
MISSING, OK, NON_FINITE, FAILED = map(int, Status)
