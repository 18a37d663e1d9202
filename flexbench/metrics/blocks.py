"""Stretches of time as the units of intervals, where one flow alone is scored.

Own data is often one long recording: no second flow says how much scores differ between flows.
What can be told is how much they differ between stretches of that one: its scored snapshots, in
their order, are cut into blocks of equal length that do not overlap (Carlstein 1986), and blocks
are drawn as trajectories are elsewhere (`bootstrap`). Such an interval holds the noise of which
stretch of time was scored. It holds neither the differences between flows nor those between
trainings, and it is too narrow where errors stay alike for longer than a block.
"""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

# The column that says which block of its trajectory a row belongs to.
BLOCK = "block"


def in_blocks(frames: Iterable[pd.DataFrame], *, length: float | None) -> list[pd.DataFrame]:
    """Score files with the column BLOCK.

    length: of a block, in units of time. None: as many snapshots as the cube root of their number
    n, rounded up, whose order is that of the best length (Hall, Horowitz and Jing 1995). A rollout
    is in one block with all of its leads.
    """
    return [frame.assign(**{BLOCK: _blocks(frame, length)}) for frame in frames]


def _blocks(rows: pd.DataFrame, length: float | None) -> pd.Series:
    """Of each row; a rollout's place is that of its snapshots among those of the same lead."""
    place = rows.groupby(["trajectory", "lead"])["index"].rank(method="dense").astype(int) - 1
    found = pd.Series(0, index=rows.index)
    for _, own in rows.groupby("trajectory"):
        first = own[own["lead"] == own["lead"].min()]
        times = np.unique(first["time"].to_numpy(dtype=float))
        found[own.index] = _numbers(times, length)[place[own.index]]
    return found


def _numbers(times: np.ndarray, length: float | None) -> np.ndarray:
    """The block of each of n snapshots, in their order; the first blocks may have one more."""
    count = len(times)
    if length is None:
        least = math.ceil(round(count ** (1 / 3), 9))
    else:
        apart = float(np.median(np.diff(times))) if count > 1 else length
        least = max(1, math.ceil(round(length / apart, 9)))
    parts = np.array_split(np.arange(count), max(1, count // least))
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])
