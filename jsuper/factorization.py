"""Low-rank factorization Z = Σ_k a_k b_kᵀ of a matrix: the model of multi-component learning.

    import jsuper
    from jsuper.factorization import Sweep
    ds = jsuper.run(Sweep(rank=(1, 4), pairs=8, seeds=100))

`exact` and `riccati` hold closed-form solutions of its training. Importing this module imports no
jax.
"""

from typing import TYPE_CHECKING, Any

from jsuper.models.factorization.spec import Sweep

if TYPE_CHECKING:
    from jsuper.analysis.lowrank import exact, riccati

__all__ = ["Sweep", "exact", "riccati"]


def __getattr__(name: str) -> Any:
    if name in ("exact", "riccati"):
        from jsuper.analysis import lowrank

        return getattr(lowrank, name)
    raise AttributeError(f"module 'jsuper.factorization' has no attribute {name!r}")
