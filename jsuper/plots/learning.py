"""Figures of factorizations during training: losses, alignments and their bumps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jsuper.core.text import format_number
from jsuper.plots.selection import Selection, select
from jsuper.plots.style import (
    COLORS,
    GUIDE_STYLE,
    LINE_STYLES,
    LOG_RANGE,
    OTHER_LINE_STYLES,
    TITLE_FONT,
    Style,
    add_legend,
    get_axes,
    ramp_styles,
    set_log_scale,
    tick_label,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

TIME = "time, steps x learning rate"
NOTABLE = 0.1  # share of s_r above which a pair has its own line style and legend entry
PROMINENCE = 0.05  # share of s_r, as in the variable "bumps"
PAIR_LINES = (*LINE_STYLES, *OTHER_LINE_STYLES)
TOP = 1.5  # end of a linear axis of losses relative to Z = 0
GAP = 0.2  # between the bars of two numbers of bumps


def losses(ds: xarray.Dataset, *, log: bool = False, ax: Axes | None = None) -> Axes:
    """Draw the loss relative to that of Z = 0 against time: the median, with each seed faint.

    A linear y axis ends at 1.5, or at the largest loss of the last three quarters of the record, so
    that a start far from Z = 0 does not flatten the rest.

    Parameters
    ----------
    ds
        Result of `jsuper.run` or `jsuper.load` for factorizations. Dimensions of models other than
        seed have length one.
    log
        Use a logarithmic y axis, which omits losses of 0.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        `ds` has further dimensions, or a variable is missing.

    References
    ----------
    Jermyn and Shlegeris (2022), "Multi-Component Learning and S-Curves",
    <https://www.lesswrong.com/posts/RKDQCB6smLWgs2Mhr>.
    """
    selection, time = _along_time(ds, "loss_curve", ("step",))
    share = selection.values / select(ds, "zero_loss", ()).values
    values = share.transpose("step", "seed").values
    ax = get_axes(ax, 5.6, 3.6)
    _time_axis(ax, time)
    if time.size:
        ax.plot(time, values, color=COLORS[2], linewidth=0.6, alpha=0.3, zorder=1)
        ax.plot(time, share.median("seed"), color=COLORS[0], linewidth=1.6, zorder=2)
    ax.axhline(1, **GUIDE_STYLE)
    if log and (values > 0).any():
        set_log_scale(ax.yaxis, values[values > 0])
    elif not log:
        late = values[len(time) // 4 :]
        ax.set_ylim(0, max(TOP, 1.05 * np.nanmax(late, initial=0)))
    ax.set_ylabel("loss / loss of Z = 0")
    ax.set_title(selection.median_title, fontsize=TITLE_FONT)
    return ax


def alignments(ds: xarray.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw one model's alignment of every pair with every component, relative to s_r, against time.

    Colours are components. Of the pairs that reach 10 % of a strength, the largest 8 have different
    line styles and legend entries; other pairs are thin lines. Circles are bumps: interior maxima
    with a prominence of at least 5 % of s_r, as counted by the variable "bumps".

    Parameters
    ----------
    ds
        Result of `jsuper.run` or `jsuper.load` for one factorization.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of bumps.

    Raises
    ------
    ValueError
        `ds` has several models, or a variable is missing.

    References
    ----------
    Jermyn and Shlegeris (2022), "Multi-Component Learning and S-Curves",
    <https://www.lesswrong.com/posts/RKDQCB6smLWgs2Mhr>.
    """
    selection, time = _along_time(ds, "alignment", ("component", "pair", "step"))
    if selection.values.sizes["seed"] > 1:
        raise ValueError(f"ds has {selection.seeds_text}; select one model, e.g. ds.isel(seed=0)")
    strengths = select(ds, "strengths", (), ("component",)).values[0].values.astype(float)
    shares = (selection.values[0].values / strengths[:, None, None])[np.isfinite(strengths)]
    ax = get_axes(ax, 6.4, 4.0)
    ax.axhline(1, **GUIDE_STYLE)
    ax.axhline(0, **GUIDE_STYLE)
    _time_axis(ax, time)
    bumps = _pairs(ax, time, shares) if time.size else 0
    ax.set_ylabel("alignment / $s_r$")
    counted = f"{bumps} bump{'s' * (bumps != 1)}"
    ax.set_title(counted if time.size else selection.left_out_text, fontsize=TITLE_FONT)
    add_legend(ax)
    return ax


def component_colors(count: int) -> list[Any]:
    """Return one colour per component of a target."""
    return (
        list(COLORS[:count]) if count <= len(COLORS) else [s["color"] for s in ramp_styles(count)]
    )


