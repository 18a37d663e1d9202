"""Where tiles meet: the points near the edges of the plain tiling, at multiples of the patch."""

import numpy as np
from numpy.typing import NDArray

# Points to either side of an edge that count as near it.
SEAM_WIDTH = 4


def edge_distance(size: int, patch: int, *, periodic: bool = True) -> NDArray[np.int64]:
    """How near each point along one axis is to an edge: 1 for the two points beside it.

    Edges lie between points, at multiples of the patch and where a periodic domain closes on
    itself. An edge that the field ends at joins no tiles and counts as far away.
    """
    points = np.arange(size)
    before, after = points % patch, np.minimum(patch - points % patch, size - points) - 1
    if not periodic:
        before = np.where(points < patch, size, before)
        after = np.where(points + after == size - 1, size, after)
    return np.minimum(before, after) + 1


def near_seams(shape: tuple[int, ...], patch: int, *, periodic: bool = True) -> NDArray[np.bool_]:
    """(H, W), where a point is at most SEAM_WIDTH points away from an edge of either direction."""
    down, across = (edge_distance(size, patch, periodic=periodic) <= SEAM_WIDTH for size in shape)
    return np.asarray(down[:, None] | across[None, :])
