"""Distribution of the pull, on that of a perfect ensemble."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special  # `scipy.stats` would take longer than the figure

from flexbench.metrics.calibration import CALIBRATED, PULL_TAIL, tail_ref
from flexbench.report import style
from flexbench.report.figures.parts import (
    NO_PULL,
    detail_numbers,
    methods_of,
    panels_by_method,
    rows,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs

_ROOM = 1.3  # above the bars, for what is written there


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
        return style.nothing_to_show(NO_PULL)
    figure, axes = panels_by_method(methods)
    for axis, method in zip(axes, methods, strict=True):
        bins = detail_numbers(histogram[histogram["method"] == method])
        _draw_pull_panel(axis, bins, method=method)
        for at, side, note in (
            (0.02, "left", _width_note(scores, method)),
            (0.98, "right", _tail_note(scores, method)),
        ):
            axis.text(
                at,
                0.98,
                note,
                transform=axis.transAxes,
                ha=side,
                va="top",
                fontsize=7.5,
                color=style.INK,
                linespacing=1.3,
            )
    axes[0].set_ylim(top=_ROOM * axes[0].get_ylim()[1])
    figure.supxlabel("pull = (truth − mean) / std", fontsize=9)
    figure.supylabel("density", fontsize=9)
    return figure


def _draw_pull_panel(axis: "Axes", bins: pd.DataFrame, *, method: str) -> None:
    centres = bins["at"].to_numpy(float)
    members = int(bins["members"].iloc[0])
    width = float(np.median(np.diff(centres))) if len(centres) > 1 else 1.0
    axis.bar(centres, bins["value"], width=width, color=style.colour(method), alpha=0.75)
    fine = np.linspace(centres.min() - width / 2, centres.max() + width / 2, 241)
    axis.plot(fine, pull_density(fine, members), color=style.TRUTH, linewidth=1.3)
    axis.set_title(f"{method} (M = {members})")


def _width_note(scores: pd.DataFrame, method: str) -> str:
    """What the width means, and the width; "" where it has none."""
    ratio = _of_method(scores, "pull_ratio", method)
    if ratio is None:
        return ""
    value, (low, high) = float(ratio["value"]), CALIBRATED
    word = "overconfident" if value > high else "underconfident" if value < low else "right width"
    return f"{word}\npull ratio {value:.2f}"


def _tail_note(scores: pd.DataFrame, method: str) -> str:
    """How much lies outside the bins; "" where nobody counted."""
    tail = _of_method(scores, "pull_tail", method)
    if tail is None:
        return ""
    shares = (float(tail["value"]), tail_ref(int(tail["members"])))
    found, perfect = (f"{100 * share:.2g} %" for share in shares)
    return f"beyond ±{PULL_TAIL:g}: {found}\nif perfect: {perfect}"


def _of_method(scores: pd.DataFrame, score: str, method: str) -> "pd.Series[Any] | None":
    found = rows(scores, score)
    found = found[found["method"] == method].dropna(subset=["value"])
    return found.iloc[0] if len(found) else None
