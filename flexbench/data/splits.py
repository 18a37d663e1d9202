"""The check that no split leaks into another."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError


def check_leaks(paths_by_split: Mapping[str, Sequence[Path]]) -> None:
    """Raise FlexbenchError when a run, or a snapshot's content, stands in two splits.

    Two files of one (Re, seed) are the same run, whatever part of it they hold: snapshots at
    different times of one run are not independent. The hash of the first snapshot finds a copy
    that goes by another Re or seed.
    """
    runs: dict[tuple[float, int], tuple[str, Trajectory]] = {}
    contents: dict[str, tuple[str, Trajectory]] = {}
    for split, paths in paths_by_split.items():
        for path in paths:
            with Trajectory(path) as trajectory:
                first = hashlib.sha256(trajectory.snapshot(0).tobytes()).hexdigest()
            entry = (split, trajectory)
            run = (trajectory.reynolds, trajectory.seed)
            other = runs.setdefault(run, entry)
            if other[0] != split:
                raise FlexbenchError(_leak(other, entry, why=_windows(other[1], trajectory)))
            other = contents.setdefault(first, entry)
            if other[0] != split:
                raise FlexbenchError(_leak(other, entry, why="the same first snapshot"))


def _leak(one: tuple[str, Trajectory], other: tuple[str, Trajectory], *, why: str) -> str:
    return (
        f"leak between {one[0]} and {other[0]}: {one[1].path} and {other[1].path} hold {why}; "
        "a run may stand in one split only"
    )


def _windows(one: Trajectory, other: Trajectory) -> str:
    spans = " and ".join(f"{t.time[0]:g} to {t.time[-1]:g}" for t in (one, other))
    return f"the run of Re {one.reynolds:g}, seed {one.seed} (times {spans})"
