"""Comparisons of results over seeds, with the seed as the replicate.

Values are 1-D, one per seed, and paired by position: models of one seed saw the same draws. Pairs
with a NaN, which diverged models leave, are dropped and counted. Infinite values are an error.
"""

from jsuper.analysis.statistics.means import (
    Comparison,
    Equivalence,
    compare,
    equivalent,
    summarize,
)
from jsuper.analysis.statistics.multiple import holm
from jsuper.analysis.statistics.ranks import (
    Concordance,
    RankAgreement,
    concordance,
    rank_agreement,
    spearman,
)

__all__ = ["Comparison", "Concordance", "Equivalence", "RankAgreement", "compare", "concordance"]
__all__ += ["equivalent", "holm", "rank_agreement", "spearman", "summarize"]
