"""`jsuper sweep --help` shows every field in a group, at any width."""

import dataclasses
import io
import re
import sys
from collections import Counter

import pytest

from jsuper.cli import main
from jsuper.cli.groups import GROUPS, grouped
from jsuper.core.family import FAMILIES
from jsuper.core.sweep import BaseSweep

FIELDS = {
    name: [f.name for f in dataclasses.fields(family.spec.Sweep) if f.name != "zipped"]
    for name, family in FAMILIES.items()
    if family.package is None and family.spec.__name__.startswith("jsuper.")
}
LISTED = [name for _, names in GROUPS.values() for name in names.split()]


@pytest.mark.parametrize("family", FIELDS)
def test_every_field_has_a_group(family):
    without = [name for name in FIELDS[family] if name not in LISTED]
    assert not without, f"add {', '.join(without)} to a group in jsuper/cli/groups.py"


def test_no_field_is_listed_twice_or_unknown():
    assert [name for name, times in Counter(LISTED).items() if times > 1] == []
    known = {name for names in FIELDS.values() for name in names}
    assert [name for name in LISTED if name not in known] == [], "remove it from cli/groups.py"


def test_fields_of_other_packages_are_shown_with_the_model():
    found = grouped(["seeds", "rate", "sparsity"])
    assert found == {"model": ["rate"], "data": ["sparsity"], "training": ["seeds"]}
    assert sum(map(len, grouped(f.name for f in dataclasses.fields(BaseSweep)).values())) == 3


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("family", FIELDS)
def test_the_help_has_a_box_for_each_group(family, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="utf-8"))
    with pytest.raises(SystemExit):
        main.main(["sweep", "--model", family, "--help"])
    sys.stdout.flush()
    text = shown.getvalue().decode()
    boxes = re.findall(r"╭─ ([\w ]+?) ─+╮\n(.*?)╰─", text, re.DOTALL)
    names = [f"{group} options" for group in (*GROUPS, "run")]
    assert [name for name, _ in boxes] == ["options", *names]
    for name, box in boxes[1:-1]:
        flags = [flag.replace("-", "_") for flag in re.findall(r"^│ --([\w-]+)", box, re.MULTILINE)]
        assert flags == grouped(FIELDS[family])[name.removesuffix(" options")]
        assert {len(line) for line in box.splitlines()} == {columns}
    assert "(default: '')" not in text
