"""One look for every figure: colours of methods, font sizes, units, axes."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# Okabe and Ito's palette (safe for colour-blind readers) for the learned methods, greys for
# the formulas that every learned method has to beat.
METHOD_COLOURS = {
    "flex": "#D55E00",
    "unet": "#0072B2",
    "fno": "#009E73",
    "dit": "#CC79A7",
    "uvit": "#E69F00",
    "interpolation": "#5F6670",
    "interpolation-spectral": "#A3A9B2",
    "persistence": "#5F6670",
    "extrapolation": "#A3A9B2",
}
METHOD_MARKERS = {
    "flex": "o",
    "unet": "s",
    "fno": "^",
    "dit": "D",
    "uvit": "v",
    "interpolation": "x",
    "interpolation-spectral": "+",
    "persistence": "x",
    "extrapolation": "+",
}
# Colours and markers of methods that the suite does not know.
OTHER_LOOKS = (
    ("#332288", "P"),
    ("#56B4E9", "X"),
    ("#882255", "*"),
    ("#44AA99", "p"),
    ("#7A6A00", "h"),
    ("#B2182B", "<"),
    ("#8E63CE", ">"),
    ("#3C6E1F", "d"),
    ("#8C510A", "8"),
    ("#DDAA33", "H"),
)
FORMULAS = frozenset({"interpolation", "interpolation-spectral", "persistence", "extrapolation"})

INK = "#1B1F24"
MUTED = "#68707B"  # text in it has a contrast of 4.9 to white
GRID = "#E3E6EA"
TRUTH = "#000000"

SIGNED_MAP = "RdBu_r"
PLAIN_MAP = "magma"  # of fields on one side of zero; its colours are those of AMOUNT_MAP
AMOUNT_MAP = "magma_r"

WIDTH = 9.0  # inches: the page's column at 100 dots per inch
RASTER_DPI = 150
_LEGEND_COLUMNS = 6
COLOUR_BAR = "<colorbar>"  # what matplotlib calls the axes of those that it places itself
PANELS = "Panels"  # the PNG's text that holds its `value_boxes`
RASTER_PIXELS = 2.6e6  # tall figures get fewer dots per inch, so that a page stays small

_SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "path.simplify": True,
}


Look = tuple[str, str]  # colour and marker

# Of the methods of the configuration at hand; set by `look`.
_assigned: ContextVar[dict[str, Look] | None] = ContextVar("assigned", default=None)


@contextmanager
def look(methods: Iterable[str] = ()) -> Iterator[None]:
    """Draw (and save) inside this: the suite's settings hold, then the caller's come back.

    methods: all methods of the configuration, so that no two of them look the same while there
    are looks left.
    """
    token = _assigned.set(assign_looks(methods))
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            yield
    finally:
        _assigned.reset(token)


def assign_looks(methods: Iterable[str]) -> dict[str, Look]:
    """Colour and marker of each method: the suite's own are fixed, others go by their name."""
    looks = {}
    free = list(OTHER_LOOKS)
    for method in sorted(set(methods)):
        if method in METHOD_COLOURS:
            looks[method] = (METHOD_COLOURS[method], METHOD_MARKERS[method])
            continue
        free = free or list(OTHER_LOOKS)
        number = int(short_hash(method), 16)
        wanted = OTHER_LOOKS[number % len(OTHER_LOOKS)]
        looks[method] = wanted if wanted in free else free[number % len(free)]
        free.remove(looks[method])
    return looks


def short_hash(text: str) -> str:
    """Eight hexadecimal digits that stand for a text, the same on every machine."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _look_of(method: str) -> Look:
    assigned = _assigned.get() or {}
    return assigned[method] if method in assigned else assign_looks([method])[method]


def colour(method: str) -> str:
    """The colour of a method, the same in every figure and on the page."""
    return _look_of(method)[0]


def marker(method: str) -> str:
    """The marker of a method, so that colour is never the only difference."""
    return _look_of(method)[1]


def dots(method: str, *, size: float = 5.5) -> dict[str, Any]:
    """Keywords of a method's dots; stroked markers have no edge that could hide them."""
    edge = {} if marker(method) in "x+" else {"markeredgecolor": "white", "markeredgewidth": 0.6}
    dot = {"color": colour(method), "marker": marker(method), "linestyle": "none"}
    return {**dot, "markersize": size, **edge}


