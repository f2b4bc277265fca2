"""Four statements of Baron (2025) by three counts, with and without failed fits.

    python benchmarks/three_counts.py [--runs runs/findings] [--seeds 5]

Needs the run folders of `jsuper findings`; writes benchmarks/results/three_counts.json.
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

import jsuper
from jsuper.analysis.counts import COUNTS
from jsuper.findings import catalog, sweeps
from jsuper.findings.values import NOTEBOOK, SPARSER

OUT = Path(__file__).parent / "results" / "three_counts.json"
STATEMENTS = (
    "hardness-reduces",
    "more-superposition-less-loss",
    "smooth-helps",
    "no-gain-beyond-threshold",
)


def counted(ds):
    """The same sweep, in which no fit has failed."""
    return ds.assign(failed_fit=ds["failed_fit"] * 0)


def main():
    parser = argparse.ArgumentParser(description="statements by three counts")
    parser.add_argument("--runs", type=Path, default=Path("runs/findings"))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    data = sweeps.load(options.runs, ("activations", "fitted"), options.seeds)
    ways = {
        "10,000 steps, failed fits count": {"fitted": counted(data["activations"])},
        "10,000 steps, failed fits left out": {"fitted": data["activations"]},
        "failed fits trained until they converge": data,
    }
    findings = {f.name: f for f in catalog.FINDINGS}
    rows = []
    for name in STATEMENTS:
        for way, runs in ways.items():
            for count in COUNTS:
                reading = {"training": NOTEBOOK, "sparsity": SPARSER, "count": count}
                effect = findings[name].effect
                assert effect is not None
                for label, values in effect(runs, **reading).items():
                    known = np.asarray(values, float)
                    mean = float(np.nanmean(known)) if np.isfinite(known).any() else None
                    row = {"finding": name, "models": way, "count": count, "part": label}
                    rows.append(row | {"mean": mean, "seeds": int(np.isfinite(known).sum())})
    for row in rows:
        mean = "no value" if row["mean"] is None else f"{row['mean']:.3f}"
        print(f"{row['finding']:30} {row['models']:42} {row['count']:30} {row['part']:36} {mean}")
    about = {"seeds": options.seeds, "sparsities": list(SPARSER)}
    about |= {"versions": {"jsuper": jsuper.__version__, "jax": jax.__version__}}
    OUT.write_text(json.dumps(about | {"rows": rows}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
