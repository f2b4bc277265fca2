"""Failed models are trained once more by the next run, and only they."""

import jax
import numpy as np
import pytest
from one_chunk import ARRAYS, CHUNK

import jsuper
from jsuper.cli import main, process, sweeping
from jsuper.core.status import ERROR, FAILED, NON_FINITE, OK
from jsuper.engine import workers
from jsuper.jobs.retry import failed_parts, write_improved
from jsuper.store import chunk_files

FLAGS = ["--activation", "relu", "tanh", "--sparsity", "0.9", "--seeds", "2", "--steps", "20"]
FLAGS += ["--n-features", "5", "--n-hidden", "2", "--batch-size", "16", "--records", "2"]
FLAGS += ["--workers", "1", "--platform", "cpu", "--no-report"]


def with_status(*places, status=FAILED):
    """The arrays of the chunk, whose models at these (row, column) have a status and are NaN."""
    arrays = {k: v.copy() for k, v in ARRAYS.items()}
    for place in places:
        for values in arrays.values():
            if values.dtype.kind == "f":
                values[place] = np.nan
        arrays["status"][place] = status
    if status == FAILED:
        arrays[ERROR] = np.full(arrays["status"].shape, b"boom", "S300")
    return arrays


def row_of(arrays, part):
    """The arrays of a part of the chunk."""
    rows = [CHUNK.settings.index(s) for s in part.settings]
    columns = [CHUNK.seeds.index(s) for s in part.seeds]
    return {k: v[np.ix_(rows, columns)] for k, v in arrays.items()}


def test_failed_models_are_grouped_by_their_seeds(tmp_path):
    assert failed_parts(tmp_path, CHUNK) == []
    chunk_files.write_chunk(tmp_path, CHUNK, with_status((0, 1), (1, 0), (1, 2)))
    found = [(part.settings, part.seeds) for part in failed_parts(tmp_path, CHUNK)]
    assert found == [((CHUNK.settings[0],), (1,)), ((CHUNK.settings[1],), (0, 2))]
    chunk_files.write_chunk(tmp_path, CHUNK, with_status((0, 1), (1, 0), status=NON_FINITE))
    assert failed_parts(tmp_path, CHUNK) == []


@pytest.mark.parametrize("status", [OK, NON_FINITE, FAILED])
def test_a_file_is_replaced_by_one_with_fewer_failures_alone(tmp_path, status):
    before = with_status((1, 0), (1, 2))
    chunk_files.write_chunk(tmp_path, CHUNK, before)
    path = chunk_files.chunk_path(tmp_path, CHUNK.name)
    content = path.read_bytes(), path.stat().st_mtime_ns
    (part,) = failed_parts(tmp_path, CHUNK)
    results = row_of(with_status(*([(1, 0)] if status != OK else []), status=status), part)
    if status == FAILED:
        results["status"][:] = FAILED
    lost = write_improved(tmp_path, CHUNK, part, results)
    found = chunk_files.read_chunk(tmp_path, CHUNK)
    assert lost == chunk_files.count_lost(found)
    assert ((path.read_bytes(), path.stat().st_mtime_ns) == content) == (status == FAILED)
    if status != FAILED:
        assert lost == (int(status == NON_FINITE), 0)
        assert not chunk_files.error_messages(found)
        np.testing.assert_array_equal(found["W"][0], before["W"][0])
        np.testing.assert_array_equal(found["W"][1, [0, 2]], results["W"][0])


def test_what_another_process_has_trained_meanwhile_stays(tmp_path):
    chunk_files.write_chunk(tmp_path, CHUNK, with_status((1, 0), (1, 2)))
    (part,) = failed_parts(tmp_path, CHUNK)
    results = row_of(ARRAYS, part)
    results["W"] = results["W"] + 1
    chunk_files.write_chunk(tmp_path, CHUNK, with_status((1, 2)))
    assert write_improved(tmp_path, CHUNK, part, results) == (0, 0)
    found = chunk_files.read_chunk(tmp_path, CHUNK)
    np.testing.assert_array_equal(found["W"][1, 0], ARRAYS["W"][1, 0])
    np.testing.assert_array_equal(found["W"][1, 2], ARRAYS["W"][1, 2] + 1)


@pytest.fixture
def faulty(monkeypatch):
    """Let models of tanh with some seeds fail; the seeds, and the numbers of models of each try."""
    train, seeds, tries = workers._train, set(), []

    def fails(plan, device, block, progress, stop):
        tries.append(block.n_models)
        if seeds & set(block.seeds) and any(s["activation"] == "tanh" for s in block.settings):
            raise jax.errors.JaxRuntimeError("INTERNAL: boom")
        return train(plan, device, block, progress, stop)

    monkeypatch.setattr(workers, "_train", fails)
    return seeds, tries


@pytest.mark.slow
def test_a_resume_trains_failed_models_once_and_the_exit_code_tells(
    tmp_path, monkeypatch, faulty, tried, capsys
):
    (seeds, tries), run = faulty, tmp_path / "run"
    monkeypatch.setattr(sweeping, "conclude", lambda *_: None)  # no figures

    def sweep(*more):
        tries.clear()
        return main.main(["sweep", *FLAGS, "--out", str(run), *more])

    seeds |= {0, 1}
    assert sweep() == process.SOME_FAILED == 4 and tries == [4, 2, 2, 1, 1]
    assert "2 of 4 models could not be trained: JaxRuntimeError: INTERNAL: boom (2)" in (
        capsys.readouterr().err
    )
    seeds.remove(0)
    assert sweep("--keep-failed") == process.SOME_FAILED and tries == []
    assert sweep() == process.SOME_FAILED and tries == [2, 1, 1]  # once: it does not loop
    assert "retry    failed models of earlier runs: 2" in capsys.readouterr().out
    kept = jsuper.load(run)
    assert kept.status.sel(activation="tanh").values.tolist() == [[OK, FAILED]]
    seeds.clear()
    assert sweep() == process.DONE and tries == [1]
    ds = jsuper.load(run)
    assert (ds.status == OK).all() and "errors" not in ds.attrs
    assert (ds.W.sel(seed=0) == kept.W.sel(seed=0)).all()
    assert sweep() == process.DONE and tries == []
    tried(
        "Models that cannot be trained",
        "runs again on their folder: once more trained, they alone; the exit code is 4 until none "
        "has failed",
        5,
    )


def test_the_python_interface_keeps_or_retries_them(tmp_path, faulty):
    (seeds, tries), run = faulty, tmp_path / "run"
    sweep = jsuper.Sweep(activation="tanh", sparsity=0.9, seeds=1, steps=20, n_features=5)
    seeds.add(0)
    assert (jsuper.run(sweep, run, progress=False).status == FAILED).all()
    seeds.clear()
    assert (jsuper.run(sweep, run, progress=False, keep_failed=True).status == FAILED).all()
    assert (jsuper.run(sweep, run, progress=False).status == OK).all() and tries == [1, 1]
