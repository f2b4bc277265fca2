"""What a sweep is: frozen dataclasses that check themselves, TOML in and out. Imports no jax.

A model family declares its fields with `setting`, `static` and `axis=True`; everything here works
on those declarations and knows no family.

    role "setting": a number (or name) per model, traced by jax
    role "static":  changes shapes or the program; models that share all of them form a group
    role "seeds":   the replicates
"""

from __future__ import annotations

import copy
import difflib
import hashlib
import inspect
import json
import math
import numbers
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, Union

T = TypeVar("T")
Axis = Union[T, tuple[T, ...]]  # noqa: UP007 - a generic alias has to be subscriptable
Check = Callable[[str, Any], Any]

MAX_SEED = 2**32 - 1
MAX_INTEGER = 2**31 - 1  # JAX counts in int32
MAX_RECORDS = 100_000  # points of a curve


class SpecError(ValueError):
    """A sweep that cannot be run as written: the field, its value, what is allowed, what to do."""


class Omitted(tuple):
    """The values of a field that was left out, and may depend on other fields.

    It equals the plain tuple of these values, so that only what fills it in has to know the
    difference: `dataclasses.replace(sweep, optimizer="adam")` finds the value again, and a run
    folder may have another one. An empty one has no value yet.
    """


# ---------------------------------------------------------------------------------------- fields


def setting(default: Any, help: str, check: Check) -> Any:
    """Declare a number per model; several values make an axis."""
    return _field(default, help, check, role="setting", axis=True)


def static(
    default: Any, help: str, check: Check, *, axis: bool = False, later: bool = False
) -> Any:
    """Declare a value that changes shapes or the program; `axis` allows several of them.

    `later`: the field came after others had been used. At its default it is no part of what tells a
    model apart, so that the draws of unpaired models stay what they were.
    """
    return _field(default, help, check, role="static", axis=axis, later=later)


def _field(
    default: Any, help: str, check: Check, role: str, axis: bool, later: bool = False
) -> Any:
    if axis and not isinstance(default, tuple):
        default = (default,)
    metadata = {"role": role, "axis": axis, "help": help, "check": check, "later": later}
    return field(default=default, metadata=metadata)


# ---------------------------------------------------------------------------------------- checks


def scalar(value: Any) -> Any:
    """A zero-dimensional array or tensor as the Python number that it holds; others unchanged.

    The number is the exact one: `np.float32(0.9)` is 0.8999999761581421. Rounding it to 0.9 would
    change sweeps that were made from such numbers before.
    """
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        return value.item()
    return value


