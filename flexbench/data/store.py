"""Writing and reading one trajectory file.

Reading is built for random patches: raw chunks, HDF5's low-level calls, and no copy besides the
one into the caller's array.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench.data import schema
from flexbench.data.newfile import new_hdf5
from flexbench.errors import FlexbenchError

Field = NDArray[np.float32]
# Stretches of points along an axis: (source, target, length) each.
Runs = list[tuple[int, int, int]]

# Snapshot times may be off even spacing by this fraction: solvers add up their time steps.
UNEVEN = 1e-4
# A gap in time may fall short by this fraction, as a lead may of a multiple of the interval: times
# are sums of steps, and rounded.
SHORT = 1e-3


def write_trajectory(
    path: Path | str,
    snapshots: Iterable[Field],
    *,
    time: NDArray[np.float64],
    grid: int,
    reynolds: float,
    seed: int,
    attributes: Mapping[str, str | int | float],
    boundary: str = "periodic",
    mask: NDArray[np.uint8] | None = None,
    mean_flow: NDArray[np.float64] | None = None,
) -> None:
    """Write one trajectory file atomically; the same arguments give the same bytes.

    snapshots: vorticity fields (grid, grid) float32, one per entry of `time`, consumed one by one.
    time: (T,) float64, strictly increasing. attributes: provenance, kept as root attributes.
    boundary: one of `schema.BOUNDARIES`. mask: (grid, grid), 1 outside the flow. mean_flow: (T, 2)
    means of u and v over the box.

    Raises FlexbenchError for a snapshot that is not finite or has another shape or dtype, for a
    count that differs from `time`'s, and for attributes the format does not allow; then nothing
    is left behind, and an older file of that name stays as it was.
    """
    path = Path(path)
    time = np.asarray(time, dtype=schema.TIME_DTYPE)
    root = _root_attributes(path, grid=grid, reynolds=reynolds, seed=seed, extra=attributes)
    if boundary != "periodic":
        root[schema.BOUNDARY] = boundary
    problems = (
        schema.attribute_problems(root)
        + schema.time_problems(time)
        + schema.shape_problems((len(time), grid, grid), times=len(time), grid=grid)
        + schema.mask_problems(mask, boundary=boundary, grid=grid)
        + schema.mean_flow_problems(mean_flow, times=len(time))
    )
    if problems:
        raise FlexbenchError(f"{path}: {problems[0]}")
    with new_hdf5(path) as (file, check):
        for name, value in root.items():
            file.attrs[name] = value
        # Modification times would make two runs of the same seed differ.
        file.create_dataset(schema.TIME, data=time, track_times=False)
        for name, values in ((schema.MASK, mask), (schema.MEAN_FLOW, mean_flow)):
            if values is not None:
                file.create_dataset(name, data=values, track_times=False)
        dataset = file.create_dataset(
            schema.FIELD,
            shape=(len(time), grid, grid),
            dtype=schema.FIELD_DTYPE,
            chunks=schema.chunk_shape(grid),
            track_times=False,
        )
        _write_snapshots(path, dataset, snapshots, check)


def _root_attributes(
    path: Path,
    *,
    grid: int,
    reynolds: float,
    seed: int,
    extra: Mapping[str, str | int | float],
) -> dict[str, Any]:
    reserved = sorted(set(extra) & {*schema.REQUIRED_ATTRIBUTES, schema.BOUNDARY})
    if reserved:
        raise FlexbenchError(f"{path}: attribute '{reserved[0]}' is set by the format itself")
    return {
        "format": schema.FORMAT,
        "format_version": schema.FORMAT_VERSION,
        "grid": int(grid),
        "reynolds": float(reynolds),
        "seed": int(seed),
        **{name: extra[name] for name in sorted(extra)},
    }


def _write_snapshots(
    path: Path, dataset: h5py.Dataset, snapshots: Iterable[Field], check: Callable[[], None]
) -> None:
    expected = dataset.shape[1:]
    count = 0
    for index, snapshot in enumerate(snapshots):
        if index == dataset.shape[0]:
            raise FlexbenchError(f"{path}: more snapshots than times ({dataset.shape[0]})")
        if snapshot.shape != expected or snapshot.dtype != schema.FIELD_DTYPE:
            raise FlexbenchError(
                f"{path}: snapshot {index} is {snapshot.dtype} of shape {snapshot.shape}; "
                f"allowed: float32 of shape {expected}"
            )
        if not np.isfinite(snapshot).all():
            raise FlexbenchError(f"{path}: snapshot {index} holds a value that is not finite")
        dataset[index] = snapshot
        check()
        count = index + 1
    if count != dataset.shape[0]:
        raise FlexbenchError(f"{path}: {count} snapshots for {dataset.shape[0]} times")


def open_readonly(path: Path) -> h5py.File:
    """Open an HDF5 file for reading; FlexbenchError where it is missing, truncated or no HDF5."""
    if not path.is_file():
        raise FlexbenchError(f"{path}: no such trajectory file")
    try:
        # Files are never changed once written, so locks would only hurt network file systems.
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        reason = "truncated" if "truncated" in str(error) else "not a readable HDF5 file"
        raise FlexbenchError(
            f"{path}: {reason} ({path.stat().st_size} bytes); write it again"
        ) from error


def own_dataset(file: h5py.File, name: str, *, packed: bool = False) -> h5py.Dataset | None:
    """The dataset `name` of a file that was made elsewhere, or None where it has none.

    packed: it may be compressed, or lack chunks, and so hold more values than bytes.

    A file may point to others (links, external or virtual storage) and claim more than it holds:
    FlexbenchError, so that nothing but its own bytes is ever read.
    """
    try:
        link = file.get(name, getlink=True)
    except RuntimeError:  # "." and the like name no link
        return None
    if not isinstance(link, h5py.HardLink | None):
        raise FlexbenchError(f"{file.filename}: '{name}' is a link; a dataset of its own is needed")
    dataset = file.get(name)
    if not isinstance(dataset, h5py.Dataset):
        return None
    elsewhere = dataset.file.filename != file.filename  # a group on the way there is a link
    if elsewhere or dataset.external or dataset.is_virtual:
        raise FlexbenchError(
            f"{file.filename}: dataset '{name}' lies in other files; its own bytes are needed"
        )
    there = Path(file.filename).stat().st_size
    # Chunks may be missing, or packed by any filter: h5py calls few of them compression.
    packed = packed and (dataset.chunks is not None or not dataset.id.get_storage_size())
    if dataset.nbytes > there and not packed:
        raise FlexbenchError(
            f"{file.filename}: dataset '{name}' claims {dataset.nbytes} bytes; the file has {there}"
        )
    return dataset


def wall_problems(file: h5py.File) -> list[str]:
    """What is wrong with what a file of valid attributes, times and field says of its walls."""
    found = {}
    for name in (schema.MASK, schema.MEAN_FLOW):
        dataset = own_dataset(file, name)
        found[name] = None if dataset is None else np.asarray(dataset[()])
    boundary = schema.plain(file.attrs.get(schema.BOUNDARY, "periodic"))
    grid = int(file.attrs["grid"])
    return schema.mask_problems(
        found[schema.MASK], boundary=boundary, grid=grid
    ) + schema.mean_flow_problems(found[schema.MEAN_FLOW], times=len(file[schema.TIME]))


class Trajectory:
    """Read-only view of one trajectory file.

    Attributes: path, reynolds, seed, time (T,) float64, grid, shape (T, H, W), periodic (whether
    the field goes on beyond its edges), boundary ("periodic", "free_slip" or "no_slip"), attributes
    (all of the root's). The file is opened when it is first read, once per process, so a Trajectory
    may be pickled or carried over a fork. Raises FlexbenchError where the file is missing,
    truncated, or not in the format.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._process = -1
        with open_readonly(self.path) as file:
            self.attributes = {name: schema.plain(value) for name, value in file.attrs.items()}
            problems = schema.attribute_problems(self.attributes)
            self._refuse(problems)
            for name in (schema.TIME, schema.FIELD):
                if own_dataset(file, name) is None:
                    self._refuse([f"dataset '{name}' is missing"])
            self.time: NDArray[np.float64] = file[schema.TIME][()]
            self._refuse(schema.time_problems(np.asarray(self.time)))
            dataset = file[schema.FIELD]
            self.grid: int = self.attributes["grid"]
            self._refuse(schema.shape_problems(dataset.shape, times=len(self.time), grid=self.grid))
            if dataset.dtype != schema.FIELD_DTYPE:
                self._refuse([f"dataset '{schema.FIELD}' is {dataset.dtype}; allowed: float32"])
            self.shape: tuple[int, int, int] = dataset.shape
            self._refuse(wall_problems(file))
        self.reynolds: float = self.attributes["reynolds"]
        self.seed: int = self.attributes["seed"]
        self.boundary: str = self.attributes.get(schema.BOUNDARY, "periodic")
        self.periodic = bool(self.attributes.get(schema.PERIODIC, 1))

    def _refuse(self, problems: list[str]) -> None:
        if problems:
            raise FlexbenchError(f"{self.path}: {problems[0]}")

    def _connect(self) -> None:
        """Open the file in this process, and forget a handle that came over a fork."""
        self._file = open_readonly(self.path)
        self._process = os.getpid()
        self._dataset = self._file[schema.FIELD].id

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._file is not None and self._process == os.getpid():
            self._file.close()
        self._file = None
        self._process = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name != "_dataset"}
        return state | {"_file": None, "_process": -1}

    @cached_property
    def mask(self) -> NDArray[np.uint8] | None:
        """(H, W), 1 outside the flow (solid, or a mirror image); None: the flow is everywhere."""
        return self._optional(schema.MASK)

    @cached_property
    def mean_flow(self) -> NDArray[np.float64] | None:
        """(T, 2), means of u and v over the box, which the vorticity does not hold; None: zero."""
        return self._optional(schema.MEAN_FLOW)

    def _optional(self, name: str) -> Any:
        with open_readonly(self.path) as file:
            dataset = own_dataset(file, name)
            return None if dataset is None else dataset[()]

    def snapshot(self, index: int) -> Field:
        """Snapshot `index` (0 <= index < T) as (H, W) float32."""
        return self.read(index, count=1, stride=1, y=0, x=0, height=self.grid, width=self.grid)[0]

    def whole(self) -> Field:
        """All snapshots, (T, H, W) float32; FlexbenchError names one that is not finite."""
        fields = np.empty(self.shape, dtype=np.float32)
        for index, field in enumerate(fields):
            field[...] = self.snapshot(index)
            if not np.isfinite(field).all():
                raise FlexbenchError(
                    f"{self.path}: snapshot {index} holds a value that is not finite"
                )
        return fields

    @property
    def interval(self) -> float:
        """Time between two stored snapshots; FlexbenchError where it is not the same for all."""
        return even_interval(self.time, where=str(self.path))

    def read(
        self,
        first: int,
        *,
        count: int,
        stride: int,
        y: int,
        x: int,
        height: int,
        width: int,
        out: Field | None = None,
    ) -> Field:
        """Snapshots first, first + stride, ... of a rectangle, as (count, height, width) float32.

        The rectangle starts at row y and column x and wraps around the periodic domain, so y and
        x may be any integers; it may not be larger than the domain. In a field that is not
        periodic it has to lie inside. out: a C-contiguous float32 array of that shape to fill.
        """
        last = first + (count - 1) * stride
        if count < 1 or stride < 1 or first < 0 or last >= self.shape[0]:
            raise FlexbenchError(
                f"{self.path}: asked for snapshots {first} to {last}; "
                f"allowed: 0 to {self.shape[0] - 1}"
            )
        if not (0 < height <= self.grid and 0 < width <= self.grid):
            raise FlexbenchError(
                f"{self.path}: asked for {height} x {width} points; "
                f"allowed: up to {self.grid} x {self.grid}"
            )
        if not self.periodic and not (0 <= y <= self.grid - height and 0 <= x <= self.grid - width):
            raise FlexbenchError(
                f"{self.path}: asked for rows {y} to {y + height - 1}, columns {x} to "
                f"{x + width - 1}; allowed: 0 to {self.grid - 1}, as the field is not periodic"
            )
        if self._process != os.getpid():
            self._connect()
        field = np.empty((count, height, width), dtype=np.float32) if out is None else out
        rows = periodic_runs(y, height, self.grid)
        columns = periodic_runs(x, width, self.grid)
        self._fill(field, first, stride=stride, rows=rows, columns=columns)
        return field

    def _fill(self, field: Field, first: int, *, stride: int, rows: Runs, columns: Runs) -> None:
        """Fill (count, height, width) with the points of these runs."""
        # Selections belong to this call, so that threads may share a Trajectory.
        stored = self._dataset.get_space()
        memory = h5py.h5s.create_simple(field.shape)
        for source_y, target_y, rows_read in rows:
            for source_x, target_x, columns_read in columns:
                size = (len(field), rows_read, columns_read)
                stored.select_hyperslab((first, source_y, source_x), size, stride=(stride, 1, 1))
                memory.select_hyperslab((0, target_y, target_x), size)
                self._read(stored, memory, field)

    def _read(self, stored: h5py.h5s.SpaceID, memory: h5py.h5s.SpaceID, field: Field) -> None:
        try:
            self._dataset.read(memory, stored, field, h5py.h5t.NATIVE_FLOAT)
        except OSError as error:
            raise FlexbenchError(f"{self.path}: cannot be read ({error})") from error


def even_interval(time: NDArray[np.float64], *, where: str, hint: str = "") -> float:
    """The step between times (T,); FlexbenchError, with `where` and `hint`, where steps differ."""
    steps = np.diff(time)
    if not len(steps):
        raise FlexbenchError(f"{where}: one snapshot only, so no interval")
    interval = float(steps.mean())
    if np.abs(steps - interval).max() > UNEVEN * interval:
        raise FlexbenchError(
            f"{where}: snapshots are unevenly spaced, {steps.min():g} to "
            f"{steps.max():g} apart; windows of several snapshots need even spacing{hint}"
        )
    return interval


def periodic_runs(start: int, size: int, period: int) -> Runs:
    """The runs that cover `size` points from `start` on, periodic."""
    runs = []
    done = 0
    while done < size:
        source = (start + done) % period
        length = min(size - done, period - source)
        runs.append((source, done, length))
        done += length
    return runs
