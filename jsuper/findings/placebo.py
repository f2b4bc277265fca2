"""Placebos: a finding must not be supported where its effect cannot be."""

from __future__ import annotations

import numpy as np

from jsuper.findings.finding import Data, Finding
from jsuper.findings.judging import judge

SHUFFLES = 20
MOST = 1  # of the shuffles that may be supported


def supported_placebos(finding: Finding, data: Data, shuffles: int = SHUFFLES) -> int:
    """Return on how many of some shuffles a finding is supported, judged by itself.

    Raises
    ------
    ValueError
        The finding has no placebo.
    """
    if finding.placebo is None:
        raise ValueError(f"finding {finding.name!r} has no placebo")
    found = 0
    for shuffle in range(shuffles):
        shuffled = finding.placebo(data, np.random.default_rng(shuffle))
        found += judge([finding], shuffled)[0].verdict == "supported"
    return found
