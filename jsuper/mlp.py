"""Residual MLPs that compute functions of sparse features: compressed computation.

    import jsuper
    from jsuper.mlp import Sweep
    ds = jsuper.run(Sweep(n_hidden=(25, 50), seeds=4))

`embedding` returns the fixed matrix of a seed, and `forward` the outputs of one model. Importing
this module imports no jax.
"""

from typing import TYPE_CHECKING, Any

from jsuper.models.mlp.spec import Sweep

if TYPE_CHECKING:
    from jsuper.models.mlp.model import embedding, mixing
    from jsuper.models.mlp.outputs import forward

_WHERE = {"embedding": "model", "mixing": "model", "forward": "outputs"}
__all__ = ["Sweep", "embedding", "forward", "mixing"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(f"jsuper.models.mlp.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'jsuper.mlp' has no attribute {name!r}")
