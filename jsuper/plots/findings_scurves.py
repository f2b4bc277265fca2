"""The main pictures of the findings on S-curves, bumps and phase diagrams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jsuper.analysis import plateaus
from jsuper.analysis.reading import finished_values
from jsuper.plots.phases import phase_diagram
from jsuper.plots.style import COLORS, GUIDE_STYLE, ramp_styles

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT = 8  # points
GRAY, RED = COLORS[2], COLORS[5]
Data = Mapping[str, "xarray.Dataset"]


def main(data: Data) -> Figure:
    """Draw losses beside exponentials, bumps against the loss, rivals, and the decay term.

    Parameters
    ----------
    data
        The sweeps "scurves" and "scurves_softmax..." -> Dataset of `jsuper.analyze`.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(10, 6), layout="constrained")
    for ax, (rank, pairs) in zip(axes.flat, ((1, 1), (1, 8), (4, 4)), strict=False):
        _losses(ax, data, rank, pairs)
    for ax, kind in zip(axes[1], ("sgd", "adam"), strict=False):
        _bumps(ax, data, kind)
    _decay(axes[1, 2], data)
    for ax in axes.flat:
        ax.tick_params(labelsize=FONT)
        ax.legend(fontsize=FONT, frameon=False)
    return figure


def _labelled(ax: Axes, title: str, x: str, y: str) -> None:
    ax.set_title(title, fontsize=FONT + 1)
    ax.set_xlabel(x, fontsize=FONT)
    ax.set_ylabel(y, fontsize=FONT)


def _losses(ax: Axes, data: Data, rank: int, pairs: int) -> None:
    """Draw losses of all seeds, their median, and the exponential that meets it at 10 %."""
    ds = plateaus.of(data["scurves"], "sgd").sel(rank=rank, pairs=pairs)
    loss = finished_values(ds, "loss_curve", "seed", "step") / finished_values(ds, "zero_loss")
    loss, time = loss.values, finished_values(ds, "time", "seed", "step").values[0]
    middle = np.nanmedian(loss, axis=0)
    rate = np.log(middle[0] / 0.1) / time[np.argmax(middle <= 0.1)]
    ax.plot(time, loss.T, color=GRAY, linewidth=0.5, alpha=0.25)
    ax.plot(time, middle, color="black", linewidth=1.6, label="median of seeds")
    ax.plot(time, middle[0] * np.exp(-rate * time), "--", color=RED, label="exponential")
    ax.set_xlim(0, 10)
    ax.set_ylim(0, 1.05 * max(1.0, middle[0]))
    ratio = float(plateaus.s_ratio(ds).mean())
    words = f"rank {rank}, pairs {pairs}: plateau {ratio:.2f} times\nan exponential's"
    _labelled(ax, f"{words} from the same start", "time, 1/s", "loss / loss of Z = 0")


def _bumps(ax: Axes, data: Data, kind: str) -> None:
    """Draw the loss at which bumps peak, and at which they are half risen."""
    ds = plateaus.of(data["scurves"], kind).sel(rank=4, pairs=4).isel(pair=slice(4))
    levels, found = np.linspace(0, 1.2, 25), {}
    for when, color in (("half risen", GRAY), ("peak", RED)):
        found[when] = np.concatenate([*plateaus.losses_at_bumps(ds, "zero model", when), []])
        ax.hist(found[when], levels.tolist(), color=color, alpha=0.7, label=when)
    early = {when: int((losses > plateaus.PLATEAU).sum()) for when, losses in found.items()}
    ax.axvspan(plateaus.PLATEAU, levels[-1], color="0.92", zorder=0, label="plateau")
    ax.set_xlim(levels[-1], 0)
    ax.set_ylim(0, 1.35 * ax.get_ylim()[1])
    title = f"{kind}, rank 4, pairs 4: {early['peak']} of {found['peak'].size} bumps peak\n"
    title += f"on the plateau, {early['half risen']} are half risen there"
    _labelled(ax, title, "loss / loss of Z = 0, falling", "bumps")


def _decay(ax: Axes, data: Data) -> None:
    """Draw what is left outside the target's space under cross-entropy, by strength."""
    names = sorted(
        (name for name in data if name.startswith("scurves_softmax")),
        key=lambda name: float(data[name]["strength"]),
    )
    for name, style in zip(names, ramp_styles(len(names)), strict=True):
        ds = data[name].squeeze("pairs").sel(rank=1)
        time = finished_values(ds, "time", "objective", "seed", "step").isel(seed=0)
        left = plateaus.outside(data[name]).sel(rank=1)
        for objective, line in (("squared", ":"), ("cross_entropy", "-")):
            label = f"strength {float(ds['strength']):g}" if line == "-" else None
            x, y = (values.sel(objective=objective).values for values in (time, left))
            x = x * float(ds["strength"])
            ax.plot(x, np.exp(y).mean(0), line, color=style["color"], label=label)
    decays = (float(plateaus.decay_ratio(data[n]).sel(rank=1).mean()) for n in names)
    words = ", ".join(f"{ratio:.2g}" for ratio in decays)
    ax.set_xlim(0, 10)
    ax.axhline(0, **GUIDE_STYLE)
    title = f"Cross-entropy: decay {words} times\nthat of the squared error (dotted)"
    _labelled(ax, title, "time, 1/s", "left outside the target's space")


def phases(data: Data) -> Figure:
    """Draw the phase diagrams of "phase_2_1" and "phase_3_2": the best run of every cell."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for ax, name in zip(axes, ("phase_2_1", "phase_3_2"), strict=True):
        phase_diagram(data[name], ax=ax)
        title = ax.get_title().replace("; ", "\n")
        ax.set_title(f"{data[name].sizes['feature']} features, {title}", fontsize=FONT + 1)
    legend = axes[0].get_legend()  # that of the other one serves both
    if legend is not None:
        legend.remove()
    return figure
