"""Distribution of the pull, on that of a perfect ensemble."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special  # `scipy.stats` would take longer than the figure

from flexbench.report import style
from flexbench.report.figures.parts import detail_numbers, methods_of, panels_by_method, rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs


def pull_density(pull: np.ndarray, members: int) -> np.ndarray:
    """Density of (y - mean) / std (ddof 1) where y and M members are exchangeable Gaussians.

    y - mean has variance s^2 (1 + 1/M), so the pull is sqrt(1 + 1/M) times Student's t with
    n = M - 1 degrees of freedom (Student 1908), whose density is
    Gamma((n + 1) / 2) / (sqrt(n pi) Gamma(n / 2)) (1 + t^2 / n)^(-(n + 1) / 2).
    """
    scale, n = np.sqrt(1.0 + 1.0 / members), members - 1
    height = np.exp(special.gammaln((n + 1) / 2) - special.gammaln(n / 2)) / np.sqrt(n * np.pi)
    return height * (1 + (pull / scale) ** 2 / n) ** (-(n + 1) / 2) / scale


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case."""
    return draw_pull(inputs.of_case("scores", case))


def draw_pull(scores: pd.DataFrame) -> "Figure":
    """Histogram of the pull by method, on its reference density."""
    histogram = rows(scores, "pull_hist", detailed=True).dropna(subset=["value"])
    methods = methods_of(histogram)
    if not methods:
        return style.nothing_to_show("no ensemble of this task has enough members for a pull")
    figure, axes = panels_by_method(methods)
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
    axis.plot(fine, np.exp(-(fine**2) / 2) / np.sqrt(2 * np.pi), color=style.MUTED, linewidth=0.8)
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