def bump_counts(ds: xarray.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the share of models with 0, 1, 2, ... bumps, in one colour per value of a dimension.

    Triangles are means. The legend gives means and Fano factors, variance (with n - 1) / mean: 1
    for independent rare events, 0 if all models have the same number.

    Parameters
    ----------
    ds
        Result of `jsuper.analyze` for factorizations. Dimensions other than seed and one more, e.g.
        pairs, have length one.
    ax
        Axes to draw on. Default: those of a new figure.

    Returns
    -------
    Axes
        The Axes; the title gives the number of models left out.

    Raises
    ------
    ValueError
        `ds` has further dimensions, or no bumps.
    """
    lines = [str(d) for d in ds["status"].dims if d != "seed" and ds.sizes[d] > 1]
    selection = select(ds, "bumps", lines[:1])
    groups = selection.values.values.reshape(-1, selection.values.sizes["seed"])
    names = (
        [f"{lines[0]} {tick_label(v)}: " for v in selection.values[lines[0]].values]
        if lines
        else [""]
    )
    most = int(np.nanmax(groups, initial=0))
    width = (1 - GAP) / len(groups)
    ax, tallest = get_axes(ax, 6.4, 3.6), 0.0
    for i, (name, group, style) in enumerate(
        zip(names, groups, ramp_styles(len(groups)), strict=True)
    ):
        known = group[np.isfinite(group)]
        shares = np.bincount(known.astype(int), minlength=most + 1) / max(known.size, 1)
        where = np.arange(most + 1) + (i - (len(groups) - 1) / 2) * width
        ax.bar(where, shares, width, color=style["color"], label=name + _moments(known))
        tallest = max(tallest, shares.max())
    for i, (group, style) in enumerate(zip(groups, ramp_styles(len(groups)), strict=True)):
        if np.isfinite(group).any():
            height = tallest * (1.07 + 0.06 * i)  # so that equal means do not overlap
            ax.plot(np.nanmean(group), height, "v", color=style["color"], markersize=5)
    ax.set_ylim(0, (tallest or 1.0) * (1.1 + 0.06 * len(groups)))
    ax.set_yticks([t for t in ax.get_yticks() if 0 <= t <= (tallest or 1.0)])
    ax.set_xlim(-0.6, most + 0.6)
    ax.locator_params("x", integer=True)
    ax.set_xlabel("number of bumps")
    ax.set_ylabel("share of models")
    ax.set_title(selection.left_out_text, fontsize=TITLE_FONT)
    add_legend(ax)
    return ax


def _moments(counts: np.ndarray) -> str:
    """Return the mean and the Fano factor of numbers of bumps, for the legend."""
    if not counts.size:
        return "all left out"
    mean = counts.mean()
    if counts.size < 2 or mean == 0:
        return f"mean {format_number(mean, 2)}"
    fano = counts.var(ddof=1) / mean
    return f"mean {format_number(mean, 2)}, Fano {format_number(fano, 2)}"


def _along_time(
    ds: xarray.Dataset, variable: str, inner: tuple[str, ...]
) -> tuple[Selection, np.ndarray]:
    """Return a variable over seed and `inner`, whose last is step, and the times of the steps.

    Steps beyond this training are dropped; without models there are no steps.
    """
    if variable not in ds or "time" not in ds:
        raise ValueError(
            f"ds has no {variable} along time; give the result of a jsuper.factorization.Sweep"
        )
    selection = select(ds, variable, (), inner)
    times = select(ds, "time", (), ("step",)).values.values
    time = times[np.isfinite(times).any(axis=1).argmax()]
    steps = np.flatnonzero(np.isfinite(time))
    return selection._replace(values=selection.values.isel(step=steps)), time[steps]


def _time_axis(ax: Axes, time: np.ndarray) -> None:
    """Label and scale the time axis: logarithmic, without time 0, if intervals increase."""
    ax.set_xlabel(TIME)
    apart = np.diff(time)
    if apart.size and apart.max() > LOG_RANGE * apart[0]:
        time = time[time > 0]
        set_log_scale(ax.xaxis, time)
    if time.size > 1:
        ax.set_xlim(time.min(), time.max())


def _pairs(ax: Axes, time: np.ndarray, shares: np.ndarray) -> int:
    """Draw shares (component, pair, step), NaN for missing pairs; return the number of bumps."""
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
            clear: Style = {"linestyle": style.get(k, "-"), "color": color}
            ax.plot(time, line, **clear, linewidth=1.3 if k in style else 0.5)
            peaks = find_peaks(line, prominence=PROMINENCE)[0]
            ax.plot(time[peaks], line[peaks], "o", color=color, markersize=7, fillstyle="none")
            found += peaks.size
    for k, linestyle in () if alone else style.items():
        ax.plot([], [], color="0.3", linestyle=linestyle, linewidth=1.3, label=f"pair {k}")
    return found
