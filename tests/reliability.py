"""`python tests/reliability.py`: run the fault tests, and write what they tried and how often.

It writes docs/reliability.md and docs/reliability.json from the tests' own counts, or nothing if a
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
HEAD = """# Fault tests: what was tried, and how often

Some tests break something on purpose: they kill processes, fill disks, damage files and set clocks
back. Each of them reports what it tried once it has checked the outcome. This page is written by
`python tests/reliability.py`, which runs them and adds up their reports; it writes nothing if a
test fails.

The counts below are from {tests} tests, {skipped} of them skipped, with
{about}.
CI runs the same tests (`pytest`, and `pytest -m slow` for those that take long), but repeats random
faults less often.

"The same content" means that every variable of `jsuper.load` is bit for bit that of a run without
the fault. "The same models" means within 1e-5: chunks were divided differently, so sums may have
been taken in another order.

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
