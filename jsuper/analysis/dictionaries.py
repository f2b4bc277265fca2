"""How well the embeddings of features match a dictionary of directions."""

from __future__ import annotations

from jsuper.analysis.arrays import Array, matmul, weights
from jsuper.analysis.superposition import directions, feature_norms
from jsuper.training.jax_config import shielded


@shielded()
def mmcs(W: Array, dictionary: Array, *, absolute: bool = False, threshold: float = 0.0) -> Array:
    """Return the mean over columns of W of the largest cosine with a dictionary column: (...,).

        MMCS = mean_i max_k cos(W_i, D_k)

    It is 1 if every column of W has the direction of some column of the dictionary. It does not
    depend on the order and the lengths of the columns of either. Several columns may match the same
    one. W and the dictionary have different roles: columns of the dictionary that nothing matches
    do not count, and `mmcs(dictionary, W)` says how much of the dictionary is found in W.

    Parameters
    ----------
    W
        Weights, (..., n_hidden, n_features). Columns with ‖W_i‖ <= `threshold` are left out.
    dictionary
        Directions, (..., n_hidden, size), such as W of another model or the decoder of a sparse
        autoencoder; leading axes broadcast. Zero columns are left out.
    absolute
        Whether -D_k matches as D_k does, as for directions whose sign has no meaning. By default
        the sign counts, as in the reference, and the result is in [-1, 1].
    threshold
        Features with ‖W_i‖ <= threshold are left out, >= 0.

    Returns
    -------
    Array
        MMCS; NaN if no column is left, or a number is not finite.

    Raises
    ------
    ValueError
        The numbers of rows differ, an argument is not (..., n_hidden, columns), or threshold < 0.

    References
    ----------
    Sharkey, Braun and Millidge (2022), "Taking features out of superposition with sparse
    autoencoders", <https://www.lesswrong.com/posts/z6QQJbtpkEAX3Aojj>.
    """
    xp, W = weights(W)
    _, D = weights(dictionary)
    if W.shape[-2] != D.shape[-2]:
        raise ValueError(
            f"W has shape {W.shape} and dictionary {D.shape}; both are (..., n_hidden, columns), "
            "with the same n_hidden"
        )
    if not threshold >= 0:
        raise ValueError(f"threshold={threshold!r} is not >= 0, the length of columns to leave out")
    cosines = matmul(xp.swapaxes(directions(W), -1, -2), directions(D))
    cosines = xp.abs(cosines) if absolute else cosines
    counts, usable = feature_norms(W) > threshold, feature_norms(D) > 0
    nan = cosines.dtype.type("nan")
    best = xp.where(usable[..., None, :], cosines, -2).max(axis=-1)
    number = counts.sum(axis=-1)
    mean = xp.where(counts, best, 0).sum(axis=-1) / xp.maximum(number, 1)
    broken = xp.isnan(W).any(axis=(-2, -1)) | xp.isnan(D).any(axis=(-2, -1))
    return xp.where((number == 0) | ~usable.any(axis=-1) | broken, nan, mean)
