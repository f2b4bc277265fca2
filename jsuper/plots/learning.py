"""Figures of factorizations along training: losses, alignments of one model, and their bumps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.core.text import format_number
from jsuper.plots.reading import Taken, take
from jsuper.plots.style import (
    COLORS,
    GUIDE,
    LINES,
    OTHER_LINES,
    TITLE,
    WIDE,
    legend,
    log_axis,
    own,
    ramp,
    tick,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

TIME = "time, steps x learning rate"
NOTABLE = 0.1  # of s_r, which a pair has to reach somewhere for a line and a name of its own
PROMINENCE = 0.05  # of s_r, as that of the variable "bumps"
PAIR_LINES = (*LINES, *OTHER_LINES)
TOP = 1.5  # of a linear axis of losses over that of Z = 0
GAP = 0.2  # between the bars of two numbers of bumps


def losses(ds: xarray.Dataset, *, log: bool = False, ax: Axes | None = None) -> Axes:
    """Return the loss over that of Z = 0 against time: the median over seeds, and every seed faint.

    A linear y axis ends at 1.5, or where the losses of the last three quarters of the record reach:
    what a start far from Z = 0 loses at once would else press the rest flat.

    Parameters
    ----------
    ds
        Of `jsuper.run` or `jsuper.load`, of factorizations, with no dimensions of several
        values but seed (and those of the variables).
    log
        With a logarithmic y axis, on which losses of 0 do not appear.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the title says how many models are left out.

    Raises
    ------
    ValueError
        `ds` has further dimensions, or a variable is not there.

    Source: Jermyn and Shlegeris, "Multi-Component Learning and S-Curves" (2022).
    """
    taken, time = _along_time(ds, "loss_curve", ("step",))
    share = taken.values / take(ds, "zero_loss", ()).values
    values = share.transpose("step", "seed").values
    ax = own(ax, 5.6, 3.6)
    _time_axis(ax, time)
    if time.size:
        ax.plot(time, values, color=COLORS[2], linewidth=0.6, alpha=0.3, zorder=1)
        ax.plot(time, share.median("seed"), color=COLORS[0], linewidth=1.6, zorder=2)
    ax.axhline(1, **GUIDE)
    if log and (values > 0).any():
        log_axis(ax.yaxis, values[values > 0])
    elif not log:
        late = values[len(time) // 4 :]
        ax.set_ylim(0, max(TOP, 1.05 * np.nanmax(late, initial=0)))
    ax.set_ylabel("loss / loss of Z = 0")
    several = taken.values.sizes["seed"] > 1
    what = f"median of {taken.seeds}, each seed faint" if several else taken.seeds
    ax.set_title(f"{what}; {taken.said}", fontsize=TITLE)
    return ax


def alignments(ds: xarray.Dataset, *, ax: Axes | None = None) -> Axes:
    """Every pair's alignment with each component of one model, over s_r, against time.

    The colour is the component. A pair that reaches 10 % of a strength has a line style of its own
    and stands in the legend, up to the 8 that reach furthest; the others are thin. Circles are
    bumps, the interior maxima that stand out by 5 % of s_r and more, which the variable "bumps"
    counts.

    Parameters
    ----------
    ds
        Of `jsuper.run` or `jsuper.load`, of factorizations, one model.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the title says how many bumps there are.

    Raises
    ------
    ValueError
        `ds` has several models, or a variable is not there.

    Source: Jermyn and Shlegeris, "Multi-Component Learning and S-Curves" (2022).
    """
    taken, time = _along_time(ds, "alignment", ("component", "pair", "step"))
    if taken.values.sizes["seed"] > 1:
        raise ValueError(
            f"ds has {taken.seeds}, and this draws one model; select one, e.g. ds.isel(seed=0)"
        )
    strengths = take(ds, "strengths", (), ("component",)).values[0].values.astype(float)
    shares = (taken.values[0].values / strengths[:, None, None])[np.isfinite(strengths)]
    ax = own(ax, 6.4, 4.0)
    ax.axhline(1, **GUIDE)
    ax.axhline(0, **GUIDE)
    _time_axis(ax, time)
    bumps = _pairs(ax, time, shares) if time.size else 0
    ax.set_ylabel("alignment / $s_r$")
    counted = f"{bumps} bump{'s' * (bumps != 1)}"
    ax.set_title(counted if time.size else taken.said, fontsize=TITLE)
    legend(ax)
    return ax


def component_colors(count: int) -> list[Any]:
    """Return a colour per component of a target."""
    return list(COLORS[:count]) if count <= len(COLORS) else [s["color"] for s in ramp(count)]


def bump_counts(ds: xarray.Dataset, *, ax: Axes | None = None) -> Axes:
    """The share of models with 0, 1, 2, ... bumps: bars in a colour for every value of one axis.

    Triangles are means. The legend has them and the Fano factor, the variance (with n - 1) over
    the mean: 1 of independent rare events, 0 where all models have as many.

    Parameters
    ----------
    ds
        Of `jsuper.analyze`, of factorizations, with no dimensions of several values but seed
        and one more, e.g. pairs.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The Axes; the title says how many models are left out.

    Raises
    ------
    ValueError
        `ds` has further dimensions, or no bumps.
    """
    lines = [str(d) for d in ds["status"].dims if d != "seed" and ds.sizes[d] > 1]
    taken = take(ds, "bumps", lines[:1])
    groups = taken.values.values.reshape(-1, taken.values.sizes["seed"])
    names = [f"{lines[0]} {tick(v)}: " for v in taken.values[lines[0]].values] if lines else [""]
    most = int(np.nanmax(groups, initial=0))
    width = (1 - GAP) / len(groups)
    ax, tallest = own(ax, 6.4, 3.6), 0.0
    for i, (name, group, style) in enumerate(zip(names, groups, ramp(len(groups)), strict=True)):
        known = group[np.isfinite(group)]
        shares = np.bincount(known.astype(int), minlength=most + 1) / max(known.size, 1)
        where = np.arange(most + 1) + (i - (len(groups) - 1) / 2) * width
        ax.bar(where, shares, width, color=style["color"], label=name + _moments(known))
        tallest = max(tallest, shares.max())
    for i, (group, style) in enumerate(zip(groups, ramp(len(groups)), strict=True)):
        if np.isfinite(group).any():
            height = tallest * (1.07 + 0.06 * i)  # equal means would hide each other
            ax.plot(np.nanmean(group), height, "v", color=style["color"], markersize=5)
    ax.set_ylim(0, (tallest or 1.0) * (1.1 + 0.06 * len(groups)))
    ax.set_yticks([t for t in ax.get_yticks() if 0 <= t <= (tallest or 1.0)])
    ax.set_xlim(-0.6, most + 0.6)
    ax.locator_params("x", integer=True)
    ax.set_xlabel("bumps of a model")
    ax.set_ylabel("share of models")
    ax.set_title(taken.said, fontsize=TITLE)
    legend(ax)
    return ax


def _moments(counts: np.ndarray) -> str:
    """Mean and Fano factor of the numbers of bumps of some models, in words."""
    if not counts.size:
        return "none left"
    mean = counts.mean()
    if counts.size < 2 or mean == 0:
        return f"mean {format_number(mean, 2)}"
    fano = counts.var(ddof=1) / mean
    return f"mean {format_number(mean, 2)}, Fano {format_number(fano, 2)}"


def _along_time(
    ds: xarray.Dataset, variable: str, inner: tuple[str, ...]
) -> tuple[Taken, np.ndarray]:
    """A variable over seed and `inner`, of which the last is step, and the times of all seeds.

    Steps of longer training alone are left out; there are none where no model is left.
    """
    if variable not in ds or "time" not in ds:
        raise ValueError(
            f"ds has no {variable} along time; give a sweep with model = 'factorization'"
        )
    taken = take(ds, variable, (), inner)
    times = take(ds, "time", (), ("step",)).values.values
    time = times[np.isfinite(times).any(axis=1).argmax()]
    steps = np.flatnonzero(np.isfinite(time))
    return taken._replace(values=taken.values.isel(step=steps)), time[steps]


def _time_axis(ax: Axes, time: np.ndarray) -> None:
    """Name and scale of the times; logarithmic, without time 0, where records grow apart."""
    ax.set_xlabel(TIME)
    apart = np.diff(time)
    if apart.size and apart.max() > WIDE * apart[0]:
        time = time[time > 0]
        log_axis(ax.xaxis, time)
    if time.size > 1:
        ax.set_xlim(time.min(), time.max())


def _pairs(ax: Axes, time: np.ndarray, shares: np.ndarray) -> int:
    """Draw shares (component, pair, step), NaN beyond a model's own pairs; the number of bumps."""
    from scipy.signal import find_peaks

    shares = shares[:, np.isfinite(shares).all(axis=(0, 2))]
    reached = shares.max(axis=(0, 2), initial=0)
    alone = len(reached) == 1
    far = [int(k) for k in np.argsort(-reached) if alone or reached[k] >= NOTABLE]
    style = dict(zip(sorted(far[: len(PAIR_LINES)]), PAIR_LINES, strict=False))
    found = 0
    for r, color in enumerate(component_colors(len(shares))):
        ax.plot([], [], color=color, linewidth=2.5, label=f"component {r}")
        for k, line in enumerate(shares[r]):
            clear: dict[str, Any] = {"linestyle": style.get(k, "-"), "color": color}
            ax.plot(time, line, **clear, linewidth=1.3 if k in style else 0.5)
            peaks = find_peaks(line, prominence=PROMINENCE)[0]
            ax.plot(time[peaks], line[peaks], "o", color=color, markersize=7, fillstyle="none")
            found += peaks.size
    for k, linestyle in () if alone else style.items():
        ax.plot([], [], color="0.3", linestyle=linestyle, linewidth=1.3, label=f"pair {k}")
    return found
