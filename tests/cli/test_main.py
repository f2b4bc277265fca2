"""The command line, on tiny sweeps: exit codes, what is said, what is written."""

import dataclasses
import json
import os
import re
import signal

import numpy as np
import pytest
from running import assert_same_content, chunk_files, state
from tiny_sweeps import TINY, WITH_REPORT, end

import jsuper
from jsuper.cli import main, options, process, sweeping
from jsuper.store import chunk_files as store
from jsuper.store import sharing
from jsuper.store.manifest import manifest_of

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


# --------------------------------------------------------------------------- help, plan, dry run


def test_help_names_every_flag_without_jax(script):
    code, out, _ = end(script("--help"))
    assert code == 0
    options = "preset config out platform workers dry-run fail-on-nonfinite unpaired seeds"
    fields = [f.name.replace("_", "-") for f in dataclasses.fields(jsuper.Sweep)]
    fields.remove("zipped")  # a table, for --config
    for flag in [*options.split(), *fields]:
        assert f"--{flag}" in out, flag
    assert "relu" in out and "adamw" in out
    assert out.endswith("jax imported: False\n")


def test_bad_input_is_found_without_jax(script):
    code, out, error = end(script("--sparsity", 1))
    assert (code, out) == (2, "jax imported: False\n")
    assert error.startswith("error: sparsity=1 ") and error.count("\n") == 1


def test_a_dry_run_prints_the_plan_and_writes_nothing(sweep, tmp_path):
    code, out, _ = sweep(*TINY, "--n-hidden", 7, "--out", "run", "--dry-run")
    assert code == 0
    assert list(tmp_path.iterdir()) == []
    for said in ("8 models", "30 steps", "2 worker threads", "memory ", "time", "folder   run"):
        assert said in out, out
    assert re.search(r"note .*n_hidden=7 > n_features=6", out)


def test_a_dry_run_leaves_a_run_as_it_is(sweep, finished):
    chunk_files(finished)[0].write_bytes(b"damaged")
    before = state(finished)
    code, out, _ = sweep(*TINY, "--out", finished, "--dry-run")
    assert code == 0 and re.search(r"chunks +1 to do", out)
    assert state(finished) == before


@pytest.mark.parametrize(
    "flags, folder",
    [
        ("", "runs/activations"),
        ("--preset activations", "runs/activations"),
        ("--steps 10000", "runs/activations"),
        ("--steps 9", r"runs/activations-[0-9a-f]{8}"),
        ("--config mine.toml", r"runs/mine-[0-9a-f]{8}"),
    ],
)
def test_the_folder_is_named_after_the_preset_or_file(sweep, tmp_path, flags, folder):
    (tmp_path / "mine.toml").write_text("steps = 7\n")
    code, out, _ = sweep(*flags.split(), "--dry-run")
    assert code == 0
    assert re.search(rf"^folder +{folder}$", out, re.MULTILINE), out


@pytest.mark.parametrize(
    "config, flags, fields",
    [
        ("", "", {}),
        ("", "--steps 5 10 --sparsity 0.5", dict(steps=(5, 10), sparsity=0.5)),
        ("", "--seeds 4", dict(seeds=4)),
        ("", "--seeds 4 9", dict(seeds=(4, 9))),
        ("", "--unpaired --schedule cosine", dict(unpaired=True, schedule="cosine")),
        ("steps = 5\nseeds = [4, 9]", "", dict(steps=5, seeds=(4, 9))),
        ("steps = 5\nseeds = [4, 9]", "--seeds 2 --dropout 0 0.1", dict(steps=5, seeds=2)),
        ("seeds = [3]", "--seeds 3", dict(seeds=3)),
        ("n_features = 2\nimportance = [1, 0.5]", "--importance 2 1", dict(importance=(2, 1))),
        ("sparsity = [0.5, 0.6]", "--activity 1 2", dict(activity=(1, 2))),
        ("activity = [1, 2]", "--sparsity 0.5", dict(sparsity=0.5)),
        ("activity = 2", "--steps 5", dict(sparsity=0.9, steps=5)),
        (
            "n_features = 2\nfeature_sparsity = [0.5, 0.9]",
            "--feature-sparsity 0.1 0.2",
            dict(feature_sparsity=(0.1, 0.2)),
        ),
    ],
)
def test_flags_go_on_top_of_a_file(tmp_path, config, flags, fields):
    (tmp_path / "c.toml").write_text(config)
    asked, _, _ = options.parse(["--config", "c.toml", *flags.split()])
    if "dropout" in flags:
        fields = fields | dict(dropout=(0, 0.1))
    if "n_features" in config:
        fields = fields | dict(n_features=2)
    assert asked == jsuper.Sweep(**fields)


