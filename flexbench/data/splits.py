"""The check that no split leaks into another.

Between a split that is learnt from (training, validation) and any other, nothing may be shared:
no run, and no snapshot under whatever name. Splits that are only predicted (test, evaluations) may
share a run with one another: it is the same flow, asked again.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError

LEARNT = ("train", "validation")

# Points of one row that stand for a snapshot: two flows do not agree on as many float32 by chance,
# and they lie in one or two chunks (64 KiB of the 16 MiB of a 2048 x 2048 snapshot).
PROBE = 64

# Snapshots of a file, evenly spaced, of which all values are read.
READ_WHOLE = 64

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
    name, seed, time, chunking, precision or compression is found, and so is a part of one. So is a
    copy in other units (a multiple, with or without an offset, that rounding alone tells from the
    original) under the name of another run. Of READ_WHOLE snapshots of each file all values are
    compared, wherever they stand and whatever their sign: a copy that is mirrored, turned or moved
    around the domain is found. A resampled copy is not.
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
                count = trajectory.shape[0]
                whole = {round(place) for place in np.linspace(0, count - 1, READ_WHOLE)}
                for index in range(count):
                    for key, alike in _keys(trajectory, index, whole=index in whole):
                        _check_content(contents.setdefault(key, []), file, index, alike)


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


class _Alike(NamedTuple):
    """What two snapshots of one key have in common.

    check: whether it is so indeed, of two fields (H, W); None: the key leaves no doubt.
    same_run: whether it tells anything of two snapshots of one run.
    """

    what: str
    check: Callable[[NDArray[np.float32], NDArray[np.float32]], bool] | None = None
    same_run: bool = True


def _check_content(others: list[tuple[_File, int]], file: _File, index: int, alike: _Alike) -> None:
    for other, number in others:
        same_run = (other.reynolds, other.seed) == (file.reynolds, file.seed)
        if not file.against(other) or (same_run and not alike.same_run):
            continue
        if alike.check is not None:
            with Trajectory(other.path) as one, Trajectory(file.path) as two:
                if not alike.check(one.snapshot(number), two.snapshot(index)):
                    continue
        why = f"{alike.what} (numbers {number} and {index})"
        raise FlexbenchError(_leak(other, file, why=why))
    if not others or others[-1][0].split != file.split:
        others.append((file, index))


def _keys(trajectory: Trajectory, index: int, *, whole: bool) -> Iterator[tuple[bytes, _Alike]]:
    """What a snapshot is known by: keys that snapshots have in common if they are alike.

    A field of one value has none: it says nothing of where it comes from. whole: read it all.
    """
    grid = trajectory.grid
    width = min(PROBE, grid)
    points = trajectory.read(
        index, count=1, stride=1, y=grid // 2, x=(grid - width) // 2, height=1, width=width
    )
    if np.ptp(points) == 0:
        points = trajectory.snapshot(index)
        if np.ptp(points) == 0:
            return
    yield _digest(b"points", points), _Alike("the same snapshot", np.array_equal)
    # In other units, and with the other sign, the order of values is the same, or the reverse.
    order = np.unique(points, return_inverse=True)[1].astype(np.int32)
    order = min(order, order.max() - order, key=np.ndarray.tobytes)
    yield _digest(b"order", order), _Alike("the same snapshot in other units", _is_multiple, False)
    if whole:
        values = np.sort(np.abs(trajectory.snapshot(index)), axis=None)
        if np.count_nonzero(np.diff(values)) >= PROBE:  # few values agree by chance
            yield _digest(b"values", values), _Alike("the same values, mirrored, turned or moved")


def _digest(kind: bytes, values: NDArray[Any]) -> bytes:
    return hashlib.blake2b(values.tobytes(), digest_size=16, person=kind).digest()


def _is_multiple(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether other = factor one + offset, but for rounding."""
    if one.shape != other.shape:
        return False
    a, b = (field - field.mean() for field in (one.astype(np.float64), other.astype(np.float64)))
    factor = (a * b).sum() / (a * a).sum()
    rounding = 2 * np.finfo(np.float32).eps
    allowed = rounding * (abs(factor) * np.abs(one).max() + np.abs(other).max())
    return bool(np.abs(b - factor * a).max() <= allowed < np.abs(b).max() / PROBE)


def _leak(one: _File, other: _File, *, why: str) -> str:
    return (
        f"leak between {one.split} and {other.split}: {one.path} and {other.path} hold {why}; "
        "what is learnt from may stand in one split only"
    )
