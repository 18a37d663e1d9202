"""How wide the pull is for fewer members of the same ensemble, beside that of a perfect one."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from flexbench.metrics.calibration import PULL_MEMBERS, sigma_ref
from flexbench.report import style
from flexbench.report.figures.parts import NO_PULL, connected, methods_of, rows, whiskers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs

_PERFECT = {"color": style.TRUTH, "linewidth": 1.3}


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case."""
    return draw_pull_members(inputs.of_case("scores", case))


def draw_pull_members(scores: pd.DataFrame) -> "Figure":
    """Left: the pull's width against M. Right: over that of a perfect ensemble of M."""
    ratios = pull_ratios(scores)
    methods = methods_of(ratios)
    if not methods:
        return style.nothing_to_show(NO_PULL)
    figure = style.new_figure(height=4.0)
    left, right = figure.subplots(1, 2, sharex=True)
    sizes = sorted(set(ratios["at"]))
    fine = np.linspace(PULL_MEMBERS, max(sizes), 101)
    left.plot(fine, [sigma_ref(size) for size in fine], **_PERFECT)
    right.axhline(1.0, **_PERFECT)
    for method in methods:
        own = ratios[ratios["method"] == method]
        perfect = own["at"].map(sigma_ref)
        widths = own.assign(**{name: own[name] * perfect for name in ("value", "low", "high")})
        for axis, shown in ((left, widths), (right, own)):
            bars = whiskers(shown)
            axis.errorbar(
                shown["at"], shown["value"], yerr=bars, elinewidth=1.0, **connected(method)
            )
    for axis in (left, right):
        axis.set_ylim(bottom=0.0)
        axis.set_xticks(sizes)
        axis.set_xlabel("members of the ensemble, M")
    left.set_title("narrows with M, even if perfect")
    left.set_ylabel("width (standard deviation) of the pull")
    right.set_title("level: more members do not help")
    right.set_ylabel("pull ratio: width / perfect width")
    style.legend_below(figure, methods, kind=connected, first={"perfect ensemble": _PERFECT})
    return figure


def pull_ratios(scores: pd.DataFrame) -> pd.DataFrame:
    """Pull ratios by method and, in column `at`, M: of the first members, and of all."""
    fewer = rows(scores, "pull_ratio_subset", detailed=True)
    whole = rows(scores, "pull_ratio")
    if whole.empty:
        return whole
    fewer = fewer.assign(at=fewer["detail"].str.removeprefix("M=").astype(int))
    every = pd.concat([fewer, whole.assign(at=whole["members"].astype(int))])
    return every.dropna(subset=["value"]).sort_values("at", kind="stable")
