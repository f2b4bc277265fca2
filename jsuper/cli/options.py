"""From a command line to a sweep: a preset, a file or a family, and flags on top of its values."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

from jsuper import presets
from jsuper.cli.groups import GROUPS, grouped
from jsuper.cli.values import (
    FLOAT,
    INT,
    as_flag,
    flag_name,
    no_default,
    number,
    read,
    refuse_commas,
    truth,
)
from jsuper.core.checks import choice, flag, integer, real
from jsuper.core.errors import SpecError
from jsuper.core.family import known_families, model_with, sweep_from_dict
from jsuper.core.fields import Omitted
from jsuper.core.json_data import JSONObject
from jsuper.core.suggestions import did_you_mean
from jsuper.core.sweep import BaseSweep
from jsuper.core.toml import read_toml
from jsuper.store import sharing

PRESETS = presets.FOLDER
PLATFORMS = ("auto", "cpu", "gpu", "tpu")
BATCHINGS = ("auto", "reference", "sequential", "rows", "vmapped", "kernel")  # as in plan.py
ENGINES = ("local", "ray")


def _names(options: tuple[str, ...]) -> Any:
    return tyro.conf.arg(metavar="{" + ",".join(options) + "}")


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How and where to run; none of it changes a result."""

    out: Annotated[str | None, no_default("FOLDER")] = None
    """run folder; by default runs/<preset>, with a hash if flags change the preset"""
    platform: Annotated[str, _names(PLATFORMS)] = "auto"
    """device to train on; an error if this machine has no such device"""
    workers: Annotated[int | None, INT, no_default()] = None
    """threads on a CPU; one per core by default"""
    plan: Annotated[str, _names(BATCHINGS)] = "auto"
    """how models are batched; reference trains whole batches, one model after another; vmapped is
    for accelerators, and kernel too: many steps in one launch, where a trial agrees"""
    engine: Annotated[str, _names(ENGINES)] = "local"
    """where chunks are trained: here, or by the tasks of a Ray cluster (needs jsuper[cluster])"""
    address: Annotated[str | None, no_default("HOST:PORT")] = None
    """address of the Ray cluster, or auto; by default a new cluster on this machine"""
    shard: Annotated[str | None, no_default("i/N")] = None
    """train the i-th (from 1) of N shares of the chunks"""
    grace: Annotated[float, FLOAT] = 30.0
    """seconds in which blocks that are nearly done are finished after SIGTERM, SIGINT or SIGUSR1"""
    dry_run: Annotated[bool, no_default()] = False
    """print the plan and end"""
    fail_on_nonfinite: Annotated[bool, no_default()] = False
    """exit with 3 if a model has diverged"""
    no_report: Annotated[bool, no_default()] = False
    """do not write the run folder's report.html at the end"""
    no_cache: Annotated[bool, no_default()] = False
    """do not keep compiled programs in a per-user folder"""
    force: Annotated[bool, no_default()] = False
    """train even if the estimated memory or disk space is not free"""
    keep_failed: Annotated[bool, no_default()] = False
    """do not train the models of the folder that have failed (status 3) once more"""
    yes: Annotated[bool, no_default()] = False
    """train more than a million models, or for more than ten days"""

    def checked(self) -> RunOptions:
        """Return the options with numbers in place of text.

        Raises
        ------
        SpecError
            One of them is not allowed.
        """
        check_platform(self.platform)
        choice(*BATCHINGS)("plan", self.plan)
        choice(*ENGINES)("engine", self.engine)
        workers = None if self.workers is None else check_workers("workers", self.workers)
        if self.shard is not None:
            sharing.shard_of(self.shard)
        return dataclasses.replace(self, workers=workers, grace=check_grace("grace", self.grace))


check_workers = integer(1, hint="leave it out for one a core")
check_grace = real(0, hint="it is a number of seconds; try 30")


def check_platform(platform: str) -> None:
    """Raise SpecError unless this is the name of a platform."""
    if platform not in PLATFORMS:
        hint = did_you_mean(platform, PLATFORMS)
        raise SpecError(f"platform={platform!r} is not one of {', '.join(PLATFORMS)}{hint}")


