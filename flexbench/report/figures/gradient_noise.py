"""The noise of gradients on residuals and on fields, at three moments of training."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from flexbench.report import style
from flexbench.report.figures.parts import methods_of, panels_by_method

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs

# Beside one another at a moment: means, and the seeds between them.
_SHIFTS = {"residuals": -0.2, "fields": 0.2}
_INSIDE = 0.1
_SEED: dict[str, Any] = {"color": style.MUTED, "marker": ".", "markersize": 4, "linewidth": 0.7}
_LEVEL = 0.975  # of a two-sided interval of 95 %


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a task of residuals that is learnt with fields, too."""
    return draw_gradients(inputs.gradients(case))


def draw_gradients(gradients: pd.DataFrame) -> "Figure":
    """A panel for each method: geometric means over seeds with their intervals, and every seed.

    gradients: rows of `theory.tables.GRADIENTS` with the column `space`.
    """
    if gradients.empty:
        return style.nothing_to_show("no gradients were measured")
    shown = gradients[gradients["noise_scale"] > 0]
    if shown.empty:
        return style.nothing_to_show("no training has a noise scale: noise hides the gradients")
    moments = sorted(set(shown["moment"]))
    methods = methods_of(shown)
    figure, axes = panels_by_method(methods)
    figure.set_size_inches(max(5.0, figure.get_size_inches()[0] * len(methods) / 4), 3.8)
    for axis, method in zip(axes, methods, strict=True):
        own = shown[shown["method"] == method]
        _draw(axis, own, moments, method)
        axis.set_title(method)
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("{x:g}")
        axis.set_xticks(range(len(moments)), [f"{100 * moment:g} %" for moment in moments])
        axis.set_xlim(-0.5, len(moments) - 0.5)
        axis.set_xlabel("part of the steps done")
    axes[0].set_ylabel("noise scale tr(Σ) / |G|² [patches]")
    style.legend_below(figure, [], first={it: _look(methods[0], it) for it in _SHIFTS})
    return figure


def _look(method: str, space: str) -> dict[str, Any]:
    """Fields are hollow."""
    look = style.dots(method, size=7)
    if space == "residuals":
        return look
    return look | {
        "markerfacecolor": "white",
        "markeredgecolor": style.colour(method),
        "markeredgewidth": 1.4,
    }


def _draw(axis: "Axes", rows: pd.DataFrame, moments: list[float], method: str) -> None:
    """Means at the outside, seeds at the inside: the same seed's two trainings joined."""
    for place, moment in enumerate(moments):
        own = rows[rows["moment"] == moment]
        both = own.pivot(index="training_seed", columns="space", values="noise_scale")
        both = both.reindex(columns=list(_SHIFTS))
        for pair in both.to_numpy(float):
            axis.plot([place - _INSIDE, place + _INSIDE], pair, **_SEED)
        for space, shift in _SHIFTS.items():
            logs = np.log(both[space].dropna().to_numpy(float))
            if not len(logs):
                continue
            look, at = _look(method, space), place + shift
            if len(logs) > 1:
                error = logs.std(ddof=1) / np.sqrt(len(logs))
                half = special.stdtrit(len(logs) - 1, _LEVEL) * error
                low, high = np.exp([logs.mean() - half, logs.mean() + half])
                axis.vlines(at, low, high, color=look["color"], linewidth=1.3, zorder=1)
            axis.plot([at], [np.exp(logs.mean())], **look)
