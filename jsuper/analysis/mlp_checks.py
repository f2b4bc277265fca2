"""The numbers that the presets of MLPs check against publications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsuper.analysis.checked import Checked, mean_of
from jsuper.analysis.preset_checks import at
from jsuper.analysis.reading import finished_values

if TYPE_CHECKING:
    import xarray


def compressed(ds: xarray.Dataset) -> list[Checked]:
    """Return the loss over that of one unit per function, and the output of a feature alone at 1.

    A unit for each of the first m functions leaves E ReLU(x)² = p/6 for the other ones, if the
    features are uniform on [-1, 1] with probability p: the loss p/6 (n - m)/n of Bhagat et al.
    (2025), to which `naive_loss` adds the interference of the stream.
    """
    one = at(ds)
    n, m, p = int(one["n_features"]), int(one["n_hidden"]), 1 - float(one["sparsity"])
    plain = p / 6 * (n - m) / n
    loss = finished_values(one, "loss").values
    alone = finished_values(one, "response").mean("feature").values
    return [
        mean_of(
            f"loss over {plain:.4g}, of {m} exact functions and no interference",
            loss / plain,
            "published: below 1",
        ),
        mean_of("output of a feature alone at 1", alone, "published: about 1.6, where y is 2"),
    ]
