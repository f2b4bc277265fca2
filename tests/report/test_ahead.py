"""The page that is prepared during the training compiles nothing afterwards."""

import pytest
from running import python

PROGRAM = """
import sys
from pathlib import Path
import jax, jsuper
from jsuper.jobs.job import existing_job
from jsuper.report import write
from jsuper.report.ahead import prepare_page

compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
)
for number, sweep in enumerate(SWEEPS):
    out = Path(sys.argv[1]) / str(number)
    jsuper.run(sweep, out=out, progress=False)
    job = existing_job(sweep, out)
    compiled.clear()
    prepare_page(job.sweep, job.chunks)
    prepared = len(compiled)
    write(out)
    print(prepared, len(compiled) - prepared)
    if number == 1:  # peaks of factorizations are found with it
        assert "scipy.stats" not in sys.modules  # its import takes a second
"""
# Of other shapes each, so that none has what is compiled for another one.
SWEEPS = """
import jsuper
SIZES = dict(seeds=2, steps=5, n_hidden=2, batch_size=64)
SWEEPS = [
    jsuper.Sweep(activation=("relu", "gelu"), sparsity=(0.5, 0.9), n_features=6, **SIZES),
    jsuper.Sweep(activation="relu", sparsity=0.9, dropout=(0.0, 0.5), n_features=7, **SIZES),
    jsuper.factorization.Sweep(seeds=2, steps=10),
]
"""


@pytest.mark.slow
def test_a_prepared_page_compiles_nothing(tmp_path):
    code, said = python(SWEEPS + PROGRAM, tmp_path)
    assert code == 0, said
    lines = [tuple(map(int, line.split())) for line in said.splitlines()[-3:]]
    assert [prepared > 0 for prepared, _ in lines] == [True, True, False]
    assert [later for _, later in lines] == [0, 0, 0]
