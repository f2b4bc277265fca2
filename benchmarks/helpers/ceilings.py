"""Shares of a device's peak arithmetic and memory rate that measured model-steps correspond to.

The peaks are the makers' numbers and the work of a model-step is counted on paper; neither is
measured. A share compares a way with the plain algorithm at full speed. It is not the utilization
of the device: a way that leaves out empty columns, or keeps a batch on the chip, does less work.
"""

from dataclasses import asdict, dataclass
from typing import Any

from .baselines import Work

BYTES = 4  # of a float32


@dataclass(frozen=True)
class Peak:
    """A device's peaks: float32 without tensor cores, and the nominal rate of its memory."""

    flop_per_s: float
    bytes_per_s: float


# By JAX's full name of the device: an L40S is not an L4.
PEAKS = {
    # 132 multiprocessors x 128 lanes x 2 x 1.98 GHz
    "NVIDIA H200": Peak(66.9e12, 4.8e12),
    "NVIDIA H100 80GB HBM3": Peak(66.9e12, 3.35e12),  # SXM
    "NVIDIA A100-SXM4-80GB": Peak(19.5e12, 2.0e12),
    "NVIDIA L4": Peak(30.3e12, 0.3e12),
    "Tesla T4": Peak(8.1e12, 0.32e12),
}


def flop_of_step(work: Work) -> float:
    """Return the operations of a dense model-step: 5 products of 2 B m n, about 8 B n elementwise.

    The products are h = W x, z = W^T h, dL/dh, and the two parts of dL/dW; the activation counts
    like any other elementwise operation.
    """
    elements = work.batch * work.n_features
    return 10.0 * elements * work.n_hidden + 8.0 * elements


def bytes_of_step(work: Work) -> float:
    """Return the bytes that one model-step moves if each product is a separate kernel, as in XLA.

    They are counted in passes over x, of 4 B n bytes each. Every product reads or writes one array
    of x's size (x, z or dL/dz) and one of h's (h or dL/dh), m/n of a pass. In addition x is
    written, the loss' gradient reads x and z and writes dL/dz, and the bias reads dL/dz: 11.25
    passes at n = 20, m = 5. Draws and weights count as nothing.
    """
    passes = 5.0 * (1.0 + work.n_hidden / work.n_features) + 5.0
    return passes * BYTES * work.batch * work.n_features


def shares(peak: Peak, work: Work, model_steps_per_s: float) -> dict[str, float]:
    """Return the shares of both peaks: model-steps per second x work of one / peak."""
    return {
        "fp32": model_steps_per_s * flop_of_step(work) / peak.flop_per_s,
        "hbm": model_steps_per_s * bytes_of_step(work) / peak.bytes_per_s,
    }


def ceilings(
    device_kind: str, devices: int, work: Work, best: dict[str, float]
) -> dict[str, Any] | None:
    """Return the shares of every way, for the JSON.

    Parameters
    ----------
    device_kind
        JAX's name.
    devices
        Number that jsuper uses; every other way uses one.
    work
        Shape of the models.
    best
        Way -> model-steps per second.

    Returns
    -------
    dict[str, Any] | None
        The peaks of one device, the work of a model-step, and the shares by way; None if the
        device is not in `PEAKS`.
    """
    peak = PEAKS.get(device_kind)
    if peak is None:
        return None
    return {
        "device_kind": device_kind,
        "peak": asdict(peak),
        "flop_per_model_step": flop_of_step(work),
        "bytes_per_model_step": bytes_of_step(work),
        "shares": {
            way: shares(peak, work, rate / (devices if way == "jsuper" else 1))
            for way, rate in best.items()
        },
    }
