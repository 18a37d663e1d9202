"""Random patches for training and whole snapshots for testing, as windows of snapshots."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexbench.data.store import Trajectory, even_interval, periodic_runs
from flexbench.errors import FlexbenchError
from flexbench.seeding import stream_seed

Field = NDArray[np.float32]

MEMORY_BYTES = 1 << 30


@dataclass(frozen=True)
class Windows:
    """A batch of windows.

    fields: (B, T, P + 2 halo, P + 2 halo) float32, physical, oldest snapshot first.
    reynolds: (B,) float32.
    patch: None, except where `Task.example` has to cut the patch of so many points per side out
    of what the task has seen. Either the task needs the whole periodic domain: then `fields` is the
    domain, rolled so that the patch starts at its first point. Or the field is not periodic:
    corners: (B, 2) int64, row and column of `fields` at which the patch starts. `fields` then holds
    the patch and what lies around it inside the domain.
    periodic: whether the fields go on beyond the domain's edges.
    """

    fields: Tensor
    reynolds: Tensor
    patch: int | None = None
    corners: Tensor | None = None
    periodic: bool = True

    def to(self, device: torch.device) -> "Windows":
        """The windows on a device; from pinned memory the copy does not hold the CPU up."""
        fields = self.fields.to(device, non_blocking=True)
        return replace(self, fields=fields, reynolds=self.reynolds.to(device, non_blocking=True))

    def pinned(self) -> "Windows":
        """The windows in page-locked memory."""
        return replace(self, fields=self.fields.pin_memory(), reynolds=self.reynolds.pin_memory())


@dataclass(frozen=True)
class _Place:
    """Where one patch lies: file, first snapshot, and the patch's first row and column."""

    trajectory: int
    first: int
    y: int
    x: int


