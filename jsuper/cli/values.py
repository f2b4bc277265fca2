"""Command lines: tyro reads them, and what it cannot read is refused in one line. No jax.

Numbers are read leniently (1e4 is a whole number), and text that is no number is passed on, so that
the check of the field refuses it with the field's own message.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import MISSING
from typing import Any, TypeVar

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from jsuper.core.errors import SpecError
from jsuper.core.fields import split_at_commas
from jsuper.core.suggestions import conversion, suggestion

T = TypeVar("T")
TYRO_FLAGS = ("help", "tyro_print_completion", "tyro_write_completion")


def number(word: str) -> int | float | str:
    """Return the number that a word stands for, an int if it is whole; else the word itself."""
    try:
        return int(word)
    except ValueError:
        pass
    try:
        value = float(word)
    except ValueError:
        return word
    return int(value) if value.is_integer() else value


def _numeric(metavar: str) -> PrimitiveConstructorSpec:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: number(words[0]),
        is_instance=lambda value: True,
        str_from_instance=lambda value: [str(value)],
    )


# For `Annotated[int, INT]`: a field whose value may still be text, until it has been checked.
INT, FLOAT = _numeric("INT"), _numeric("FLOAT")


def no_default(metavar: str | None = None) -> Any:
    """Return tyro's display of a flag whose default, None or False, is not worth showing."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="")


def truth(word: str) -> bool | str:
    """Return True or False for these words in any case; other words as they are."""
    return {"true": True, "false": False}.get(word.lower(), word)


def read(
    cls: type[T],
    argv: list[str] | None,
    prog: str,
    known: Iterable[str] = (),
    description: str | None = None,
) -> T:
    """Return the options of a command from its arguments.

    Parameters
    ----------
    cls
        A dataclass with the command's options; its docstring is the help.
    argv
        The arguments; None: those of this process.
    prog
        The command, as it is typed.
    known
        Names of all flags; by default the fields of `cls` that have a default value.
    description
        The help, instead of the docstring.

    Raises
    ------
    SpecError
        An argument is not known.
    SystemExit
        After --help, or where a value is missing.
    """
    fields = cls.__dataclass_fields__  # type: ignore[attr-defined]
    flags = list(known) or [k for k, f in fields.items() if f.default is not MISSING]
    for word in sys.argv[1:] if argv is None else argv:
        # before tyro, which takes what follows an unknown flag for its value
        if word.startswith("--") and flag_name(word) not in (*flags, *TYRO_FLAGS):
            raise SpecError(_unknown(word, prog, flags))
    found, unknown = tyro.cli(
        cls,
        prog=prog,
        description=description,
        args=argv,
        return_unknown_args=True,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    if unknown:
        raise SpecError(_unknown(unknown[0], prog, flags))
    return found


def flag_name(word: str) -> str:
    """`learning_rate` for `--learning-rate` and `--learning-rate=0.1`."""
    return word.split("=")[0].lstrip("-").replace("-", "_")


def as_flag(name: str) -> str:
    """`--learning-rate` for `learning_rate`."""
    return f"--{name.replace('_', '-')}"


def selected(words: Iterable[str]) -> dict[str, list[int | float | str | bool]]:
    """Return field -> values of words like sparsity=0.9; a field may be given several times.

    Raises
    ------
    SpecError
        A word has no `=`.
    """
    found: dict[str, list[int | float | str | bool]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise SpecError(f"select={word!r} is not FIELD=VALUE; write for example sparsity=0.9")
        parsed = number(value)
        parsed = truth(parsed) if isinstance(parsed, str) else parsed
        found.setdefault(name.replace("-", "_"), []).append(parsed)
    return found


def _unknown(word: str, prog: str, known: list[str]) -> str:
    """Return the message for an argument that is not known."""
    more = f"{prog} --help lists the flags"
    if not word.startswith("-"):
        return f"{word!r} is not expected here: it is one value too many, or lacks its flag; {more}"
    name = flag_name(word)
    found = suggestion(name, known)
    hint = f"; did you mean {as_flag(found)}?{conversion(name)} " if found else "; "
    return f"{word.split('=')[0]} is not a flag of {prog}{hint}{more}"


def refuse_commas(name: str, words: Iterable[object]) -> None:
    """Raise SpecError where commas separate the values of a flag, with the flag as it should be."""
    given = [str(w) for w in words]
    if parts := split_at_commas(given):
        flag = shlex.join([as_flag(name), *parts])
        raise SpecError(f"{name}={' '.join(given)!r}: separate values with spaces: {flag}")
