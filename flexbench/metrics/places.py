"""Whether an ensemble is right place by place, and not only in the mean over all of them.

Perfect: at every point the truth and the members are exchangeable draws of one distribution. So
the truth is held beside members that are left out: some members say where errors are to be
expected, and the truth and the others are asked how far they lie from their mean. What holds of
these holds of the truth, however few members there are and whatever they are drawn from. Sorting
by the spread of the very members that are then judged would not do: the places where a few of them
happen to lie apart are not those where the truth does.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexbench.metrics.calibration import FIFTHS, SORTED_MEMBERS
from flexbench.metrics.probabilistic import EnsemblePoints

Field = NDArray[np.float64]

# Parts that the members are left out in: three quarters say where, one quarter is judged.
FOLDS = 4
# Side of the blocks whose local errors are compared, in points, and the fewest that are.
BLOCK_SIDE = 8
LEAST_BLOCKS = 4


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """How unevenly errors lie in space: standard deviation over blocks of ln(local error).

    truth: of the error of the mean. members: root mean square over members of that of their
    departures from it. noise: how far members differ in this, as the standard deviation of ln.
    """

    truth: float
    members: float
    noise: float


@dataclass(frozen=True, kw_only=True)
class Places:
    """spread, skill: (5,) by fifth of predicted spread (None: too few points), root mean squares.

    contrast: None where there are too few blocks. mean_pull: root mean square over members of the
    mean over points of their pull by the others, which tells how far that of a truth may be from 0.
    pull_noise: standard deviation over members of ln(root mean square of that pull), which tells
    how far the width of a truth's may be from perfect.
    """

    spread: Field | None
    skill: Field | None
    contrast: Contrast | None
    mean_pull: float
    pull_noise: float


def measure_places(
    ensemble: NDArray[np.floating], truth: Field, points: EnsemblePoints
) -> Places | None:
    """Of an ensemble (M, H, W) and the truth (H, W).

    None for fewer than SORTED_MEMBERS, and where all members agree everywhere.

    points: their measures. Scattered points are (M, P, 1) and (P, 1): they have no blocks.
    """
    if points.collapsed.all() or points.members < SORTED_MEMBERS:
        return None
    mean = truth + points.error
    std = np.sqrt(points.variance)
    weight = np.divide(1.0, std, out=np.zeros_like(std), where=~points.collapsed)
    count = np.count_nonzero(weight)
    means, squares, contrasts = [], [], []
    departure = np.empty_like(mean)
    for member in ensemble:
        np.subtract(member, mean, out=departure)
        contrasts.append(_log_contrast(departure))
        departure *= weight
        pull = _outside(departure, points.members)
        means.append(pull.sum() / count)
        squares.append(np.vdot(pull, pull) / count)
    enough = truth.size >= len(FIFTHS)
    spread, skill = by_predicted_spread(ensemble, mean, points) if enough else (None, None)
    return Places(
        spread=spread,
        skill=skill,
        contrast=_contrast(_log_contrast(points.error), contrasts),
        mean_pull=float(np.sqrt(np.mean(np.square(means)))),
        pull_noise=float(np.log(squares).std(ddof=1)) / 2,
    )


def _outside(pull: Field, members: int) -> Field:
    """A member's pull by the others alone, from (member - mean) / std of them all.

    Its own part in the spread of all keeps the latter within bounds, which a truth's pull is not.
    """
    own = members / (members - 1)
    outside: Field = pull * pull
    outside *= -own
    outside += members - 1
    # Where all the others agree nothing bounds it.
    np.maximum(outside, 1e-6, out=outside)
    np.divide(own * (members - 2), outside, out=outside)
    np.sqrt(outside, out=outside)
    outside *= pull
    return outside


def by_predicted_spread(
    ensemble: NDArray[np.floating], mean: Field, points: EnsemblePoints
) -> tuple[Field, Field]:
    """Distances (5,) of members that are left out, and of the truth, from the mean of the others.

    Root mean squares over the points of a fifth, the quietest first: the points are sorted by the
    variance of the others. Each member is left out once. Both are equal if perfect.
    """
    ends = np.linspace(0, mean.size, len(FIFTHS) + 1).astype(np.intp)
    left_out, truth = np.zeros(len(FIFTHS)), np.zeros(len(FIFTHS))
    for count, predicted, member_square, truth_square in _folds(ensemble, mean, points):
        fifth = _parts(predicted.ravel(), ends)
        left_out += count * np.bincount(fifth, member_square.ravel(), len(FIFTHS))
        truth += count * np.bincount(fifth, truth_square.ravel(), len(FIFTHS))
    size = points.members * np.diff(ends)
    return np.sqrt(left_out / size), np.sqrt(truth / size)


def _folds(
    ensemble: NDArray[np.floating], mean: Field, points: EnsemblePoints
) -> Iterator[tuple[int, Field, Field, Field]]:
    """Of each part of the members: its size m, and three fields (H, W).

    These are the sum of squares of the other M - m about their own mean, and the squared distances
    from that mean of the m (their average) and of the truth.
    """
    members = points.members
    total = points.variance * (members - 1)
    departure = np.empty_like(mean)
    for part in np.array_split(np.arange(members), min(FOLDS, members)):
        count, others = len(part), members - len(part)
        own, square = np.zeros_like(mean), np.zeros_like(mean)
        for member in ensemble[part]:
            np.subtract(member, mean, out=departure)
            own += departure
            departure *= departure
            square += departure
        # Departures of all members add up to nothing: this is the mean of the others.
        centre = np.divide(own, -others, out=own)
        truth = points.error + centre
        truth *= truth
        centre *= centre
        predicted = total - square
        predicted -= others * centre
        # About the mean of the others: sum (d - c)^2 / m, where the sum of d is -c times others.
        apart = np.divide(square, count, out=square)
        apart += (2 * others / count + 1) * centre
        yield count, predicted, apart, truth


def _parts(values: Field, ends: NDArray[np.intp]) -> NDArray[np.intp]:
    """The part (n,) that each of the values (n,) is in, in their order; ends: of the parts."""
    inner = ends[1:-1]
    # Four edges are found in half the time that sorting takes.
    edges = np.partition(values, inner)[inner]
    parts = np.zeros(len(values), np.intp)
    for edge in edges:
        parts += values >= edge
    if (np.bincount(parts, minlength=len(inner) + 1) == np.diff(ends)).all():
        return parts
    # Values that are equal lie on an edge: they are shared out as they stand.
    place = np.empty(len(values), np.intp)
    place[np.argsort(values, kind="stable")] = np.arange(len(values))
    return np.digitize(place, inner)


def _log_contrast(error: Field) -> float | None:
    """Standard deviation over blocks of ln(median |error|); None where there are too few.

    The median does not see how far single points lie out: tails alone make no contrast.
    """
    height, width = (side // BLOCK_SIDE for side in error.shape)
    if height * width < LEAST_BLOCKS:
        return None
    inner = np.abs(error[: height * BLOCK_SIDE, : width * BLOCK_SIDE]).astype(np.float32)
    blocks = inner.reshape(height, BLOCK_SIDE, width, BLOCK_SIDE).swapaxes(1, 2)
    middle = BLOCK_SIDE**2 // 2
    medians = np.partition(blocks.reshape(height * width, -1), middle, axis=1)[:, middle]
    medians = medians[medians > 0]
    return float(np.log(medians).std()) if len(medians) >= LEAST_BLOCKS else None


def _contrast(truth: float | None, members: list[float | None]) -> Contrast | None:
    known = np.array([one for one in members if one])
    if not truth or len(known) < len(members):
        return None
    return Contrast(
        truth=truth,
        members=float(np.sqrt(np.mean(known**2))),
        noise=float(np.log(known).std(ddof=1)),
    )