class PatchSampler:
    """Patches of training windows: patch number i depends on (seed, stream, i) alone.

    All windows of all files, and all origins of the periodic domain, are equally likely. Where the
    field is not periodic, patches lie inside the domain.

    paths: trajectory files of one grid. window: snapshots in a window. stride: stored snapshots
    between two of them. patch: points per side; halo: further points to each side, taken from
    the periodic domain; None for tasks that need all of it (see Windows.patch). align: where the
    field is not periodic, patches start at multiples of it.
    memory_bytes: the files are held in memory when all of them together are at most that big.

    Raises FlexbenchError when a file is unfit, too short for a window, smaller than the patch,
    or holds values that are not finite.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        *,
        window: int,
        stride: int,
        patch: int,
        halo: int | None,
        seed: int,
        align: int = 1,
        stream: str = "train",
        memory_bytes: int = MEMORY_BYTES,
    ):
        if not paths:
            raise FlexbenchError("no trajectory files to draw patches from")
        self.trajectories = [Trajectory(path) for path in paths]
        self.grid = self.trajectories[0].grid
        self.periodic = self.trajectories[0].periodic
        # Along one side: how many places there are for a patch, and how far apart they lie.
        self.step = 1 if self.periodic else align
        self.places = self.grid if self.periodic else (self.grid - patch) // align + 1
        self.window, self.stride, self.patch = window, stride, patch
        self.halo, self.seed, self.stream = halo, seed, stream
        for trajectory in self.trajectories:
            self._check(trajectory)
        span = (window - 1) * stride
        counts = [trajectory.shape[0] - span for trajectory in self.trajectories]
        self._ends = np.cumsum(counts)
        self._memory: list[Field] | None = None
        if sum(4 * int(np.prod(trajectory.shape)) for trajectory in self.trajectories) <= (
            memory_bytes
        ):
            self._memory = [trajectory.whole() for trajectory in self.trajectories]

    def _check(self, trajectory: Trajectory) -> None:
        if trajectory.grid != self.grid:
            raise FlexbenchError(
                f"{trajectory.path}: grid {trajectory.grid}; allowed: {self.grid}, as in "
                f"{self.trajectories[0].path}"
            )
        if trajectory.periodic != self.periodic:
            raise FlexbenchError(
                f"{trajectory.path}: the field is {_kind(trajectory.periodic)}; allowed: "
                f"{_kind(self.periodic)}, as in {self.trajectories[0].path}"
            )
        if self.patch > trajectory.grid:
            raise FlexbenchError(
                f"{trajectory.path}: patch {self.patch} is larger than the field "
                f"({trajectory.grid})"
            )
        check_window(trajectory, window=self.window, stride=self.stride)

    def place(self, index: int) -> _Place:
        """Where patch number `index` lies."""
        # A hash is a uniform 63-bit number: its digits in mixed radix are the draw. The bias
        # of the remainder is below 1e-7 for a million windows of a 2048 x 2048 domain.
        number = stream_seed(self.seed, self.stream, index)
        number, window = divmod(number, int(self._ends[-1]))
        number, y = divmod(number, self.places)
        trajectory = int(np.searchsorted(self._ends, window, side="right"))
        before = int(self._ends[trajectory - 1]) if trajectory else 0
        x = number % self.places
        return _Place(trajectory, window - before, y * self.step, x * self.step)

    def draw(self, indices: Sequence[int]) -> Windows:
        """The patches with these numbers, in this order."""
        halo = self.halo or 0
        size = self.grid if self.halo is None else self.patch + 2 * halo
        if not self.periodic:
            size = min(size, self.grid)
        corners = torch.empty((len(indices), 2), dtype=torch.int64)
        fields = np.empty((len(indices), self.window, size, size), dtype=np.float32)
        reynolds = np.empty(len(indices), dtype=np.float32)
        for row, index in enumerate(indices):
            place = self.place(int(index))
            reynolds[row] = self.trajectories[place.trajectory].reynolds
            y, x = place.y - halo, place.x - halo
            if not self.periodic:
                # At the domain's edge the patch lies off the middle of its window.
                y, x = (min(max(start, 0), self.grid - size) for start in (y, x))
                corners[row, 0], corners[row, 1] = place.y - y, place.x - x
            self._fill(fields[row], place, y=y, x=x)
        return Windows(
            fields=torch.from_numpy(fields),
            reynolds=torch.from_numpy(reynolds),
            patch=self.patch if self.halo is None or not self.periodic else None,
            corners=None if self.periodic else corners,
            periodic=self.periodic,
        )

    def _fill(self, out: Field, place: _Place, *, y: int, x: int) -> None:
        trajectory = self.trajectories[place.trajectory]
        if self._memory is None:
            read_periodic(trajectory, place.first, stride=self.stride, y=y, x=x, out=out)
            refuse_not_finite(trajectory, out, first=place.first, stride=self.stride)
            return
        # The fields in memory were checked when they were read.
        last = place.first + (self.window - 1) * self.stride
        snapshots = self._memory[place.trajectory][place.first : last + 1 : self.stride]
        copy_periodic(snapshots, y=y, x=x, out=out)


def full_windows(
    trajectory: Trajectory, index: int, *, window: int, stride: int, halo: int | None
) -> Windows:
    """The window whose last snapshot, the target, is number `index`, over the whole domain.

    halo: periodic points around it (None, for tasks that see the domain as periodic: none). A
    field that is not periodic has none.
    Returns Windows with B = 1. Raises FlexbenchError when the window begins before the file does.
    """
    first = index - (window - 1) * stride
    if first < 0 or index >= trajectory.shape[0]:
        raise FlexbenchError(
            f"{trajectory.path}: no window ends at snapshot {index}; allowed: "
            f"{(window - 1) * stride} to {trajectory.shape[0] - 1}"
        )
    halo = (halo or 0) if trajectory.periodic else 0
    size = trajectory.grid + 2 * halo
    fields = np.empty((1, window, size, size), dtype=np.float32)
    read_periodic(trajectory, first, stride=stride, y=-halo, x=-halo, out=fields[0])
    refuse_not_finite(trajectory, fields[0], first=first, stride=stride)
    reynolds = torch.tensor([trajectory.reynolds], dtype=torch.float32)
    return Windows(fields=torch.from_numpy(fields), reynolds=reynolds, periodic=trajectory.periodic)


def _kind(periodic: bool) -> str:
    return "periodic" if periodic else "not periodic"


def check_window(trajectory: Trajectory, *, window: int, stride: int) -> None:
    """Raise FlexbenchError when no window fits, or its snapshots are not evenly spaced."""
    if trajectory.shape[0] <= (window - 1) * stride:
        raise FlexbenchError(
            f"{trajectory.path}: {trajectory.shape[0]} snapshots; a window of {window} with "
            f"stride {stride} needs {(window - 1) * stride + 1}"
        )
    if window > 1:
        even_interval(trajectory.time, where=str(trajectory.path))


def read_periodic(
    trajectory: Trajectory, first: int, *, stride: int, y: int, x: int, out: Field
) -> None:
    """Fill out (T, h, w) with snapshots first, first + stride, ...; h and w of any size."""
    count, height, width = out.shape
    if max(height, width) <= trajectory.grid:
        trajectory.read(
            first, count=count, stride=stride, y=y, x=x, height=height, width=width, out=out
        )
        return
    whole = trajectory.read(
        first,
        count=count,
        stride=stride,
        y=0,
        x=0,
        height=trajectory.grid,
        width=trajectory.grid,
    )
    copy_periodic(whole, y=y, x=x, out=out)


def copy_periodic(fields: Field, *, y: int, x: int, out: Field) -> None:
    """Fill out (T, h, w) from row y and column x on of periodic fields (T, H, W)."""
    rows = periodic_runs(y, out.shape[1], fields.shape[1])
    columns = periodic_runs(x, out.shape[2], fields.shape[2])
    for source_y, target_y, height in rows:
        for source_x, target_x, width in columns:
            out[:, target_y : target_y + height, target_x : target_x + width] = fields[
                :, source_y : source_y + height, source_x : source_x + width
            ]


def refuse_not_finite(
    trajectory: Trajectory, fields: NDArray[Any], *, first: int, stride: int
) -> None:
    """Raise FlexbenchError naming file and snapshot when fields (T, h, w) are not all finite."""
    if np.isfinite(fields).all():
        return
    bad = int(np.argmax(~np.isfinite(fields).reshape(len(fields), -1).all(axis=1)))
    raise FlexbenchError(
        f"{trajectory.path}: snapshot {first + bad * stride} holds a value that is not finite"
    )
