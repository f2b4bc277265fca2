"""`python tests/reliability.py`: run the fault tests and write what they tried and how often.

Writes docs/reliability.md and docs/reliability.json, both from the tests' own counts; nothing if a
test fails.
"""

import json
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import jsuper
from jsuper.core.files import write_text

REPO = Path(__file__).parents[1]
HEAD = """# What was tried against a run, and how often

`python tests/reliability.py` runs the tests that break something on purpose, adds up what each of
them says to have tried after it has seen the right outcome, and writes this page; if one fails, it
writes nothing. This one is of {tests} tests, {skipped} of them skipped, with
{about}.
They run in CI with all others, those that take long as `pytest -m slow`.

"The same content" means that all variables of `jsuper.load` are bit by bit those of a run that
nothing happened to. "The same models" are within 1e-5, where chunks were cut otherwise and sums may
have another order.

| fault | tried | what was tried, and what came out |
|---|---:|---|
"""


def summed(lines):
    """{fault: {what: how often}}, faults by name, what was tried most often first."""
    found = {}
    for line in lines:
        found.setdefault(line["fault"], Counter())[line["what"]] += line["tried"]
    often = {fault: sorted(found[fault].items(), key=lambda i: (-i[1], i[0])) for fault in found}
    return {fault: dict(often[fault]) for fault in sorted(often)}


def page(data):
    """The page of what `main` writes as JSON."""
    about = ", ".join(f"{name} {number}" for name, number in data["about"].items())
    text = HEAD.format(tests=data["tests"], skipped=data["skipped"], about=about)
    for fault, tried in data["faults"].items():
        total = f"**{sum(tried.values()):,}**"
        if len(tried) > 1:
            text += f"| **{fault}** | {total} | |\n"
            text += "".join(f"| | {times:,} | {what} |\n" for what, times in tried.items())
        else:
            text += f"| **{fault}** | {total} | {next(iter(tried))} |\n"
    return text


def main():
    files = [p for p in sorted(REPO.glob("tests/**/test_*.py")) if "tried" in p.read_text()]
    with tempfile.TemporaryDirectory() as folder:
        counts, report = Path(folder) / "counts", Path(folder) / "report.xml"
        options = ["-m", "", "--counts", str(counts), "--junitxml", str(report)]
        command = [sys.executable, "-m", "pytest", *options, *map(str, files)]
        code = subprocess.run(command, cwd=REPO).returncode
        if code:
            return code
        lines = [json.loads(line) for line in counts.read_text().splitlines()]
        (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
    data = {
        "about": {
            "jsuper": jsuper.__version__,
            "Python": platform.python_version(),
            "JAX": version("jax"),
            platform.system(): platform.release().split("-")[0],
        },
        "tests": int(suite.get("tests")),
        "skipped": int(suite.get("skipped")),
        "faults": summed(lines),
    }
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    write_text(REPO / "docs" / "reliability.json", text)
    write_text(REPO / "docs" / "reliability.md", page(data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
