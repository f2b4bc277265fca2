"""Low-rank factorization Z = Σ_k a_k b_kᵀ of a matrix: the model of multi-component learning.

    import jsuper
    from jsuper.factorization import Sweep
    ds = jsuper.run(Sweep(rank=(1, 4), pairs=8, seeds=100))

Importing it imports no jax.
"""

from jsuper.factorization.spec import Sweep

__all__ = ["Sweep"]
