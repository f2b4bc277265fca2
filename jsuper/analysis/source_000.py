"""Statements of a correction: whether GELU clips negative inputs as ReLU does."""

from __future__ import annotations

import jax
import numpy as np
from scipy.special import ndtr

from jsuper.analysis.judging import Statement, Subject, negative_inputs, verdict
from jsuper.analysis.reviving import gradient_reaching
from jsuper.analysis.scalar import derivatives, float32_zero_below


def _relu_clips(on: Subject) -> Statement:
    relu = derivatives("relu")
    computed = {
        "ReLU's largest |f| for z < 0": float(np.abs(relu(negative_inputs())).max()),
        "ReLU's largest |f'| for z < 0": float(np.abs(relu(negative_inputs(), 1)).max()),
    }
    text = "ReLU sets every negative pre-activation, and the error signal there, to zero."
    return Statement("000", text, computed, verdict(max(computed.values()) == 0))


def _relu_blocks(on: Subject) -> Statement:
    reaching = gradient_reaching("relu", 0.5)
    computed = {
        "gradient of a dead unit's weights": float(reaching.dead_rows.max()),
        "error signal to the inputs through dead units": float(reaching.through_dead.max()),
        "error signal to the inputs through all units": float(reaching.inputs.mean()),
    }
    blocked = computed["gradient of a dead unit's weights"] == 0
    blocked &= computed["error signal to the inputs through dead units"] == 0
    text = "An inactive ReLU unit passes no gradient, to its own weights or to earlier layers."
    return Statement("000", text, computed, verdict(blocked))


def _clips(on: Subject) -> Statement:
    z = negative_inputs()
    computed = {
        "f(-1)": on(-1),
        "f(-3)": on(-3),
        "share of inputs with f = 0 for z < 0": float((on.f(z) == 0).mean()),
    }
    text = "GELU sets negative pre-activations to zero."
    clipped = computed["share of inputs with f = 0 for z < 0"] == 1
    return Statement("000", text, computed, verdict(clipped))


def _very_nearly(on: Subject) -> Statement:
    far, gate = np.linspace(-12, -3, 1000), on.profile.gate
    computed = {
        "largest |f| for z <= -3": float(np.abs(on.f(far)).max()),
        "largest |f'| for z <= -3": float(np.abs(on.f(far, 1)).max()),
        "share of negative N(0, 1) inputs with z <= -3": float(ndtr(-3.0) / 0.5),
        "mean |f'| of negative N(0, 1) inputs": float(gate.mean_magnitude),
        "root mean square f' of negative N(0, 1) inputs": float(gate.rms_slope),
        "mean f' of negative N(0, 1) inputs": float(gate.mean_slope),
        "squared gradient of inactive units, share": float(gate.gradient_share),
    }
    nearly = max(computed["largest |f| for z <= -3"], computed["largest |f'| for z <= -3"]) < 0.02
    everywhere = gate.mean_magnitude < 0.02
    text = "GELU very nearly sets negative pre-activations, and the error signal there, to zero."
    return Statement("000", text, computed, verdict(nearly, not everywhere))


def _correction(on: Subject) -> Statement:
    z = negative_inputs()
    relu, own = derivatives("relu")(z), on.f(z)
    computed = {
        "share of z < 0 with output 0, ReLU": float((relu == 0).mean()),
        "share of z < 0 with output 0, GELU": float((own == 0).mean()),
        "share of z < 0 with slope 0, GELU": float((on.f(z, 1) == 0).mean()),
    }
    text = "ReLU clips negative inputs; GELU does not: they keep some output and slope."
    return Statement("000", text, computed, verdict(list(computed.values()) == [1, 0, 0]))


def _still_flows(on: Subject) -> Statement:
    gate = on.profile.gate
    computed = {
        "share of negative N(0, 1) inputs with f' = 0": float(gate.blocked),
        "share of negative N(0, 1) inputs with f' < 0": float(gate.reversed),
        "float32: f' = 0 at and below z =": float32_zero_below(on.activation),
        "float32: the same for jax.nn.gelu, tanh form": float32_zero_below(jax.nn.gelu),
    }
    text = "GELU is smooth, so gradient can still flow for negative inputs."
    limit = gate.reversed > 0 or gate.blocked > 0
    return Statement("000", text, computed, verdict(gate.blocked < 1, limit))


ROWS = (_relu_clips, _relu_blocks, _clips, _very_nearly, _correction, _still_flows)