def line(method: str, *, width: float = 1.4) -> dict[str, Any]:
    """Keywords of a method's line: formulas are dashed."""
    dash = (0, (4, 1.6)) if method in FORMULAS else "-"
    return {"color": colour(method), "linewidth": width, "linestyle": dash}


def new_figure(*, width: float = WIDTH, height: float) -> "Figure":
    """An empty figure (inches), laid out by constraints so that labels never overlap."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def grey_out(axis: "Axes", mask: "NDArray[np.integer]") -> None:
    """Lay grey over a panel's map where the mask (H, W) is not 0: outside the flow.

    The mask may be finer or coarser than the map: it covers the same extent.
    """
    from matplotlib.colors import ListedColormap

    axis.imshow(
        np.ma.masked_equal(mask, 0),
        origin="lower",
        extent=axis.images[0].get_extent(),
        interpolation="nearest",
        cmap=ListedColormap([MUTED]),
        alpha=0.75,
    )


def nothing_to_show(reason: str) -> "Figure":
    """A small figure that says why there is nothing to draw (a rule must still write its file)."""
    figure = new_figure(height=1.1)
    figure.text(0.5, 0.5, reason, ha="center", va="center", color=MUTED, fontsize=9.5)
    return figure


def raster_dpi(figure: "Figure") -> float:
    """Dots per inch of the PNG: sharp, but bounded in pixels."""
    width, height = figure.get_size_inches()
    return min(RASTER_DPI, round((RASTER_PIXELS / (width * height)) ** 0.5))


def value_boxes(figure: "Figure") -> list[list[float]]:
    """Where colours are values: maps and colour bars, as [left, top, right, bottom] in shares of
    the figure."""
    boxes = []
    for axis in figure.axes:
        if axis.images or axis.get_label() == COLOUR_BAR:
            # Of a colour bar with its pointed ends.
            left, bottom, right, top = axis.get_position(original=True).extents
            boxes.append([round(float(end), 5) for end in (left, 1 - top, right, 1 - bottom)])
    return boxes


def panel_grid(figure: "Figure", count: int, *, columns: int) -> "list[Axes]":
    """`count` axes in rows of `columns`, with shared scales; what is left over stays empty."""
    rows = -(-count // columns)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    axes = list(grid.flat)
    for spare in axes[count:]:
        spare.set_visible(False)
    for axis in axes[max(0, count - columns) : count]:
        axis.tick_params(labelbottom=True)
    return axes[:count]


def legend_below(
    figure: "Figure",
    methods: list[str],
    *,
    kind: Callable[[str], dict[str, Any]] = dots,
    first: dict[str, dict[str, Any]] | None = None,
) -> None:
    """One legend for the whole figure, below it, read row by row in the order of `methods`.

    kind: how a method is drawn (`dots` or `line`). first: further entries, before the methods.
    """
    from matplotlib.lines import Line2D

    entries = [(label, Line2D([], [], **look)) for label, look in (first or {}).items()]
    entries += [(method, Line2D([], [], **kind(method))) for method in methods]
    if not entries:
        return
    rows = -(-len(entries) // _LEGEND_COLUMNS)
    columns = -(-len(entries) // rows)
    # A legend fills its columns first.
    entries = [entry for column in range(columns) for entry in entries[column::columns]]
    figure.legend(
        [handle for _, handle in entries],
        [label for label, _ in entries],
        loc="outside lower center",
        ncols=columns,
        handlelength=1.8,
        columnspacing=1.6,
    )
