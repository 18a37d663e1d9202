"""What a figure shows, read back from its artists."""

from typing import Any, NamedTuple

import matplotlib.text
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flexbench.report import style


class Bars(NamedTuple):
    """Dots with error bars: x and y (n,), and the ends of the bars (n, 2) along their axis."""

    x: np.ndarray
    y: np.ndarray
    ends: np.ndarray


def words(figure: Figure) -> str:
    """All text of a figure, ticks that are not labelled by hand aside; nothing is rendered."""
    texts = figure.findobj(matplotlib.text.Text)
    return "\n".join(text.get_text() for text in texts if text.get_visible())


def error_bars(axis: Axes, method: str) -> Bars:
    """The dots that have the look of a method; its whiskers run along y, or else along x."""
    for container in axis.containers:
        line, _, (segments,) = container.lines
        if line.get_color() == style.colour(method) and line.get_marker() == style.marker(method):
            corners = np.array(segments.get_segments())  # (n, 2, 2)
            along = int(container.has_yerr)
            x, y = (np.asarray(values, float) for values in line.get_data())
            return Bars(x, y, corners[:, :, along])
    raise AssertionError(f"{method} is not drawn")


def interval_of(rows: Any) -> np.ndarray:
    """Ends (n, 2) of the whiskers of rows; a missing end is at the value."""
    value = rows["value"].to_numpy(float)[:, None]
    ends = rows[["low", "high"]].to_numpy(float)
    return np.where(np.isnan(ends), value, ends)


def lines_of(axis: Axes, method: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """x and y of every line in the colour of a method."""
    lines = [line for line in axis.lines if line.get_color() == style.colour(method)]
    data = [line.get_data() for line in lines]
    return [(np.asarray(x, float), np.asarray(y, float)) for x, y in data]
