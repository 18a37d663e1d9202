"""How often the truth has each rank among the members."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from flexbench.report import style
from flexbench.report.figures.parts import (
    NO_ENSEMBLE,
    detail_numbers,
    methods_of,
    panels_by_method,
    rows,
    whiskers,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case."""
    return draw_rank(inputs.of_case("scores", case))


def draw_rank(scores: pd.DataFrame) -> "Figure":
    """Rank histograms by method, as multiples of the flat one."""
    histogram = rows(scores, "rank_hist", detailed=True).dropna(subset=["value"])
    methods = methods_of(histogram)
    if not methods:
        return style.nothing_to_show(NO_ENSEMBLE)
    figure, axes = panels_by_method(methods)
    for axis, method in zip(axes, methods, strict=True):
        ranks = detail_numbers(histogram[histogram["method"] == method])
        count = len(ranks)
        # The relative rank lets ensembles of different size share one axis.
        at = (np.arange(count) + 0.5) / count
        axis.bar(
            at, ranks["value"] * count, width=0.9 / count, color=style.colour(method), alpha=0.75
        )
        axis.errorbar(
            at,
            ranks["value"] * count,
            yerr=whiskers(ranks) * count,
            fmt="none",
            ecolor=style.INK,
            elinewidth=0.9,
        )
        axis.axhline(1.0, color=style.TRUTH, linewidth=1.0, linestyle="--")
        axis.set_title(f"{method} (M = {count - 1})")
    axes[0].set_xlim(0, 1)
    figure.supxlabel("rank of the truth among the members / M", fontsize=9)
    figure.supylabel("frequency / flat frequency", fontsize=9)
    return figure
