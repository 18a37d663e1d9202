"""Maps of one test snapshot."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flexbench.report import style
from flexbench.report.figures.parts import (
    Field,
    Mask,
    amount_scale,
    field_scale,
    in_flow,
)
from flexbench.report.labels import escaped
from flexbench.report.shown_snapshot import ShownSnapshot
from flexbench.report.thinning import MAP_POINTS, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs
    from flexbench.report.labels import Box, Ends, Labels

# Inches. Square panels have to be placed by hand: a layout engine leaves gaps around them.
_LARGEST, _GAP, _TITLE = 1.25, 0.07, 0.2
_LEFT, _BETWEEN, _RIGHT = 0.36, 0.36, 0.1  # beside the flow's column, and beside the methods'
_TOP, _BOTTOM, _BLOCK = 0.4, 0.85, 0.3
_NARROWEST = 6.0  # the colour bars need so much
_COLUMNS = 6  # of methods side by side
_ROWS = ("one member", "the same, zoomed", "ensemble mean", "|mean − truth|", "spread (std)")
_LONG_NAME = 14  # letters
_ZOOMED = 1  # place of the row that shows the middle of the fields
_MIDDLE = (3 / 8, 5 / 8)  # from there to there, of each side


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case."""
    snapshot = inputs.snapshot(case)
    if snapshot is None:
        return style.nothing_to_show("no test snapshot was predicted by every method")
    task, labels = inputs.task(case), inputs.labels(case)
    return draw_maps(snapshot, given_label=task.given, base_label=task.base_name, labels=labels)


def draw_maps(
    snapshot: ShownSnapshot, *, given_label: str, base_label: str, labels: "Labels"
) -> "Figure":
    """What is known of the flow in the first column, then a column for each method.

    First: truth, its middle, the base, the base's error, what is given. Of a method: one member,
    its middle, the ensemble mean, the mean's error, the spread. Outside the flow all of them are
    grey, and set no end of a scale.
    """
    ensembles = snapshot.ensembles
    methods = list(ensembles)
    truth, base, mask = snapshot.truth, snapshot.base, snapshot.mask
    errors = {method: np.abs(own.mean - truth) for method, own in ensembles.items()}
    spreads = [own.spread for own in ensembles.values() if own.spread is not None]
    values = field_scale(in_flow(truth, mask), labels)
    error = amount_scale([in_flow(field, mask) for field in errors.values()])
    spread = amount_scale([in_flow(field, mask) for field in spreads])
    show = partial(_show, mask=mask)
    figure, columns = _place_panels(len(methods))

    flow = columns[0]
    show(flow[0], truth, **values)
    _show(flow[1], _middle(truth), mask=None if mask is None else _middle(mask), **values)
    show(flow[2], base, **values)
    show(flow[3], None if base is None else np.abs(base - truth), **error)
    show(flow[4], snapshot.given, **values)
    titles = ("truth", "the same, zoomed", base_label, f"|{base_label} − truth|", given_label)
    for axis, title in zip(flow, titles, strict=True):
        axis.set_title(title, pad=3, fontsize=8.5)
    for column, method in zip(columns[1:], methods, strict=True):
        member = ensembles[method].member
        show(column[0], member, **values)
        _show(column[1], _middle(member), mask=None if mask is None else _middle(mask), **values)
        show(column[2], ensembles[method].mean, **values)
        show(column[3], errors[method], **error)
        show(column[4], ensembles[method].spread, missing="one member:\nno spread", **spread)
        column[0].set_title(_on_two_lines(method), pad=3, fontsize=8.5, fontweight="bold")
    for first in columns[1::_COLUMNS]:
        for axis, name in zip(first, _ROWS, strict=True):
            axis.set_ylabel(name, labelpad=4, fontsize=8.5)
    _label_axes(columns, labels.box)
    field, unit = escaped(labels.field), escaped(labels.unit)
    _add_scale(figure, 0, values, label=f"{field} [{unit}]", extend="both")
    _add_scale(figure, 1, error, label=f"error [{unit}]", extend="max")
    _add_scale(figure, 2, spread, label=f"spread [{unit}]", extend="max")
    where = f"{labels.flow_short} = {snapshot.reynolds:g}"
    title = f"{snapshot.trajectory}: {where}, {labels.when(snapshot.time)}"
    width, height = figure.get_size_inches()
    figure.text(0.1 / width, 1 - 0.08 / height, title, va="top", fontsize=9)
    return figure


def _on_two_lines(method: str) -> str:
    """A name that is too long for a column, broken at its first dash."""
    return method.replace("-", "-\n", 1) if len(method) > _LONG_NAME else method


