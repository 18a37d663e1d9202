"""The check that no split leaks into another.

Between a split that is learnt from (training, validation) and any other, nothing may be shared:
no run, and no snapshot under whatever name. Splits that are only predicted (test, evaluations) may
share a run with one another: it is the same flow, asked again.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flexbench.data.store import SHORT, Trajectory
from flexbench.errors import FlexbenchError

LEARNT = ("train", "validation")

# Points that stand for a snapshot: two flows do not agree on as many float32 by chance. They lie
# all along one row, as neighbours in a smooth field are alike up to a factor and an offset, and the
# chunks of a row are little to read (1 MiB of the 16 MiB of a 2048 x 2048 snapshot).
PROBE = 64

# Snapshots of a file, evenly spaced, of which all values are read.
READ_WHOLE = 64

# A rounded copy differs, after the best factor and offset, by no more of its standard deviation:
# float16 by 0.0003, packed integers by 0.29 of their step.
ROUNDED = 0.01

# It is so many times nearer than the snapshots before and after: a moment of a slow flow is not.
NEARER = 4

# And what it differs by is noise from point to point: flows of nearly the same history (one initial
# field at two Reynolds numbers) differ by a field as smooth as they are.
SMOOTH = 0.15

# The fewer points differ by so much more: their standard deviation may be below that of the field.
PROBE_ROUNDED = 3 * ROUNDED

# Pairs of snapshots of two files, the nearest by their points, of which all values are compared.
NEAREST = 16


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
    name, seed, time, chunking or compression is found, and so is a part of one. So is a copy under
    the name of another run that is rounded, in other units (a factor, an offset, the other sign),
    or both: its values differ by ROUNDED of their standard deviation at most, and NEARER times less
    than those of the snapshots before and after, and the difference is noise on the grid (SMOOTH),
    so that a flow that hardly changes, or has nearly the same history, is not taken for a copy. Of
    READ_WHOLE snapshots of each file all values are compared, wherever they stand
    and whatever their sign: a copy that is mirrored, turned or moved around the domain is found,
    unless it is rounded or rescaled too. A resampled copy is not.
    """
    runs: dict[tuple[float, int], list[_File]] = {}
    contents: dict[bytes, list[tuple[_File, int]]] = {}
    probed: list[tuple[_File, NDArray[np.float64]]] = []
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
                probes = np.zeros((count, min(PROBE, trajectory.grid)))
                for index in range(count):
                    points = _points(trajectory, index)
                    if points is None:
                        continue
                    parts = np.array_split(points, probes.shape[1])
                    probes[index] = _standard(np.array([part.mean(dtype=float) for part in parts]))
                    for key, alike in _keys(trajectory, index, points, whole=index in whole):
                        _check_content(contents.setdefault(key, []), file, index, alike)
            _check_rounded(probed, file, probes)


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
        if apart < gap * (1 - SHORT):
            why = f"{run} ({spans}) {apart:g} apart, less than the gap of {gap:g}"
            raise FlexbenchError(_leak(other, file, why=why))
    others.append(file)


class _Alike(NamedTuple):
    """What two snapshots of one key have in common; in_doubt: if all values are the same."""

    what: str
    in_doubt: bool


def _check_content(others: list[tuple[_File, int]], file: _File, index: int, alike: _Alike) -> None:
    for other, number in others:
        if not file.against(other):
            continue
        if alike.in_doubt:
            with Trajectory(other.path) as one, Trajectory(file.path) as two:
                if not np.array_equal(one.snapshot(number), two.snapshot(index)):
                    continue
        why = f"{alike.what} (numbers {number} and {index})"
        raise FlexbenchError(_leak(other, file, why=why))
    if not others or others[-1][0].split != file.split:
        others.append((file, index))


