"""How well any W, b reconstruct: loss and per-feature error, on given inputs or on a distribution.

W is (..., n_hidden, n_features), b is (..., n_features), NumPy or JAX, with any leading axes. V and
c of a gated decoder and W_dec of an untied model have the same shapes. Results have the same kind
and dtype, float64 too. A model with a non-finite weight gives NaN, and only for itself. Losses are
means over samples and features of I_i (x_i - x̂_i)², x̂ = act(WᵀW x + b), or act(W_decᵀW x + b).
Raw losses mostly measure the sparsity: compare different sparsities after `relative_loss`.
"""

from jsuper.analysis.evaluation.losses import (
    Activation,
    Evaluation,
    Sampler,
    evaluate,
    evaluate_sparse,
    model_of,
    precision,
    sparse_errors,
)
from jsuper.analysis.evaluation.quality import (
    RelativeLoss,
    failed_fit,
    moments,
    r_squared,
    relative_loss,
    still_improves,
)

__all__ = ["Activation", "Evaluation", "RelativeLoss", "evaluate", "evaluate_sparse", "failed_fit"]
__all__ += ["Sampler", "model_of", "moments", "precision", "r_squared", "relative_loss"]
__all__ += ["sparse_errors", "still_improves"]