def test_a_start_on_the_command_line_replaces_the_label_in_a_file(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text('model = "toy"\nstart = "weights_e1793a@e1793af8cb46"\nseeds = 2\n')
    with pytest.raises(jsuper.SpecError, match="label of stored weights"):
        options.parse(["--config", str(path)])
    sweep, _, _ = options.parse(["--config", str(path), "--start", "kgon(4)"])
    assert sweep.start == ("kgon(4)",) and sweep.seeds == 2


# ---------------------------------------------------------------------- a run, and the same again


def test_a_run_shows_plan_table_and_figure_and_fills_its_folder(sweep, tmp_path):
    code, out, error = sweep(*WITH_REPORT, "--out", "run")
    assert code == 0, error
    assert out.index("8 models") < out.index("loss_over_constant, median over 2 seeds")
    assert re.search(r"^relu +[\d.]+\*? +[\d.]+\*? +-$", out, re.MULTILINE), out
    assert out.endswith("results  run\nreport   run/report.html\n")
    run = tmp_path / "run"
    figures = list((run / "figures").iterdir())
    assert [p.suffix for p in figures] == [".png"] and figures[0].name in out
    manifest = json.loads((run / "manifest.json").read_text())
    assert {c["name"] for c in manifest["chunks"]} == {p.stem for p in chunk_files(run)}
    assert {"schema", "sweep", "hash", "chunks", "sessions"} <= manifest.keys()
    (session,) = sharing.sessions_of(run, manifest_of(run))
    assert {"versions", "devices", "started", "ended"} <= session.keys()
    files = {"manifest.json", "sweep.toml", "chunks", "figures", "report.html", "sessions", ".lock"}
    assert {p.name for p in run.iterdir()} == files | {"derived.json", "analysis.npz"}
    ds = jsuper.load(run)
    assert ds.sizes["seed"] == 2 and (ds.status == 1).all() and np.isfinite(ds.W).all()


def test_a_plan_can_be_chosen(sweep, tmp_path):
    code, out, _ = sweep(*TINY, "--plan", "reference", "--out", tmp_path / "run")
    assert code == 0 and "models one after another, whole batches" in out
    code, _, error = sweep(*TINY, "--plan", "fastest", "--out", tmp_path / "other")
    assert code == process.BAD_INPUT and "reference" in error and not (tmp_path / "other").exists()


def test_a_finished_run_gets_the_page_that_it_lacks_once(sweep, finished):
    page = finished / "report.html"
    assert sweep(*WITH_REPORT, "--out", finished, "--dry-run")[0] == 0 and not page.exists()
    assert sweep(*WITH_REPORT, "--out", finished)[0] == 0
    written = page.stat().st_mtime_ns
    assert sweep(*WITH_REPORT, "--out", finished)[0] == 0
    assert page.stat().st_mtime_ns == written


def test_figures_and_page_are_made_again_where_they_are_of_other_chunks(sweep, finished):
    assert sweep(*WITH_REPORT, "--out", finished)[0] == 0
    figure = min((finished / "figures").iterdir())
    figure.unlink()  # as a kill between the last chunk and the figure leaves it
    code, out, _ = sweep(*WITH_REPORT, "--out", finished)
    assert code == 0 and figure.exists() and "figure" in out and "report " not in out
    record = finished / "derived.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"report.html": "other"}))
    code, out, _ = sweep(*WITH_REPORT, "--out", finished)
    assert code == 0 and "report " in out and "figure " not in out
    made = [p.stat().st_mtime_ns for p in (figure, finished / "report.html")]
    for text in ("", "[]", "{"):  # as in older folders, or damaged
        record.write_text(text)
        assert sweep(*WITH_REPORT, "--out", finished)[0] == 0
        assert [p.stat().st_mtime_ns for p in (figure, finished / "report.html")] == made
    os.utime(figure, (0, 0))
    assert "figure" in sweep(*WITH_REPORT, "--out", finished)[1]


@pytest.mark.slow
def test_an_extended_run_keeps_no_page_of_fewer_models(sweep, finished):
    (finished / "report.html").write_text("of 8 models")
    assert sweep(*TINY, "--seeds", 3, "--out", finished)[0] == 0
    assert not (finished / "report.html").exists()


@pytest.mark.parametrize("moment", ["jsuper.report.write", "jsuper.cli.summary.show"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_training_says_how_to_go_on(
    sweep, tmp_path, tried, monkeypatch, moment, number
):
    def interrupted(*_):
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # as `timeout` does: the process, then its group

    monkeypatch.setattr(moment, interrupted)
    run = tmp_path / "run"
    code, _, error = sweep(*WITH_REPORT, "--out", run)
    assert code == process.STOPPED and "run again for the report" in error
    assert (jsuper.load(run).status == 1).all() and not (run / "report.html").exists()
    monkeypatch.undo()
    assert sweeping.sweep([*map(str, WITH_REPORT), "--out", str(run)]) == 0
    assert (run / "report.html").exists()
    tried(
        "A signal",
        "SIGINT and SIGTERM, twice, before the summary and before the page: exit code 75, all "
        "models kept, and the same command made the page",
    )


def test_a_second_run_has_nothing_to_do_and_needs_no_jax(script, whole):
    before = state(whole)
    code, out, error = end(script(*TINY, "--out", whole))
    assert (code, error) == (0, "")
    assert out.splitlines() == [f"All 8 models are done: {whole}", "jax imported: False"]
    assert state(whole) == before


def test_the_resolved_sweep_gives_the_same_run(sweep, finished):
    code, out, _ = sweep("--config", finished / "sweep.toml", "--out", finished)
    assert code == 0 and "All 8 models are done" in out


@pytest.mark.parametrize(
    "flags", ["--seeds 3 --workers 1", "--seeds 9 1 0 --workers 1", "--sparsity 0.9 0.5 0"]
)
def test_an_extended_run_keeps_what_it_has(sweep, whole, finished, flags):
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in chunk_files(finished)}
    command = [*TINY, *flags.split(), "--out", finished]
    code, out, error = sweep(*command)
    assert code == 0, error
    assert "= 12 models" in out and "8 done already" in out
    after = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in chunk_files(finished)}
    assert before.items() <= after.items() and len(after) > len(before)
    old, new = jsuper.load(whole), jsuper.load(finished)
    assert new.status.size == 12 and (new.status == 1).all()
    part = new.sel(seed=old.seed, sparsity=old.sparsity)
    assert np.array_equal(part.W, old.W)
    assert "All 12 models are done" in sweep(*command)[1]


def test_the_order_of_values_does_not_matter_to_a_run(sweep, finished):
    before = state(finished)
    code, out, _ = sweep(*TINY, "--activation", "gelu", "relu", "--out", finished)
    assert code == 0 and "All 8 models are done" in out
    assert state(finished) == before


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "not a zip"])
def test_a_damaged_chunk_is_set_aside_reported_and_run_again(sweep, tried, whole, finished, damage):
    path = chunk_files(finished)[0]
    content = path.read_bytes()
    with np.load(path) as file:
        at = content.index(file["W"].tobytes())
    damaged = {
        "truncated": content[: len(content) // 2],
        "flipped": content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],
        "empty": b"",
        "not a zip": b"\x93NUMPY" + content,
    }[damage]
    path.write_bytes(damaged)
    others = {p: p.stat().st_mtime_ns for p in chunk_files(finished)[1:]}
    code, _, error = sweep(*TINY, "--out", finished)
    assert code == 0, error
    assert re.search(rf"{path.stem}.*damaged", error)
    assert path.with_suffix(".npz.corrupt").read_bytes() == damaged
    assert {p: p.stat().st_mtime_ns for p in chunk_files(finished)[1:]} == others
    assert_same_content(finished, whole)
    assert len(json.loads(jsuper.load(finished).attrs["sessions"])) == 2
    assert "All 8 models are done" in sweep(*TINY, "--out", finished)[1]
    tried(
        "A damaged chunk file",
        "a file cut in half, with a changed byte, empty, and of another kind: set aside and named, "
        "trained again to the same content, other files untouched",
    )