def real(
    low: float = -math.inf, high: float = math.inf, *, closed: str = "both", hint: str = ""
) -> Check:
    """A finite number between `low` and `high`; `closed` is both, left, right or neither.

    It comes out as a Python float, -0.0 as 0.0.
    """
    left, right = closed in ("both", "left"), closed in ("both", "right")

    def check(name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise SpecError(f"{name}={value!r} is not a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        above = number >= low if left else number > low
        below = number <= high if right else number < high
        if not (math.isfinite(number) and above and below):
            allowed = _interval(low, high, left, right)
            raise SpecError(f"{name}={number:g} is not {allowed}" + (f": {hint}" if hint else ""))
        return number + 0.0  # -0.0 becomes 0.0

    check.metavar = "FLOAT"  # type: ignore[attr-defined]
    return check


def _interval(low: float, high: float, left: bool, right: bool) -> str:
    if math.isinf(low) and math.isinf(high):
        return "a finite number"
    if math.isinf(high):
        return f"a finite number {'>=' if left else '>'} {low:g}"
    return f"in {'[' if left else '('}{low:g}, {high:g}{']' if right else ')'}"


def integer(low: int, high: int = MAX_INTEGER, *, hint: str = "") -> Check:
    """A whole number of at least `low` and at most `high`."""

    def check(name: str, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():  # 1e4
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise SpecError(f"{name}={value!r} is not a whole number")
        whole = int(value)
        if not low <= whole <= high:
            open_end = high == MAX_INTEGER and whole < low
            allowed = f">= {low}" if open_end else f"in [{low}, {high}]"
            raise SpecError(f"{name}={whole} is not {allowed}" + (f": {hint}" if hint else ""))
        return whole

    check.metavar = "INT"  # type: ignore[attr-defined]
    return check


def choice(*options: str) -> Check:
    """One of a few names."""

    def check(name: str, value: Any) -> str:
        if value not in options:
            raise SpecError(
                f"{name}={value!r} is not known{did_you_mean(value, options)}; "
                f"it is one of {', '.join(options)}"
            )
        return value

    check.metavar = "{" + ",".join(options) + "}"  # type: ignore[attr-defined]
    return check


def flag(name: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise SpecError(f"{name}={value!r} is not true or false")
    return value


flag.metavar = "{true,false}"  # type: ignore[attr-defined]


def several(check: Check, *, optional: bool = False) -> Check:
    """A list whose every member passes `check`; None too where `optional`."""

    def check_all(name: str, value: Any) -> tuple | None:
        if value is None and optional:
            return None
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise SpecError(f"{name}={value!r} is not a list")
        return tuple(check(f"{name}[{i}]", scalar(member)) for i, member in enumerate(value))

    check_all.metavar = f"{metavar(check)} ..."  # type: ignore[attr-defined]
    return check_all


def check_seeds(name: str, value: Any) -> int | tuple[int, ...]:
    """A count of seeds (they are then 0, 1, ...) or a list of different ones."""
    if isinstance(value, numbers.Real):
        return integer(1, hint="a sweep needs at least one seed")(name, value)
    seeds = several(integer(0, MAX_SEED))(name, value) or ()
    if not seeds:
        raise SpecError(f"{name}=[] is empty: a sweep needs at least one seed")
    _refuse_duplicates(name, seeds)
    return seeds


def metavar(check: Check) -> str:
    """What a value that passes `check` is called in a help text."""
    return getattr(check, "metavar", "VALUE")


def did_you_mean(value: Any, options: Iterable[str]) -> str:
    """'; did you mean X?' where an option is close, else nothing."""
    close = difflib.get_close_matches(str(value), list(options), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _refuse_duplicates(name: str, values: tuple) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise SpecError(f"{name} has {label(value)!r} twice; give every value once")
        seen.add(value)


# ---------------------------------------------------------------------------------------- sweeps


@dataclass(frozen=True, kw_only=True)
class BaseSweep:
    """The fields that every model family has, and what can be done with any sweep."""

    model: ClassVar[str]  # the family's name in TOML files and run folders
    main_axes: ClassVar[tuple[str, ...]] = ()  # dimensions also where they have a single value
    branch: ClassVar[str | None] = None  # the setting that selects a branch of the program

    seeds: Axis[int] = field(
        default=3,
        metadata={
            "role": "seeds",
            "axis": False,
            "help": "number of random seeds, or a list of them; always the dimension 'seed'",
            "check": check_seeds,
        },
    )

    unpaired: bool = static(False, "give every model its own draws, not only every seed", flag)

    def __post_init__(self) -> None:
        self._fill({f.name: getattr(self, f.name) for f in fields(self)})
        self.check_new()

    def _fill(self, values: Mapping[str, Any]) -> None:
        for f in fields(self):
            self._set(f.name, _checked(f, values[f.name]))
        self.fill_in()
        self.check()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # a sweep is frozen

    def fill_in(self) -> None:
        """Give omitted fields the values that depend on others: overridden by a family."""

    def check(self) -> None:
        """Checks between fields: overridden by a family."""

    def check_new(self) -> None:
        """Refusals of new sweeps alone, which stored ones may hold: overridden by a family."""

    @classmethod
    def stored(cls, data: Mapping[str, Any]) -> Self:
        """A sweep as a run folder has it: without the refusals that came after it was run.

        Args:
            data: `to_dict()` of the sweep.

        Raises:
            SpecError: a field is not known, or its value is not one.
        """
        sweep = object.__new__(cls)
        sweep._fill({f.name: f.default for f in fields(cls)} | cls._own(data))
        return sweep

    def with_stored(self, data: Mapping[str, Any]) -> Self:
        """This sweep, where its omitted fields have the values of a run folder's sweep.

        Args:
            data: `to_dict()` of the folder's sweep; one of another family changes nothing.
        """
        sweep = copy.copy(self)
        for f in fields(self):
            omitted = isinstance(getattr(self, f.name), Omitted)
            if omitted and f.name in data and data["model"] == self.model:
                sweep._set(f.name, _checked(f, data[f.name]))
        return sweep

    @property
    def seed_values(self) -> tuple[int, ...]:
        """The seeds themselves."""
        return self.seeds if isinstance(self.seeds, tuple) else tuple(range(self.seeds))

    def values(self, name: str) -> tuple:
        """The values of a field that can be an axis.

        Raises:
            SpecError: the field was omitted, and its values depend on a run folder.
        """
        found = getattr(self, name)
        if isinstance(found, Omitted) and not found:
            raise SpecError(self.no_value(name))
        return found

    def no_value(self, name: str) -> str:
        """Why an omitted field has no value, and what to do: overridden by a family."""
        return f"{name} is omitted; give a value"

    @property
    def axes(self) -> dict[str, tuple]:
        """Axis name -> its values, in declared order, for every dimension but the seed."""
        values = {f.name: self.values(f.name) for f in fields(self) if f.metadata["axis"]}
        return {k: v for k, v in values.items() if len(v) > 1 or k in self.main_axes}

    def names(self, role: str) -> list[str]:
        """Names of the fields with this role."""
        return [f.name for f in fields(self) if f.metadata["role"] == role]

    @classmethod
    def single_defaults(cls) -> dict[str, Any]:
        """The defaults of one value, as plain data: what a sweep means that lacks a newer field."""
        data = {f.name: plain(f.default) for f in fields(cls)}
        return {k: v for k, v in data.items() if not isinstance(v, list) or len(v) == 1}

    @classmethod
    def identity(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """What tells one model from others that share its seed: its static values and setting."""
        later = {f.name: f.default for f in fields(cls) if f.metadata.get("later")}
        own = {k: v for k, v in values.items() if k not in later or later[k] not in (v, (v,))}
        return {k: plain(v) for k, v in own.items()}

    def notes(self) -> list[str]:
        """What is allowed but worth saying before the run: overridden by a family."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """The sweep as plain data (JSON), with its model; callables by their label."""
        data = {f.name: plain(self.values(f.name)) for f in fields(self)}
        return {"model": self.model} | {k: v for k, v in data.items() if v is not None}

    def to_toml(self) -> str:
        """The sweep as a TOML file: JSON's numbers, strings and lists are TOML's too."""
        return "".join(f"{k} = {json.dumps(v)}\n" for k, v in self.to_dict().items())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """A sweep from plain data; unknown keys are refused with the close match named."""
        return cls(**cls._own(data))

    @classmethod
    def _own(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """The fields in plain data; unknown keys are refused with the close match named."""
        known = [f.name for f in fields(cls)]
        for key in data:
            if key not in known and key != "model":
                raise SpecError(
                    f"{key!r} is not a field of the model {cls.model!r}"
                    f"{did_you_mean(key, known)}; the fields are {', '.join(known)}"
                )
        return {k: v for k, v in data.items() if k != "model"}


def _checked(f: Field, value: Any) -> Any:
    check, value = f.metadata["check"], scalar(value)
    if not f.metadata["axis"]:
        return check(f.name, value)
    if isinstance(f.default, Omitted) and (isinstance(value, Omitted) or value is None):
        return Omitted()
    single = isinstance(value, str) or not isinstance(value, Iterable)
    values = tuple(check(f.name, scalar(v)) for v in ([value] if single else list(value)))
    if not values:
        raise SpecError(f"{f.name}=[] is empty; give at least one value")
    _refuse_duplicates(f.name, values)
    return values


def label(value: Any) -> Any:
    """The name of a value in a table, a file or a coordinate: a callable's is its `__name__`."""
    return value.__name__ if callable(value) else value


def plain(value: Any) -> Any:
    """JSON data for a field's value. A callable is its name and a digest of its source."""
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    if callable(value):
        return f"{value.__name__}@{hashlib.sha256(_text(value).encode()).hexdigest()[:12]}"
    return value


def _text(function: Callable) -> str:
    """What a function does: its source or byte code, and the values that it closes over."""
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        text = repr(code and (code.co_code, code.co_consts, code.co_names))
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    return text + repr(cells) + repr(getattr(function, "__defaults__", None))


def without_negative_zero(value: Any) -> Any:
    """A number, or a list of them, where -0.0 is 0.0; anything else unchanged.

    Sweeps hold no -0.0, but run folders of older versions may.
    """
    if isinstance(value, (list, tuple)):
        return [without_negative_zero(v) for v in value]
    return value + 0.0 if isinstance(value, float) else value


def same(one: Any, other: Any) -> bool:
    """Whether plain data is the same: 0, 0.0 and false differ, as JSON has them; -0.0 is 0.0."""
    one, other = without_negative_zero(one), without_negative_zero(other)
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def canonical(data: Any) -> str:
    """Data's canonical JSON.

    Raises:
        ValueError: a number in it is not finite.
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(data: Any, length: int = 16) -> str:
    """The first hex digits of the SHA-256 of data's canonical JSON."""
    return digest_text(canonical(data), length)


def digest_text(text: str, length: int = 16) -> str:
    """The first hex digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def read_toml(path: str | Path) -> dict[str, Any]:
    """A TOML file as a dict; a file that is missing or not TOML is a SpecError that says where."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"config {str(path)!r} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"config {str(path)!r} is not valid TOML: {error}") from error
