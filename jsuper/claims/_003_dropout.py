"""Pona (2023) on dropout: superposition, kurtosis, untouched features, the privileged basis."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import dropout, kurtosis
from jsuper.analysis.reading import finished_values
from jsuper.analysis.statistics import spearman
from jsuper.claims.claim import Claim, Runs
from jsuper.claims.rules import Above, Below, Between, Exactly, Rule
from jsuper.claims.values import Where, at, dense, everywhere, index, sparser
from jsuper.studies._dropout_noise import matrices, mean_counted
from jsuper.studies._paired import PLANE, rank_correlations, slopes

if TYPE_CHECKING:
    import xarray

RATES = 0.5  # the range of rates, over which an effect has to count
FEWER = 0.25 / RATES  # features per unit of q: a fourth of one feature over all rates
APART = 0.0125 / RATES  # m/R per unit of q: what that does to R = 10 features in m = 5 units
TREND = 0.2  # rank correlation from which an order is visible, in four models
ABOUT = 0.3  # of kurtosis, within which it is about 3: a tenth
ERROR = 0.02  # of a chance; measured with masks of which the standard error is below .01
ONE_OF_20 = 2.0  # standard deviations, beyond which one of 20 random rotations lies
MASKS = 4096

DIMENSIONS = "slope of mean dimensionality on the rate"
COUNT = "slope of the features above half of the longest on the rate"
THREE = "kurtosis of {} independent Gaussian units"
MISSED = "distance of the chance from (1-q)^n"
ALIGNED: dict[str, Rule] = {
    **{f"z, dropout .3 less 0, relu, {o}": Above(ONE_OF_20) for o in ("adamw", "sgd(2)")},
    **{
        f"z, dropout .3 less 0, identity, {o}": Between(-ONE_OF_20, ONE_OF_20)
        for o in ("adamw", "sgd(2)")
    },
}
ACROSS = {"mean_neuron_kurtosis": "across samples", "basis_kurtosis": "across units"}
SIGNS = ("γ(p) > 0", "γ(p) < 0")  # γ(p), sparsity's part of the kurtosis across samples


def plane(ds: xarray.Dataset) -> xarray.Dataset:
    """Return the sweep `dropout` of ReLU, with the mean kurtosis of a unit."""
    units = finished_values(ds, "neuron_kurtosis", "hidden").mean("hidden")
    return ds.assign(mean_neuron_kurtosis=units).isel(activation=index(ds, ["relu"])[0])


def on_the_rate(values: xarray.DataArray, effect=slopes) -> xarray.DataArray:
    """Return an effect of the rate within each seed: (importance_decay, sparsity, seed)."""
    found = effect(values.transpose(*PLANE).values, values["dropout"].values)
    return values.isel(dropout=0, drop=True).transpose(*PLANE[:3]).copy(data=found)


def _superposition(decay: float, where: Where, runs: Runs) -> dict[str, np.ndarray]:
    """Slopes of two measures that the length of W does not change, means over sparsities."""
    ds = plane(runs["dropout"])
    norms = finished_values(ds, "feature_norm", "feature")
    above = (norms > 0.5 * norms.max("feature")).sum("feature")
    counted = above.where(norms.notnull().all("feature"))
    found = {DIMENSIONS: finished_values(ds, "mean_dimensionality", *PLANE), COUNT: counted}
    return {
        label: on_the_rate(values).sel(importance_decay=decay).values[at(ds, where)].mean(axis=0)
        for label, values in found.items()
    }


def _raises(name: str, runs: Runs) -> dict[str, np.ndarray]:
    """Rank correlation of kurtosis with the rate, means over densities and importances."""
    ds = plane(runs["dropout"])
    trend = on_the_rate(finished_values(ds, name, *PLANE), rank_correlations).values
    gamma = kurtosis.sparsity_kurtosis(1 - ds["sparsity"].values)
    return {
        raised(name, sign): trend[:, chosen].mean(axis=(0, 1))
        for sign, chosen in zip(SIGNS, (gamma > 0, gamma < 0), strict=True)
    }


def raised(name: str, sign: str) -> str:
    """Return the label of one kurtosis and sign."""
    return f"rank correlation of kurtosis {ACROSS[name]} with the rate, {sign}"


def _evidence(runs: Runs) -> dict[str, np.ndarray]:
    """Rank correlations of kurtosis with mean dimensionality, within each seed, importance 1."""
    ds = plane(runs["dropout"])
    ds = ds.sel(importance_decay=1.0, sparsity=at(ds, sparser))
    dims = ("sparsity", "seed", "dropout")  # of which a correlation leaves two
    spread = finished_values(ds, "mean_dimensionality", *dims).values
    found = {}
    for name, words in ACROSS.items():
        values = finished_values(ds, name, *dims).values
        for axis, along in ((2, "dropout"), (0, "density")):
            pairs = _correlated(np.moveaxis(values, axis, -1), np.moveaxis(spread, axis, -1))
            found[goes_with(words, along)] = pairs.mean(axis=0 if axis == 2 else 1)
    return found


def goes_with(words: str, along: str) -> str:
    """Return the label of one kurtosis, along dropout or along density."""
    return f"kurtosis {words} with dimensionality, along {along}"


def _correlated(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation along the last axis, NaN where a model is left out."""
    complete = np.isfinite(values + others).all(axis=-1)
    return np.where(complete, spearman(values, others), np.nan)


