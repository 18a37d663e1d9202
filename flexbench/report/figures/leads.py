"""Scores of rollouts against lead time."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from flexbench.metrics.definitions import definition_of
from flexbench.report import style
from flexbench.report.figures.parts import methods_of
from flexbench.report.labels import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs
    from flexbench.report.labels import Labels

# What a forecast is worth, where a line says it: as bad as no forecast, lost, calibrated.
_MARKS = {
    "rfne_mean": 1.0,
    "pearson": 0.8,
    "spread_skill": 1.0,
    "pull_ratio": 1.0,
    "spread_skill_worst": 1.0,
}
SHOWN = ("rfne_mean", "pearson", "crps", "spread_skill", "pull_ratio", "spread_skill_worst")
_COLUMNS = 3
_LARGEST_ERROR = 2.0  # a straight line goes far beyond, and would flatten the rest


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case that is rolled out."""
    leads, labels = inputs.of_case("leads", case), inputs.labels(case)
    return draw_leads(leads, lead_time=inputs.lead_time(case), labels=labels)


def draw_leads(leads: pd.DataFrame, *, lead_time: float, labels: "Labels") -> "Figure":
    """A panel per score, a line per method, intervals as bands.

    leads: rows of one case of tables/leads.csv. lead_time: time between two leads.
    """
    shown = leads[np.isfinite(leads["value"].astype(float))]
    if shown.empty:
        return style.nothing_to_show("no rollout has a finite score")
    methods = methods_of(shown)
    figure = style.new_figure(height=5.4)
    grid = figure.subplots(2, _COLUMNS, sharex=True)
    axes = list(grid.flat)
    for axis, score in zip(axes, SHOWN, strict=True):
        _draw_panel(axis, shown[shown["score"] == score], methods, lead_time=lead_time)
        how = definition_of(score)
        unit = labels.unit_of(how.unit)
        axis.set_title(how.label if unit == "1" else f"{how.label} [{escaped(unit)}]")
        if score in _MARKS:
            axis.axhline(_MARKS[score], color=style.TRUTH, linewidth=0.9, linestyle="--", zorder=1)
    axes[0].set_ylim(0.0, min(axes[0].get_ylim()[1], _LARGEST_ERROR))
    axes[1].set_ylim(top=1.02)
    axes[2].set_yscale("log")
    for axis in axes[_COLUMNS:]:
        axis.set_xlabel(f"lead time [{escaped(labels.time)}]")
        axis.tick_params(labelbottom=True)
    style.legend_below(figure, methods, kind=style.line)
    return figure


def _draw_panel(axis: "Axes", rows: pd.DataFrame, methods: list[str], *, lead_time: float) -> None:
    if rows.empty:
        axis.text(0.5, 0.7, "too few members", ha="center", transform=axis.transAxes)
    for method in methods:
        own = rows[rows["method"] == method].sort_values("lead")
        times = lead_time * own["lead"].to_numpy(float)
        axis.plot(times, own["value"], **style.line(method))
        low, high = own["low"].to_numpy(float), own["high"].to_numpy(float)
        axis.fill_between(times, low, high, color=style.colour(method), alpha=0.15, linewidth=0)
