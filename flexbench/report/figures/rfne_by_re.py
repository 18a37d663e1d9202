"""Accuracy by Reynolds number."""

from typing import TYPE_CHECKING

import pandas as pd

from flexbench.report import style
from flexbench.report.figures.parts import RFNE_LABEL, methods_of, rows, whiskers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs
    from flexbench.report.labels import Labels


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case."""
    trained = set(inputs.config.split("train").reynolds)
    scores, labels = inputs.of_case("scores", case), inputs.labels(case)
    return draw_rfne_by_re(scores, trained=trained, labels=labels)


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
    axis.set_xlabel(f"{labels.flow}")
    axis.set_ylabel(RFNE_LABEL)
    style.legend_below(figure, methods)
    return figure
