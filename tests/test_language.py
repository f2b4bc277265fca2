"""Help texts, messages and docstrings use the field's terms, and none of a list of phrases."""

import ast
import re

import pytest
from running import REPO

from jsuper.cli import main

BANNED = {  # pattern: what to write instead
    r"anew": "again",
    r"of (its|their|his) own\b(?! asymptote)": "separate, or leave it out",
    r"that (is|are) there": "existing",
    r"that (is|are) none\b|(is|are) none of": "is not a ..., or is not one of ...",
    r"(something|anything) else than": "not, or a different",
    r"holds something": "name what the file contains",
    r"what a program is made from": "the static values",
    r"in nobody's way": "say where the file is written",
    r"source 00\d": "author and year",
    r"where it has any": "if any",
    r"rides? along": "is batched with",
    r"in no case": "never",
    r"so many (of|that|models|at)": "the number",
    r"is told from": "differs from",
}
PATTERN = re.compile("|".join(BANNED), re.IGNORECASE)
FILES = sorted((REPO / "jsuper").rglob("*.py"))
PAGES = [p for s in ("*.jinja", "*.html", "*.js", "*.toml") for p in (REPO / "jsuper").rglob(s)]


def hits(text):
    return [match[0] for match in PATTERN.finditer(" ".join(text.split()))]


def texts(path):
    """(line, text) of the docstrings and messages of a module: everything it has in quotes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


PACKAGES = sorted({p.relative_to(REPO / "jsuper").parts[0] for p in FILES})


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_and_messages_are_in_plain_english(package):
    inside = [p for p in FILES if p.relative_to(REPO / "jsuper").parts[0] == package]
    found = [
        f"{path.relative_to(REPO)}:{line}: {phrase!r} in {' '.join(text.split())[:100]!r}"
        for path in inside
        for line, text in texts(path)
        for phrase in hits(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_pages_and_presets_are_in_plain_english(path):
    found = hits(path.read_text(encoding="utf-8"))
    assert found == []


@pytest.mark.parametrize("command", ["", *main.COMMANDS])
def test_help_is_in_plain_english(command, capsys):
    with pytest.raises(SystemExit):
        main.main([*filter(None, [command]), "--help"])
    found = hits(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out))
    assert found == []
