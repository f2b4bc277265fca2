"""Figures of factorizations along training: what is drawn is the sweep's, and so is the count."""

import itertools
import json
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import jsuper
from jsuper.factorization import Sweep
from jsuper.plots.learning import alignments, bump_counts, component_colors, losses
from jsuper.report.factorization_figures import figures
from jsuper.report.panels import MAX_FIGURES

RANKS, PAIRS, SEEDS, OPTIMIZERS = [1, 2], [1, 2, 3], [0, 1, 2], ["sgd", "adam(0.01)"]
STEPS = np.arange(0, 201, 10)
CELL = {"rank": 2, "pairs": 3, "optimizer": "sgd"}
MODELS = ("rank", "pairs", "optimizer", "seed")


@pytest.fixture(scope="module")
def analyzed():
    """A sweep as it is loaded, made by hand: every pair rises, some with a bump; NaN is padding."""
    rng = np.random.default_rng(0)
    sweep = Sweep(rank=(1, 2), pairs=(1, 2, 3), optimizer=("sgd", "adam(0.01)"), seeds=3)
    sizes = {"rank": 2, "pairs": 3, "optimizer": 2, "seed": 3}
    own = {"component": 2, "pair": 3, "step": STEPS.size, "side": 2}
    dims = {"alignment": ("component", "pair", "step"), "norm_outside": ("side", "step")}
    dims |= {"loss_curve": ("step",), "time": ("step",), "strengths": ("component",)}
    dims |= {"zero_loss": (), "loss": ()}
    shape = tuple(sizes.values())
    data = {k: np.full((*shape, *(own[d] for d in v)), np.nan) for k, v in dims.items()}
    time = 0.05 * STEPS
    for at in np.ndindex(shape):
        rank, k = RANKS[at[0]], PAIRS[at[1]]
        shares = rng.dirichlet(np.ones(k), rank)
        rise = shares[..., None] / (1 + np.exp(2 * (rng.uniform(2, 6, (rank, k, 1)) - time)))
        bump = rng.choice([0, 0, 0.3], (rank, k, 1)) * np.exp(-((time - 3) ** 2))
        data["alignment"][at][:rank, :k] = rise + bump
        missing = 1 - (rise + bump).sum(axis=1)
        data["loss_curve"][at] = (missing**2).sum(axis=0) / 2 + k * np.exp(-5 * time)
        data["norm_outside"][at] = np.exp(-time)
        data["time"][at], data["strengths"][at][:rank] = time, 1.0
        data["zero_loss"][at], data["loss"][at] = rank / 2, data["loss_curve"][at][-1]
    ds = xr.Dataset(
        {k: ((*MODELS, *v), data[k]) for k, v in dims.items()}
        | {"status": (MODELS, np.ones(shape, np.int8))},
        coords={"rank": RANKS, "pairs": PAIRS, "optimizer": OPTIMIZERS, "seed": SEEDS}
        | {"step": STEPS},
        attrs={"sweep": json.dumps(sweep.to_dict())},
    )
    return jsuper.analyze(ds)


@pytest.fixture
def ds(analyzed):
    return analyzed.copy(deep=True)


@pytest.fixture
def bumpy():
    """One model of 2 components and 2 pairs, made by hand: component 0 has a bump in pair 0."""
    time = np.linspace(0, 10, 41)
    rise = 1 / (1 + np.exp(5 - 2 * time))
    bump = 0.4 * np.exp(-((time - 4) ** 2))
    small = 0.04 * np.exp(-((time - 4) ** 2))  # below what counts
    alignment = 2 * np.array([[bump, rise - bump.clip(max=rise)], [small, 0.05 * rise]])
    dims = ("seed", "component", "pair", "step")
    return xr.Dataset(
        {
            "alignment": (dims, alignment[None]),
            "strengths": (dims[:2], [[2.0, 2.0]]),
            "time": (("seed", "step"), time[None]),
            "status": ("seed", np.ones(1, np.int8)),
        },
        coords={"seed": [7]},
    )


@pytest.fixture(autouse=True)
def matplotlib_as_it_was():
    with mpl.rc_context():
        yield
    plt.close("all")


OF_SWEEPS = {
    "losses": lambda ds, ax=None: losses(ds.sel(CELL), ax=ax),
    "bump_counts": lambda ds, ax=None: bump_counts(ds.sel(rank=2, optimizer="sgd"), ax=ax),
}
EACH = OF_SWEEPS | {
    "alignments": lambda ds, ax=None: alignments(ds.sel(CELL).isel(seed=0), ax=ax),
}