def parse(argv: list[str]) -> tuple[BaseSweep, RunOptions, str]:
    """Return the sweep and the options of a command line, and the name that it started from.

    First the preset or file, which names the family; then flags on top of its values.
    """
    known, rest = _first(argv)
    data, name = _start(known.preset, known.config, known.model)
    given = {flag_name(word) for word in rest if word.startswith("--")}
    if "start" in given:  # the file of a run with stored weights has their label alone
        data = {k: v for k, v in data.items() if k != "start"}
    start = sweep_from_dict(data)
    _refuse_others(rest, start)
    declared = {f.name: f for f in _flag_fields(start)}
    groups = {k: [declared[name] for name in some] for k, some in grouped(declared).items()}
    command = _command(start, groups)
    parsed: Any = read(command, rest, "jsuper sweep", _all_flags(start), _description(type(start)))
    changed = {
        f.name: _value(f, getattr(getattr(parsed, group), f.name))
        for group, some in groups.items()
        for f in some
        if f.name in given
    }
    for f in dataclasses.fields(start):  # a flag replaces what the file gives in the other way
        both = {f.name, f.metadata.get("replaces")}
        if None not in both and both & changed.keys():
            data = {k: v for k, v in data.items() if k not in both}
    return sweep_from_dict(data | changed), parsed.run, name


def _command(start: BaseSweep, groups: dict[str, list[dataclasses.Field]]) -> type:
    """Return the command as a dataclass: a box of flags for each group, and that of the run."""
    boxes = []
    for group, some in groups.items():
        flags = [_flag(f, getattr(start, f.name)) for f in some]
        text = {"__doc__": GROUPS[group][0]}
        box = dataclasses.make_dataclass(group, flags, namespace=text, frozen=True, kw_only=True)
        boxes.append((group, box))
    return dataclasses.make_dataclass(
        "Command",
        [
            (name, tyro.conf.OmitArgPrefixes[box], dataclasses.field(default=box()))
            for name, box in (*boxes, ("run", RunOptions))
        ],
    )


def asked_preset(argv: list[str], asked: BaseSweep) -> presets.Preset | None:
    """Return the preset that a command line names, or else that its sweep is; None: neither."""
    name = _first(argv)[0].preset or preset_of(asked.to_dict())
    return None if name is None else presets.load(name)


def _first(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return what a command line starts from, and its other words."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    group = first.add_mutually_exclusive_group()
    group.add_argument("--preset")
    group.add_argument("--config")
    group.add_argument("--model")
    first.error = _refuse  # type: ignore[method-assign]
    return first.parse_known_args(argv)


def _all_flags(start: BaseSweep) -> list[str]:
    options = [f.name for f in (*_flag_fields(start), *dataclasses.fields(RunOptions))]
    return [*options, "preset", "config", "model"]


def _flag_fields(start: BaseSweep) -> list[dataclasses.Field]:
    """Return the fields that flags can set: all but the table of fields that vary together."""
    return [f for f in dataclasses.fields(start) if f.metadata["role"] != "zipped"]


def _refuse_others(words: list[str], start: BaseSweep) -> None:
    """Raise SpecError for a flag of another family, naming it, and for --zipped."""
    own = set(_all_flags(start))
    for word in words:
        name = flag_name(word)
        if word.startswith("--") and name == "zipped":
            raise SpecError(
                "--zipped is not a flag: write fields that vary together into a TOML file, as a "
                "table [zipped.NAME] after the plain fields, and give --config FILE.toml"
            )
        if word.startswith("--") and name not in own and (model := model_with(name)):
            raise SpecError(
                f"{as_flag(name)} is a field of the model {model!r}, and this is {start.model!r}: "
                f"begin with --model {model}, or with a preset of it"
            )


def _refuse(message: str) -> None:
    raise SpecError(message)


def _start(preset: str | None, config: str | None, model: str | None) -> tuple[JSONObject, str]:
    """Return the fields of a preset, a file or a family's defaults, and its name."""
    if model is not None:
        return {"model": model}, model
    if config is not None:
        data = read_toml(config)
        options = [f.name for f in dataclasses.fields(RunOptions)]
        for key in [k for k in data if k in options]:
            raise SpecError(
                f"{key!r} in {config} says how to run, not what: leave it out of the file, and "
                f"give the flag {as_flag(key)}"
            )
        return data, Path(config).stem
    name = preset or presets.DEFAULT
    return read_toml(presets.path_of(name)), name


def _flag(f: dataclasses.Field, value: Any) -> tuple[str, Any, Any]:
    """Return a field of a sweep as a tyro argument: several values are a space-separated list.

    Values are text here; `_value` says what they mean.
    """
    if isinstance(value, Omitted):
        value = None  # so that its default is told from the same value, given
    shown = "INT" if f.name == "seeds" else f.metadata["check"].metavar.removesuffix(" ...")
    if not _is_list(f) and f.metadata["check"] is not flag:
        return f.name, _annotated(str, f, shown), dataclasses.field(default=str(value))
    # without a value `--watch` is true
    shown = f"{shown} ..." if _is_list(f) else f"[{shown}]"
    values = value if isinstance(value, tuple) else () if value is None else (value,)
    words = tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values)
    return f.name, _annotated(tuple[str, ...], f, shown), dataclasses.field(default=words)


