"""Accuracy against what it costs."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from flexbench.report import style
from flexbench.report.figures.parts import RFNE_LABEL, methods_of, rows, whiskers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case."""
    return draw_accuracy_cost(inputs.of_case("scores", case), inputs.of_case("cost", case))


def draw_accuracy_cost(scores: pd.DataFrame, cost: pd.DataFrame) -> "Figure":
    """RFNE against counted operations and against measured seconds, per member of a whole field."""
    rfne = rows(scores, "rfne_mean").dropna(subset=["value"])
    if rfne.empty:
        return style.nothing_to_show("no finite error to set against cost")
    points = rfne[["method", "value", "low", "high"]].merge(
        _cost_per_member(cost), on="method", how="left"
    )
    figure = style.new_figure(height=4.3)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_cost_panel(left, points, column="flops_per_member", label="operations per member [FLOP]")
    _draw_cost_panel(right, points, column="seconds_per_member", label="time per member [s]")
    left.set_ylabel(RFNE_LABEL)
    left.set_ylim(bottom=0.0)
    style.legend_below(figure, methods_of(points))
    return figure


def _cost_per_member(cost: pd.DataFrame) -> pd.DataFrame:
    """Mean over training seeds: parameters, FLOPs and seconds of one member of a whole field."""
    costs = ["parameters", "flops_per_member", "seconds_per_member"]
    return cost.groupby("method", sort=False)[costs].mean().reset_index()


def _draw_cost_panel(axis: "Axes", points: pd.DataFrame, *, column: str, label: str) -> None:
    most = float(points["parameters"].max())
    for record in points.to_dict("records"):
        method, at = str(record["method"]), record[column]
        if not (np.isfinite(at) and at > 0):
            axis.axhline(record["value"], **style.line(method, width=1.1) | {"linestyle": "--"})
            continue
        share = record["parameters"] / most if most > 0 else 0.0
        size = 5 + 9 * np.sqrt(np.nan_to_num(max(share, 0.0)))
        axis.errorbar(
            [at],
            [record["value"]],
            yerr=whiskers(pd.DataFrame([record])),
            elinewidth=1.2,
            **style.dots(method, size=size),
        )
    costs = points.loc[points[column] > 0, column]
    if len(costs):
        # Whole decades: the ticks then need no labels between them.
        axis.set_xscale("log")
        ends = np.log10([costs.min() / 1.3, costs.max() * 1.3])
        axis.set_xlim(10 ** np.floor(ends[0]), 10 ** np.ceil(ends[1]))
    else:
        axis.set_xticks([])
    axis.set_xlabel(label)
