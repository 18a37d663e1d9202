"""Shares of solid chi (H, W) in the cell around each point, for penalised flows.

Lengths are in grid points, so that a wall on a point is there exactly, and has chi = 1/2. Axis H
is y, axis W is x.
"""

import numpy as np
from numpy.typing import NDArray

Share = NDArray[np.float64]


def _inside(points: int, low: float, high: float) -> Share:
    """Share (N,) of the cells around points 0 ... N - 1 of a periodic line in [low, high]."""
    position = np.arange(points, dtype=np.float64)
    share = np.zeros(points)
    for image in (position - points, position, position + points):
        share += np.clip(np.minimum(image + 0.5, high) - np.maximum(image - 0.5, low), 0, 1)
    return share


def wall_strip(points: int, *, half_thickness: float) -> Share:
    """A wall along x about y = 0, which is the top of the box, too."""
    share = _inside(points, -half_thickness, half_thickness)
    return np.repeat(share[:, None], points, axis=1)


def around_square(points: int, *, margin: float) -> Share:
    """All but a square of fluid that keeps `margin` from each edge of the box."""
    fluid = _inside(points, margin, points - margin)
    return 1 - np.outer(fluid, fluid)


def disc(points: int, *, radius: float, y: float, x: float) -> Share:
    """A disc (a cylinder's section) with its centre at (y, x); in a cell its edge is straight."""
    position = np.arange(points, dtype=np.float64)
    dy, dx = (np.abs((position - c + points / 2) % points - points / 2) for c in (y, x))
    return np.clip(radius + 0.5 - np.hypot(dy[:, None], dx[None, :]), 0, 1)
