"""From a sweep to groups of points that share a program, and to chunks that share a file.

No jax. A *point* is a setting (one value for every role-"setting" field) with a seed; a *group* has
one value for every role-"static" field. A *chunk* is settings x seeds of one group: the unit of
commit and of resume, named by the hash of what it holds.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsuper.core.sweep import (
    BaseSweep,
    SpecError,
    canonical,
    digest,
    digest_text,
    plain,
    without_negative_zero,
)

MAX_MODELS = 20_000_000  # of a sweep: their settings and seeds are lists in memory
Setting = dict[str, Any]
ROLES = ("static", "setting")  # of fields that tell points apart; seeds are apart


@dataclass(frozen=True)
class Chunk:
    """Settings x seeds of one group; `static` and `settings` may hold callables."""

    model: str
    static: dict[str, Any]
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]

    @functools.cached_property
    def name(self) -> str:
        """The hash of the chunk's content: the name of its file."""
        return digest_text(self.text)

    @property
    def text(self) -> str:
        """The canonical JSON of `to_dict()`; not kept, since it is long."""
        settings, static = _canonical(_Same(self.settings)), _canonical(_Same(self.static))
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
        """Plain data; callables by name and digest of their source."""
        return {
            "model": self.model,
            "static": {k: plain(v) for k, v in self.static.items()},
            "settings": [{k: plain(v) for k, v in s.items()} for s in self.settings],
            "seeds": list(self.seeds),
        }


class _Same:
    """An object as a key that nothing but itself equals."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.held is other.held

    def __hash__(self) -> int:
        return id(self.held)


@functools.lru_cache(maxsize=1024)  # the chunks of a run share their static values and settings
def _canonical(rows: _Same) -> str:
    """Canonical JSON of static values, or of settings."""
    if isinstance(rows.held, dict):
        return canonical({k: plain(v) for k, v in rows.held.items()})
    return canonical([{k: plain(v) for k, v in s.items()} for s in rows.held])


@dataclass(frozen=True)
class Group:
    """All points of a sweep that share the static values: one compiled program."""

    static: dict[str, Any]
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]


def expand(sweep: BaseSweep) -> list[Group]:
    """Return the Cartesian product of the axes, in declared order, split by the static values.

    Raises
    ------
    SpecError
        The sweep has more models than a run can hold.
    """
    check_size(sweep)
    return [
        Group(static, tuple(_product(sweep, "setting")), sweep.seed_values)
        for static in _product(sweep, "static")
    ]


def _product(sweep: BaseSweep, role: str) -> Iterator[dict[str, Any]]:
    checked = {f.name: f.metadata["axis"] for f in dataclasses.fields(sweep)}
    names = sweep.names(role)
    values = [sweep.values(n) if checked[n] else (getattr(sweep, n),) for n in names]
    for combination in itertools.product(*values):
        yield dict(zip(names, combination, strict=True))


def n_models(sweep: BaseSweep) -> int:
    """Return the number of models of the whole sweep; no list of them is made."""
    axes = [sweep.values(f.name) for f in dataclasses.fields(sweep) if f.metadata["axis"]]
    return sweep.seed_count * math.prod(map(len, axes))


def check_size(sweep: BaseSweep) -> None:
    """Raise SpecError where a sweep has too many models, before a list of them is made."""
    models = n_models(sweep)
    if models > MAX_MODELS:
        axes = " x ".join(f"{len(v):,} {k}" for k, v in sweep.axes.items())
        raise SpecError(
            f"the sweep has {axes} x {sweep.seed_count:,} seeds = {models:,} models, and at most "
            f"{MAX_MODELS:,} are allowed; give fewer values or seeds, or split it over several "
            "folders with --out"
        )


def missing(sweep: BaseSweep, existing: list[Chunk]) -> list[Group]:
    """Return the groups of `sweep` without the points of existing chunks: each settings x seeds."""
    covered = Covered(type(sweep))
    for chunk in existing:
        covered.add(chunk)
    return [rest for group in expand(sweep) for rest in covered.rest_of(group)]


class Covered:
    """The points that chunks of one family cover."""

    def __init__(self, cls: type[BaseSweep]) -> None:
        whole = cls.single_defaults()  # of fields that an older folder does not have
        settable = (f for f in dataclasses.fields(cls) if f.metadata["role"] in ROLES)
        own = {f.name: f.metadata["axis"] for f in settable if f.name in whole}
        self._defaults = {k: whole[k][0] if axis else whole[k] for k, axis in own.items()}
        self._seeds: dict[str, set[int]] = {}  # identity of a point -> its seeds
        self._identities: dict[tuple[int, int], tuple[Any, list[str]]] = {}  # with what they are of

    def add(self, chunk: Chunk) -> None:
        """Count a chunk's points as covered."""
        for identity in self.identities(chunk):
            self._seeds.setdefault(identity, set()).update(chunk.seeds)

    def rest_of(self, group: Group | Chunk) -> list[Group]:
        """Return the points of a group that are not covered."""
        by_seeds: dict[tuple[int, ...], list[Setting]] = {}
        for setting, identity in zip(group.settings, self.identities(group), strict=True):
            done = self._seeds.get(identity, set())
            seeds = tuple(s for s in group.seeds if s not in done)
            by_seeds.setdefault(seeds, []).append(setting)
        return [Group(group.static, tuple(v), seeds) for seeds, v in by_seeds.items() if seeds]

    def identities(self, group: Group | Chunk) -> list[str]:
        """Return what tells each setting of a group from those of other groups."""
        key = id(group.static), id(group.settings)  # chunks of different seeds share both
        if key not in self._identities:
            static = self._defaults | group.static
            found = [_identity(static, setting) for setting in group.settings]
            self._identities[key] = (group.static, group.settings), found
        return self._identities[key][1]


