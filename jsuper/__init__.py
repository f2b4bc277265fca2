"""jsuper: a sweep engine for toy models of superposition, and the measures of what they learn.

    import jsuper
    ds = jsuper.run(jsuper.Sweep(activation=("relu", "gelu"), sparsity=(0.0, 0.9), seeds=4))

Importing jsuper imports no jax. The names below, and the modules `jsuper.plots`, `analysis`,
`report` and `factorization`, are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsuper import analysis as analysis
    from jsuper import factorization as factorization
    from jsuper import plots as plots
    from jsuper import report as report
    from jsuper.analysis.sweep import analyze as analyze
    from jsuper.analysis.sweep import best as best
    from jsuper.analysis.sweep import scrub_all as scrub_all
    from jsuper.dataset import load as load
    from jsuper.exporting import export as export
    from jsuper.files import RunError as RunError
    from jsuper.keys import seed_key as seed_key
    from jsuper.runner import run as run
    from jsuper.spec import SpecError as SpecError
    from jsuper.toy.features import sample as sample
    from jsuper.toy.model import forward as forward
    from jsuper.toy.spec import Sweep as Sweep
    from jsuper.toy.train import make_train as make_train

_WHERE = {
    "Sweep": "jsuper.toy.spec",
    "SpecError": "jsuper.spec",
    "RunError": "jsuper.files",
    "run": "jsuper.runner",
    "load": "jsuper.dataset",
    "export": "jsuper.exporting",
    "analyze": "jsuper.analysis.sweep",
    "best": "jsuper.analysis.sweep",
    "scrub_all": "jsuper.analysis.sweep",
    "forward": "jsuper.toy.model",
    "sample": "jsuper.toy.features",
    "seed_key": "jsuper.keys",
    "make_train": "jsuper.toy.train",
}
_MODULES = ("analysis", "factorization", "plots", "report")
__all__ = ["Sweep", "SpecError", "RunError", "run", "load", "export", "forward", "sample"]
__all__ += ["seed_key", "make_train", "analyze", "best", "scrub_all"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    if name in _MODULES:
        return import_module(f"jsuper.{name}")
    raise AttributeError(f"module 'jsuper' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
