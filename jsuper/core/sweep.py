"""What a sweep is: frozen dataclasses that check themselves, TOML in and out. Imports no jax.

A model family declares its fields with `setting`, `static` and `axis=True`; everything here works
on those declarations and knows no family.

    role "setting": a number (or name) per model, traced by jax
    role "static":  changes shapes or the program; models that share all of them form a group
    role "seeds":   the replicates
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import math
import numbers
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, Union

from jsuper.core.reading import LARGEST_TOML, parse_toml
from jsuper.core.suggestions import not_one_of
from jsuper.core.text import shown

T = TypeVar("T")
Axis = Union[T, tuple[T, ...]]  # noqa: UP007 - a generic alias has to be subscriptable
Check = Callable[[str, Any], Any]

MAX_SEED = 2**32 - 1
MAX_INTEGER = 2**31 - 1  # JAX counts in int32
MAX_RECORDS = 100_000  # points of a curve


class SpecError(ValueError):
    """A sweep that cannot be run as written: the field, its value, what is allowed, what to do."""


class NonFiniteWarning(RuntimeWarning):
    """Models of a run are not finite: how many of which, and since when."""


class DamagedWarning(UserWarning):
    """Chunks of a run folder are damaged, and their models count as missing."""


class SweepWarning(UserWarning):
    """A note on a sweep that is allowed but surprising, such as a sparsity that is hardly drawn."""


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
    default: Any,
    help: str,
    check: Check,
    *,
    axis: bool = False,
    later: bool = False,
    measured: bool = False,
    since: int = 1,
) -> Any:
    """Declare a value that changes shapes or the program; `axis` allows several of them.

    `later`: the field came after others had been used. At its default it is no part of what tells a
    model apart, so that the draws of unpaired models stay what they were. `measured`: the field
    says what is measured on a trained model, so that no value of it changes the draws. `since`: the
    schema of manifests that has the field; versions that do not know it ask for an update.
    """
    further = {"later": later, "measured": measured, "since": since}
    return _field(default, help, check, role="static", axis=axis, **further)


def _field(default: Any, help: str, check: Check, role: str, axis: bool, **further: Any) -> Any:
    if axis and not isinstance(default, tuple):
        default = (default,)
    metadata = {"role": role, "axis": axis, "help": help, "check": check} | further
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
    """Return a finite number between `low` and `high`; `closed` is both, left, right or neither.

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
            raise SpecError(
                f"{name}={_shortest(number)} is not {allowed}" + (f": {hint}" if hint else "")
            )
        return number + 0.0  # -0.0 becomes 0.0

    check.metavar = "FLOAT"  # type: ignore[attr-defined]
    return check


def _shortest(number: float) -> str:
    """A number as it was given, and without needless digits: 1 for 1.0, and 1.0000001 as it is."""
    return f"{number:g}" if float(f"{number:g}") == number or math.isnan(number) else repr(number)


def _interval(low: float, high: float, left: bool, right: bool) -> str:
    if math.isinf(low) and math.isinf(high):
        return "a finite number"
    if math.isinf(high):
        return f"a finite number {'>=' if left else '>'} {low:g}"
    return f"in {'[' if left else '('}{low:g}, {high:g}{']' if right else ')'}"