def _untouched(runs: Runs) -> dict[str, np.ndarray]:
    """Mean over features, rates above 0, densities and importances."""
    ds = plane(runs["dropout"])
    W, counts, rates = matrices(ds.sel(dropout=ds["dropout"] > 0), *PLANE)
    found = np.empty(rates.shape)
    for i in range(rates.shape[-1]):  # a rate at a time: the masks of all are large
        part, q = W[..., i, :, :], rates[..., i]
        measured = dropout.untouched(part, q, samples=MASKS)
        apart = np.abs(measured - dropout.untouched_chance(part, q))
        found[..., i] = mean_counted(apart, counts[..., i, :])
    return {MISSED: found.mean(axis=(0, 1, 3))}


def _privileged(runs: Runs) -> dict[str, np.ndarray]:
    """Alignment against random rotations, with dropout less without, mean over sparsities."""
    z = finished_values(
        runs["basis"], "alignment_z", "activation", "optimizer", "dropout", "seed", "sparsity"
    )
    more = (z.sel(dropout=0.3) - z.sel(dropout=0.0)).mean("sparsity", skipna=False)
    names = [(a, o) for a in ("relu", "identity") for o in ("adamw", "sgd(2)")]
    values = [more.sel(activation=a, optimizer=o).values.ravel() for a, o in names]
    return dict(zip(ALIGNED, values, strict=True))


def about_three(units: int = 5) -> Claim:
    """Return the claim on the kurtosis of no privileged basis, at a number of hidden units."""
    label = THREE.format(units)
    return Claim(
        name="kurtosis-three-without-basis",
        source="003",
        sentence="Without a privileged basis the kurtosis of activations is about 3.",
        statistic=lambda _: {label: kurtosis.gaussian_null(units)},
        rules={label: Exactly(3, ABOUT)},
        unit="kurtosis",
        note="Exact: 3 (m-1)/(m+1) for m units, so about 3 from m = 20 on; for m = 2 and 3 every "
        "model has 1 and 1.5, whatever its basis.",
    )


def rises(name: str, note: str) -> Claim:
    """Return the claim on one reading of kurtosis."""
    return Claim(
        name=f"dropout-raises-kurtosis-{ACROSS[name].replace(' ', '-')}",
        source="003",
        sentence=f"The higher the rate of dropout, the higher the kurtosis {ACROSS[name]}.",
        sweeps=("dropout",),
        statistic=partial(_raises, name),
        rules={raised(name, sign): Above(TREND) for sign in SIGNS},
        unit="rank correlation",
        note=note,
    )


_claim = partial(Claim, source="003")

CLAIMS = (
    _claim(
        name="dropout-less-superposition",
        sentence="Dropout on the hidden units reduces superposition.",
        sweeps=("dropout",),
        statistic=partial(_superposition, 1.0, everywhere),
        rules={DIMENSIONS: Above(APART), COUNT: Below(-FEWER)},
        unit="dimensions per feature, or features, per unit of the rate",
        note="Uniform importance, mean over sparsities. Dimensionality D rises as there is less "
        "superposition. A shorter W changes neither, but for which features are long enough for D.",
    ),
    _claim(
        name="dropout-exception",
        sentence="With decaying importance and dense features, dropout does not reduce "
        "superposition.",
        sweeps=("dropout",),
        statistic=partial(_superposition, 0.9, dense),
        rules={DIMENSIONS: Below(APART), COUNT: Above(-FEWER)},
        unit="dimensions per feature, or features, per unit of the rate",
        note="Importance .9^i, sparsity 0.",
    ),
    rises(
        "mean_neuron_kurtosis",
        "Of each hidden unit. γ(p), the kurtosis of a feature less 3, is below 0 above a density "
        "of .413, here 1: there a unit with fewer features has less.",
    ),
    rises(
        "basis_kurtosis",
        "Of each sample, as in the paper that the text cites; 5 units.",
    ),
    about_three(),
    _claim(
        name="kurtosis-shows-superposition",
        sentence="A higher kurtosis is evidence of less superposition.",
        sweeps=("dropout",),
        statistic=_evidence,
        rules={
            goes_with(words, along): Above(TREND)
            for words in ACROSS.values()
            for along in ("dropout", "density")
        },
        unit="rank correlation",
        note="Within a seed, uniform importance, densities .3 and below: with mean dimensionality "
        "across rates at each density, and across densities at each rate. Rotating the hidden "
        "space changes kurtosis and leaves superposition as it is.",
    ),
    _claim(
        name="untouched-by-dropout",
        sentence="Dropout at rate q leaves a feature on n units untouched with chance (1-q)^n.",
        sweeps=("dropout",),
        statistic=_untouched,
        rules={MISSED: Below(ERROR)},
        unit="chance",
        note="n counts units above a tenth of a feature's length; untouched is to lose at most 1 % "
        "of its squared length. With all m units, or 1/Σu⁴, it is off by about .1.",
    ),
    _claim(
        name="dropout-privileged-basis",
        sentence="Dropout makes the hidden units of the ReLU output model a privileged basis.",
        sweeps=("basis",),
        statistic=_privileged,
        rules=ALIGNED,
        unit="standard deviations over random rotations",
        note="Alignment of features with units, sparsity .9, m = 10. The control is the linear "
        "model, whose expected loss under dropout does not depend on the basis.",
    ),
    _claim(
        name="same-in-transformers",
        sentence="Dropout does to the residual stream of a transformer what it does here.",
        untestable="The text leaves it open: it needs transformers trained with and without.",
    ),
    _claim(
        name="alignment-for-profit",
        sentence="RLHF shows that work on alignment can have an impact because it is profitable.",
        untestable="It is about people and markets, not about models.",
    ),
    _claim(
        name="acting-beyond-the-cave",
        sentence="Who acts on the world understands it better than who only watches its shadows.",
        untestable="It is about an analogy; the models here have no world to act on.",
    ),
)
