"""The page that is prepared during the training compiles nothing afterwards."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from pathlib import Path
import jax, jsuper
from jsuper.jobs.job import existing_job
from jsuper.report import write
from jsuper.report.ahead import prepare_page

sweep, out = eval(sys.argv[1]), Path(sys.argv[2])
jsuper.run(sweep, out=out, progress=False)
job, compiled = existing_job(sweep, out), []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
)
prepare_page(job.sweep, job.chunks)
prepared = len(compiled)
write(out)
print(prepared, len(compiled) - prepared)
"""
SIZES = "seeds=2, steps=5, n_features=6, n_hidden=2, batch_size=64"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sweep", "compiles"),
    [
        (f"jsuper.Sweep(activation=('relu', 'gelu'), sparsity=(0.5, 0.9), {SIZES})", True),
        (f"jsuper.Sweep(activation='relu', sparsity=0.9, dropout=(0.0, 0.5), {SIZES})", True),
        ("jsuper.factorization.Sweep(seeds=2, steps=10)", False),
    ],
)
def test_a_prepared_page_compiles_nothing(sweep, compiles, tmp_path):
    command = [sys.executable, "-c", PROGRAM, sweep, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    prepared, later = map(int, done.stdout.split()[-2:])
    assert (prepared > 0) == compiles and later == 0
