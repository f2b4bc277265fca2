"""Type errors for arguments: what was given, what is expected, and an example."""

from __future__ import annotations

import numbers
import os

PLAIN = (str, int, float, complex, bool, type(None))


def described(value: object) -> str:
    """Return a short description of a value: `'relu'`, `the class Sweep`, `a Dataset`."""
    if isinstance(value, PLAIN):
        return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}..."
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    name = "array" if name in ("ndarray", "ArrayImpl") else name
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def expect(
    name: str, value: object, kind: type | tuple[type, ...], wanted: str, example: str
) -> None:
    """Raise TypeError unless a value is of a type.

    Parameters
    ----------
    name
        Name of the argument.
    value
        Its value.
    kind
        One type, or several allowed types.
    wanted
        What the argument should be, such as "a Sweep".
    example
        A correct call.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} is {described(value)}, not {wanted}; for example {example}")


def expect_folder(name: str, value: object, example: str) -> None:
    """Raise TypeError unless a value is a path."""
    expect(name, value, (str, os.PathLike), "the path of a run folder", example)


def expect_dataset(value: object, example: str) -> None:
    """Raise TypeError unless a value is an `xarray.Dataset`."""
    import xarray

    expect("ds", value, xarray.Dataset, "the Dataset of jsuper.run or jsuper.load", example)


def expect_array(name: str, value: object, example: str) -> None:
    """Raise TypeError unless a value is a number, an array of numbers, or a list of them.

    Any object with a shape and a dtype passes, including traced arrays of JAX.
    """
    dtype = getattr(value, "dtype", None)
    is_array = hasattr(value, "shape") and dtype is not None
    if is_array and getattr(dtype, "kind", "f") not in "OSU":
        return
    if isinstance(value, (list, tuple, numbers.Number)):
        return
    wrong = f"an array of {dtype}" if is_array else described(value)
    raise TypeError(f"{name} is {wrong}, not an array of numbers; for example {example}")