def test_a_run_keeps_its_partition_on_another_number_of_workers(sweep, whole, finished):
    lost = chunk_files(finished)[-1]
    lost.unlink()
    code, out, _ = sweep(*TINY, "--workers", 3, "--out", finished)
    assert code == 0 and "4 done already" in out
    assert [p.name for p in chunk_files(finished)] == [p.name for p in chunk_files(whole)]
    assert_same_content(finished, whole)


def test_an_unreadable_manifest_is_an_error(sweep, tried, finished, capsys):
    (finished / "manifest.json").write_text('{"schema": 99}')
    before = state(finished)
    code, _, error = sweep(*TINY, "--out", finished)
    assert code == process.ERROR == 1
    assert error.startswith("error: ") and "schema 99" in error
    commands = ("status", "verify", "export", "report", "scrub")
    for command in commands:
        assert main.main([command, str(finished)]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "schema 99; this jsuper reads 1, 2: update" in error
    with pytest.raises(store.RunError, match="schema 99"):
        jsuper.load(finished)
    assert state(finished) == before
    tried(
        "A run folder of a newer schema",
        "`jsuper.load` and the commands sweep, status, verify, export, report and scrub on it: "
        "exit code 1, a line that names the schema and says to update jsuper, nothing changed",
        len(commands) + 2,
    )


def test_models_that_diverge_are_data_or_exit_code_3(sweep, tried):
    rates = ["--sparsity", "0.9", "--learning-rate", "1e-3", "1e30"]
    command = [*TINY, *rates, "--out", "run"]
    code, out, error = sweep(*command, "--fail-on-nonfinite")
    assert code == process.SOME_NON_FINITE == 3, error
    assert re.search(r"^relu +0\.\d+\S* +- +2$", out, re.MULTILINE), out
    assert sweep(*command)[0] == 0
    assert sweep(*command, "--fail-on-nonfinite")[0] == 3
    ds = jsuper.load("run")
    assert (ds.status.sel(learning_rate=1e-3) == 1).all()
    assert (ds.first_bad_step.sel(learning_rate=1e-3) == -1).all()
    assert (ds.status.sel(learning_rate=1e30) == 2).all()
    assert (ds.first_bad_step.sel(learning_rate=1e30) >= 0).all()
    tried(
        "Models that diverge",
        "half of a run with a learning rate of 1e30: marked with the step, counted in the table, "
        "exit code 0, or 3 with --fail-on-nonfinite; the other half is fine",
    )


def test_without_the_flag_a_diverged_model_is_no_failure(sweep):
    rates = ["--sparsity", "0.9", "--learning-rate", "1e29", "1e30"]
    assert sweep(*TINY, *rates, "--out", "run")[0] == 0
    assert (jsuper.load("run").status == 2).all()
