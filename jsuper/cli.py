"""The command line: `jsuper sweep` (also `python scripts/sweep.py`), `jsuper export`.

Thin: it reads TOML and flags into a sweep, checks the folder, and calls the runner. Neither
`--help` nor bad input nor a finished run imports jax.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

import jsuper
from jsuper import families, runner
from jsuper.grid import n_models
from jsuper.spec import BaseSweep, SpecError, digest, metavar, read_toml
from jsuper.store import RunError

DONE, ERROR, BAD_INPUT, SOME_NON_FINITE, STOPPED, STOPPED_AT_ONCE = 0, 1, 2, 3, 75, 130
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
    dry_run: bool = False
    """print the plan and end"""
    fail_on_nonfinite: bool = False
    """exit with 3 where a model has diverged"""
    no_cache: bool = False
    """do not keep compiled programs in a per-user folder"""


def main(argv: list[str] | None = None) -> int:
    """`jsuper COMMAND ...`: the installed command."""
    argv = sys.argv[1:] if argv is None else argv
    commands: dict[str, Callable[[list[str]], int]] = {"sweep": sweep, "export": export}
    if argv and argv[0] in commands:
        return commands[argv[0]](argv[1:])
    parser = argparse.ArgumentParser(
        "jsuper", description="a sweep engine for toy models of superposition"
    )
    parser.add_argument("--version", action="version", version=f"jsuper {jsuper.__version__}")
    parser.add_argument("command", choices=commands, help="what to do; see jsuper COMMAND --help")
    parser.parse_args(argv[:1])
    return BAD_INPUT


def sweep(argv: list[str] | None = None) -> int:
    """Train a sweep: `python scripts/sweep.py [--preset NAME | --config FILE] [flags]`."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        asked, options, name = parse(argv)
        folder = default_folder(asked, name) if options.out is None else Path(options.out)
        return run_sweep(asked, options, folder)
    except SpecError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except (RunError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ERROR


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
    if any(word.split("=")[0] == "--seeds" for word in rest):  # one number is a count
        changed["seeds"] = given["seeds"] if len(given["seeds"]) > 1 else given["seeds"][0]
    return families.sweep_from_dict(data | changed), parsed.run, name


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
    kind = {"INT": int, "FLOAT": float}.get(metavar(f.metadata["check"]).split()[0], str)
    if isinstance(value, bool):
        return f.name, _annotated(bool, f, None), dataclasses.field(default=value)
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
    return Path("runs") / f"{name}-{digest(asked.to_dict(), 8)}"


def check_writable(folder: Path) -> None:
    """Raise SpecError unless files can be made in the folder; what this makes, it removes."""
    made: list[Path] = []
    try:
        for parent in [*reversed(folder.absolute().parents), folder.absolute()]:
            if not parent.exists():
                parent.mkdir()
                made.append(parent)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SpecError(
            f"out={str(folder)!r} cannot be written ({error.strerror}); give another folder"
        ) from error
    finally:
        for parent in reversed(made):
            parent.rmdir()


def run_sweep(asked: BaseSweep, options: RunOptions, folder: Path) -> int:
    """Resume or start a sweep in its folder, and show what came out."""
    from jsuper import summary

    if options.platform not in ("auto", "cpu", "gpu", "tpu"):
        raise SpecError(f"platform={options.platform!r} is not one of auto, cpu, gpu, tpu")
    if options.workers is not None and options.workers < 1:
        raise SpecError(f"workers={options.workers} is not >= 1")
    job = runner.held(asked, folder)
    if runner.all_points(asked, job):
        print(f"All {n_models(asked)} models are done: {folder}")
        return _exit_code(options, runner.count_non_finite(job))
    check_writable(folder)
    if options.platform == "cpu":
        os.environ.setdefault("JAX_PLATFORMS", "cpu")  # leaves an accelerator and its memory alone
    print(f"jsuper {jsuper.__version__}: starting JAX ...", file=sys.stderr, flush=True)

    from jsuper.plan import make_plan

    plan = make_plan(options.platform, options.workers)
    job = runner.prepare(asked, folder, plan)
    print(summary.plan_text(job, plan), flush=True)
    if options.dry_run:
        return DONE
    stop = threading.Event()
    _stop_on_signals(stop)
    if not _execute(job, plan, options, stop):
        print(f"Stopped. What is finished is in {folder}; run again to continue.", file=sys.stderr)
        return STOPPED
    summary.show(job)
    return _exit_code(options, runner.count_non_finite(job))


def _execute(job: runner.Job, plan: Any, options: RunOptions, stop: threading.Event) -> bool:
    """Whether the job came to its end."""
    from jsuper.engine import Progress
    from jsuper.programs import use_compilation_cache
    from jsuper.progress import reporter

    if not options.no_cache:
        use_compilation_cache()
    progress = Progress()
    for chunk in job.damaged:
        print(f"chunk {chunk.name} is damaged: set aside and run again", file=sys.stderr)
    try:
        with reporter(job.todo, progress) as tick:
            runner.execute(job, plan, progress, stop, tick)
    except runner.StoppedError:
        return False
    return True


def _stop_on_signals(stop: threading.Event) -> None:
    """The first SIGINT or SIGTERM stops between calls, the second at once."""

    def handle(number: int, frame: Any) -> None:
        del frame
        if stop.is_set():
            os._exit(STOPPED_AT_ONCE)
        print("\nstopping; once more to stop at once", file=sys.stderr, flush=True)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def _exit_code(options: RunOptions, non_finite: int) -> int:
    return SOME_NON_FINITE if options.fail_on_nonfinite and non_finite else DONE


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Write a run's results for other programs: netcdf has all, csv and parquet a row per model."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """run folder"""
    format: str = "csv"
    """csv, netcdf or parquet"""


def export(argv: list[str] | None = None) -> int:
    """`jsuper export RUN --format csv|netcdf|parquet`."""
    options = tyro.cli(ExportOptions, prog="jsuper export", args=argv)
    try:
        print(jsuper.export(options.run, options.format))
    except (SpecError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except (RunError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ERROR
    return DONE
