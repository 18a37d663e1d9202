"""How accurate, at which Reynolds number, and for what cost."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from flexbench.report import style
from flexbench.report.figures.select import methods_of, rows, whiskers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.labels import Labels

_ERROR_LABEL = "RFNE of the ensemble mean [1]"


def draw_rfne_by_re(scores: pd.DataFrame, *, trained: set[float], labels: "Labels") -> "Figure":
    """Dots with intervals; columns of Reynolds numbers outside `trained` are shaded."""
    rfne = rows(scores, "rfne_mean", reynolds=None).dropna(subset=["value"])
    if rfne.empty:
        return style.nothing_to_show("no finite error by Reynolds number")
    numbers = sorted({float(reynolds) for reynolds in rfne["reynolds"]})
    place = {number: position for position, number in enumerate(numbers)}
    methods = methods_of(rfne)
    figure = style.new_figure(width=min(9.0, max(5.0, 2.0 + 1.3 * len(numbers))), height=4.2)
    axis = figure.subplots()
    for number, position in place.items():
        if number not in trained:
            axis.axvspan(position - 0.5, position + 0.5, color="#F0F2F5", linewidth=0, zorder=0)
            axis.annotate(
                "not trained on",
                (position, 0.02),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="bottom",
                fontsize=8,
                color=style.MUTED,
            )
    for order, method in enumerate(methods):
        points = rfne[rfne["method"] == method]
        shift = 0.7 * ((order + 0.5) / len(methods) - 0.5)
        axis.errorbar(
            points["reynolds"].astype(float).map(place) + shift,
            points["value"],
            yerr=whiskers(points),
            elinewidth=1.3,
            **style.dots(method),
        )
    axis.set_ylim(0.0, 1.05 * axis.get_ylim()[1])  # close values leave no margin above them
    axis.set_xlim(-0.5, len(numbers) - 0.5)
    axis.set_xticks(range(len(numbers)), [f"{number:g}" for number in numbers])
    axis.grid(False, axis="x")
    axis.set_xlabel(f"{labels.flow} [1]")
    axis.set_ylabel(_ERROR_LABEL)
    style.legend_below(figure, methods)
    return figure


def draw_accuracy_cost(scores: pd.DataFrame, cost: pd.DataFrame) -> "Figure":
    """RFNE against counted operations and against measured seconds, per member."""
    rfne = rows(scores, "rfne_mean").dropna(subset=["value"])
    if rfne.empty:
        return style.nothing_to_show("no finite error to set against cost")
    points = rfne[["method", "value", "low", "high"]].merge(
        _cost_per_member(cost), on="method", how="left"
    )
    figure = style.new_figure(height=4.3)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_cost_panel(left, points, column="flops", label="operations per member [FLOP]")
    _draw_cost_panel(right, points, column="seconds", label="wall time per member [s]")
    left.set_ylabel(_ERROR_LABEL)
    left.set_ylim(bottom=0.0)
    style.legend_below(figure, methods_of(points))
    return figure


def _cost_per_member(cost: pd.DataFrame) -> pd.DataFrame:
    """Mean over training seeds: parameters, FLOPs of all evaluations of one member, seconds."""
    if cost.empty:
        return pd.DataFrame(columns=["method", "parameters", "flops", "seconds"])
    flops = cost["flops_per_evaluation"] * cost["evaluations"]
    seconds = cost.get("seconds_per_member", np.nan)
    costs = cost.assign(flops=flops, seconds=seconds)

    means = costs.groupby("method", sort=False)[["parameters", "flops", "seconds"]].mean()
    return means.reset_index()


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
