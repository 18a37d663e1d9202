"""Is the ensemble honest about its error? Pull, spread and skill, ranks, coverage."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from flexbench.report import style
from flexbench.report.figures.select import (
    band_start,
    detail_numbers,
    methods_of,
    rows,
    whiskers,
)
from flexbench.report.labels import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.labels import Labels

_COLUMNS = 4
_PANEL_HEIGHT = 2.3


def pull_density(pull: np.ndarray, members: int) -> np.ndarray:
    """Density of (y - mean) / std (ddof 1) where y and M members are exchangeable Gaussians.

    y - mean has variance s^2 (1 + 1/M), so the pull is sqrt(1 + 1/M) times Student's t with
    M - 1 degrees of freedom (Student 1908).
    """
    scale = np.sqrt(1.0 + 1.0 / members)
    return stats.t.pdf(pull / scale, members - 1) / scale


def draw_pull(scores: pd.DataFrame) -> "Figure":
    """Histogram of the pull by method, on its reference density."""
    histogram = rows(scores, "pull_hist", detailed=True).dropna(subset=["value"])
    methods = methods_of(histogram)
    if not methods:
        return style.nothing_to_show("no ensemble of this task has enough members for a pull")
    columns = min(_COLUMNS, len(methods))
    figure = style.new_figure(height=0.7 + _PANEL_HEIGHT * -(-len(methods) // columns))
    axes = style.panel_grid(figure, len(methods), columns=columns)
    for axis, method in zip(axes, methods, strict=True):
        bins = detail_numbers(histogram[histogram["method"] == method])
        _draw_pull_panel(axis, bins, method=method, note=_pull_note(scores, method))
    figure.supxlabel("pull = (truth − mean) / std [1]", fontsize=9)
    figure.supylabel("density [1]", fontsize=9)
    return figure


def _draw_pull_panel(axis: "Axes", bins: pd.DataFrame, *, method: str, note: str) -> None:
    centres = bins["at"].to_numpy(float)
    members = int(bins["members"].iloc[0])
    width = float(np.median(np.diff(centres))) if len(centres) > 1 else 1.0
    axis.bar(centres, bins["value"], width=width, color=style.colour(method), alpha=0.75)
    fine = np.linspace(centres.min() - width / 2, centres.max() + width / 2, 241)
    axis.plot(fine, stats.norm.pdf(fine), color=style.MUTED, linewidth=0.8)
    if members > 1:
        axis.plot(fine, pull_density(fine, members), color=style.TRUTH, linewidth=1.3)
    axis.set_title(f"{method} (M = {members})")
    axis.text(
        0.97,
        0.95,
        note,
        transform=axis.transAxes,
        ha="right",
        va="top",
        fontsize=8,
        color=style.INK,
    )


def _pull_note(scores: pd.DataFrame, method: str) -> str:
    ratios = rows(scores, "pull_ratio")
    own = ratios.loc[ratios["method"] == method, "value"].dropna()
    return f"pull ratio {own.iloc[0]:.2f}" if len(own) else ""


def draw_spread_skill(scores: pd.DataFrame, *, labels: "Labels") -> "Figure":
    """Spread against skill; their ratio by wavenumber band."""
    ratio = rows(scores, "spread_skill").dropna(subset=["value"])
    if ratio.empty:
        return style.nothing_to_show("no method of this task gives an ensemble")
    figure = style.new_figure(height=4.4)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    _draw_spread_against_skill(left, scores, unit=escaped(labels.unit))
    _draw_ratio_by_band(right, scores, unit=labels.wavenumber)
    style.legend_below(figure, methods_of(ratio))
    return figure


def _draw_spread_against_skill(axis: "Axes", scores: pd.DataFrame, *, unit: str) -> None:
    largest = 0.0
    for reynolds, size, alpha in ((None, 20, 0.55), ("all", 70, 1.0)):
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
    axis.set_ylabel("spread / skill [1]")


def draw_rank(scores: pd.DataFrame) -> "Figure":
    """Rank histograms by method, as multiples of the flat one."""
    histogram = rows(scores, "rank_hist", detailed=True).dropna(subset=["value"])
    methods = methods_of(histogram)
    if not methods:
        return style.nothing_to_show("no method of this task gives an ensemble")
    columns = min(_COLUMNS, len(methods))
    figure = style.new_figure(height=0.7 + _PANEL_HEIGHT * -(-len(methods) // columns))
    axes = style.panel_grid(figure, len(methods), columns=columns)
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
    figure.supxlabel("rank of the truth among the members / M [1]", fontsize=9)
    figure.supylabel("frequency / flat frequency [1]", fontsize=9)
    return figure


def draw_coverage(scores: pd.DataFrame) -> "Figure":
    """Attained against nominal coverage."""
    coverage = rows(scores, "coverage", detailed=True).dropna(subset=["value"])
    methods = methods_of(coverage)
    if not methods:
        return style.nothing_to_show("no method of this task gives an ensemble")
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
            **_connected(method),
        )
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.set_box_aspect(1)
    axis.set_xlabel("nominal coverage [1]")
    axis.set_ylabel("attained coverage [1]")
    style.legend_below(figure, methods, kind=_connected)
    return figure


def _connected(method: str) -> dict[str, Any]:
    """Keywords of a method's dots with a line through them."""
    return style.dots(method, size=5) | style.line(method)
