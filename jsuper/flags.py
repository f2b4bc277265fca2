"""From a command line to a sweep: a preset, a file or a family, and flags on top of its values."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from jsuper import families
from jsuper.spec import BaseSweep, Omitted, SpecError, digest, flag, metavar, read_toml

PRESETS = Path(__file__).parent / "presets"
DEFAULT_PRESET = "activations"


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How and where to run; none of it changes a result."""

    out: str | None = None
    """run folder; runs/<preset>, with a hash where flags change the preset, by default"""
    platform: str = "auto"
    """auto, cpu, gpu or tpu; fails where it is not there"""
    workers: int | None = None
    """threads on a CPU; one per core by default"""
    plan: Literal["auto", "reference", "sequential", "rows", "vmapped", "fused"] = "auto"
    """how models are batched; reference: whole batches, one model after another; vmapped and fused
    are for accelerators, slow and large on a CPU"""
    engine: Literal["local", "ray"] = "local"
    """where chunks are trained: here, or by the tasks of a Ray cluster (needs jsuper[cluster])"""
    address: str | None = None
    """of the Ray cluster, or auto; a new one of this machine alone by default"""
    shard: str | None = None
    """i/N: train the i-th (from 1) of N shares of the chunks, and leave the others to others"""
    grace: float = 30.0
    """seconds in which blocks that are nearly done are finished after SIGTERM, SIGINT or SIGUSR1"""
    dry_run: bool = False
    """print the plan and end"""
    fail_on_nonfinite: bool = False
    """exit with 3 where a model has diverged"""
    no_report: bool = False
    """do not write the run folder's report.html at the end"""
    no_cache: bool = False
    """do not keep compiled programs in a per-user folder"""


def parse(argv: list[str]) -> tuple[BaseSweep, RunOptions, str]:
    """The sweep and the options that a command line asks for, and the name of what it started from.

    First the preset or file, which names the family; then flags on top of its values.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    group = first.add_mutually_exclusive_group()
    group.add_argument("--preset")
    group.add_argument("--config")
    group.add_argument("--model")
    first.error = _refuse  # type: ignore[method-assign]
    known, rest = first.parse_known_args(argv)
    data, name = _start(known.preset, known.config, known.model)
    start = families.sweep_from_dict(data)
    _refuse_others(rest, start)
    fields = [_flag(f, getattr(start, f.name)) for f in dataclasses.fields(start)]
    flags = dataclasses.make_dataclass("Flags", fields, frozen=True, kw_only=True)
    command = dataclasses.make_dataclass(
        "Command",
        [
            ("run", tyro.conf.OmitArgPrefixes[RunOptions], dataclasses.field(default=RunOptions())),
            ("sweep", tyro.conf.OmitArgPrefixes[flags], dataclasses.field(default=flags())),
        ],
    )
    parsed: Any = tyro.cli(
        command,
        prog="sweep.py",
        description=_description(type(start)),
        args=rest,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    given = {f.name: getattr(parsed.sweep, f.name) for f in dataclasses.fields(flags)}
    changed = {k: v for k, v in given.items() if v != getattr(flags(), k)}
    for f in dataclasses.fields(start):
        if f.name in changed and _words(f):
            changed[f.name] = tuple(word == "true" for word in changed[f.name])
    if any(word.split("=")[0] == "--seeds" for word in rest):  # one number is a count
        changed["seeds"] = given["seeds"] if len(given["seeds"]) > 1 else given["seeds"][0]
    return families.sweep_from_dict(data | changed), parsed.run, name


def _refuse_others(words: list[str], start: BaseSweep) -> None:
    """Raise SpecError where a flag is a field of another family alone, and say of which."""
    own = {f.name for f in dataclasses.fields(start)} | {
        f.name for f in dataclasses.fields(RunOptions)
    }
    for word in words:
        flag = word.split("=")[0].removeprefix("--").replace("-", "_")
        for model in families.FAMILIES:
            theirs = {f.name for f in dataclasses.fields(families.spec_of(model).Sweep)}
            if word.startswith("--") and flag in theirs - own:
                raise SpecError(
                    f"{word} is a field of the model {model!r}, and this is {start.model!r}: "  # type: ignore[attr-defined]
                    f"begin with --model {model}, or with a preset of it"
                )


def _refuse(message: str) -> None:
    raise SpecError(message)


def _start(preset: str | None, config: str | None, model: str | None) -> tuple[dict[str, Any], str]:
    """The fields of a preset, a file or a family's defaults, and its name."""
    if model is not None:
        return {"model": model}, model
    if config is not None:
        return read_toml(config), Path(config).stem
    name = preset or DEFAULT_PRESET
    if name not in _presets():
        raise SpecError(f"preset={name!r} is not known; the presets are {', '.join(_presets())}")
    return read_toml(PRESETS / f"{name}.toml"), name