def each(functions):
    return pytest.mark.parametrize("draw", list(functions.values()), ids=list(functions))


def named(ax):
    return {k: v for v, k in zip(*ax.get_legend_handles_labels(), strict=True)}


def drawn(ax, color=None):
    """The lines of data, without guides, markers and the legend's; or those of a color."""
    lines = [line for line in ax.lines if len(line.get_xdata()) > 2 and line.get_marker() == "None"]
    return [line for line in lines if color is None or line.get_color() == color]


# ---- each ----


@each(EACH)
def test_it_draws_on_the_given_axes_and_leaves_no_trace(ds, draw):
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    plt.sca(left)
    before = dict(mpl.rcParams), plt.get_fignums(), ds.copy(deep=True)
    assert draw(ds, right) is right
    assert (dict(mpl.rcParams), plt.get_fignums()) == before[:2]
    assert ds.identical(before[2])
    assert right.has_data() and not left.has_data() and plt.gca() is left
    figure.canvas.draw()


@each(OF_SWEEPS)
def test_the_title_says_how_many_models_are_left_out(ds, draw):
    total = 9 if "all 9 models" in draw(ds).get_title() else 3
    assert f"all {total} models" in draw(ds).get_title()
    ds["status"].loc[CELL | {"seed": 1}] = 2
    assert f"1 of {total} models left out" in draw(ds).get_title()


@each(EACH)
def test_nothing_left_is_still_a_figure(ds, draw):
    ds["status"][:] = 0
    ds["time"][:] = ds["loss_curve"][:] = ds["alignment"][:] = ds["bumps"][:] = np.nan
    ax = draw(ds)
    assert "left out" in ax.get_title() and not drawn(ax)
    ax.figure.canvas.draw()


@each({"losses": losses, "alignments": alignments, "bump_counts": bump_counts})
def test_what_is_not_selected_is_named_with_what_to_do(ds, draw):
    with pytest.raises(ValueError, match=r"further dimensions: .*optimizer.*e\.g\. ds\.sel\("):
        draw(ds.sel(rank=2))


@each({"losses": losses, "alignments": alignments})
def test_a_dataset_without_times_is_refused(ds, draw):
    with pytest.raises(ValueError, match="ds has no .* along time; give the result"):
        draw(ds.sel(CELL).isel(seed=[0]).drop_vars("time"))


def test_importing_them_imports_neither_jax_nor_matplotlib():
    code = "import sys, jsuper.plots.learning; print({'jax', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---- losses ----


def test_losses_are_the_median_and_every_seed_over_that_of_zero(ds):
    ax = losses(ds.sel(CELL))
    cell = ds.sel(CELL)
    share = (cell.loss_curve / cell.zero_loss).transpose("seed", "step").values
    faint = [line for line in drawn(ax) if line.get_alpha()]
    (median,) = [line for line in drawn(ax) if not line.get_alpha()]
    assert np.array([line.get_ydata() for line in faint]) == pytest.approx(share)
    assert median.get_ydata() == pytest.approx(np.median(share, axis=0))
    assert median.get_xdata() == pytest.approx(0.05 * ds.step.values)
    assert ax.get_title() == "median of 3 seeds, each seed faint; all 3 models"
    assert ax.get_yscale() == "linear" and ax.get_ylim()[0] == 0


def test_losses_without_what_diverged_have_the_times_of_those_that_are_left(ds):
    ds["status"].loc[CELL | {"seed": 0}] = 0
    for name in ("time", "loss_curve"):
        ds[name].loc[CELL | {"seed": 0}] = np.nan
    ax = losses(ds.sel(CELL))
    cell = ds.sel(CELL).isel(seed=[1, 2])
    median = (cell.loss_curve / cell.zero_loss).median("seed").values
    assert drawn(ax)[-1].get_ydata() == pytest.approx(median)
    assert drawn(ax)[-1].get_xdata() == pytest.approx(0.05 * ds.step.values)


def test_a_linear_scale_is_that_of_what_follows_the_start(ds):
    cell = ds.sel(CELL)
    cell["loss_curve"][:] = np.linspace(1, 0, cell.sizes["step"])
    cell["loss_curve"][:, 0] = 100.0
    assert losses(cell).get_ylim()[1] == 1.5
    cell["loss_curve"][:, -1] = 4 * cell.zero_loss[0]
    assert losses(cell).get_ylim()[1] == pytest.approx(4.2)
    assert losses(cell, log=True).get_yscale() == "log"


