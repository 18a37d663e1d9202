"""Scores of whole fields: totals against totals, and distributions of values."""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]


def relative_error(prediction: float, truth: float) -> float:
    """(p - y) / y: negative where the prediction has too little; NaN where the truth has none."""
    return (prediction - truth) / truth if truth > 0 else float("nan")


def sorted_distance(prediction: Field, truth: Field) -> float:
    """Wasserstein-1 distance between the one-point distributions of two fields, in their unit.

    prediction, truth: their values, sorted, flat and equally many. For as many points in both it
    is the mean distance of equal order statistics (what scipy.stats.wasserstein_distance gives,
    without its search).
    """
    return float(np.mean(np.abs(prediction - truth)))
