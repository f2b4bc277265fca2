"""What became of a model: the codes of `ds.status` and of chunk files."""

from enum import IntEnum


class Status(IntEnum):
    """Status of one model."""

    MISSING = 0
    """not trained yet"""
    OK = 1
    """trained to the end, and every number is finite"""
    NON_FINITE = 2
    """diverged at `first_bad_step`"""
    FAILED = 3
    """could not be trained"""


# As plain integers, which NumPy and JAX take in arithmetic.
MISSING, OK, NON_FINITE, FAILED = map(int, Status)
