"""How often the truth falls between two members, against how often it should."""

from typing import TYPE_CHECKING

import pandas as pd

from flexbench.report import style
from flexbench.report.figures.parts import (
    NO_ENSEMBLE,
    connected,
    detail_numbers,
    methods_of,
    rows,
    whiskers,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case."""
    return draw_coverage(inputs.of_case("scores", case))


def draw_coverage(scores: pd.DataFrame) -> "Figure":
    """Attained against nominal coverage."""
    coverage = rows(scores, "coverage", detailed=True).dropna(subset=["value"])
    methods = methods_of(coverage)
    if not methods:
        return style.nothing_to_show(NO_ENSEMBLE)
    figure = style.new_figure(width=5.6, height=5.2)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=style.TRUTH, linewidth=1.0)
    for method in methods:
        levels = detail_numbers(coverage[coverage["method"] == method])
        axis.errorbar(
            levels["at"],
            levels["value"],
            yerr=whiskers(levels),
            elinewidth=1.0,
            **connected(method),
        )
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.set_box_aspect(1)
    axis.set_xlabel("nominal coverage")
    axis.set_ylabel("attained coverage")
    style.legend_below(figure, methods, kind=connected)
    return figure