def test_steps_that_only_longer_training_has_are_left_out(ds):
    ds["time"].loc[CELL | {"step": 200}] = np.nan
    ds["loss_curve"].loc[CELL | {"step": 200}] = np.nan
    (x,) = {tuple(line.get_xdata()) for line in drawn(losses(ds.sel(CELL)))}
    assert len(x) == ds.sizes["step"] - 1 and np.isfinite(x).all()


def test_records_that_grow_apart_have_a_logarithmic_axis(ds):
    cell = ds.sel(CELL)
    assert losses(cell).get_xscale() == "linear"
    cell["time"][:] = [0, *np.geomspace(0.01, 10, cell.sizes["step"] - 1)]
    ax = losses(cell)
    assert ax.get_xscale() == "log" and ax.get_xlim() == pytest.approx((0.01, 10))


# ---- alignments ----


def test_alignments_have_a_line_for_every_component_and_pair(ds):
    ax = alignments(ds.sel(CELL).isel(seed=1))
    shares = ds.alignment.sel(CELL).isel(seed=1) / ds.strengths.sel(CELL).isel(seed=1)
    for r, color in enumerate(component_colors(2)):
        lines = np.array([line.get_ydata() for line in drawn(ax, color)])
        assert lines == pytest.approx(shares[r].values)
    assert {"component 0", "component 1"} <= set(named(ax)) and "component 2" not in named(ax)


def test_pairs_and_components_that_a_smaller_model_lacks_are_not_drawn(ds):
    ax = alignments(ds.sel(rank=1, pairs=1, optimizer="sgd").isel(seed=0))
    assert len(drawn(ax)) == 1 and list(named(ax)) == ["component 0"]


def test_bumps_are_marked_and_counted(bumpy):
    ax = alignments(bumpy)
    (circles,) = [li for li in ax.lines if li.get_marker() == "o" and len(li.get_xdata())]
    assert circles.get_xdata() == [4] and circles.get_ydata() == pytest.approx([0.4])
    assert circles.get_color() == component_colors(1)[0]
    assert ax.get_title() == "1 bump"
    bumpy["alignment"][0, 0, 0] = 0.0
    assert alignments(bumpy).get_title() == "0 bumps"


def test_a_pair_that_reaches_little_is_thin_and_has_no_name(bumpy):
    bumpy["alignment"][0, 0, 0] /= 5  # 8 % of its strength
    ax = alignments(bumpy)
    assert list(named(ax)) == ["component 0", "component 1", "pair 1"]
    assert [line.get_linewidth() for line in drawn(ax)] == [0.5, 1.3, 0.5, 1.3]


def test_the_circles_are_what_the_variable_counts(ds):
    for rank, k, optimizer, seed in itertools.product(*(ds[d].values for d in MODELS)):
        at = {"rank": rank, "pairs": k, "optimizer": optimizer, "seed": seed}
        count = int(ds.bumps.sel(at))
        assert alignments(ds.sel(at)).get_title() == f"{count} bump{'s' * (count != 1)}"
        plt.close("all")
    assert set(np.unique(ds.bumps)) >= {0, 1, 2}


def test_several_models_are_refused_with_what_to_do(ds):
    with pytest.raises(ValueError, match=r"3 seeds.*one model.*ds\.isel\(seed=0\)"):
        alignments(ds.sel(CELL))


def test_every_component_has_a_colour():
    assert len(set(component_colors(9))) == 9
    assert len(set(component_colors(20))) == 20


# ---- numbers of bumps ----


def counted(counts, **sizes):
    """Models with such numbers of bumps, over the sizes' dimensions and seed."""
    dims = (*sizes, "seed")
    values = np.array(counts, float).reshape(*sizes.values(), -1)
    status = np.ones(values.shape, np.int8)
    coords = {"pairs": [4, 8, 16][: sizes.get("pairs", 0)]} if sizes else {}
    return xr.Dataset({"bumps": (dims, values), "status": (dims, status)}, coords=coords)


def test_bars_are_the_shares_of_models_with_so_many_bumps():
    ds = counted([[0, 1, 1, 3], [0, 0, 0, 1]], pairs=2)
    ax = bump_counts(ds.assign_coords(seed=range(4)))
    heights = [[bar.get_height() for bar in group] for group in ax.containers]
    assert heights == [[0.25, 0.5, 0, 0.25], [0.75, 0.25, 0, 0]]
    assert list(named(ax)) == [
        "pairs 4: mean 1.2, Fano 1.3",
        "pairs 8: mean 0.25, Fano 1",
    ]
    means = [line.get_xdata()[0] for line in ax.lines]
    assert means == [1.25, 0.25]
    left, right = (group[1] for group in ax.containers)
    assert left.get_x() + left.get_width() == pytest.approx(right.get_x())
    assert max(ax.get_yticks()) <= 0.75


