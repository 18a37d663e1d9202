"""What a smaller ensemble would have said: the pull of the first m of M members."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexbench.metrics.calibration import sigma_ref, subset_sizes
from flexbench.metrics.probabilistic import EnsemblePoints

Field = NDArray[np.float64]

# Of the squared departures, what a variance of equal members is: rounding.
_ROUNDING = 1e-10


@dataclass(frozen=True, kw_only=True)
class SubsetPull:
    """Mean over points of the pull of m members, and of its square, over `sigma_ref(m)`."""

    mean: float
    square: float


def pulls_of_first(
    ensemble: NDArray[np.floating], truth: Field, points: EnsemblePoints
) -> dict[int, SubsetPull]:
    """By m, for each of `subset_sizes`, of an ensemble (M, H, W) and the truth (H, W)."""
    sizes = subset_sizes(points.members)
    found: dict[int, SubsetPull] = {}
    mean = truth + points.error
    total, square = np.zeros_like(mean), np.zeros_like(mean)
    for count, member in enumerate(ensemble[: max(sizes, default=0)], start=1):
        departure = member - mean
        total += departure
        square += departure * departure
        if count in sizes:
            variance = (square - total**2 / count) / (count - 1)
            valid = variance > _ROUNDING * square
            pull = -(points.error + total / count)[valid] / np.sqrt(variance[valid])
            if pull.size:
                scale = sigma_ref(count)
                found[count] = SubsetPull(
                    mean=float(pull.mean()) / scale,
                    square=float(np.mean(pull * pull)) / scale**2,
                )
    return found
