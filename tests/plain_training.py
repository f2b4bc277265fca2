"""A plain training loop in float64 NumPy, for tests of what training is given."""

import numpy as np

from jsuper.models.toy import model
from jsuper.models.toy.inputs.features import importance
from jsuper.training import keys


def adamw_training(batch_at, steps, key, sizes, decay=0.0, rate=3e-3, bias=True):
    """AdamW on a ReLU model with importance 0.7^i, from jsuper's initial weights of a seed.

    `batch_at` returns the samples of a step, (n_features, batch); `sizes` is (n, m). b stays 0
    without `bias`.
    """
    n, m = sizes
    std = model.init_std("xavier", n, m, 1.0, 1)
    first = model.init_params(keys.stream(key, keys.INIT), m, n, std, "float32")
    theta = [np.asarray(a, np.float64) for a in (first.W, first.b)]
    means, squares = ([np.zeros_like(t) for t in theta] for _ in range(2))
    for step in range(steps):
        x, (W, b) = np.asarray(batch_at(step), np.float64), theta
        z = W.T @ (W @ x) + b[:, None]
        dz = 2 * importance(0.7, n)[:, None] * (np.maximum(z, 0) - x) * (z > 0) / x.size
        slopes = [(W @ dz) @ x.T + (W @ x) @ dz.T, dz.sum(axis=1)]
        for i, g in enumerate(slopes[: 1 + bias]):
            means[i] = 0.9 * means[i] + 0.1 * g
            squares[i] = 0.999 * squares[i] + 0.001 * g**2
            root = np.sqrt(squares[i] / (1 - 0.999 ** (step + 1))) + 1e-8
            update = means[i] / (1 - 0.9 ** (step + 1)) / root + decay * theta[i]
            theta[i] = theta[i] - rate * update
    return theta