def _identity(static: dict[str, Any], setting: Setting) -> str:
    values = {k: without_negative_zero(plain(v)) for k, v in (static | setting).items()}
    return digest(values)


def partition(sweep: BaseSweep, group: Group, max_models: int, workers: int) -> list[Chunk]:
    """Split a group into chunks of nearly equal shape with at most `max_models` each.

    A seed's settings share its random draws, so settings stay together before seeds do. Their
    number of parts is chosen so that few chunks still divide evenly among the workers.
    """
    parts = math.ceil(len(group.settings) / max_models)
    while max(map(len, _deal(sweep, group.settings, parts))) > max_models:
        parts += 1
    if parts > 1 or len(group.seeds) % workers:
        parts = _balanced(parts, len(group.seeds), len(group.settings), workers)
    dealt = _deal(sweep, group.settings, parts)
    largest = max(map(len, dealt))
    together = max(1, min(max_models // largest, math.ceil(len(group.seeds) * parts / workers)))
    return [
        Chunk(sweep.model, group.static, part, group.seeds[i : i + together])
        for i in range(0, len(group.seeds), together)
        for part in dealt
    ]


def _balanced(parts: int, n_seeds: int, n_settings: int, workers: int) -> int:
    """Return the least number of parts, from `parts` on, that leaves no worker idle at the end."""
    for candidate in range(parts, min(n_settings, parts + workers) + 1):
        if candidate * n_seeds % workers == 0:
            return candidate
    return parts


def _deal(sweep: BaseSweep, settings: tuple[Setting, ...], parts: int) -> list[tuple[Setting, ...]]:
    """Return the settings in so many parts, dealt out in turn, which mixes cheap and costly ones.

    Dealt out are the values of a further axis, else those of the setting that selects a branch of
    the program, so that the parts are alike, and models that differ in little else stay together.
    """
    further = [name for name in reversed(settings[0]) if name not in sweep.main_axes]
    for name in [*further, *([sweep.branch] if sweep.branch else [])]:
        values = list(dict.fromkeys(s[name] for s in settings))
        if len(values) >= parts > 1:
            mine = [values[part::parts] for part in range(parts)]
            return [tuple(s for s in settings if s[name] in some) for some in mine]
    return [settings[part::parts] for part in range(parts)]
