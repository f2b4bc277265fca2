"""The additions that CONTRIBUTING.md describes, made in a copy of the package as it says."""

import ast
import re
from typing import NamedTuple

from running import REPO

CONTRIBUTING = (REPO / "CONTRIBUTING.md").read_text(encoding="utf-8")
PLACES = {
    "new": r"New file `(?P<file>[^`]+)`:",
    "append": r"At the end of `(?P<file>[^`]+)`:",
    "within": r"In `(?P<file>[^`]+)`, at the end of `(?P<name>\w+)`:",
    "after": r"In `(?P<file>[^`]+)`, after `(?P<name>\w+)`:",
}
BLOCK = r"\n\n```\w+\n(?P<text>.*?)```\n"


class Change(NamedTuple):
    """Text that goes into a file."""

    place: str
    file: str
    name: str | None  # the definition within or after which it stands
    text: str


def section(title):
    """The text below a heading of the third level that begins with the title."""
    return re.search(rf"^### {title}.*?(?=^##|\Z)", CONTRIBUTING, re.DOTALL | re.MULTILINE)[0]


def changes(title):
    """What a section says to write, in its order."""
    found = []
    for place, pattern in PLACES.items():
        for match in re.finditer(pattern + BLOCK, section(title), re.DOTALL):
            name = match.groupdict().get("name")
            found.append((match.start(), Change(place, match["file"], name, match["text"])))
    return [change for _, change in sorted(found)]


def quotes():
    """(file, code that the page quotes from it)."""
    return re.findall(r"\bFrom\s`([^`]+)`:\n\n```python\n(.*?)```", CONTRIBUTING, re.DOTALL)


def block(title, language):
    """The code block of a section in that language."""
    return re.search(rf"```{language}\n(.*?)```", section(title), re.DOTALL)[1]


def apply(change, folder):
    """Write one change below the folder."""
    path = folder / change.file
    if change.place == "new":
        assert not path.exists(), path
        path.write_text(change.text, encoding="utf-8")
        return
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    if change.place == "append":
        at = len(lines)
    else:
        node = definition(text, change.name)
        at = node.end_lineno if change.place == "after" else last_bracket(node) - 1
    path.write_text("".join([*lines[:at], change.text, *lines[at:]]), encoding="utf-8")


def definition(text, name):
    """The statement at the top of a module that defines a name."""
    for node in ast.parse(text).body:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if name in (getattr(node, "name", None), *(getattr(t, "id", None) for t in targets)):
            return node
    raise AssertionError(f"{name} is not defined")


def last_bracket(node):
    """The line of the bracket that closes a table, or the table that a function returns."""
    return (node.body[-1] if isinstance(node, ast.FunctionDef) else node).value.end_lineno


def changed_files(folder):
    """Files of the copy that are new or differ from the package's."""
    files = [p for p in (folder / "jsuper").rglob("*") if p.is_file() and p.suffix != ".pyc"]
    relative = [p.relative_to(folder) for p in files]
    return {
        str(p)
        for p in relative
        if not (REPO / p).exists() or (REPO / p).read_bytes() != (folder / p).read_bytes()
    }
