"""Statements on GELU, ReLU and ELU, each computed and judged.

Nothing is trained: these are statements on functions of one number. Every verdict is the outcome of
a comparison of the numbers beside it. Numbers are from the registered activations in float64; the
normal distribution is SciPy's.

The sources are a text on whether GELU clips negative inputs as ReLU does, with its correction, and
a tutorial on GELU. Hendrycks and Gimpel (2016) define GELU; Shazeer (2020) gates with it.
"""

from __future__ import annotations

from jsuper.analysis import source_000, source_001
from jsuper.analysis.gating import profile
from jsuper.analysis.judging import Statement, Subject, Verdict
from jsuper.analysis.scalar import Activation, derivatives
from jsuper.training.jax_config import shielded

__all__ = ["Statement", "Verdict", "statements"]


@shielded()
def statements(activation: Activation = "gelu") -> list[Statement]:
    """Return the sources' statements on activations, judged, in the order in which they are made.

    Parameters
    ----------
    activation
        Activation to which the sentences on GELU are applied; "silu", for example, shows which hold
        for another gate. Those on ReLU and ELU stay as they are.

    Raises
    ------
    ValueError
        The activation is unknown, or not a function of one number.
    """
    on = Subject(derivatives(activation), profile(activation), activation)
    return [make(on) for make in source_000.ROWS + source_001.ROWS]