def test_without_a_further_axis_there_is_one_group_and_no_name():
    ax = bump_counts(counted([0, 0, 2, np.nan]).assign_coords(seed=range(4)))
    assert [bar.get_height() for bar in ax.containers[0]] == pytest.approx([2 / 3, 0, 1 / 3])
    assert list(named(ax)) == ["mean 0.67, Fano 2"]
    assert ax.get_title() == "1 of 4 models left out"


def test_a_group_without_models_says_so():
    ds = counted([[0, 1], [np.nan, np.nan]], pairs=2).assign_coords(seed=range(2))
    assert list(named(bump_counts(ds)))[1] == "pairs 8: all left out"
    assert len(bump_counts(ds).lines) == 1


# ---- the figures of a page ----


def test_a_page_has_losses_of_every_cell_for_every_optimizer(ds):
    found = [(c, f) for c, f in figures(ds) if "Loss relative" in c]
    assert [c.split(".")[0] for c, _ in found] == ["optimizer sgd", "optimizer adam(0"]
    for _, figure in found:
        assert len(figure.axes) == 6
        assert figure.axes[5].get_title() == "rank 2, pairs 3\nall 3 models"
        figure.canvas.draw()


def test_alignments_are_those_of_the_typical_model_and_of_the_one_with_most_bumps(ds):
    ds["bumps"][:] = 0
    ds["bumps"].loc[{"rank": 2, "pairs": 2, "optimizer": "sgd"}] = [5, 2, 1]
    ds["status"].loc[{"rank": 2, "pairs": 2, "optimizer": "sgd", "seed": 0}] = 2
    by = [(c.split(". ")[0], f) for c, f in figures(ds) if "Alignment of" in c]
    assert [at for at, _ in by] == ["optimizer sgd"]
    titles = [ax.get_title().split(":")[0] for ax in by[0][1].axes]
    assert titles == ["rank 2, pairs 2; seed 1, typical"]
    ds["bumps"].loc[{"rank": 2, "pairs": 2, "optimizer": "sgd", "seed": [1, 2]}] = [4, 0]
    ds["status"][:] = 1
    ((_, figure),) = [(c, f) for c, f in figures(ds) if "Alignment of" in c]
    titles = [ax.get_title().split(":")[0] for ax in figure.axes]
    assert titles == ["rank 2, pairs 2; seed 1, typical", "rank 2, pairs 2; seed 0, most bumps"]


def test_numbers_of_bumps_are_drawn_for_the_ranks_that_have_any(ds):
    ds["bumps"][:] = 0
    captions = [c for c, _ in figures(ds)]
    assert not any("Number of bumps" in c for c in captions)
    assert sum("Alignment of" in c for c in captions) == 1
    ds["bumps"].loc[{"rank": 2, "pairs": 3, "seed": 0}] = 1
    shown = [f for c, f in figures(ds) if "Number of bumps" in c]
    assert [ax.get_title() for f in shown for ax in f.axes] == 2 * ["rank 2; all 9 models"]


def test_further_cells_are_counted_where_they_are_not_drawn(ds):
    many = ds.isel(optimizer=[0] * 8, rank=[1], pairs=[1, 2]).assign_coords(
        optimizer=list("abcdefgh")
    )
    found = [c for c, _ in figures(many) if "Loss relative" in c]
    assert len(found) == MAX_FIGURES and all("(2 more figures are not shown.)" in c for c in found)


def test_a_single_cell_has_its_further_values_in_one_figure(ds, monkeypatch):
    monkeypatch.setattr("jsuper.report.factorization_figures.MAX_PANELS", 5)
    one = ds.isel(optimizer=[0] * 6, rank=[1], pairs=[2])
    one = one.assign_coords(optimizer=[str(i) for i in range(6)])
    ((_, figure),) = [(c, f) for c, f in figures(one) if "Loss relative" in c]
    assert [ax.axison for ax in figure.axes] == 5 * [True] + 3 * [False]
    assert figure.axes[3].get_title().startswith("optimizer 3, rank 2, pairs 3")
    assert figure.get_suptitle() == "the first 5 of 6 cells"


def test_a_sweep_without_a_finished_model_has_figures_that_say_so(ds):
    ds["status"][:] = 0
    for name in ("time", "loss_curve", "alignment", "bumps"):
        ds[name][:] = np.nan
    found = figures(ds)
    assert len(found) == 2
    for _, figure in found:
        assert "3 of 3 models left out" in figure.axes[0].get_title()
        figure.canvas.draw()
