"""A self-contained HTML page of a whole sweep, which needs no network.

`write(run)` analyses a run folder and writes its `report.html`: the headline variables of the
family as heatmaps, curves and a table, and for every cell the pictures of three models, which the
browser draws from embedded arrays.
"""

from jsuper.report.page import render, write

__all__ = ["render", "write"]
