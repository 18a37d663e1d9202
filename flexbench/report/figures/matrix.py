"""The matrix of flows unlike those of training, as dots with intervals."""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.ticker import FixedLocator, NullLocator

from flexbench.metrics.definitions import definition_of
from flexbench.metrics.matrix import MATRIX_SCORES
from flexbench.report import style
from flexbench.report.figures.parts import whiskers
from flexbench.report.inputs import in_method_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs

_BOUNDARIES = {"periodic": "periodic", "free_slip": "free-slip", "no_slip": "no-slip"}
_FLOW = ["boundary", "observable", "reynolds"]
# A pull ratio of 40 tells no more than one of 20, and would flatten the rest.
_WIDEST_PULL = 20.0
_PULLS = (0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20)


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case on the test split: of its task on all flows."""
    table = inputs.table("matrix")
    own = table[table["task"] == inputs.config.cases[case].task]
    return draw_matrix(in_method_order(own, inputs.config.all_methods))


def draw_matrix(table: pd.DataFrame) -> "Figure":
    """Rows: {boundary} x {observable} x {Re}; panels: error, correlation, pull ratio.

    table: rows of one task of tables/matrix.csv.
    """
    shown = table.dropna(subset=["value"])
    if shown.empty:
        return style.nothing_to_show("no finite score on any flow")
    flows = _flows(shown)
    methods = list(dict.fromkeys(shown["method"]))
    row = 0.12 + 0.06 * len(methods)  # so that markers of one flow stand apart
    figure = style.new_figure(width=9.5, height=1.6 + row * len(flows))
    panels = figure.subplots(1, len(MATRIX_SCORES), sharey=True)
    for axis, score in zip(panels, MATRIX_SCORES, strict=True):
        _shade(axis, flows)
        _dots(axis, shown[shown["score"] == score], flows, methods)
        axis.set_xlabel(definition_of(score).label)
        axis.grid(False, axis="y")
    panels[0].set_xlim(left=0.0)
    panels[2].axvline(1.0, color=style.MUTED, linewidth=1, zorder=0)
    panels[2].set_xscale("log")
    panels[2].xaxis.set_major_locator(FixedLocator(_PULLS))
    panels[2].xaxis.set_minor_locator(NullLocator())
    panels[2].xaxis.set_major_formatter("{x:g}")
    panels[2].set_xlim(right=min(panels[2].get_xlim()[1], _WIDEST_PULL))
    panels[0].set_yticks(range(len(flows)), [_name(flow) for flow in flows.index], fontsize=8)
    panels[0].set_ylim(len(flows) - 0.5, -0.5)
    style.legend_below(figure, methods)
    return figure


def _flows(table: pd.DataFrame) -> pd.Series:
    """Whether each flow is in distribution, in the order they are drawn in."""
    flows = table.groupby(_FLOW)["in_distribution"].any().reset_index()
    flows = flows.sort_values(
        by=_FLOW,
        key=lambda column: {
            "boundary": lambda: column.map(list(_BOUNDARIES).index),
            "observable": lambda: column.map("wuv".index),
            "reynolds": lambda: column.astype(float),
        }[str(column.name)](),
    )
    return flows.set_index(_FLOW)["in_distribution"]


def _name(flow: tuple[str, str, str]) -> str:
    boundary, observable, reynolds = flow
    return f"{_BOUNDARIES[boundary]}, {observable}, Re {reynolds}"


def _shade(axis: "Axes", flows: pd.Series) -> None:
    """Shaded rows are out of distribution; a line parts one kind of flow from the next."""
    before = None
    for place, (boundary, observable, reynolds) in enumerate(flows.index):
        if not flows[boundary, observable, reynolds]:
            axis.axhspan(place - 0.5, place + 0.5, color="#F0F2F5", linewidth=0, zorder=0)
        kind = (boundary, observable)
        if before not in (None, kind):
            axis.axhline(place - 0.5, color=style.MUTED, linewidth=0.8, zorder=1)
        before = kind


def _dots(axis: "Axes", rows: pd.DataFrame, flows: pd.Series, methods: list[str]) -> None:
    places = {flow: place for place, flow in enumerate(flows.index)}
    for order, method in enumerate(methods):
        own = rows[rows["method"] == method]
        if own.empty:
            continue
        shift = 0.7 * ((order + 0.5) / len(methods) - 0.5)
        where = [places[flow] + shift for flow in own[_FLOW].itertuples(index=False, name=None)]
        axis.errorbar(own["value"], where, xerr=whiskers(own), elinewidth=1, **style.dots(method))
