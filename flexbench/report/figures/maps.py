"""Maps of one test snapshot."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from flexbench.report import style
from flexbench.report.figures.parts import (
    Field,
    Mask,
    amount_scale,
    field_scale,
    in_flow,
    thinned,
)
from flexbench.report.labels import escaped
from flexbench.report.shown_snapshot import ShownSnapshot, shown_snapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs
    from flexbench.report.labels import Box, Ends, Labels

# Inches. Square panels have to be placed by hand: a layout engine leaves gaps around them.
_PANEL, _GAP, _TITLE = 1.87, 0.12, 0.24
_LEFT, _TOP, _BOTTOM = 0.98, 0.34, 1.1
_MAX_PIXELS = 512  # per side of a map: more would not be seen, and would swell the page


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case."""
    snapshot = shown_snapshot(inputs, case)
    if snapshot is None:
        return style.nothing_to_show("no test snapshot was predicted by every method")
    task, labels = inputs.task(case), inputs.labels(case)
    return draw_maps(snapshot, given_label=task.given, base_label=task.base_name, labels=labels)


def draw_maps(
    snapshot: ShownSnapshot, *, given_label: str, base_label: str, labels: "Labels"
) -> "Figure":
    """Truth, what is given and the base above; a row of member, mean, error, spread per method.

    Outside the flow all of them are grey, and set no end of a scale.
    """
    methods = list(snapshot.members)
    errors = {m: np.abs(f.mean(axis=0) - snapshot.truth) for m, f in snapshot.members.items()}
    mask = snapshot.mask
    values = field_scale(in_flow(snapshot.truth, mask), labels)
    amount = amount_scale([in_flow(error, mask) for error in errors.values()])
    show = partial(_show, mask=mask)
    figure, grid = _place_panels(rows=len(methods) + 1)

    base_error = None if snapshot.base is None else np.abs(snapshot.base - snapshot.truth)
    show(grid[0][0], snapshot.truth, **values)
    show(grid[0][1], snapshot.given, **values)
    show(grid[0][2], snapshot.base, **values)
    show(grid[0][3], base_error, **amount)
    _add_titles(grid[0], ["truth", given_label, base_label, f"|{base_label} − truth|"])
    for row, method in zip(grid[1:], methods, strict=True):
        members = snapshot.members[method]
        spread = members.std(axis=0, ddof=1) if len(members) > 1 else None
        show(row[0], members[0], **values)
        show(row[1], members.mean(axis=0), **values)
        show(row[2], errors[method], **amount)
        show(row[3], spread, missing="one member:\nno spread", **amount)
        _name_row(row[0], method, members=len(members))
    if methods:
        _add_titles(grid[1], ["one member", "ensemble mean", "|mean − truth|", "spread (std)"])
    _label_axes(grid, labels.box)
    field, unit = escaped(labels.field), escaped(labels.unit)
    _add_scale(figure, grid[-1][:2], values, label=f"{field} [{unit}]", extend="both")
    _add_scale(figure, grid[-1][2:], amount, label=f"error, spread [{unit}]", extend="max")
    flow = f"{labels.flow_short} = {snapshot.reynolds:g}"
    title = f"{snapshot.trajectory}: {flow}, t = {snapshot.time:.6g} {escaped(labels.times)}"
    height = figure.get_size_inches()[1]
    figure.text(0.15 / style.WIDTH, 1 - 0.1 / height, title, va="top", fontsize=9.5)
    return figure


def _place_panels(*, rows: int) -> "tuple[Figure, list[list[Axes]]]":
    """A figure with rows of four square panels; the first two rows have room for titles."""
    titled = min(rows, 2)
    height = _TOP + titled * _TITLE + rows * (_PANEL + _GAP) + _BOTTOM
    figure = style.new_figure(height=height)
    figure.set_layout_engine("none")
    grid = []
    top = height - _TOP
    for row in range(rows):
        top -= _TITLE if row < titled else 0.0
        places = [(_LEFT + column * (_PANEL + _GAP)) / style.WIDTH for column in range(4)]
        size = (_PANEL / style.WIDTH, _PANEL / height)
        grid.append([figure.add_axes((x, (top - _PANEL) / height, *size)) for x in places])
        top -= _PANEL + _GAP
    return figure, grid


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
    axis.imshow(thinned(field, most=_MAX_PIXELS), origin="lower", **options)
    if mask is not None:
        style.grey_out(axis, thinned(mask, most=_MAX_PIXELS))


def _add_titles(row: "list[Axes]", titles: list[str]) -> None:
    for axis, title in zip(row, titles, strict=True):
        axis.set_title(title, pad=4)


def _name_row(axis: "Axes", method: str, *, members: int) -> None:
    """The method's name and its number of members, left of its row."""
    name: dict[str, Any] = {
        "xycoords": "axes fraction",
        "rotation": 90,
        "va": "center",
        "ha": "center",
    }
    axis.annotate(
        method, (-0.42, 0.5), fontsize=10.5, fontweight="bold", color=style.colour(method), **name
    )
    axis.annotate(f"M = {members}", (-0.31, 0.5), fontsize=8, color=style.MUTED, **name)


def _label_axes(grid: "list[list[Axes]]", box: "Box") -> None:
    """Ticks on the outer panels only: all panels have the same axes, growing right and up."""
    (x, across), (y, up) = _ticks(box.x), _ticks(box.y)
    for row in grid:
        for axis in row:
            for image in axis.images:
                image.set_extent((*box.x, *box.y))
            axis.set(xlim=sorted(box.x), ylim=sorted(box.y), aspect="auto")
            axis.set_xticks(x, across if row is grid[-1] else [""] * len(x))
            axis.set_yticks(y, up if axis is row[0] else [""] * len(y))
            axis.spines[["top", "right"]].set_visible(True)
    # The other rows have their method's name there.
    grid[0][0].set_ylabel(box.name("y"), labelpad=0)
    for axis in grid[-1]:
        axis.set_xlabel(box.name("x"), labelpad=0)
        # Inwards, or the last label would touch the first one of the next panel.
        for label, place in zip(axis.get_xticklabels(), x, strict=True):
            if place in box.x:
                label.set_horizontalalignment("left" if place == min(box.x) else "right")


def _ticks(ends: "Ends") -> tuple[list[float], list[str]]:
    """Few round places between two ends, with their texts; of [0, 2 pi] multiples of pi."""
    from matplotlib.ticker import MaxNLocator

    low, high = sorted(ends)
    if (low, high) == (0.0, 2 * np.pi):
        return [0.0, np.pi, 2 * np.pi], ["0", "π", "2π"]
    places = [float(p) for p in MaxNLocator(3).tick_values(low, high) if low <= p <= high]
    return places, [f"{place:g}" for place in places]


def _add_scale(
    figure: "Figure", below: "list[Axes]", options: dict[str, Any], *, label: str, extend: str
) -> None:
    """A horizontal colour bar under two panels of the last row."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    first, last = below[0].get_position(), below[-1].get_position()
    width, height = 0.8 * (last.x1 - first.x0), 0.11 / figure.get_size_inches()[1]
    left = (first.x0 + last.x1 - width) / 2
    bottom = first.y0 - 0.68 / figure.get_size_inches()[1]
    scale = ScalarMappable(Normalize(options["vmin"], options["vmax"]), options["cmap"])
    axis = figure.add_axes((left, bottom, width, height))
    figure.colorbar(scale, cax=axis, orientation="horizontal", label=label, extend=extend)
