"""What the weights show: pure array functions of any W, and `analyze` for whole sweeps.

    from jsuper.analysis import superposition
    superposition.dimensionality(W)  # W: (..., n_hidden, n_features), NumPy or JAX

Modules are imported when they are first used. Imports `core`, `training` and `models`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsuper.analysis import evaluation as evaluation
    from jsuper.analysis import geometry as geometry
    from jsuper.analysis import hypotheses as hypotheses
    from jsuper.analysis import kurtosis as kurtosis
    from jsuper.analysis import learning_coefficient as learning_coefficient
    from jsuper.analysis import neuron_features as neuron_features
    from jsuper.analysis import samplers as samplers
    from jsuper.analysis import scrubbing as scrubbing
    from jsuper.analysis import statistics as statistics
    from jsuper.analysis import superposition as superposition
    from jsuper.analysis import theory as theory
    from jsuper.analysis.answering import answers as answers
    from jsuper.analysis.curvature import hessian as hessian
    from jsuper.analysis.degeneracy import llc as llc
    from jsuper.analysis.dictionaries import mmcs as mmcs
    from jsuper.analysis.jumping import jumps as jumps
    from jsuper.analysis.shapes import shape_names as shape_names
    from jsuper.analysis.snapshots import of_snapshots as of_snapshots
    from jsuper.analysis.sweep import analyze as analyze
    from jsuper.analysis.sweep import best as best
    from jsuper.analysis.sweep import scrub_all as scrub_all
    from jsuper.analysis.vulnerability import adversarial as adversarial

_FUNCTIONS = {
    "adversarial": "vulnerability",
    "analyze": "sweep",
    "answers": "answering",
    "best": "sweep",
    "hessian": "curvature",
    "jumps": "jumping",
    "llc": "degeneracy",
    "mmcs": "dictionaries",
    "of_snapshots": "snapshots",
    "scrub_all": "sweep",
    "shape_names": "shapes",
}
"""Function -> its module."""

_MODULES = ("evaluation", "geometry", "hypotheses", "kurtosis", "learning_coefficient", "samplers")
_MODULES += ("neuron_features", "scrubbing", "statistics", "superposition", "theory")

__all__ = [*_FUNCTIONS, *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(import_module(f"jsuper.analysis.{_FUNCTIONS[name]}"), name)
    if name in _MODULES:
        return import_module(f"jsuper.analysis.{name}")
    raise AttributeError(f"module 'jsuper.analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
