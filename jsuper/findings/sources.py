"""The texts whose sentences are asked, each with a page: author, title, year and link."""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """A text.

    Attributes
    ----------
    author, year, title, link
        Where to find it; a link may be "".
    about
        What its page is about, in a few words.
    known
        What was known of the answers when the margins were fixed; a sentence or two.
    """

    author: str
    year: int
    title: str
    link: str
    about: str
    known: str

    @property
    def citation(self) -> str:
        """Author and year."""
        return f"{self.author} ({self.year})"

    def __str__(self) -> str:
        """Return the whole reference as Markdown."""
        title = f"[{self.title}]({self.link})" if self.link else self.title
        return f"{self.citation}, {title}"


_POSTS = "https://www.lesswrong.com/posts"
_EXACT = "Exact statements have no margins to choose. "
_AFTER = (
    "The sweeps of an earlier round had been seen when margins were fixed, and some statistics and "
    "readings were chosen with these sweeps at hand, so that the verdicts confirm rather than "
    "predict."
)

SOURCES = {
    "baron-2025": Source(
        "Baron",
        2025,
        "Minor interpretability exploration #2",
        f"{_POSTS}/wMn9wSxzSs3uHiAmu",
        "output activations and superposition",
        "Most margins were fixed before the first training and are kept. The two scale-free "
        "counts, the rule for failed fits and the longer training were added when results by the "
        "published count were known. So were rules on shares of seeds where all seeds are equal "
        "(ReLU6 and squared ReLU, SELU, bounded activations, sparsity 0). Readings in which most "
        "fits fail are left out: Roe's training at sparsity 0 for GELU, SiLU and hardswish and at "
        ".99 for ReLU6 and squared ReLU, and softmin at 0 and .999.",
    ),
    "pona-2023": Source(
        "Pona",
        2023,
        "Superposition and Dropout",
        f"{_POSTS}/znShPqe9RdtB6AeFr",
        "dropout on the hidden units",
        _AFTER,
    ),
    "jermyn-2022": Source(
        "Jermyn and Shlegeris",
        2022,
        "Multi-Component Learning and S-Curves",
        f"{_POSTS}/RKDQCB6smLWgs2Mhr",
        "plateaus, S-curves and bumps, and the comments on them",
        _AFTER,
    ),
    "gelu-correction": Source(
        "OpenErrata",
        2026,
        'correction of "Did Claude 3 Opus align itself via gradient hacking?"',
        f"{_POSTS}/ioZxrP7BhS5ArK59w",
        "whether GELU clips negative inputs as ReLU does",
        f"{_EXACT}Trained ones were asked after a first look at the same sweeps.",
    ),
    "gelu-tutorial": Source(
        "A tutorial",
        2026,
        "the intuition behind the Bernoulli gate of GELU",
        "",
        "GELU as a random gate, and what negative inputs keep",
        f"{_EXACT}Trained ones were asked after a first look at the same sweeps.",
    ),
    "elhage-2022": Source(
        "Elhage et al.",
        2022,
        "Toy Models of Superposition",
        "https://transformer-circuits.pub/2022/toy_model/index.html",
        "phase diagrams",
        _AFTER,
    ),
}
"""Key, also the name of the page -> text."""
TRAININGS = (
    f"The trainings: *the notebook* is that of {SOURCES['elhage-2022']}. *Roe* is the notebook "
    "demonstrating_superposition.ipynb of Roe (2023), [toy-models-of-superposition]"
    "(https://github.com/zroe1/toy-models-of-superposition), with initial weights from N(0, 1), "
    "the loss as a sum, and RMSprop."
)
"""What the names of the two published trainings mean."""
OWN = "own-questions"
"""Name of the page of the questions that no text asks."""