def _check_rounded(
    others: list[tuple[_File, NDArray[np.float64]]], file: _File, probes: NDArray[np.float64]
) -> None:
    """probes: (T, points), standardised.

    Files of one run are not compared: there a multiple is another time of a flow that fades.
    """
    for other, theirs in others:
        same_run = (other.reynolds, other.seed) == (file.reynolds, file.seed)
        if not file.against(other) or same_run or theirs.shape[1] != probes.shape[1]:
            continue
        for number, index in _nearest(theirs, probes):
            with Trajectory(other.path) as one, Trajectory(file.path) as two:
                if one.grid == two.grid and _is_copy(one, number, two, index):
                    numbers = f"(numbers {number} and {index})"
                    why = f"the same snapshot in other units or rounded {numbers}"
                    raise FlexbenchError(_leak(other, file, why=why))
    others.append((file, probes))


def _nearest(ones: NDArray[np.float64], others: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Numbers of snapshots that may be copies by their standardised points, the nearest first."""
    likeness = np.abs(ones @ others.T)
    best = likeness.argmax(axis=1)
    distance = 1 - likeness[np.arange(len(ones)), best] ** 2
    for number in np.argsort(distance, kind="stable")[:NEAREST]:
        if distance[number] > PROBE_ROUNDED**2:
            return
        yield int(number), int(best[number])


def _points(trajectory: Trajectory, index: int) -> NDArray[np.float32] | None:
    """Values that stand for a snapshot: points of its middle row, or all where these are one value.

    None for a field of one value: it says nothing of where it comes from.
    """
    grid = trajectory.grid
    row = trajectory.read(index, count=1, stride=1, y=grid // 2, x=0, height=1, width=grid)
    width = min(PROBE, grid)
    points = row.ravel()[np.arange(width) * grid // width]
    if np.ptp(points) == 0:
        points = trajectory.snapshot(index).ravel()
    return points if np.ptp(points) else None


def _keys(
    trajectory: Trajectory, index: int, points: NDArray[np.float32], *, whole: bool
) -> Iterator[tuple[bytes, _Alike]]:
    """What a snapshot is known by: keys that snapshots have in common if they are alike.

    whole: read it all.
    """
    yield _digest(b"points", points), _Alike("the same snapshot", in_doubt=True)
    if whole:
        values = np.sort(np.abs(trajectory.snapshot(index)), axis=None)
        if np.count_nonzero(np.diff(values)) >= PROBE:  # few values agree by chance
            alike = _Alike("the same values, mirrored, turned or moved", in_doubt=False)
            yield _digest(b"values", values), alike


def _digest(kind: bytes, values: NDArray[Any]) -> bytes:
    return hashlib.blake2b(values.tobytes(), digest_size=16, person=kind).digest()


def _is_copy(one: Trajectory, number: int, two: Trajectory, index: int) -> bool:
    """Whether snapshot `index` of two is snapshot `number` of one, rounded or in other units."""
    first, second = one.snapshot(number), two.snapshot(index)
    if _is_multiple(first, second):
        return True
    residual = _residual(first, second)
    distance = np.linalg.norm(residual)
    if distance > ROUNDED or abs(_smoothness(residual)) > SMOOTH:
        return False
    changes = (
        np.linalg.norm(_residual(trajectory.snapshot(near), field))
        for trajectory, field, at in ((one, first, number), (two, second, index))
        for near in (at - 1, at + 1)
        if 0 <= near < trajectory.shape[0]
    )
    return all(distance * NEARER <= change for change in changes)


def _residual(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """What no factor and offset of one explains of other, whose norm is 1."""
    a, b = _standard(one), _standard(other)
    return b - np.vdot(a, b) * a


def _smoothness(field: NDArray[np.float64]) -> float:
    """Correlation of points (H, W) with their neighbours on the grid: 0 for noise."""
    pairs = np.vdot(field[1:], field[:-1]) + np.vdot(field[:, 1:], field[:, :-1])
    return float(pairs / (2 * np.vdot(field, field)))


def _standard(values: NDArray[Any]) -> NDArray[np.float64]:
    """Of mean 0 and norm 1; zeros if all values are the same."""
    deviations = values.astype(np.float64) - values.mean(dtype=np.float64)
    norm = np.linalg.norm(deviations)
    return deviations / norm if np.ptp(values) else np.zeros_like(deviations)


def _is_multiple(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether other = factor one + offset, but for rounding."""
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