def _is_list(f: dataclasses.Field) -> bool:
    """Return whether a flag takes several values."""
    several = f.metadata["axis"] or f.metadata["role"] in ("seeds", "alias")
    return several or f.metadata["check"].metavar.endswith("...")


def _value(f: dataclasses.Field, given: Any) -> Any:
    """Return what the words after a flag say of its field, for the field's own check.

    Raises
    ------
    SpecError
        Commas separate them, or there are too many.
    """
    check = f.metadata["check"]
    kind = check.metavar.split()[0]
    meaning = number if kind in ("INT", "FLOAT") or f.name == "seeds" else str
    meaning = truth if check is flag else meaning
    if isinstance(given, str):
        return meaning(given)
    if check is flag and not f.metadata["axis"]:
        if len(given) > 1:
            raise SpecError(f"{f.name} takes one value, true or false, and not {len(given)}")
        return truth(given[0]) if given else True
    refuse_commas(f.name, given)
    values = tuple(meaning(word) for word in given)
    return values[0] if f.name == "seeds" and len(values) == 1 else values  # one is a count


def _annotated(kind: Any, f: dataclasses.Field, shown: str | None) -> Any:
    no_value = isinstance(f.default, Omitted) or f.default == ("",)
    hint = None if f.default and not no_value else ""
    return Annotated[
        kind, tyro.conf.arg(help=f.metadata["help"], metavar=shown, help_behavior_hint=hint)
    ]


def _description(cls: type[BaseSweep]) -> str:
    return (
        f"Train a whole grid of models ({cls.model}) and keep every weight.\n\n"
        f"Start from --preset NAME (default {presets.DEFAULT}), --config FILE.toml or "
        f"--model NAME ({', '.join(known_families())}); flags go on top. "
        "Lists are space-separated: --activation relu gelu --sparsity 0 0.9. "
        "Fields that vary together are a table [zipped.NAME] of a TOML file. "
        "The same command again resumes, or says that all is done.\n\n"
        f"Presets, and their expected time on two cores:\n\n{presets.listing()}"
    )


def preset_of(stored: JSONObject) -> str | None:
    """Return the preset that a stored sweep is, with any seeds; None: none of them."""
    for name in presets.names():
        fields = read_toml(PRESETS / f"{name}.toml")
        if not _as_many(fields, stored):
            continue  # a check of its fields may import jax
        preset = sweep_from_dict(fields)
        if preset.model == stored["model"]:
            older = preset.single_defaults()  # of fields that an older folder does not have
            both = (older | preset.with_stored(stored).to_dict(), older | stored)
            one, other = ({k: v for k, v in d.items() if k != "seeds"} for d in both)
            if one == other:
                return name
    return None


def _as_many(fields: JSONObject, stored: JSONObject) -> bool:
    """Return whether a stored sweep has as many values of each of some fields."""

    def count(value: object) -> int:
        return len(value) if isinstance(value, list) else 1

    # log(40) stands for so many snapshots
    others = ((k, v) for k, v in fields.items() if k not in ("seeds", "snapshots"))
    return all(count(v) == count(stored.get(k)) for k, v in others)


def default_folder(asked: BaseSweep, name: str) -> Path:
    """runs/<preset> for a preset as it is, else runs/<name>-<hash of the sweep>."""
    preset = PRESETS / f"{name}.toml"
    if preset.exists() and sweep_from_dict(read_toml(preset)) == asked:
        return Path("runs") / name
    for older in _older_meanings(asked):
        if (folder := Path("runs") / f"{name}-{older.folder_hash}").exists():
            return folder
    return Path("runs") / f"{name}-{asked.folder_hash}"


def _older_meanings(asked: BaseSweep) -> list[BaseSweep]:
    """Return what the sweep meant to older versions, whose folders are named by it."""
    if isinstance(getattr(asked, "weight_decay", None), Omitted):
        return [dataclasses.replace(asked, weight_decay=0.01)]  # the default of every optimizer
    return []
