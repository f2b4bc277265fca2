"""One self-contained HTML page that shows a whole sweep, for a browser without a network.

`write(run)` analyses a run folder and writes its `report.html`: the headlines of its family as
heatmaps, curves and a table, and for every cell the pictures of three of its models, which the
browser draws from the embedded arrays.
"""

from jsuper.report.page import render, write

__all__ = ["render", "write"]
