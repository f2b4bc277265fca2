"""Training in a plane with one active feature at a time: losses, dimensions, coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.analysis.polygons import (
    START,
    Course,
    coefficients,
    course,
    loss_jumps,
    rising_directions,
    state_loss,
)
from jsuper.analysis.snapshots import STEP
from jsuper.analysis.superposition import dimensionality
from jsuper.plots.models import arrows
from jsuper.plots.style import COLORS, GUIDE_STYLE, SMALL_FONT, TITLE_FONT, set_log_scale

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jsuper.analysis.jumping import Jumps

SHADES = {"4": "#E69F00", "4+": "#D55E00", "4++": "#882255", "5": "#56B4E9", "5+": "#0072B2"}
SHADES |= {"6": "#009E73"}
OTHER = "0.6"
EVERY = 2  # snapshots between coefficients
LARGEST_LOSS = 0.3  # larger losses, at the start, are beyond the axis
TICKS = (0.05, 0.07, 0.1, 0.15, 0.2, 0.3)


def training(ds: xarray.Dataset) -> Figure:
    """Draw what training does, a column for each start.

    From the top: the columns of W of one model, that with the largest jump, which is black below;
    the loss of every seed, in the colour of the k-gon that it ends as, with the losses of theory;
    the dimensionalities D_i of the one model; and local learning coefficients with their 95 %
    intervals over chains, of the one model and the first seed of every k-gon. Points at which the
    chains move away are left out: there the model is not at rest. Dashed lines are jumps of the one
    model's loss.

    Parameters
    ----------
    ds
        As in `jsuper.analysis.polygons.course`.

    References
    ----------
    Chen et al. (2023), "Dynamical versus Bayesian Phase Transitions in a Toy Model of
    Superposition", <https://arxiv.org/abs/2310.06301>.
    """
    import matplotlib.pyplot as plt

    found = course(ds)
    each = loss_jumps(found)
    count = len(found.starts)
    figure = plt.figure(figsize=(5.4 * count, 9.4), layout="constrained")
    n = found.W.shape[-1]
    figure.suptitle(f"{n} features in a plane, one active at a time: training between k-gons")
    columns: Any = figure.subfigures(1, count, squeeze=False)[0]
    for k, (column, seeds) in enumerate(zip(columns, each, strict=True)):
        shown = _largest(seeds)
        above, below = column.subfigures(2, 1, height_ratios=(1, 4.6))
        title = f"start: {found.starts[k]}; {len(seeds)} seeds, black: seed {shown}"
        column.suptitle(title, fontsize=TITLE_FONT)
        _draw_models(above, found, k, shown, seeds[shown])
        axes = below.subplots(3, 1, sharex=True, height_ratios=(1.5, 1, 1.1))
        _draw_losses(axes[0], found, k, shown)
        _draw_dimensions(axes[1], found, k, shown)
        _draw_coefficients(axes[2], ds, found, k, shown)
        for ax in axes:
            for at in _middles(seeds[shown]):
                ax.axvline(at, color="0.35", linestyle="--", linewidth=0.9)
        set_log_scale(axes[2].xaxis, found.steps[found.steps > 0])
        axes[2].set_xlim(max(1, found.steps[1]), found.steps[-1])
        axes[2].set_xlabel("step")
    return figure


def _largest(seeds: list[Jumps]) -> int:
    """Return the model whose loss has the largest jump."""
    return int(np.argmax([np.abs(j.size).max(initial=0) for j in seeds]))


def _middles(found: Jumps) -> np.ndarray:
    return (found.before * found.after) ** 0.5


def _draw_models(figure: Any, found: Course, k: int, shown: int, jumped: Jumps) -> None:
    """Draw W at the start, before and after the largest jump, and at the end."""
    steps = found.steps
    middle = steps[len(steps) // 2], steps[3 * len(steps) // 4]  # if there is no jump
    if jumped.size.size:
        at = np.abs(jumped.size).argmax()
        middle = jumped.before[at], jumped.after[at]
    for ax, step in zip(figure.subplots(1, 4), (steps[0], *middle, steps[-1]), strict=True):
        place = int(np.abs(steps - step).argmin())
        arrows(found.W[k, shown, place], ax=ax)
        ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
        state = found.state[k, shown, place]
        ax.set_title(f"step {steps[place]:,}" + f": {state}" * bool(state), fontsize=SMALL_FONT)


def _draw_losses(ax: Axes, found: Course, k: int, shown: int) -> None:
    """Draw the loss of every seed, and the levels of theory."""
    from matplotlib.ticker import NullLocator

    n, ends = found.W.shape[-1], found.state[k, :, -1]
    for loss, end in zip(found.loss[k], ends, strict=True):
        color = SHADES.get(end, OTHER)
        ax.plot(found.steps, loss, color=color, linewidth=0.6, alpha=0.5)
    ax.plot(found.steps, found.loss[k, shown], color=COLORS[0], linewidth=1.4)
    levels = {name: state_loss(name, n) for name in _ends(found)}
    for name, level in levels.items():
        ax.axhline(level, **GUIDE_STYLE)
        share = f"{name}: {(ends == name).mean():.0%}"
        color = SHADES.get(name, OTHER)
        where = ax.get_yaxis_transform()
        ax.text(1.01, level, share, transform=where, va="center", fontsize=SMALL_FONT, color=color)
    low = min([*levels.values(), np.nanmin(found.loss)])
    ax.set_yscale("log")
    ax.set_ylim(0.95 * low, LARGEST_LOSS)
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
    ax.set_ylabel("loss, sum over features")


def _ends(found: Course) -> list[str]:
    """Return the k-gons at which training ends."""
    last = found.state[..., -1]
    return sorted(set(last[last != ""].tolist()))


def _draw_dimensions(ax: Axes, found: Course, k: int, shown: int) -> None:
    """Draw the dimensionality of every feature of a model, with those of k-gons."""
    shares = np.asarray(dimensionality(found.W[k, shown]))
    for i, line in enumerate(shares.T):
        ax.plot(found.steps, line, color=COLORS[i % len(COLORS)], linewidth=1.2)
    for value, name in ((1 / 2, "1/2"), (2 / 5, "2/5"), (1 / 3, "1/3")):
        ax.axhline(value, **GUIDE_STYLE)
        ax.text(
            1.01, value, name, transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL_FONT
        )
    ax.set_ylim(-0.03, max(0.6, np.nanmax(shares)) + 0.05)
    ax.set_ylabel("dimensionality D_i")


def _draw_coefficients(ax: Axes, ds: xarray.Dataset, found: Course, k: int, shown: int) -> None:
    """Draw the coefficients of some models where they are at rest, and those of theory."""
    ends, n = found.state[k, :, -1], found.W.shape[-1]
    first = [int(np.argmax(ends == name)) for name in _ends(found) if name in ends]
    seeds = [*(s for s in first if s != shown), shown]
    part = ds.isel({"seed": seeds} | ({START: [k]} if START in ds.dims else {}))
    part = part.sortby(STEP).isel({STEP: slice(len(found.steps) // 3, None, EVERY)})
    values = coefficients(part, snapshots=True).squeeze().transpose(..., STEP)
    steps = values[STEP].values
    for i, seed in enumerate(seeds):
        one = values.isel(seed=i) if "seed" in values.dims else values
        color = COLORS[0] if seed == shown else SHADES.get(ends[seed], OTHER)
        spread = np.stack([one.llc - one.llc_low, one.llc_high - one.llc])
        style: Any = {"color": color, "markersize": 2.5, "linewidth": 0.8}
        ax.errorbar(steps, one.llc, spread, fmt="o-", **style)
    levels: dict[float, list[str]] = {}
    for name in _ends(found):
        levels.setdefault(rising_directions(name, n) / 2, []).append(name)
    for value, names in levels.items():
        ax.axhline(value, **GUIDE_STYLE)
        text = f"{', '.join(names)}: {value:g}"
        where = ax.get_yaxis_transform()
        ax.text(1.01, value, text, transform=where, va="center", fontsize=SMALL_FONT, color="0.3")
    ax.set_ylim(min(levels, default=0) - 1.5, max(levels, default=0) + 1.5)
    ax.set_ylabel("local learning coefficient")
