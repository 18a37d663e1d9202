"""Times of foreign files: even ones that were rounded when they were written are made even."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flexbench.data.store import UNEVEN

# Decimals that are told from chance, in numbers of few digits.
_MOST_DECIMALS = 9
# By how much of an interval rounding may move a time: more could be true unevenness.
_MOST_MOVED = 0.05
# A line through rounded times may lie so much farther off them than the rounding.
_FIT = 1.5


def rounding_of(stored: NDArray[Any], time: NDArray[np.float64], *, scale: float) -> float:
    """How far rounding may have moved times (T,), by their type and by their decimals.

    stored: as the file has them, finite; time: what they mean. scale: one in terms of the other.
    """
    if stored.dtype.kind == "f":
        last_place = float(np.spacing(np.abs(stored).max())) * abs(scale)
    else:
        last_place = abs(scale)
    for decimals in range(_MOST_DECIMALS + 1):
        if np.abs(time - np.round(time, decimals)).max() <= last_place / 2:
            return max(0.5 * 10.0**-decimals, last_place / 2)
    return last_place / 2


def evened(time: NDArray[np.float64], *, rounding: float) -> NDArray[np.float64]:
    """Times (T,) on an even grid, where rounding alone keeps them off one; else as they are."""
    if len(time) < 3:
        return time
    steps = np.diff(time)
    interval = float(steps.mean())
    if np.abs(steps - interval).max() <= UNEVEN * interval:
        return time
    index = np.arange(len(time)) - (len(time) - 1) / 2
    middle = float(time.mean())
    slope = float(index @ (time - middle) / (index @ index))
    grid = np.asarray(middle + slope * index, dtype=np.float64)
    allowed = min(_FIT * rounding, _MOST_MOVED * interval)
    return grid if np.abs(time - grid).max() <= allowed else time
