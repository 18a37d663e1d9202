"""Rows of the tidy tables, picked the same way by every figure."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def rows(
    scores: pd.DataFrame, score: str, *, reynolds: str | None = "all", detailed: bool = False
) -> pd.DataFrame:
    """Rows of one score, sorted by nothing; `detailed` picks those with a detail, else without.

    reynolds: "all" for the pooled rows, None for those of single Reynolds numbers.
    """
    if scores.empty:
        return scores
    keep = (scores["score"] == score) & ((scores["detail"] != "") == detailed)
    keep &= (scores["reynolds"] != "all") if reynolds is None else (scores["reynolds"] == reynolds)
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
