"""Spread over skill where the ensemble says it is sure, and where it says it is not."""

from typing import TYPE_CHECKING

import pandas as pd

from flexbench.metrics.calibration import CALIBRATED, FIFTHS
from flexbench.metrics.tables import ALL
from flexbench.report import style
from flexbench.report.figures.parts import NO_ENSEMBLE, connected, methods_of, rows, whiskers
from flexbench.report.labels import escaped
from flexbench.report.tables import reynolds_in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs
    from flexbench.report.labels import Labels

_COLUMNS, _PANEL_HEIGHT = 4, 2.5
# Ticks of ratios on a logarithmic axis, and the ends that it has at least.
_TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10)
_ENDS, _ROOM = (0.45, 2.2), 1.15
_SUREST, _LEAST = "1\nsurest", "5\nleast sure"


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case."""
    return draw_fifths(inputs.of_case("scores", case), labels=inputs.labels(case))


def draw_fifths(scores: pd.DataFrame, *, labels: "Labels") -> "Figure":
    """A panel for all flows together, and one for each of several Reynolds numbers."""
    found = rows(scores, "spread_skill_fifth", detailed=True)
    found = pd.concat([found, rows(scores, "spread_skill_fifth", reynolds=None, detailed=True)])
    found = found.dropna(subset=["value"])
    methods = methods_of(found)
    if not methods:
        return style.nothing_to_show(NO_ENSEMBLE)
    flows = reynolds_in_order(found)
    # Of a single Reynolds number both would be the same.
    shown = flows if len(flows) > 2 else [ALL]
    columns = min(_COLUMNS, len(shown))
    figure = style.new_figure(height=1.0 + _PANEL_HEIGHT * -(-len(shown) // columns))
    axes = style.panel_grid(figure, len(shown), columns=columns)
    for axis, flow in zip(axes, shown, strict=True):
        _draw_panel(axis, found[found["reynolds"] == flow], methods)
        name = f"all {labels.flows}" if flow == ALL else f"{labels.flow_short} {flow}"
        axis.set_title(escaped(name))
    low, high = found["value"].min() / _ROOM, found["value"].max() * _ROOM
    axes[0].set_ylim(min(low, _ENDS[0]), max(high, _ENDS[1]))
    for axis in axes[-columns:]:
        axis.set_xlabel("fifth of the points")
    figure.supylabel("spread / skill", fontsize=9)
    style.legend_below(figure, methods, kind=connected)
    return figure


def _draw_panel(axis: "Axes", found: pd.DataFrame, methods: list[str]) -> None:
    axis.set_yscale("log")
    axis.axhspan(*CALIBRATED, color=style.GRID, zorder=0)
    axis.axhline(1.0, color=style.TRUTH, linewidth=1.0, zorder=1)
    for method in methods:
        own = found[found["method"] == method]
        own = own.assign(at=own["detail"].map(FIFTHS.index)).sort_values("at")
        bars = whiskers(own)
        axis.errorbar(own["at"] + 1, own["value"], yerr=bars, elinewidth=1.0, **connected(method))
    axis.set_xticks(range(1, 6), [_SUREST, "2", "3", "4", _LEAST])
    axis.set_xlim(0.6, 5.4)
    axis.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axis.minorticks_off()
