"""Which points of a field with walls are scored: all of the flow, near the walls, and away."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flexbench.errors import FlexbenchError
from flexbench.metrics.definitions import NEAR_WALL

Points = NDArray[np.bool_]


def regions(mask: NDArray[np.integer]) -> dict[str, Points]:
    """Points (N, N) by the detail that their scores have: "" (all of the flow), "near", "away".

    mask: 1 outside the flow. Near: less than NEAR_WALL of the box's side from the centre of the
    nearest point outside, across the periodic edges, too. A region without points is absent.
    """
    flow = mask == 0
    if not flow.any():
        raise FlexbenchError("a mask leaves no point of the flow to score")
    if flow.all():
        return {"": flow}
    reach = NEAR_WALL * len(mask)
    border = math.ceil(reach)
    # Whatever lies further away than the border is away, wherever it is.
    wrapped = np.pad(flow, border, mode="wrap")
    inner = slice(border, -border)
    near = ndimage.distance_transform_edt(wrapped)[inner, inner] < reach
    found = {"": flow, "near": flow & near, "away": flow & ~near}
    return {detail: points for detail, points in found.items() if points.any()}