def _middle(field: NDArray[Any]) -> NDArray[Any]:
    """The part of a field (H, W) that is shown zoomed."""
    rows, columns = (slice(*(round(end * points) for end in _MIDDLE)) for points in field.shape)
    return field[rows, columns]


def _place_panels(methods: int) -> "tuple[Figure, list[list[Axes]]]":
    """A figure with a column of square panels for the flow, and one for each method.

    More methods than fit side by side go on below.
    """
    beside = min(max(methods, 1), _COLUMNS)
    blocks = max(1, -(-methods // _COLUMNS))
    between = _LEFT + _BETWEEN + _RIGHT + (beside - 1) * _GAP
    panel = min(_LARGEST, (style.WIDTH - between) / (beside + 1))
    width = max(_NARROWEST, between + (beside + 1) * panel)
    row, block = panel + _TITLE, len(_ROWS) * (panel + _TITLE) + _BLOCK
    height = _TOP + blocks * block - _BLOCK + _BOTTOM
    figure = style.new_figure(width=width, height=height)
    figure.set_layout_engine("none")

    def column(left: float, top: float) -> "list[Axes]":
        size = (panel / width, panel / height)
        places = [height - top - (number + 1) * row for number in range(len(_ROWS))]
        return [figure.add_axes((left / width, y / height, *size)) for y in places]

    columns = [column(_LEFT, _TOP)]
    for number in range(methods):
        down, across = divmod(number, _COLUMNS)
        left = _LEFT + panel + _BETWEEN + across * (panel + _GAP)
        columns.append(column(left, _TOP + down * block))
    return figure, columns


def _show(
    axis: "Axes",
    field: Field | None,
    *,
    mask: Mask | None,
    missing: str = "not available",
    **options: Any,
) -> None:
    """One map, grey outside the flow; a note where there is no field."""
    axis.grid(False)
    if field is None:
        look: dict[str, Any] = {"color": style.MUTED, "fontsize": 8.5, "transform": axis.transAxes}
        axis.text(0.5, 0.5, missing, ha="center", va="center", **look)
        return
    axis.imshow(thinned(field, most=MAP_POINTS), origin="lower", **options)
    if mask is not None:
        style.grey_out(axis, thinned(mask, most=MAP_POINTS))


def _label_axes(columns: "list[list[Axes]]", box: "Box") -> None:
    """Every panel where it lies; ticks on the truth alone: all have the same axes, growing right
    and up."""
    from matplotlib.patches import Rectangle

    for column in columns:
        for row, axis in enumerate(column):
            x, y = (_part(ends) if row == _ZOOMED else ends for ends in (box.x, box.y))
            for image in axis.images:
                image.set_extent((*x, *y))
            axis.set(xlim=sorted(x), ylim=sorted(y), aspect="auto", xticks=[], yticks=[])
            axis.spines[["top", "right"]].set_visible(True)
    truth = columns[0][0]
    places, texts = _ticks(box.y)
    truth.set_yticks(places, texts, fontsize=7.5)
    truth.set_ylabel(box.name("y"), labelpad=-2, fontsize=8.5)
    columns[0][-1].set_xlabel(box.name("x"), labelpad=2, fontsize=8.5)
    frame: dict[str, Any] = {"fill": False, "edgecolor": style.INK, "linewidth": 1.0}
    (left, right), (bottom, top) = _part(box.x), _part(box.y)
    truth.add_patch(Rectangle((left, bottom), right - left, top - bottom, **frame))


def _part(ends: "Ends") -> "Ends":
    """The ends of the part that is shown zoomed."""
    first, last = (ends[0] + share * (ends[1] - ends[0]) for share in _MIDDLE)
    return first, last


def _ticks(ends: "Ends") -> tuple[list[float], list[str]]:
    """Few round places between two ends, with their texts; of [0, 2 pi] multiples of pi."""
    from matplotlib.ticker import MaxNLocator

    low, high = sorted(ends)
    if (low, high) == (0.0, 2 * np.pi):
        return [0.0, np.pi, 2 * np.pi], ["0", "π", "2π"]
    places = [float(p) for p in MaxNLocator(3).tick_values(low, high) if low <= p <= high]
    return places, [f"{place:g}" for place in places]


def _add_scale(
    figure: "Figure", place: int, options: dict[str, Any], *, label: str, extend: str
) -> None:
    """A horizontal colour bar below all panels, one of three side by side."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    height = figure.get_size_inches()[1]
    box = (0.05 + 0.33 * place, 0.52 / height, 0.25, 0.1 / height)
    axis = figure.add_axes(box, label=style.COLOUR_BAR)
    scale = ScalarMappable(Normalize(options["vmin"], options["vmax"]), options["cmap"])
    figure.colorbar(scale, cax=axis, orientation="horizontal", label=label, extend=extend)
