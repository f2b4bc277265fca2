"""Exact losses of toy models, and of the solutions that trained ones are compared with.

Losses are means over samples and features of I_i (x_i - x̂_i)² unless a docstring says sum. A
feature is 0 with probability 1 - p, else uniform on [0, 1]: mean p/2, variance p/3 - p²/4. Arrays
are NumPy or JAX. Column W_i of W (..., n_hidden, n_features) embeds feature i, G = WᵀW.

Functions without a reference follow Elhage et al. (2022), "Toy Models of Superposition",
<https://transformer-circuits.pub/2022/toy_model/index.html>.
"""

from jsuper.analysis.theory.active import ActiveLoss, active_weights, loss_by_active
from jsuper.analysis.theory.linear_dropout import dropout_linear_loss
from jsuper.analysis.theory.one_sparse import (
    KGon,
    kgon,
    one_sparse_relu_gradient,
    one_sparse_relu_loss,
)
from jsuper.analysis.theory.pairs import PairModel, pair_loss, pair_model, two_to_one_boundary
from jsuper.analysis.theory.pentagon import (
    PentagonModel,
    digons_loss,
    pentagon_boundary,
    pentagon_model,
)
from jsuper.analysis.theory.phases import (
    Boundary,
    ThreeToTwo,
    TwoToOne,
    best_solution,
    construction_boundary,
    three_to_two,
    two_to_one,
)
from jsuper.analysis.theory.reduced_rank import LearningCoefficient, reduced_rank_coefficient
from jsuper.analysis.theory.references import (
    constant_loss,
    top_features_loss,
    welch_bound,
    zero_loss,
)

__all__ = ["ActiveLoss", "Boundary", "KGon", "PairModel", "PentagonModel", "ThreeToTwo", "TwoToOne"]
__all__ += ["LearningCoefficient", "digons_loss", "pentagon_boundary", "pentagon_model"]
__all__ += ["active_weights", "best_solution", "constant_loss", "construction_boundary"]
__all__ += ["dropout_linear_loss", "kgon", "loss_by_active", "one_sparse_relu_gradient"]
__all__ += ["one_sparse_relu_loss", "pair_loss", "pair_model", "reduced_rank_coefficient"]
__all__ += ["three_to_two", "top_features_loss"]
__all__ += ["two_to_one", "two_to_one_boundary", "welch_bound", "zero_loss"]
