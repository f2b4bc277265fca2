"""From a sweep to groups of points that share a program, and to chunks that share a file.

A *point* is a setting (one value for every role-"setting" field) with a seed. A *group* has one
value for every role-"static" field. A *chunk* is settings x seeds of one group: the unit that is
saved and resumed, named by the hash of its content.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jsuper.core.errors import SpecError
from jsuper.core.json_data import canonical_json, digest, digest_text, plain, without_negative_zero
from jsuper.core.sweep import BaseSweep

MAX_MODELS = 20_000_000  # of a sweep, whose settings and seeds are lists in memory
Setting = dict[str, Any]
"""Field -> value, for the fields with the role "setting"."""
Static = dict[str, Any]
"""Field -> value, for the fields with the role "static"."""


@dataclass(frozen=True)
class Chunk:
    """Settings x seeds of one group; values in `static` and `settings` may be callables."""

    model: str
    static: Static
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]

    @functools.cached_property
    def name(self) -> str:
        """The hash of the chunk's content, which names its file."""
        return digest_text(self.text)

    @property
    def text(self) -> str:
        """The canonical JSON of `to_dict()`; not cached, since it is long."""
        settings = _canonical(_ByIdentity(self.settings))
        static = _canonical(_ByIdentity(self.static))
        model, seeds = json.dumps(self.model), ",".join(map(str, self.seeds))
        return f'{{"model":{model},"seeds":[{seeds}],"settings":{settings},"static":{static}}}'

    @property
    def n_models(self) -> int:
        """Number of models in the chunk."""
        return len(self.settings) * len(self.seeds)

    @property
    def points(self) -> Iterator[tuple[Setting, int]]:
        """Every (setting, seed), settings outermost: the order of the arrays' leading axis."""
        return itertools.product(self.settings, self.seeds)

    def to_dict(self) -> dict[str, Any]:
        """Return the chunk as plain data (JSON); callables by their label."""
        return {
            "model": self.model,
            "static": {k: plain(v) for k, v in self.static.items()},
            "settings": [{k: plain(v) for k, v in s.items()} for s in self.settings],
            "seeds": list(self.seeds),
        }


class _ByIdentity:
    """A key for a cache that is equal only for the same object."""

    def __init__(self, value: Static | tuple[Setting, ...]) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@functools.lru_cache(maxsize=1024)  # the chunks of a run share their static values and settings
def _canonical(rows: _ByIdentity) -> str:
    """Return the canonical JSON of static values, or of settings."""
    if isinstance(rows.value, dict):
        return canonical_json({k: plain(v) for k, v in rows.value.items()})
    return canonical_json([{k: plain(v) for k, v in s.items()} for s in rows.value])


@dataclass(frozen=True)
class Group:
    """All points of a sweep that share the static values: one compiled program."""

    static: Static
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]


def expand(sweep: BaseSweep) -> list[Group]:
    """Return the Cartesian product of the axes, in declared order, split by the static values.

    Of zipped fields, the rows that exist are taken. Parts of the sweep with the same static values
    are one group.

    Raises
    ------
    SpecError
        The sweep has more than MAX_MODELS models.
    """
    check_size(sweep)
    statics: dict[tuple, Static] = {}
    settings: dict[tuple, tuple[Setting, ...]] = {}
    for part in sweep.parts():
        of_part = tuple(_product(part, "setting"))
        for static in _product(part, "static"):
            key = tuple(static.values())
            statics.setdefault(key, static)
            settings[key] = settings.get(key, ()) + of_part
    return [Group(statics[key], settings[key], sweep.seed_values) for key in statics]


def _product(sweep: BaseSweep, role: str) -> Iterator[dict[str, Any]]:
    is_axis = {f.name: f.metadata["axis"] for f in dataclasses.fields(sweep)}
    names = sweep.names(role)
    values = [sweep.values_of(n) if is_axis[n] else (getattr(sweep, n),) for n in names]
    for combination in itertools.product(*values):
        yield dict(zip(names, combination, strict=True))


def n_models(sweep: BaseSweep) -> int:
    """Return the number of models in a sweep, without a list of them."""
    return sweep.seed_count * math.prod(map(len, sweep.axes.values()))


def check_size(sweep: BaseSweep) -> None:
    """Raise SpecError if a sweep has more than MAX_MODELS models, before a list of them is made."""
    models = n_models(sweep)
    if models > MAX_MODELS:
        axes = " x ".join(f"{len(v):,} {k}" for k, v in sweep.axes.items())
        raise SpecError(
            f"the sweep has {axes} x {sweep.seed_count:,} seeds = {models:,} models, but at most "
            f"{MAX_MODELS:,} are allowed; give fewer values or seeds, or split it over several "
            "folders with --out"
        )


def missing(sweep: BaseSweep, existing: list[Chunk]) -> list[Group]:
    """Return the groups of a sweep without the points of existing chunks: each settings x seeds."""
    covered = Covered(type(sweep))
    for chunk in existing:
        covered.add(chunk)
    return [rest for group in expand(sweep) for rest in covered.rest_of(group)]


