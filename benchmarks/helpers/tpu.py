"""Cycles of programs for TPUs, as their compiler schedules them."""

import re
import tempfile
from pathlib import Path

from .hlo import parsed

FOLDER = Path(tempfile.mkdtemp(prefix="tpu-"))
# For libtpu, before it is loaded: write the final instructions of every kernel.
ARGUMENTS = f"--xla_jf_dump_to={FOLDER} --xla_jf_dump_llo_text=true --xla_jf_dump_llo_html=false"
# Hz; peak bfloat16 operations/s (Google's documentation: 197e12 and 918e12) over operations a clock
# (four units of 128 x 128, and of 256 x 256, with two operations each).
CLOCKS = {"v5e": 1.5e9, "v6e": 1.75e9}
ROWS = 8  # samples of a vector register, with a model in each of its lanes
BUNDLE = re.compile(
    r"^\s*(?:0x)?[0-9a-f]+\s*(?:L[HBE]|P[BF]|CT)?\s*(?:L[HBE]|P[BF]|CT)?\s*:\s*(>*)\s*\{"
)
CYCLES = re.compile(r'estimated_cycles":"(\d+)"')


def loop_cycles(text: str) -> int:
    """Return the cycles of the fusions in one turn of a scheduled program's main loop."""
    program = parsed(text)
    bodies = (one.called("body") for lines in program.values() for one in lines.values())
    sums = (
        sum(int(found[1]) for one in program[body].values() if (found := CYCLES.search(one.rest)))
        for body in bodies
        if body in program
    )
    return max(sums, default=0)


def kernel_cycles(batch_size: int) -> int:
    """Return the cycles of a step of the newest Pallas kernel, of the models on the lanes.

    Its innermost loop goes through the batch, and the loop around it through the steps.
    """
    files = FOLDER.glob("*closed_call*[0-9]-final_bundles.txt")
    newest = max(files, key=lambda file: file.stat().st_mtime_ns)
    depths = [len(found[1]) for line in newest.open() if (found := BUNDLE.match(line))]
    deepest = max(depths)
    inner = sum(depth == deepest for depth in depths)
    return inner * batch_size // ROWS + sum(depth == deepest - 1 for depth in depths)