def _flag(f: dataclasses.Field, value: Any) -> tuple[str, Any, Any]:
    """A field of a sweep as a tyro argument: several values are a space-separated list."""
    if isinstance(value, Omitted):
        value = None  # so that its default is told from the same value, given
    kind = {"INT": int, "FLOAT": float}.get(metavar(f.metadata["check"]).split()[0], str)
    if isinstance(value, bool):
        return f.name, _annotated(bool, f, None), dataclasses.field(default=value)
    if _words(f):
        kind, value = Literal["true", "false"], tuple(str(v).lower() for v in value)
    if f.name == "seeds":
        default = value if isinstance(value, tuple) else (value,)
        return f.name, _annotated(tuple[int, ...], f, "INT ..."), dataclasses.field(default=default)
    several = f.metadata["axis"] or metavar(f.metadata["check"]).endswith("...")
    shown = metavar(f.metadata["check"]).removesuffix(" ...") + (" ..." if several else "")
    if several and value is None:
        kind, value = tuple[kind, ...], ()
    elif several:
        kind = tuple[kind, ...]
    return f.name, _annotated(kind, f, shown), dataclasses.field(default=value)


def _words(f: dataclasses.Field) -> bool:
    """Whether a field is given as the words true and false: an axis of them."""
    return f.metadata["axis"] and f.metadata["check"] is flag


def _annotated(kind: Any, f: dataclasses.Field, shown: str | None) -> Any:
    return Annotated[kind, tyro.conf.arg(help=f.metadata["help"], metavar=shown)]


def _description(cls: type[BaseSweep]) -> str:
    return (
        f"Train a whole grid of models ({cls.model}) and keep every weight.\n\n"
        f"Start from --preset NAME ({', '.join(_presets())}; default {DEFAULT_PRESET}), "
        f"--config FILE.toml or --model NAME ({', '.join(families.FAMILIES)}); flags go on top. "
        "Lists are space-separated: --activation relu gelu --sparsity 0 0.9. "
        "The same command again resumes, or says that all is done."
    )


def _presets() -> list[str]:
    return sorted(p.stem for p in PRESETS.glob("*.toml"))


def default_folder(asked: BaseSweep, name: str) -> Path:
    """runs/<preset> for a preset as it is, else runs/<name>-<hash of the sweep>."""
    preset = PRESETS / f"{name}.toml"
    if preset.exists() and families.sweep_from_dict(read_toml(preset)) == asked:
        return Path("runs") / name
    for older in _older_meanings(asked):
        if (folder := Path("runs") / f"{name}-{digest(older.to_dict(), 8)}").exists():
            return folder
    return Path("runs") / f"{name}-{digest(asked.to_dict(), 8)}"


def _older_meanings(asked: BaseSweep) -> list[BaseSweep]:
    """What the sweep meant to older versions, whose folders are named by it."""
    if isinstance(getattr(asked, "weight_decay", None), Omitted):
        return [dataclasses.replace(asked, weight_decay=0.01)]  # the default of every optimizer
    return []
