"""jsuper: a sweep engine for toy models of superposition, and the measures of what they learn.

    import jsuper
    ds = jsuper.run(jsuper.Sweep(activation=("relu", "gelu"), sparsity=(0.0, 0.9), seeds=4))

Importing jsuper imports no jax. The names below, and the modules `jsuper.plots`, `analysis`,
`report`, `factorization` and `mlp`, are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jsuper.core.version import __version__ as __version__

if TYPE_CHECKING:
    from jsuper import analysis as analysis
    from jsuper import factorization as factorization
    from jsuper import mlp as mlp
    from jsuper import plots as plots
    from jsuper import report as report
    from jsuper.analysis.export import export as export
    from jsuper.analysis.sweep import analyze as analyze
    from jsuper.analysis.sweep import best as best
    from jsuper.analysis.sweep import scrub_all as scrub_all
    from jsuper.analysis.table import table as table
    from jsuper.core.errors import RunError as RunError
    from jsuper.core.errors import SpecError as SpecError
    from jsuper.core.family import Family as Family
    from jsuper.core.family import register_family as register_family
    from jsuper.jobs.continuing import continue_run as continue_run
    from jsuper.jobs.runner import run as run
    from jsuper.models.one_model import make_setting as make_setting
    from jsuper.models.one_model import make_train as make_train
    from jsuper.models.toy.make_model import model as model
    from jsuper.models.toy.model import forward as forward
    from jsuper.models.toy.sample import sample as sample
    from jsuper.models.toy.spec import Sweep as Sweep
    from jsuper.store.dataset import load as load
    from jsuper.training.keys import seed_key as seed_key

_WHERE = {
    "Sweep": "jsuper.models.toy.spec",
    "SpecError": "jsuper.core.sweep",
    "RunError": "jsuper.core.files",
    "Family": "jsuper.core.family",
    "register_family": "jsuper.core.family",
    "run": "jsuper.jobs.runner",
    "continue_run": "jsuper.jobs.continuing",
    "load": "jsuper.store.dataset",
    "export": "jsuper.analysis.export",
    "analyze": "jsuper.analysis.sweep",
    "best": "jsuper.analysis.sweep",
    "scrub_all": "jsuper.analysis.sweep",
    "table": "jsuper.analysis.table",
    "forward": "jsuper.models.toy.model",
    "model": "jsuper.models.toy.make_model",
    "sample": "jsuper.models.toy.sample",
    "seed_key": "jsuper.training.keys",
    "make_train": "jsuper.models.one_model",
    "make_setting": "jsuper.models.one_model",
}
_MODULES = ("analysis", "factorization", "mlp", "plots", "report")
__all__ = ["Sweep", "SpecError", "RunError", "run", "continue_run", "load", "export", "model"]
__all__ += ["forward", "sample"]
__all__ += ["seed_key", "make_train", "make_setting", "analyze", "best", "scrub_all", "table"]
__all__ += ["Family", "register_family"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    if name in _MODULES:
        return import_module(f"jsuper.{name}")
    raise AttributeError(f"module 'jsuper' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
