"""Publications are named by author, title, year and link, on every page and in every docstring."""

import ast
import re

import pytest
from running import REPO

from jsuper import presets
from jsuper.findings.sources import SOURCES

PAGES = [REPO / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((REPO / "docs").rglob("*.md"))
NAME = r"[A-Z][\w'-]+"
MENTION = re.compile(
    rf"\b({NAME}) et al\.?,? \(?(\d{{4}})"  # Elhage et al. 2022, Elhage et al. (2022)
    rf"|\b({NAME})(?:, {NAME})* and {NAME} \(?(\d{{4}})"  # Jermyn and Shlegeris (2022)
    rf"|\b({NAME}) \((\d{{4}})\)"  # Baron (2025)
)


def prose(text):
    """The text of a page without its code, with single spaces."""
    return " ".join(re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE).split())


def mentions(text):
    """(first author, year) of every publication that a text mentions."""
    return {tuple(filter(None, match.groups())) for match in MENTION.finditer(text)}


def is_referenced(author, year, text):
    """Whether a text has "Author ... (year), [Title](https://...)"; a page may be linked too."""
    start = rf"{author}[^()\[\]]*\({year}\)(?:\]\([\w.-]+\))?"
    return re.search(rf"{start}, \[[^\]]+\]\(https://", text) is not None


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(REPO)))
def test_a_page_has_title_and_link_of_every_publication_that_it_mentions(path):
    text = prose(path.read_text(encoding="utf-8"))
    assert [m for m in sorted(mentions(text)) if not is_referenced(*m, text)] == []
    assert not re.search(r"et al\b(?!\.?,? \(?\d{4})", text)


def test_mentions_are_found():
    text = "By Elhage et al. 2022, Jermyn and Shlegeris (2022), and Baron (2025), [A](https://a)."
    assert mentions(text) == {("Elhage", "2022"), ("Jermyn", "2022"), ("Baron", "2025")}
    assert is_referenced("Baron", "2025", text)
    assert not is_referenced("Jermyn", "2022", text)


def published():
    """Title -> year of the publications of presets and findings."""
    found = {source.title: source.year for source in SOURCES.values() if source.link}
    of_presets = (presets.load(name).source for name in presets.names())
    return found | {source.title: source.year for source in of_presets}


def docstrings(path):
    """The docstrings of a module, its classes and functions, with single spaces."""
    kinds = ast.Module, ast.ClassDef, ast.FunctionDef
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield " ".join(text.split())


def test_a_docstring_has_year_and_link_of_every_title():
    titles = published()
    lacking = [
        f"{path.relative_to(REPO)}: {title}"
        for path in sorted((REPO / "jsuper").rglob("*.py"))
        for text in docstrings(path)
        for title, year in titles.items()
        if f'"{title.lower()}"' in text.lower()
        and not re.search(rf'\({year}\), "{re.escape(title)}",? <https://', text)
    ]
    assert lacking == []
