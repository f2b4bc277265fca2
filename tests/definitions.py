"""The metrics of a model's weights once more, in NumPy and plain loops, and a table of both.

CASES is (function, definition, options): the function of jsuper.analysis takes any leading axes,
the definition one model in float64.
"""

import numpy as np
from scipy.linalg import svdvals
from scipy.stats import spearmanr

from jsuper.analysis import geometry, kurtosis, superposition

M, N = 5, 12
DENSITY = np.linspace(0.05, 1, N)
IMPORTANCE = 0.8 ** np.arange(N)


def random_models(dtype="float64"):
    """Four models: features around the threshold, a zero column, a pair, a unit of zeros."""
    rng = np.random.default_rng(0)
    W = rng.normal(size=(2, 2, M, N)) * rng.uniform(0.1, 0.5, size=(2, 2, 1, N))
    W[0, 0, :, 3] = 0
    W[0, 1, :, 5] = -W[0, 1, :, 4]
    W[1, 0, 2] = 0
    return W.astype(dtype)


def norms(W):
    return np.array([np.sqrt(w @ w) for w in W.T])


def directions(W):
    return np.stack([w / np.sqrt(w @ w) if w.any() else w for w in W.T], axis=1)


def overlaps(W):
    return np.array([[a @ b for b in W.T] for a in directions(W).T])


def interference(W, part="all", root=False, density=1.0):
    p, o, total = np.broadcast_to(density, N), overlaps(W), np.zeros(N)
    for i in range(N):
        for j in range(N):
            counted = {"all": True, "positive": o[i, j] > 0, "negative": o[i, j] < 0}[part]
            total[i] += p[j] * o[i, j] ** 2 if counted and i != j else 0
    return np.sqrt(total) if root else total


def crosstalk(W):
    own = sum((w @ w) ** 2 for w in W.T)
    return sum((a @ b) ** 2 for a in W.T for b in W.T) / own - 1


def capacity(W):
    G = W.T @ W
    return np.array([G[i, i] ** 2 / (G[i] ** 2).sum() if G[i, i] else 0 for i in range(N)])


def represented(W, threshold=0.5):
    return float(sum(norms(W) > threshold))


def monosemanticity(W):
    return np.array([max(abs(row)) / sum(abs(row)) if row.any() else 0 for row in W])


def effective_rank(W):
    q = [s / svdvals(W).sum() for s in svdvals(W) if s > 1e-14]
    return np.exp(-sum(s * np.log(s) for s in q))


def cosines(W, threshold=0.0):
    unit, kept = directions(W), norms(W) > threshold
    cosine = np.array([[unit[:, i] @ unit[:, j] * (i != j) for i in range(N)] for j in range(N)])
    return cosine * np.outer(kept, kept)


def pairs(W, threshold):
    """The cosines of all pairs i < j of represented features."""
    kept, cosine = np.flatnonzero(norms(W) > threshold), cosines(W)
    return [cosine[i, j] for i in kept for j in kept if i < j]


def coherence(W, threshold=0.5):
    return max(map(abs, pairs(W, threshold)), default=0.0)


def mean_squared_overlap(W, threshold=0.5):
    return np.mean(np.square(pairs(W, threshold) or [0.0]))


def antipodal_pairs(W, cosine=-0.9, threshold=0.5):
    return float(sum(c < cosine for c in pairs(W, threshold)))


def components(W, overlap=0.1, threshold=0.5, tolerance=0.05):
    component, figure = np.full(N, -1), np.full(N, -1)
    cosine, D = cosines(W), capacity(W)
    kept = np.flatnonzero(norms(W) > threshold)
    for first in kept:
        if component[first] < 0:
            members = [first]
            for i in members:  # grows
                near = [j for j in kept if abs(cosine[i, j]) >= overlap]
                members += [j for j in near if j not in members]
            component[members] = first
            figure[members] = len(geometry.FIGURES)
            for k, (size, expected) in enumerate(geometry.FIGURES.values()):
                if len(members) == size and all(abs(D[members] - expected) <= tolerance):
                    figure[members] = k
    return component, figure


def figures(W, **options):
    component, figure = components(W, **options)
    names = range(len(geometry.FIGURES) + 1)
    return np.array([float(len(set(component[figure == k]))) for k in names])


def moments(values):
    """Fourth over squared second central moment; NaN without spread."""
    centred = values - values.mean()
    return (centred**4).mean() / (centred**2).mean() ** 2 if np.ptp(values) else np.nan


def basis(h):
    found = [moments(column) for column in h.T if np.ptp(column)]
    return np.mean(found), len(found)


def exact_kurtosis(W, density):
    p = np.broadcast_to(density, N)
    variance = p / 3 - p**2 / 4
    fourth = p / 5 - p**2 / 2 + p**3 / 2 - 3 * p**4 / 16 - 3 * variance**2
    parts = [(w**4 @ fourth, (w**2 @ variance) ** 2) for w in W]
    return np.array([3 + a / b if b else np.nan for a, b in parts])


def participation(W):
    return np.array([sum(w**4) / sum(w**2) ** 2 if w.any() else np.nan for w in W])


CASES = [
    (superposition.feature_norms, norms, {}),
    (superposition.gram, lambda W: W.T @ W, {}),
    (superposition.directions, directions, {}),
    (superposition.overlaps, overlaps, {}),
    (superposition.interference, interference, {}),
    (superposition.interference, interference, {"part": "positive", "root": True}),
    (superposition.interference, interference, {"part": "negative", "density": DENSITY}),
    (superposition.interference, interference, {"density": 0.3}),
    (superposition.crosstalk, crosstalk, {}),
    (superposition.dimensionality, capacity, {}),
    (superposition.features_represented, represented, {}),
    (superposition.features_represented, represented, {"threshold": 0.8}),
    (superposition.excess, lambda W: represented(W) - M, {}),
    (superposition.dimensions_per_feature, lambda W: M / (W**2).sum(), {}),
    (superposition.neuron_monosemanticity, monosemanticity, {}),
    (superposition.effective_rank, effective_rank, {}),
    (
        superposition.importance_rank_correlation,
        lambda W, importance: spearmanr(norms(W), importance).statistic,
        {"importance": IMPORTANCE},
    ),
    (geometry.cosines, cosines, {}),
    (geometry.cosines, cosines, {"threshold": 0.5}),
    (geometry.coherence, coherence, {}),
    (geometry.mean_squared_overlap, mean_squared_overlap, {"threshold": 0.6}),
    (geometry.antipodal_pairs, antipodal_pairs, {}),
    (geometry.antipodal_pairs, antipodal_pairs, {"cosine": -0.5, "threshold": 0.2}),
    (geometry.geometry, components, {}),
    (geometry.geometry, components, {"overlap": 0.7, "tolerance": 0.3, "threshold": 0.3}),
    (geometry.figures, figures, {"overlap": 0.7, "tolerance": 0.3, "threshold": 0.3}),
    (kurtosis.basis_kurtosis, basis, {}),
    (kurtosis.neuron_kurtosis, lambda h: np.array([moments(row) for row in h]), {}),
    (kurtosis.exact_neuron_kurtosis, exact_kurtosis, {"density": DENSITY}),
    (kurtosis.exact_neuron_kurtosis, exact_kurtosis, {"density": 0.3}),
    (kurtosis.participation_ratio, participation, {}),
    (kurtosis.alignment, lambda W: np.mean((directions(W) ** 2).max(axis=0)[W.any(axis=0)]), {}),
]
