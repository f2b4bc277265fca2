"""The source of the kernel for one activation, shape and training."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.resources import files
from typing import NamedTuple

from jsuper.models.toy.kernels.slopes import NotCoveredError, Slope, slope_of

WARPS = 8
MODELS = 8  # of a block of threads at most
SHARED = 48_000  # bytes of shared memory that every block may have
ACCUMULATORS = 256  # of a lane, all of them in registers

COLUMNS = {"hardtanh": 2, "softplus": 1, "log_sigmoid": 1}
"""Columns of a lane where `columns_of` would take more registers than there are."""

LIGHT = 30  # statements of an elementwise slope, above which fewer columns are faster

LOAD = """          float own[ROW];
          words<M + 2>(w, i, own);
"""
ELEMENTWISE = f"""#pragma unroll
        for (int i = 0; i < F; ++i) {{
{LOAD}#pragma unroll
          for (int c = 0; c < COLS; ++c) {{
            float z = own[M];
#pragma unroll
            for (int k = 0; k < M; ++k) z += own[k] * h[c][k];
            const float dz = slope(z, x[c][i], own[M + 1]) * weight[c];
            acc[M * F + i] += dz;
#pragma unroll
            for (int k = 0; k < M; ++k) {{
              dh[c][k] += own[k] * dz;
              acc[k * F + i] += h[c][k] * dz;
            }}
          }}
        }}
"""
COLUMN = f"""#pragma unroll
        for (int c = 0; c < COLS; ++c) {{
          float z[N], dz[N], scaled[N];
#pragma unroll
          for (int i = 0; i < N; ++i) {{
{LOAD}            z[i] = own[M];
            scaled[i] = own[M + 1];
#pragma unroll
            for (int k = 0; k < M; ++k) z[i] += own[k] * h[c][k];
          }}
          slope(z, x[c], scaled, dz);
#pragma unroll
          for (int i = 0; i < N; ++i) {{
{LOAD}            dz[i] *= weight[c];
            acc[M * F + i] += dz[i];
#pragma unroll
            for (int k = 0; k < M; ++k) {{
              dh[c][k] += own[k] * dz[i];
              acc[k * F + i] += h[c][k] * dz[i];
            }}
          }}
        }}
"""
"""The two ways through the output: feature by feature, or a whole column at once."""


class Kernel(NamedTuple):
    """What a kernel is made for.

    `models` are those of a block of threads. `batches` says whether the batch of every row of
    models is given, where rows do not share draws.
    """

    activation: str | Callable
    n_features: int
    n_hidden: int
    batch_size: int
    models: int
    batches: bool = False
    bias: bool = True
    decay_bias: bool = True
    is_sum: bool = False
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8


def most_models(n_features: int, n_hidden: int) -> int:
    """Return how many models a block of threads may have.

    Raises
    ------
    NotCoveredError
        Not even one fits the shared memory.
    """
    row = -(-(n_hidden + 2) // 4) * 4
    parameters = (n_hidden + 1) * n_features
    bytes_ = 4 * ((n_features + 1) * row + (2 + WARPS) * parameters) + 64
    if bytes_ > SHARED:
        raise NotCoveredError(f"{n_features} features and {n_hidden} hidden units: shared memory")
    return min(MODELS, SHARED // bytes_)


@functools.cache
def source_of(kernel: Kernel) -> str:
    """Return the CUDA C++ of a kernel.

    Raises
    ------
    NotCoveredError
        The activation uses an operation that is not covered, or the model is too large.
    """
    n, m, batch = kernel.n_features, kernel.n_hidden, kernel.batch_size
    slope = slope_of(kernel.activation, n)
    split = 2 if slope.is_elementwise else 1
    accumulators = (m + 1) * -(-n // split)
    if accumulators > ACCUMULATORS:
        raise NotCoveredError(
            f"{n} features and {m} hidden units: {accumulators} sums for each thread"
        )
    columns = next(c for c in (4, 2, 1) if c <= columns_of(kernel, slope) and batch % c == 0)
    numbers = {
        "N": n, "M": m, "B": batch, "R": kernel.models,
        "WARPS": WARPS, "COLS": columns, "SPLIT": split, "SLOPE": slope.text,
        "BACKWARD": ELEMENTWISE if slope.is_elementwise else COLUMN,
        "BATCHES": _flag(kernel.batches), "BIAS": _flag(kernel.bias),
        "DECAY_BIAS": _flag(kernel.decay_bias), "SCALE": f"{batch * n if kernel.is_sum else 1}.0f",
        "B1": f"{kernel.b1!r}f", "C1": f"{1 - kernel.b1!r}f", "EPS": f"{kernel.eps!r}f",
        "B2": f"{kernel.b2!r}f", "C2": f"{1 - kernel.b2!r}f",
    }  # fmt: skip
    text = (files("jsuper.models.toy.kernels") / "train.cu").read_text(encoding="utf-8")
    for name, value in numbers.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def columns_of(kernel: Kernel, slope: Slope) -> int:
    """Return how many columns a lane should have.

    More of them share what is read of the weights; the instructions of fewer stay in the cache. On
    an H100, relu was faster with four than with two, gelu with two, and softmax with one.
    """
    if isinstance(kernel.activation, str) and kernel.activation in COLUMNS:
        return COLUMNS[kernel.activation]
    if not slope.is_elementwise:
        return 1
    return 4 if slope.text.count(";") <= LIGHT else 2


def _flag(value: bool) -> str:
    return "true" if value else "false"
