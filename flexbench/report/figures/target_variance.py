"""How much a network has to say of residuals and of fields, and how much of it can be known."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from flexbench.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs
    from flexbench.report.labels import Labels

_PANELS = {
    "target_variance": "variance of the target v",
    "optimal_velocity": "mean square of the best velocity",
}
_DASHES: dict[str, Any] = {"residuals": "-", "fields": (0, (4, 1.6))}
_UNIT: dict[str, Any] = {"color": style.MUTED, "linewidth": 1.3, "linestyle": (0, (1, 1))}
# The part of a colour map that is neither too dark nor too pale to tell lines apart.
_COLOURS = ("viridis", 0.1, 0.85)


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a task of residuals."""
    return draw_targets(inputs.targets(case), labels=inputs.labels(case))


def draw_targets(targets: pd.DataFrame, *, labels: "Labels") -> "Figure":
    """A panel for each column, a line for each Re and space, trajectories within their bands.

    targets: rows of data/targets_<task>.csv.
    """
    if targets.empty:
        return style.nothing_to_show("no training trajectory was measured")
    figure = style.new_figure(height=3.8)
    axes = figure.subplots(1, len(_PANELS), sharex=True)
    equal = targets[targets["scaling"] == "equal"]
    numbers = sorted(set(equal["reynolds"]))
    colours = _colours(len(numbers))
    for axis, (column, label) in zip(axes, _PANELS.items(), strict=True):
        for number, colour in zip(numbers, colours, strict=True):
            own = equal[equal["reynolds"] == number]
            for space, dash in _DASHES.items():
                _draw(axis, own[own["space"] == space], column, color=colour, linestyle=dash)
        axis.set_xlabel("t, from data (0) to noise (1) [1]")
        axis.set_ylabel(f"{label} [1]")
        axis.set_xlim(0.0, 1.0)
        axis.set_ylim(bottom=0.0)
    axes[0].axhline(1.0, **_UNIT)
    _legend(figure, [f"{labels.flow_short} {number:g}" for number in numbers], colours)
    return figure


def _draw(axis: "Axes", rows: pd.DataFrame, column: str, **look: Any) -> None:
    by_time = rows.groupby("t", sort=True)[column]
    mean, low, high = by_time.mean(), by_time.min(), by_time.max()
    axis.plot(mean.index, mean, linewidth=1.5, **look)
    axis.fill_between(low.index, low, high, color=look["color"], alpha=0.15, linewidth=0)


def _colours(count: int) -> list[Any]:
    import matplotlib

    name, first, last = _COLOURS
    places = [first + (last - first) * i / max(1, count - 1) for i in range(count)]
    return [matplotlib.colormaps[name](place) for place in places]


def _legend(figure: "Figure", flows: list[str], colours: list[Any]) -> None:
    """Flows by colour, spaces by line."""
    first = {
        flow: {"color": colour, "linewidth": 1.5}
        for flow, colour in zip(flows, colours, strict=True)
    }
    first |= {
        space: {"color": style.INK, "linewidth": 1.5, "linestyle": dash}
        for space, dash in _DASHES.items()
    }
    first["either, at unit variance"] = _UNIT
    style.legend_below(figure, [], first=first)
