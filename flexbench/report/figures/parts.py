"""What several figures share: rows of tables, scales of fields, whiskers and panels."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flexbench.metrics.tables import ALL
from flexbench.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.labels import Labels

Field = NDArray[np.floating]
Mask = NDArray[np.integer]

RFNE_LABEL = "RFNE of the ensemble mean"
NO_PULL = "no ensemble of this task has enough members for a pull"
NO_ENSEMBLE = "no method of this task gives an ensemble"

_TWO_SIDED = 0.1  # a field whose smaller side reaches so far has its zero in the middle of a scale
_COLUMNS, _PANEL_HEIGHT = 4, 2.3  # of panels by method


def rows(
    scores: pd.DataFrame, score: str, *, reynolds: str | None = ALL, detailed: bool = False
) -> pd.DataFrame:
    """Rows of one score, sorted by nothing; `detailed` picks those with a detail, else without.

    reynolds: ALL for the pooled rows, None for those of single Reynolds numbers.
    """
    if scores.empty:
        return scores
    keep = (scores["score"] == score) & ((scores["detail"] != "") == detailed)
    keep &= (scores["reynolds"] != ALL) if reynolds is None else (scores["reynolds"] == reynolds)
    return scores[keep]


def methods_of(frame: pd.DataFrame) -> list[str]:
    """The methods of a frame in the order in which they stand there."""
    return [] if frame.empty else list(dict.fromkeys(frame["method"]))


def whiskers(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Error bars (2, rows) from the interval's ends; a missing end has length 0."""
    value = frame["value"].to_numpy(float)
    ends = np.stack([value - frame["low"].to_numpy(float), frame["high"].to_numpy(float) - value])
    return np.nan_to_num(np.clip(ends, 0.0, None), nan=0.0, posinf=0.0)


def detail_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its detail as a number in column `at`, in that order."""
    at = pd.to_numeric(frame["detail"], errors="coerce")
    return frame.assign(at=at).dropna(subset=["at"]).sort_values("at", kind="stable")


def band_start(detail: str) -> float:
    """First wavenumber of a band such as "k=1-4", to sort bands by; NaN where it is no band."""
    try:
        return float(detail.removeprefix("k=").split("-")[0])
    except ValueError:
        return float("nan")


def connected(method: str) -> dict[str, Any]:
    """Keywords of a method's dots with a line through them."""
    return style.dots(method, size=5) | style.line(method)


def panels_by_method(methods: list[str]) -> "tuple[Figure, list[Axes]]":
    """A figure with a panel for each method."""
    columns = min(_COLUMNS, len(methods))
    figure = style.new_figure(height=0.7 + _PANEL_HEIGHT * -(-len(methods) // columns))
    return figure, style.panel_grid(figure, len(methods), columns=columns)


def in_flow(field: Field, mask: Mask | None) -> Field:
    """A field's values where the mask (H, W) is 0, in the flow; the field where there is none."""
    return field if mask is None else field[mask == 0]


def field_scale(truth: Field, labels: "Labels") -> dict[str, Any]:
    """Colours of the field and their ends: about zero, or, of a field that stays on one side of
    it, from its low values to its high ones.
    """
    values = truth[np.isfinite(truth)]
    low, high = np.percentile(values, (0.2, 99.8)) if values.size else (0.0, 0.0)
    sides = min(-low, high) / max(-low, high, 1e-300)
    if labels.signed or (labels.signed is None and sides > _TWO_SIDED):
        limit = scale_limit([np.abs(truth)])
        return {"cmap": style.SIGNED_MAP, "vmin": -limit, "vmax": limit}
    return {"cmap": style.PLAIN_MAP, "vmin": float(low), "vmax": float(high)}


def amount_scale(fields: list[Field]) -> dict[str, Any]:
    """Colours of errors and spreads, from zero on."""
    return {"cmap": style.AMOUNT_MAP, "vmin": 0.0, "vmax": scale_limit(fields)}


def scale_limit(fields: list[Field]) -> float:
    """Upper end of a scale: the 99.8th percentile of all finite values; 1 where there are none."""
    values = np.concatenate([field.ravel() for field in fields]) if fields else np.array([])
    values = values[np.isfinite(values)]
    limit = float(np.percentile(values, 99.8)) if values.size else 0.0
    return limit if limit > 0 else 1.0
