"""Spread of the ensemble against the error of its mean."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from flexbench.metrics.tables import ALL
from flexbench.report import style
from flexbench.report.figures.parts import NO_ENSEMBLE, band_start, methods_of, rows, whiskers
from flexbench.report.labels import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs
    from flexbench.report.labels import Labels


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case."""
    return draw_spread_skill(inputs.of_case("scores", case), labels=inputs.labels(case))


def draw_spread_skill(scores: pd.DataFrame, *, labels: "Labels") -> "Figure":
    """Spread against skill; their ratio by wavenumber band."""
    ratio = rows(scores, "spread_skill").dropna(subset=["value"])
    if ratio.empty:
        return style.nothing_to_show(NO_ENSEMBLE)
    figure = style.new_figure(height=4.4)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    _draw_spread_against_skill(left, scores, unit=escaped(labels.unit))
    _draw_ratio_by_band(right, scores, unit=labels.wavenumber)
    style.legend_below(figure, methods_of(ratio))
    return figure


def _draw_spread_against_skill(axis: "Axes", scores: pd.DataFrame, *, unit: str) -> None:
    largest = 0.0
    for reynolds, size, alpha in ((None, 20, 0.55), (ALL, 70, 1.0)):
        skill = rows(scores, "skill", reynolds=reynolds)
        spread = rows(scores, "spread", reynolds=reynolds)
        both = skill.merge(spread, on=["method", "reynolds"], suffixes=("_skill", "_spread"))
        both = both.dropna(subset=["value_skill", "value_spread"])
        both["value_spread"] *= np.sqrt(1 + 1 / both["members_spread"])
        for method, points in both.groupby("method", sort=False):
            axis.scatter(
                points["value_skill"],
                points["value_spread"],
                s=size,
                alpha=alpha,
                color=style.colour(str(method)),
                marker=style.marker(str(method)),
                zorder=3,
            )
        if len(both):
            largest = max(largest, both[["value_skill", "value_spread"]].to_numpy(float).max())
    end = 1.08 * largest or 1.0
    axis.plot([0, end], [0, end], color=style.TRUTH, linewidth=1.0)
    axis.set(xlim=(0, end), ylim=(0, end))
    axis.set_box_aspect(1)
    axis.set_xlabel(f"skill (error of the mean) [{unit}]")
    axis.set_ylabel(f"spread × √(1 + 1/M) [{unit}]")


def _draw_ratio_by_band(axis: "Axes", scores: pd.DataFrame, *, unit: str) -> None:
    banded = rows(scores, "spread_skill", detailed=True).dropna(subset=["value"])
    bands = sorted({str(detail) for detail in banded["detail"]}, key=band_start)
    place = {"": 0, **{band: number for number, band in enumerate(bands, start=1)}}
    every = pd.concat([rows(scores, "spread_skill"), banded]).dropna(subset=["value"])
    methods = methods_of(every)
    axis.axhline(1.0, color=style.TRUTH, linewidth=1.0)
    for number, method in enumerate(methods):
        points = every[every["method"] == method]
        points = points.assign(at=points["detail"].map(place)).sort_values("at")
        shift = 0.5 * ((number + 0.5) / len(methods) - 0.5)
        axis.errorbar(
            points["at"] + shift,
            points["value"],
            yerr=whiskers(points),
            elinewidth=1.2,
            **style.dots(method),
        )
    axis.set_ylim(bottom=0.0)
    axis.set_xlim(-0.5, len(bands) + 0.5)
    axis.set_xticks(range(len(bands) + 1), ["all", *bands])
    if bands:
        axis.axvline(0.5, color=style.MUTED, linewidth=0.8, linestyle=":")
    axis.grid(False, axis="x")
    axis.set_xlabel(f"wavenumber band [{unit}]")
    axis.set_ylabel("spread / skill")
