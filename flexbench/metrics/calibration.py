"""What a perfect ensemble of M members gives, and how far an ensemble is from it.

Perfect: at every point the truth and the members are exchangeable draws of one distribution.
The pull is (y - mean) / std, std with ddof = 1. Points where all members agree have no pull:
they are left out and their share is reported, since no finite number stands for them.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# The pull's variance is infinite for M <= 3 and its estimate noisy at 4 and 5.
PULL_MEMBERS = 6

# A pull ratio, or a spread over the skill, inside counts as right on average.
CALIBRATED = (0.9, 1.1)

# The fewest members that can say where errors are to be expected, and leave one to be judged.
SORTED_MEMBERS = 3

# Fifths of points by predicted spread, the quietest first, as they stand in tables.
FIFTHS = tuple(f"fifth={number}" for number in range(1, 6))

# A pull beyond lies in the tails.
PULL_TAIL = 5.0

# Smaller ensembles whose pulls are measured, of the members that there are.
_SUBSETS = (6, 8, 12, 16, 24, 32, 48, 64, 96, 128)

# Bins of the pull histogram: centres -5, -4.75, ..., 5.
PULL_BIN = 0.25
PULL_CENTRES = np.arange(-20, 21) * PULL_BIN


def sigma_ref(members: int) -> float:
    """Standard deviation of the pull of a perfect Gaussian ensemble.

    The pull is sqrt(1 + 1/M) times Student's t with M - 1 degrees of freedom, hence
    sqrt((1 + 1/M) (M - 1) / (M - 3)); infinite for M <= 3.
    """
    if members <= 3:
        return math.inf
    return math.sqrt((1 + 1 / members) * (members - 1) / (members - 3))


def iqr_ref(members: int) -> float:
    """Distance of the quartiles of the same pull; finite for M >= 2."""
    from scipy import special  # a quarter of a second that nobody waits for who draws a figure

    return 2 * math.sqrt(1 + 1 / members) * float(special.stdtrit(members - 1, 0.75))


def tail_ref(members: int, *, width: float = 1.0, centre: float = 0.0) -> float:
    """Share of pulls beyond PULL_TAIL of an ensemble that is perfect, or else Gaussian as well.

    width: how many times as wide as perfect its pulls are. centre: their mean. Needs M >= 2.
    """
    from scipy import special

    scale = width * math.sqrt(1 + 1 / members)
    beyond = ((PULL_TAIL - centre) / scale, (PULL_TAIL + centre) / scale)
    return sum(float(special.stdtr(members - 1, -distance)) for distance in beyond)


def subset_sizes(members: int) -> list[int]:
    """Numbers of members, fewer than M, whose pulls are measured beside those of all."""
    return [size for size in _SUBSETS if size < members]


def spread_skill_factor(members: int) -> float:
    """sqrt((M + 1) / M): the mean of M members errs by that much more than their spread."""
    return math.sqrt((members + 1) / members)


def nominal_levels(members: int) -> list[float]:
    """Attainable coverages (M + 1 - 2 i) / (M + 1) of [i-th smallest, i-th largest], i = 1, 2, …"""
    return [(members + 1 - 2 * i) / (members + 1) for i in range(1, members // 2 + 1)]


def central_level(members: int) -> float:
    """The nominal level that is nearest to one half, the higher one of two."""
    return min(nominal_levels(members), key=lambda level: abs(level - 0.5))


def coverages(deepest: NDArray[np.int64], members: int) -> list[float]:
    """Attained coverage of each level of `nominal_levels`, ends of the intervals included.

    deepest: (M + 1,) number of points by max(members below the truth, members above it). The
    truth lies in the i-th interval where that is at most M - i.
    """
    inside = np.cumsum(deepest) / deepest.sum()
    return [float(inside[members - i]) for i in range(1, members // 2 + 1)]


def rank_counts(below: NDArray[np.integer], ties: NDArray[np.integer], members: int) -> Values:
    """Points (M + 1,) by rank of the truth: the number of members below it.

    A truth that equals `ties` members could take any of ties + 1 ranks; it counts equally in each
    (the mean over random tie-breaks).
    """
    free = ties == 0
    counts = np.bincount(below[free], minlength=members + 1).astype(float)
    for tied in np.unique(ties[~free]):
        lowest = np.bincount(below[ties == tied], minlength=members + 1)
        share = np.full(tied + 1, 1 / (tied + 1))
        counts += np.convolve(lowest, share)[: members + 1]
    return counts


@dataclass(frozen=True, kw_only=True)
class PullSummary:
    """Moments and shape of the pull over the points of a snapshot.

    iqr_ratio: distance of the quartiles over `iqr_ref`. density: at PULL_CENTRES, of all points,
    also of those outside the bins. tail: share of points beyond PULL_TAIL.
    """

    mean: float
    square: float
    tail: float
    iqr_ratio: float
    density: Values


def summarise_pull(pull: Values, members: int) -> PullSummary | None:
    """Of pulls (n,); None where there are none."""
    if not pull.size:
        return None
    low, high = np.quantile(pull, [0.25, 0.75])
    edges = np.append(PULL_CENTRES - PULL_BIN / 2, PULL_CENTRES[-1] + PULL_BIN / 2)
    counts, _ = np.histogram(pull, edges)
    return PullSummary(
        mean=float(pull.mean()),
        square=float(np.mean(np.square(pull))),
        tail=float(np.mean(np.abs(pull) > PULL_TAIL)),
        iqr_ratio=float(high - low) / iqr_ref(members),
        density=counts / (pull.size * PULL_BIN),
    )
