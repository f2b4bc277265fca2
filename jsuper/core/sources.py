"""The texts whose statements are tested: key in JSON files -> author, title, year and link."""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """A text: a short citation, its title or subject, and its link ("" if there is none)."""

    citation: str
    title: str
    link: str

    def __str__(self) -> str:
        """Return the whole reference as Markdown."""
        title = f"[{self.title}]({self.link})" if self.link else self.title
        return f"{self.citation}, {title}"


_POSTS = "https://www.lesswrong.com/posts"

SOURCES = {
    "000": Source(
        "a correction of a post on Claude 3 Opus",
        "whether GELU clips negative inputs",
        f"{_POSTS}/ioZxrP7BhS5ArK59w",
    ),
    "001": Source("a tutorial on GELU", "the intuition behind its Bernoulli gate", ""),
    "002": Source(
        "Baron (2025)", "Minor interpretability exploration #2", f"{_POSTS}/wMn9wSxzSs3uHiAmu"
    ),
    "003": Source("Pona (2023)", "Superposition and Dropout", f"{_POSTS}/znShPqe9RdtB6AeFr"),
    "004": Source(
        "Jermyn and Shlegeris (2022)",
        "Multi-Component Learning and S-Curves",
        f"{_POSTS}/RKDQCB6smLWgs2Mhr",
    ),
}


def citation(key: str) -> str:
    """Return the short citation of a source, or the key if it is not one of `SOURCES`."""
    return SOURCES[key].citation if key in SOURCES else key
