"""Where a field of own data is whole: the largest square of it without a missing value."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from flexbench.data.source import Source, Square

# So many snapshots of a source are looked at for a hint: coasts stay where they are.
LOOKED_AT = 16


def crop_hint(
    source: Source, windows: Iterable[tuple[int, int]], *, first: int, side_step: int
) -> str:
    """What to write, in words, where values are missing in snapshots of windows, each (from, to).

    first: the first such snapshot. side_step: the square's side is a multiple of it.
    """
    used = np.concatenate([np.arange(*window) for window in windows])
    places = np.linspace(0, len(used) - 1, LOOKED_AT).round().astype(int)
    chosen = np.union1d(used[places], [first])
    square = largest_whole(source.lacking(chosen), side_step=side_step)
    looked = f"the {len(chosen)} snapshots that were looked at"
    if square is None:
        return f"no square of {side_step} x {side_step} points is whole in {looked}"
    return (
        f"data.crop: {{y: {square.y}, x: {square.x}, size: {square.size}}} is the largest square "
        f"that is whole in {looked}"
    )


def largest_whole(lacking: NDArray[np.bool_], *, side_step: int) -> Square | None:
    """The largest square without a point of `lacking` (H, W), the most central of such; None: none.

    Its side is a multiple of side_step.
    """
    height, width = lacking.shape
    total = np.zeros((height + 1, width + 1), dtype=np.int64)
    total[1:, 1:] = lacking.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    for size in range(min(height, width) // side_step * side_step, 0, -side_step):
        inside = total[size:, size:] - total[:-size, size:] - total[size:, :-size]
        free = np.argwhere(inside + total[:-size, :-size] == 0)
        if len(free):
            middle = np.array([height - size, width - size]) / 2
            y, x = free[np.abs(free - middle).sum(axis=1).argmin()]
            return Square(int(y), int(x), size)
    return None
