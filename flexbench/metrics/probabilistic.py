"""What an ensemble says at every point: mean, variance, CRPS, ranks, pulls.

One pass over blocks of rows, so that memory stays near that of the ensemble itself (float32).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexbench.metrics.calibration import rank_counts

Field = NDArray[np.float64]

# Points x members that are worked on at once (float64: 8 MiB an array).
BLOCK = 2**20


@dataclass(frozen=True, kw_only=True)
class EnsemblePoints:
    """Measures of one ensemble of M members against the truth (H, W).

    error: (H, W) ensemble mean - truth. variance: (H, W), ddof = 1, zeros for M = 1.
    collapsed: (H, W) where all members are equal. crps: its mean over points.
    ranks: (M + 1,) points by rank of the truth, ties shared. deepest: (M + 1,) points by
    max(members below, members above the truth).
    """

    members: int
    error: Field
    variance: Field
    collapsed: NDArray[np.bool_]
    crps: float
    ranks: Field
    deepest: NDArray[np.int64]

    @property
    def spread(self) -> float:
        """Root of the mean variance."""
        return float(np.sqrt(self.variance.mean()))

    @property
    def skill(self) -> float:
        """Root mean square error of the ensemble mean."""
        return float(np.sqrt(np.mean(np.square(self.error))))

    @property
    def pull(self) -> Field:
        """(truth - mean) / std of the points that are not collapsed, flat."""
        valid = ~self.collapsed
        return -self.error[valid] / np.sqrt(self.variance[valid])


def measure_points(ensemble: NDArray[np.floating], truth: Field) -> EnsemblePoints:
    """Measures of an ensemble (M, H, W) against the truth (H, W)."""
    members, height, width = ensemble.shape
    error, variance = np.empty((height, width)), np.zeros((height, width))
    collapsed = np.zeros((height, width), dtype=bool)
    crps = 0.0
    ranks, deepest = np.zeros(members + 1), np.zeros(members + 1, dtype=np.int64)
    step = max(1, BLOCK // (members * width))
    for start in range(0, height, step):
        rows = slice(start, start + step)
        # Every measure is blind to a common shift: as deviations they lose fewest digits.
        deviation = ensemble[:, rows].astype(np.float64) - truth[rows]
        error[rows] = deviation.mean(axis=0)
        if members > 1:
            variance[rows] = deviation.var(axis=0, ddof=1)
        collapsed[rows] = (deviation == deviation[0]).all(axis=0)
        crps += float(crps_points(deviation).sum())
        below = (deviation < 0).sum(axis=0).ravel()
        ties = (deviation == 0).sum(axis=0).ravel()
        ranks += rank_counts(below, ties, members)
        above = members - below - ties
        deepest += np.bincount(np.maximum(below, above), minlength=members + 1)
    return EnsemblePoints(
        members=members,
        error=error,
        variance=np.where(collapsed, 0.0, variance),
        collapsed=collapsed,
        crps=crps / truth.size,
        ranks=ranks,
        deepest=deepest,
    )


def crps_points(deviation: Field) -> Field:
    """Fair CRPS of deviations from the truth (M, ...), point by point.

    mean |x_m - y| - sum |x_m - x_n| / (2 M (M - 1)), by probability-weighted moments of the sorted
    members, unbiased in M; the absolute error for M = 1.
    """
    if len(deviation) == 1:
        return np.abs(deviation[0])
    from scoringrules import crps_ensemble

    truth = np.zeros(deviation.shape[1:])
    return np.asarray(crps_ensemble(truth, deviation, 0, estimator="pwm", backend="numpy"))
