"""The learning coefficient of two-layer linear networks."""

from __future__ import annotations

from typing import NamedTuple

from jsuper.analysis.arrays import whole_number


class LearningCoefficient(NamedTuple):
    """λ, and its multiplicity m: the free energy is n L + λ log n - (m - 1) log log n."""

    value: float
    multiplicity: int


def reduced_rank_coefficient(
    n_inputs: int, n_outputs: int, n_hidden: int, rank: int
) -> LearningCoefficient:
    """Return the learning coefficient of x̂ = B A x where the true map has rank r.

    A is (H, M) and B (N, H), for M inputs, N outputs and H hidden units. With

        s = 2 (H + r)(M + N) + 2 M N - (H + r)² - M² - N²

    λ is s/8 with multiplicity 1 if M + N + H + r is even, and (s + 1)/8 with multiplicity 2 if it
    is odd, as long as N + r <= M + H, M + r <= N + H and H + r <= M + N. Otherwise it is

        (H M - H r + N r)/2 if M + H < N + r,   (H N - H r + M r)/2 if N + H < M + r,
        M N/2 if M + N < H + r,

    with multiplicity 1. It is at most d/2, with d the number of weights.

    Parameters
    ----------
    n_inputs, n_outputs, n_hidden
        M, N and H, at least 1.
    rank
        r, from 0 to min(M, N, H).

    Raises
    ------
    ValueError
        A number is out of range.

    References
    ----------
    Aoyagi and Watanabe (2005), "Stochastic complexities of reduced rank regression in Bayesian
    estimation", Neural Networks 18, main theorem.
    """
    M, N = whole_number("n_inputs", n_inputs, 1), whole_number("n_outputs", n_outputs, 1)
    H, r = whole_number("n_hidden", n_hidden, 1), whole_number("rank", rank, 0)
    if r > min(M, N, H):
        raise ValueError(
            f"rank={rank} is above {min(M, N, H)}, the largest of {M} inputs, {N} outputs and "
            f"{H} hidden units"
        )
    if N + r > M + H:
        return LearningCoefficient((H * M - H * r + N * r) / 2, 1)
    if M + r > N + H:
        return LearningCoefficient((H * N - H * r + M * r) / 2, 1)
    if H + r > M + N:
        return LearningCoefficient(M * N / 2, 1)
    s = 2 * (H + r) * (M + N) + 2 * M * N - (H + r) ** 2 - M**2 - N**2
    odd = (M + N + H + r) % 2
    return LearningCoefficient((s + odd) / 8, 1 + odd)