def integer(low: int, high: int = MAX_INTEGER, *, hint: str = "") -> Check:
    """Return a whole number of at least `low` and at most `high`."""

    def check(name: str, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():  # 1e4
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise SpecError(f"{name}={value!r} is not a whole number")
        whole = int(value)
        if not low <= whole <= high:
            open_end = high == MAX_INTEGER and whole < low
            allowed = f">= {low}" if open_end else f"in [{low}, {high}]"
            why = f": {hint}" if hint else ""
            raise SpecError(f"{name}={shown(whole)} is not {allowed}{why}")
        return whole

    check.metavar = "INT"  # type: ignore[attr-defined]
    return check


def choice(*options: str) -> Check:
    """One of a few names."""

    def check(name: str, value: Any) -> str:
        if value not in options:
            subject = f"{name}={value!r} is not known"
            raise SpecError(not_one_of(subject, value, options, "it is one of"))
        return value

    check.metavar = "{" + ",".join(options) + "}"  # type: ignore[attr-defined]
    return check


def flag(name: str, value: Any) -> bool:
    """Return True or false."""
    if not isinstance(value, bool):
        raise SpecError(f"{name}={value!r} is not true or false")
    return value


flag.metavar = "{true,false}"  # type: ignore[attr-defined]


def several(check: Check, *, optional: bool = False) -> Check:
    """Return a list whose every member passes `check`; None too where `optional`."""

    def check_all(name: str, value: Any) -> tuple | None:
        if value is None and optional:
            return None
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise SpecError(f"{name}={value!r} is not a list")
        return tuple(check(f"{name}[{i}]", scalar(member)) for i, member in enumerate(value))

    check_all.metavar = f"{metavar(check)} ..."  # type: ignore[attr-defined]
    return check_all


def check_seeds(name: str, value: Any) -> int | tuple[int, ...]:
    """Return a count of seeds (they are then 0, 1, ...) or a list of different ones."""
    if isinstance(value, numbers.Real):
        return integer(1, hint="a sweep needs at least one seed")(name, value)
    seeds = several(integer(0, MAX_SEED))(name, value) or ()
    if not seeds:
        raise SpecError(f"{name}=[] is empty: a sweep needs at least one seed")
    _refuse_duplicates(name, seeds)
    return seeds


def metavar(check: Check) -> str:
    """Return what a value that passes `check` is called in a help text."""
    return getattr(check, "metavar", "VALUE")


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

    def __new__(cls, *args: Any, **given: Any) -> Self:
        """Refuse values without a field, and unknown fields, with what was probably meant."""
        if args:
            raise TypeError(
                f"a Sweep takes its fields by name, and {args[0]!r} has none; write for example "
                f"jsuper.Sweep(activation='relu', sparsity=0.9)"
            )
        for key in given:
            cls._check_field(key)
        return super().__new__(cls)

    @classmethod
    def _check_field(cls, key: str) -> None:
        known = [f.name for f in fields(cls)]
        if key not in known:
            subject = f"{key!r} is not a field of the model {cls.model!r}"
            raise SpecError(not_one_of(subject, key, known, "the fields are"))

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
        """Check between fields: overridden by a family."""

    def check_new(self) -> None:
        """Refusals of new sweeps alone, which stored ones may hold: overridden by a family."""

    @classmethod
    def stored(cls, data: Mapping[str, Any]) -> Self:
        """Return a sweep as a run folder has it: without the refusals that came after it was run.

        Parameters
        ----------
        data
            `to_dict()` of the sweep.

        Raises
        ------
        SpecError
            A field is not known, or its value is not one.
        """
        sweep = object.__new__(cls)
        sweep._fill({f.name: f.default for f in fields(cls)} | cls._own(data))
        return sweep

    def with_stored(self, data: Mapping[str, Any]) -> Self:
        """Return the sweep, whose omitted fields have the values of a run folder's sweep.

        Parameters
        ----------
        data
            `to_dict()` of the folder's sweep; one of another family changes nothing.
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

    @property
    def seed_count(self) -> int:
        """Number of seeds; no list of them is made."""
        return len(self.seeds) if isinstance(self.seeds, tuple) else self.seeds

    def values(self, name: str) -> tuple:
        """Return the values of a field that can be an axis.

        Raises
        ------
        SpecError
            The field was omitted, and its values depend on a run folder.
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
        """Return names of the fields with this role."""
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
        measured = {f.name for f in fields(cls) if f.metadata.get("measured")}
        own = {k: v for k, v in values.items() if k not in later or later[k] not in (v, (v,))}
        own = {k: v for k, v in own.items() if k not in measured}
        return {k: plain(v) for k, v in own.items()}

    def notes(self) -> list[str]:
        """Return what is allowed but worth saying before the run: overridden by a family."""
        return []

    def traced(self) -> Self:
        """The sweep with its callables as what they compute: overridden by a family that has any.

        Raises
        ------
        SpecError
            A callable cannot be traced.
        """
        return self

    def functions(self) -> dict[str, Any]:
        """Label -> what a manifest keeps of each traced callable of the sweep."""
        every: list[Any] = [
            v for f in fields(self) if f.metadata["axis"] for v in self.values(f.name)
        ]
        return {v.label: v.record() for v in every if hasattr(v, "record")}

    def to_dict(self) -> dict[str, Any]:
        """Return the sweep as plain data (JSON), with its model; callables by their label."""
        data = {f.name: plain(self.values(f.name)) for f in fields(self)}
        return {"model": self.model} | {k: v for k, v in data.items() if v is not None}

    @property
    def folder_hash(self) -> str:
        """8 hex digits for the name of a folder.

        Fields that a later schema added count where they are not at their default, so that the
        folders of a version before keep their names.
        """
        added = {f.name: plain(f.default) for f in fields(self) if f.metadata.get("since", 1) > 1}
        data = self.to_dict().items()
        return digest({k: v for k, v in data if k not in added or v != added[k]}, 8)

    def to_toml(self) -> str:
        """Return the sweep as a TOML file: JSON's numbers, strings and lists are TOML's too."""
        return "".join(f"{k} = {json.dumps(v)}\n" for k, v in self.to_dict().items())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return a sweep from plain data; unknown keys are refused with the close match named."""
        return cls(**cls._own(data))

    @classmethod
    def _own(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields in plain data; unknown keys are refused with the close match named."""
        for key in data:
            if key != "model":
                cls._check_field(key)
        return {k: v for k, v in data.items() if k != "model"}


def _checked(f: Field, value: Any) -> Any:
    check, value = f.metadata["check"], scalar(value)
    if not f.metadata["axis"]:
        return check(f.name, value)
    if isinstance(f.default, Omitted) and (isinstance(value, Omitted) or value is None):
        return Omitted()
    single = isinstance(value, str) or not isinstance(value, Iterable)
    if isinstance(value, str) and (parts := split_at_commas([value])):
        listed = parts if metavar(check) == "NAME" else f"[{', '.join(parts)}]"
        raise SpecError(f"{f.name}={value!r} is one text; give a list of values: {listed}")
    if isinstance(value, Mapping):
        raise SpecError(f"{f.name}={value!r} is not a list; give a list of values")
    values = tuple(check(f.name, scalar(v)) for v in ([value] if single else list(value)))
    if not values:
        raise SpecError(f"{f.name}=[] is empty; give at least one value")
    _refuse_duplicates(f.name, values)
    return values


def split_at_commas(words: list[str]) -> list[str]:
    """Return the values that words with commas in them mean; none where no comma separates values.

    Commas between brackets belong to a value: `name(1, 2)`.
    """
    text = " ".join(words).strip()
    if text[:1] in ("[", "("):  # a list as Python writes it
        text = text.strip("[]()")
    if not (parts := re.split(r",(?![^()]*\))", text))[1:]:
        return []
    return [word for part in parts if (word := part.strip(" '\""))]


def label(value: Any) -> Any:
    """The name of a value in a table, a file or a coordinate: a callable's is `name_of` it."""
    return name_of(value) if callable(value) else value


def name_of(function: Callable) -> str:
    """A callable's `__name__`, or that of what a partial calls; the class of another object."""
    if isinstance(name := getattr(function, "__name__", None), str):
        return name
    if isinstance(function, functools.partial):
        return name_of(function.func)
    return type(function).__name__


def plain(value: Any) -> Any:
    """JSON data for a field's value.

    A callable is its name until it is traced, and then name@digest of what it computes (`label`).
    """
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    if callable(value):
        return getattr(value, "label", name_of(value))
    return value


def without_negative_zero(value: Any) -> Any:
    """Return a number, or a list of them, where -0.0 is 0.0; anything else unchanged.

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

    Raises
    ------
    ValueError
        A number in it is not finite.
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(data: Any, length: int = 16) -> str:
    """Return the first hex digits of the SHA-256 of data's canonical JSON."""
    return digest_text(canonical(data), length)


def digest_text(text: str, length: int = 16) -> str:
    """Return the first hex digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def read_toml(path: str | Path) -> dict[str, Any]:
    """A TOML file as a dict; a file that is missing or not TOML is a SpecError that says where."""
    try:
        with open(path, "rb") as file:  # a pipe too
            return parse_toml(file.read(LARGEST_TOML + 1).decode())
    except OSError as error:
        raise SpecError(f"config {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SpecError(f"config {str(path)!r} is not valid TOML: {error}") from error
