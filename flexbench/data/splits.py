"""The check that no split leaks into another.

Between a split that is learnt from (training, validation) and any other, nothing may be shared:
no run, and no snapshot under whatever name. Splits that are only predicted (test, evaluations) may
share a run with one another: it is the same flow, asked again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError

LEARNT = ("train", "validation")

# Points of one row that stand for a snapshot: two flows do not agree on as many float32 by chance,
# and they lie in one or two chunks (64 KiB of the 16 MiB of a 2048 x 2048 snapshot).
PROBE = 64

# Times are sums of steps: a gap may fall short by so much of itself.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class _File:
    """A trajectory of a split: what the check remembers of it."""

    split: str
    path: Path
    reynolds: float
    seed: int
    first: float
    last: float

    @property
    def window(self) -> str:
        return f"{self.first:g} to {self.last:g}"

    def against(self, other: "_File") -> bool:
        """Whether the two must not share anything."""
        return self.split != other.split and bool({self.split, other.split} & set(LEARNT))


def check_leaks(paths_by_split: Mapping[str, Sequence[Path]], *, gap: float | None = None) -> None:
    """Raise FlexbenchError, naming both files, when two splits share a run or a snapshot.

    paths_by_split: trajectory files of every split, and of every evaluation by its name.
    gap: None: two files of one (Re, seed) are the same run, and leak whatever times they hold, as
        snapshots at different times of one run are not independent. A number: one run may be split
        in time, where the windows lie at least so far apart (and do not touch).

    Contents are compared snapshot by snapshot, by a few points each, so that a copy under another
    name, seed, time, chunking or compression is found, and so is a part of one; a scaled, turned or
    resampled copy is not. This reads less than 1 % of large files.
    """
    runs: dict[tuple[float, int], list[_File]] = {}
    contents: dict[bytes, list[tuple[_File, int]]] = {}
    for split, paths in paths_by_split.items():
        for path in paths:
            with Trajectory(path) as trajectory:
                file = _File(
                    split=split,
                    path=Path(path),
                    reynolds=trajectory.reynolds,
                    seed=trajectory.seed,
                    first=float(trajectory.time[0]),
                    last=float(trajectory.time[-1]),
                )
                _check_run(runs.setdefault((file.reynolds, file.seed), []), file, gap=gap)
                for index in range(trajectory.shape[0]):
                    found = fingerprint(trajectory, index)
                    if found is not None:
                        _check_content(contents.setdefault(found, []), file, index)


def _check_run(others: list[_File], file: _File, *, gap: float | None) -> None:
    for other in others:
        if not file.against(other):
            continue
        run = f"the run of Re {file.reynolds:g}, seed {file.seed}"
        spans = f"times {other.window} and {file.window}"
        if gap is None:
            raise FlexbenchError(_leak(other, file, why=f"{run} ({spans})"))
        apart = max(file.first - other.last, other.first - file.last)
        if apart <= 0:
            raise FlexbenchError(_leak(other, file, why=f"overlapping times of {run} ({spans})"))
        if apart < gap * (1 - _ROUNDING):
            why = f"{run} ({spans}) {apart:g} apart, less than the gap of {gap:g}"
            raise FlexbenchError(_leak(other, file, why=why))
    others.append(file)


def _check_content(others: list[tuple[_File, int]], file: _File, index: int) -> None:
    for other, number in others:
        if file.against(other):
            why = f"the same snapshot (numbers {number} and {index})"
            raise FlexbenchError(_leak(other, file, why=why))
    if not others or others[-1][0].split != file.split:
        others.append((file, index))


def fingerprint(trajectory: Trajectory, index: int) -> bytes | None:
    """Digest of a few points of a snapshot; of all of them where these are equal.

    None for a field of one value, which says nothing of where it comes from.
    """
    grid = trajectory.grid
    width = min(PROBE, grid)
    points = trajectory.read(
        index, count=1, stride=1, y=grid // 2, x=(grid - width) // 2, height=1, width=width
    )
    if np.ptp(points) == 0:
        points = trajectory.snapshot(index)
        if np.ptp(points) == 0:
            return None
    return hashlib.blake2b(points.tobytes(), digest_size=16).digest()


def _leak(one: _File, other: _File, *, why: str) -> str:
    return (
        f"leak between {one.split} and {other.split}: {one.path} and {other.path} hold {why}; "
        "what is learnt from may stand in one split only"
    )
