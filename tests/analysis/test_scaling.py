"""How loss and geometry change with the number of hidden units, and the plateaus of geometry."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from jsuper.analysis import scaling, uniform
from jsuper.core.errors import SpecError
from jsuper.plots.scaling import scaling as draw

SIZES, POWERS, SEEDS, N = (2, 4, 8), (0.5, 1.0), 3, 50


def made_up():
    """A sweep of random columns of length 1, with losses 3 m^-1 and 2 m^-0.5, of several seeds."""
    rng = np.random.default_rng(0)
    shape = (1, 1, len(SIZES), len(POWERS), SEEDS)
    W = np.full((*shape, max(SIZES), N), np.nan)
    for i, m in enumerate(SIZES):
        columns = rng.normal(size=(*shape[:2], *shape[3:], m, N))
        W[:, :, i, :, :, :m] = columns / np.linalg.norm(columns, axis=-2, keepdims=True)
    m = np.array(SIZES)[:, None, None]
    exponents, factors = np.array([[1.0], [0.5]]), rng.uniform(1, 3, SEEDS)
    loss = (factors * m**-exponents)[None, None]
    dims = ("activation", "sparsity", "n_hidden", "density_power", "seed")
    return xr.Dataset(
        {
            "W": ((*dims, "hidden", "feature"), W),
            "loss": (dims, loss),
            "status": (dims, np.ones(shape, np.int8)),
        },
        {
            "activation": ["relu"],
            "sparsity": [0.9],
            "n_hidden": list(SIZES),
            "density_power": list(POWERS),
            "seed": range(SEEDS),
        },
        attrs={"sweep": json.dumps({"model": "toy"})},
    )


def test_exponents_are_those_of_a_power_law():
    ds = made_up()
    found = scaling.exponent(ds["loss"]).squeeze()
    assert found.sel(density_power=0.5).values == pytest.approx(1.0)
    assert found.sel(density_power=1.0).values == pytest.approx(0.5)
    ds["loss"][{"n_hidden": 1, "seed": 0}] = np.nan
    assert scaling.exponent(ds["loss"]).isel(seed=0).isnull().all()
    with pytest.raises(SpecError, match="several sizes: train a sweep with several n_hidden"):
        scaling.exponent(ds["loss"].isel(n_hidden=[0]))


def test_overlaps_of_random_columns_are_one_over_m():
    ds = made_up()
    found = scaling.of_sizes(ds)
    assert (found.represented == 1).all()
    product = (found.overlap * found.n_hidden).squeeze()
    assert product.mean("seed").values == pytest.approx(1, abs=0.1)
    ds["W"][{"seed": 0}] = np.nan
    assert scaling.of_sizes(ds).isel(seed=0).overlap.isnull().all()


def test_every_power_has_a_curve_with_its_exponent():
    figure = draw(made_up())
    labels = [text.get_text() for text in figure.get_axes()[0].get_legend().get_texts()]
    assert labels == ["density power 0.5: loss ~ m^-1.00", "density power 1: loss ~ m^-0.50"]
    plt.close(figure)


def test_pairs_are_a_plateau_at_one_half():
    pairs = np.kron(np.eye(3), [[1.0, -1.0]])  # 6 features in 3 hidden units
    alone = np.hstack([np.eye(3), np.zeros((3, 3))])
    W = np.stack([alone, pairs, pairs])[None, :, None].repeat(2, axis=2)
    dims = ("activation", "sparsity", "seed")
    ds = xr.Dataset(
        {
            "W": ((*dims, "hidden", "feature"), W),
            "status": (dims, np.ones((1, 3, 2), np.int8)),
        },
        {"activation": ["relu"], "sparsity": [0.0, 0.8, 0.9], "seed": [0, 1]},
    )
    dense, near, share = uniform.plateaus(ds)
    assert (dense.found, near.found, share.found) == pytest.approx((1, 2 / 3, 1))
    assert "sparsity 0.8" in share.quantity