class Covered:
    """The points that some chunks of one family cover."""

    def __init__(self, cls: type[BaseSweep]) -> None:
        known = cls.single_defaults()  # of fields that an older folder does not have
        self._defaults = {
            f.name: known[f.name][0] if f.metadata["axis"] else known[f.name]
            for f in dataclasses.fields(cls)
            if f.metadata["role"] in ("static", "setting") and f.name in known
        }
        self._seeds: dict[str, set[int]] = {}  # identity of static values and setting -> seeds
        # The chunks of a run share their static values and settings, so identities are cached by
        # the objects' ids; the objects are kept alive with them, so that no id is used again.
        self._identities: dict[tuple[int, int], tuple[Any, list[str]]] = {}

    def add(self, chunk: Chunk) -> None:
        """Count a chunk's points as covered."""
        for identity in self.identities(chunk):
            self._seeds.setdefault(identity, set()).update(chunk.seeds)

    def rest_of(self, group: Group | Chunk) -> list[Group]:
        """Return a group's points that are not covered, with one group for each set of seeds."""
        by_seeds: dict[tuple[int, ...], list[Setting]] = {}
        for setting, identity in zip(group.settings, self.identities(group), strict=True):
            done = self._seeds.get(identity, set())
            seeds = tuple(s for s in group.seeds if s not in done)
            by_seeds.setdefault(seeds, []).append(setting)
        return [Group(group.static, tuple(v), seeds) for seeds, v in by_seeds.items() if seeds]

    def identities(self, group: Group | Chunk) -> list[str]:
        """Return a hash of the static values and setting for each setting of a group."""
        key = id(group.static), id(group.settings)
        if key not in self._identities:
            static = self._defaults | group.static
            found = [_identity(static, setting) for setting in group.settings]
            self._identities[key] = (group.static, group.settings), found
        return self._identities[key][1]


def _identity(static: Static, setting: Setting) -> str:
    values = {k: without_negative_zero(plain(v)) for k, v in (static | setting).items()}
    return digest(values)


Divide = Callable[[int], "list[tuple[Setting, ...]] | None"]
"""Number of parts -> parts of a group's settings that take about as long as each other, or None."""


def partition(
    sweep: BaseSweep,
    group: Group,
    max_models: int,
    workers: int,
    divide: Divide = lambda parts: None,
) -> list[Chunk]:
    """Return a group as chunks with at most `max_models` models each.

    The settings of a seed share its random draws, so a group is split by seeds first. If the seeds
    do not divide evenly among the workers, those that are left over are split by `divide`, so that
    every worker gets as much. Where it returns None, the settings of all seeds are cut into slices,
    of which there are as few as divide evenly.
    """
    count = math.ceil(len(group.settings) / max_models)
    left = len(group.seeds) % workers
    if count == 1 and left and (parts := divide(workers // math.gcd(left, workers))):
        n_whole, most = len(group.seeds) - left, max_models // len(group.settings)
        whole, rest = group.seeds[:n_whole], group.seeds[n_whole:]
        together = max(1, min(most, n_whole // workers))
        few = min(most, left // math.gcd(left, workers))
        return _chunks(sweep, group, [group.settings], whole, together) + _chunks(
            sweep, group, parts, rest, few
        )
    while max(map(len, _slices(sweep, group.settings, count))) > max_models:
        count += 1
    if count > 1 or len(group.seeds) % workers:
        count = _balanced(count, len(group.seeds), len(group.settings), workers)
    slices = _slices(sweep, group.settings, count)
    largest = max(map(len, slices))
    n_seeds = max(1, min(max_models // largest, math.ceil(len(group.seeds) * count / workers)))
    return _chunks(sweep, group, slices, group.seeds, n_seeds)


def _chunks(
    sweep: BaseSweep,
    group: Group,
    slices: list[tuple[Setting, ...]],
    seeds: tuple[int, ...],
    together: int,
) -> list[Chunk]:
    """Return chunks of every slice of the settings, with `together` seeds each."""
    return [
        Chunk(sweep.model, group.static, settings, seeds[i : i + together])
        for i in range(0, len(seeds), together)
        for settings in slices
    ]


def _balanced(count: int, n_seeds: int, n_settings: int, workers: int) -> int:
    """Return the least number of slices >= `count` that leaves no worker idle at the end."""
    for candidate in range(count, min(n_settings, count + workers) + 1):
        if candidate * n_seeds % workers == 0:
            return candidate
    return count


def _slices(
    sweep: BaseSweep, settings: tuple[Setting, ...], count: int
) -> list[tuple[Setting, ...]]:
    """Return the settings in `count` slices, every count-th setting, to mix cheap and costly ones.

    If possible, the values of one further axis are divided, or else those of the setting that
    selects a branch of the program. Then the slices are alike, and models that differ in other
    fields stay together.
    """
    further = [name for name in reversed(settings[0]) if name not in sweep.main_axes]
    for name in [*further, *([sweep.branch] if sweep.branch else [])]:
        values = list(dict.fromkeys(s[name] for s in settings))
        if len(values) >= count > 1:
            divided = [values[i::count] for i in range(count)]
            return [tuple(s for s in settings if s[name] in chosen) for chosen in divided]
    return [settings[i::count] for i in range(count)]
