"""Every sampler of a task's networks: what an ensemble is worth, against calls of the network."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from flexbench.metrics.definitions import definition_of
from flexbench.report import style
from flexbench.report.catalogue import like_cases
from flexbench.report.figures.parts import rows, whiskers
from flexbench.report.inputs import in_method_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.config import Config
    from flexbench.report.inputs import ReportInputs

_ACCURACY, _CALIBRATION = ("rfne_mean", "crps"), ("spread_skill", "pull_ratio")
# Of lines from one number of calls to the next.
_DASHES = {"": "none", "ddim": (0, (4, 1.6))}
_OTHER = (0, (1, 1.5))
_BOUND: dict[str, Any] = {"color": style.MUTED, "linewidth": 1.1, "linestyle": (0, (1, 1))}


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case on the test split: of its task, however it was sampled."""
    cases = like_cases(inputs.config, inputs.config.cases[case].task)
    scores = inputs.table("scores")
    own = scores[scores["case"].isin(cases)]
    named = zip(own["case"], own["method"], strict=True)
    own = own.assign(sampler=[_sampler(inputs.config, *names) for names in named])
    return draw_frontier(in_method_order(own[own["calls"] > 0], inputs.config.all_methods))


def _sampler(config: "Config", case: str, method: str) -> str:
    """What drew a method's samples; "" where its network was asked once and nothing added."""
    sample = config.cases[case].sample
    return sample.sampler if config.method(method).mode == "denoiser" or sample.is_fitted else ""


def draw_frontier(scores: pd.DataFrame) -> "Figure":
    """Four scores against calls per member; a line for each method and sampler.

    scores: rows of tables/scores.csv of networks, with the column `sampler`.
    """
    shown = rows(scores, "crps").dropna(subset=["value"])
    if shown.empty:
        return style.nothing_to_show("no network of this task has a finite score")
    figure = style.new_figure(height=6.4)
    panels = figure.subplots(2, 2, sharex=True).flatten()
    series = list(dict.fromkeys(zip(shown["method"], shown["sampler"], strict=True)))
    for axis, score in zip(panels, (*_ACCURACY, *_CALIBRATION), strict=True):
        for method, sampler in series:
            _draw(axis, rows(scores, score), method, sampler)
        axis.set_ylabel(definition_of(score).label)
    steps = sorted(set(shown["calls"].astype(int)))
    for axis in panels[2:]:
        axis.axhline(1.0, color=style.TRUTH, linewidth=1.0, zorder=0)
        axis.set_xlabel("calls of the network per member")
    # What N deterministic steps keep of the spread of a Gaussian posterior, at most.
    panels[2].plot(steps, [np.cos(np.pi / 2 / n) ** n for n in steps], **_BOUND)
    panels[2].set_ylim(bottom=0.0)
    panels[3].set_yscale("log")
    panels[3].yaxis.set_major_formatter("{x:g}")
    panels[3].yaxis.set_minor_formatter("{x:g}")
    for axis in panels:
        axis.set_xscale("log", base=2)
        axis.set_xticks(steps, [str(n) for n in steps])
    _legend(figure, series)
    return figure


def _draw(axis: "Axes", own: pd.DataFrame, method: str, sampler: str) -> None:
    mine = own[(own["method"] == method) & (own["sampler"] == sampler)]
    mine = mine.dropna(subset=["value"]).sort_values("calls")
    if not mine.empty:
        bars, look = whiskers(mine), _look(method, sampler)
        axis.errorbar(mine["calls"], mine["value"], yerr=bars, elinewidth=1.0, **look)


def _look(method: str, sampler: str) -> dict[str, Any]:
    """Colour and marker are the method's; filled and solid where the sampler was fitted, hollow
    where it adds no noise."""
    look = style.dots(method, size=6) | style.line(method)
    if sampler == "calibrated":
        return look
    edge = {"markeredgecolor": style.colour(method), "markeredgewidth": 1.3}
    if sampler in _DASHES:
        return look | edge | {"markerfacecolor": "white", "linestyle": _DASHES[sampler]}
    half = {"fillstyle": "left", "markerfacecoloralt": "white"}
    return look | edge | half | {"linestyle": _OTHER}


def _legend(figure: "Figure", series: list[tuple[str, str]]) -> None:
    from matplotlib.lines import Line2D

    looks: list[dict[str, Any]] = [*(_look(*one) for one in series), _BOUND]
    handles = [Line2D([], [], **look) for look in looks]
    names = [", ".join(filter(None, one)) for one in series]
    names.append("most that N deterministic steps keep")
    figure.legend(handles, names, loc="outside lower center", ncols=3)
