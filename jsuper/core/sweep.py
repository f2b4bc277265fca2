"""`BaseSweep`: the fields that every model family has, and what can be done with any sweep.

A family subclasses it and declares its fields with `jsuper.core.fields`; everything here works on
those declarations and knows no family.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from jsuper.core.checks import flag
from jsuper.core.errors import SpecError
from jsuper.core.fields import Axis, Omitted, checked, seeds_field, static, zipped_field
from jsuper.core.json_data import JSON, digest, plain
from jsuper.core.suggestions import not_one_of
from jsuper.core.zipped import Zipped, axes_of, columns_of, combinations
from jsuper.core.zipped_checks import check_fields, columns_to_set, common_values


@dataclass(frozen=True, kw_only=True)
class BaseSweep:
    """A grid of models: fields with several values become axes, and every cell has all seeds.

    The fields of a group in `zipped` vary together and have one axis. A sweep with groups is the
    union of the plain sweeps that `parts` returns; rules between fields are checked for each.

    Attributes
    ----------
    model
        The family's name in TOML files and run folders.
    main_axes
        Fields that are dimensions of the results even if they have a single value.
    branch
        The setting that selects a branch of the program, if there is one.
    """

    model: ClassVar[str]
    main_axes: ClassVar[tuple[str, ...]] = ()
    branch: ClassVar[str | None] = None

    seeds: Axis[int] = seeds_field()
    unpaired: bool = static(
        False, "give every model its own random draws, instead of sharing those of its seed", flag
    )
    zipped: Mapping[str, Mapping[str, Any]] = zipped_field()

    # --------------------------------------------------------------- what a family may override

    def fill_in(self) -> None:
        """Set omitted fields whose defaults depend on other fields."""

    def check(self) -> None:
        """Raise SpecError if fields contradict each other."""

    def check_new(self) -> None:
        """Raise SpecError for what new sweeps must not contain, although stored ones may."""

    def no_value(self, name: str) -> str:
        """Return the message for an omitted field without a value: why, and what to do."""
        return f"{name} is omitted; give a value"

    def notes(self) -> list[str]:
        """Return notes on what is allowed but surprising, for the user to read before the run."""
        return []

    def traced(self) -> Self:
        """Return the sweep with its callables replaced by what JAX traced of them.

        Raises
        ------
        SpecError
            A callable cannot be traced.
        """
        return self

    # ------------------------------------------------------------------------------ construction

    def __new__(cls, *args: Any, **given: Any) -> Self:
        """Refuse positional arguments and unknown fields with a suggestion."""
        if args:
            raise TypeError(
                f"the fields of a Sweep are keyword arguments, but {args[0]!r} is positional; "
                "write for example jsuper.Sweep(activation='relu', sparsity=0.9)"
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
        self._set_all({f.name: getattr(self, f.name) for f in fields(self)})
        for part in self.parts():
            part.check_new()

    def _set_all(self, values: Mapping[str, Any]) -> None:
        declared = {f.name: f for f in fields(self)}
        for name, f in declared.items():
            self._set(name, checked(f, values[name]))
        table = check_fields(Zipped(self.zipped), declared, self.main_axes, self.model)
        self._set("zipped", table)
        defaults = {name: f.default for name, f in declared.items()}
        for name, value in columns_to_set(table, values, vars(self), defaults).items():
            self._set(name, value)
        self.fill_in()
        parts = self.parts()
        for part in parts:
            part.check()
        if table:  # what checks fill in, they fill in for the parts
            apart = {"zipped", *columns_of(table)}
            names = [k for k in declared if not (k in apart or isinstance(vars(self)[k], Omitted))]
            for name, value in common_values([vars(part) for part in parts], names).items():
                self._set(name, value)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # a sweep is frozen

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> Self:
        """Return the sweep of `to_dict()`, or of a TOML file.

        Raises
        ------
        SpecError
            A field is not known, or its value is not allowed.
        """
        return cls(**cls._fields_of(data))

    @classmethod
    def stored(cls, data: Mapping[str, JSON]) -> Self:
        """Return a run folder's sweep, without the refusals that apply to new sweeps only.

        Parameters
        ----------
        data
            `to_dict()` of the sweep.

        Raises
        ------
        SpecError
            A field is not known, or its value is of the wrong kind.
        """
        sweep = object.__new__(cls)
        sweep._set_all({f.name: f.default for f in fields(cls)} | cls._fields_of(data))
        return sweep

    @classmethod
    def _fields_of(cls, data: Mapping[str, JSON]) -> dict[str, JSON]:
        for key in data:
            if key != "model":
                cls._check_field(key)
        return {k: v for k, v in data.items() if k != "model"}

    def with_stored(self, data: Mapping[str, JSON]) -> Self:
        """Return the sweep with a run folder's values for the fields that were omitted.

        Parameters
        ----------
        data
            `to_dict()` of the folder's sweep; one of another family changes nothing.
        """
        sweep = copy.copy(self)
        for f in fields(self):
            omitted = isinstance(getattr(self, f.name), Omitted)
            if omitted and f.name in data and data["model"] == self.model:
                sweep._set(f.name, checked(f, data[f.name]))
        return sweep

    # ------------------------------------------------------------------------------------ values

    def parts(self) -> list[Self]:
        """Return the plain sweeps whose union this is: one for each combination of zipped rows."""
        if not self.zipped:
            return [self]
        found = []
        for row in combinations(self.zipped):
            part = copy.copy(self)
            part._set("zipped", Zipped())
            for name, value in row.items():
                part._set(name, (value,))
            part.fill_in()
            found.append(part)
        return found

    def all_notes(self) -> list[str]:
        """Return the notes of all parts, each once."""
        return list(dict.fromkeys(note for part in self.parts() for note in part.notes()))

    @property
    def seed_values(self) -> tuple[int, ...]:
        """The seeds themselves."""
        return self.seeds if isinstance(self.seeds, tuple) else tuple(range(self.seeds))

    @property
    def seed_count(self) -> int:
        """Number of seeds, without a list of them."""
        return len(self.seeds) if isinstance(self.seeds, tuple) else self.seeds

    def values_of(self, name: str) -> tuple:
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

    @property
    def axes(self) -> dict[str, tuple]:
        """Axis name -> its values, in declared order, for every dimension but the seed.

        A group of `zipped` is one axis of labels, such as "n_hidden=5, learning_rate=0.001".
        """
        values = {f.name: self.values_of(f.name) for f in fields(self) if f.metadata["axis"]}
        return axes_of(values, self.zipped, self.main_axes)

    @property
    def changed(self) -> dict[str, Any]:
        """Field -> its value, where it is not the default; without axes and seeds."""
        found, axes = {}, {"seeds", "zipped", *self.axes, *columns_of(self.zipped)}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name in axes or isinstance(value, Omitted):
                continue
            if f.metadata["axis"]:
                (value,) = value
            if f.default not in (value, (value,)):
                found[f.name] = value
        return found

    @classmethod
    def names(cls, role: str) -> list[str]:
        """Return the names of the fields with this role."""
        return [f.name for f in fields(cls) if f.metadata["role"] == role]

    @classmethod
    def single_defaults(cls) -> dict[str, JSON]:
        """Return the defaults of one value: those of fields that an older sweep lacks."""
        own = [f for f in fields(cls) if f.metadata["role"] != "alias"]
        data = {f.name: plain(f.default) for f in own}
        return {k: v for k, v in data.items() if not isinstance(v, list) or len(v) == 1}

    @classmethod
    def identity(cls, values: Mapping[str, Any]) -> dict[str, JSON]:
        """Return what tells one model from others that share its seed.

        Parameters
        ----------
        values
            The model's static values and its setting.
        """
        later = {f.name: f.default for f in fields(cls) if f.metadata.get("later")}
        measured = {f.name for f in fields(cls) if f.metadata.get("measured")}
        return {
            name: plain(value)
            for name, value in values.items()
            if name not in measured and (name not in later or later[name] not in (value, (value,)))
        }

    # -------------------------------------------------------------------------------- plain data

    def callables(self) -> dict[str, Any]:
        """Return label -> each of the sweep's callables."""
        given = [getattr(self, f.name) for f in fields(self)]
        every = [v for field in given for v in (field if isinstance(field, tuple) else (field,))]
        return {plain(v): v for v in every if callable(v)}

    def functions(self) -> dict[str, JSON]:
        """Return label -> what a manifest stores of each traced callable."""
        return {k: v.record() for k, v in self.callables().items() if hasattr(v, "record")}

    def to_dict(self) -> dict[str, JSON]:
        """Return the sweep as plain data (JSON), with its model; callables by their label."""
        data = {f.name: plain(self.values_of(f.name)) for f in fields(self)}
        return {"model": self.model} | {k: v for k, v in data.items() if v is not None}

    def to_toml(self) -> str:
        """Return the sweep as a TOML file; the fields of groups are in tables at its end."""
        data, columns = self.to_dict(), columns_of(self.zipped)
        groups = data.pop("zipped", {})
        data = {k: v for k, v in data.items() if k not in columns}
        tables = "".join(f"\n[zipped.{dim}]\n{_toml(group)}" for dim, group in groups.items())
        return _toml(data) + tables

    @property
    def folder_hash(self) -> str:
        """8 hex digits for the name of a folder.

        A field of a later schema counts only if it differs from its default, so that the folders of
        earlier versions keep their names.
        """
        added = {f.name: plain(f.default) for f in fields(self) if f.metadata.get("since", 1) > 1}
        data = self.to_dict().items()
        return digest({k: v for k, v in data if k not in added or v != added[k]}, 8)


def _toml(data: Mapping[str, JSON]) -> str:
    """Return lines of TOML; JSON's numbers, strings and lists are TOML's too."""
    return "".join(f"{k} = {json.dumps(v)}\n" for k, v in data.items())
