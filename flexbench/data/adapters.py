"""Data of a user's own: arrays in foreign files, brought into trajectory files.

Layouts, with T times, C channels, y down axis H and x along axis W:

    flex         /w       (T,H,W), or (T,3,H,W) = u, v, w
    superbench   /fields  (T,3,H,W) = u, v, w
    era5         /fields  (T,H,W) or (T,C,H,W)
    custom       any dataset with the axes that the configuration names

Files are HDF5 or NetCDF-4 (which is HDF5). Conventions of NetCDF for packed values are followed:
`scale_factor`, `add_offset`, and `_FillValue` or `missing_value`, which are refused like NaN.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench.config import Config
from flexbench.data import schema
from flexbench.data.store import open_readonly, own_dataset, write_trajectory
from flexbench.errors import FlexbenchError
from flexbench.sources import DataSettings

# So much of an array is read at once: compressed chunks may span many snapshots.
BLOCK_BYTES = 1 << 26

_BY_RANK = {3: ("time", "y", "x"), 4: ("time", "channel", "y", "x")}
_ROUNDING = 1e-6


@dataclass(frozen=True)
class _Layout:
    """key: of the dataset. ranks: that it may have. channel: that is taken; channels: there are."""

    key: str | None
    ranks: tuple[int, ...]
    channel: int | None = None
    channels: int | None = None


LAYOUTS = {
    "flex": _Layout("w", (3, 4), channel=2, channels=3),
    "superbench": _Layout("fields", (4,), channel=2, channels=3),
    "era5": _Layout("fields", (3, 4), channel=0),
    "custom": _Layout(None, (3, 4)),
}


@dataclass(frozen=True)
class Source:
    """An open array of a user's: its snapshots (H, W), one per entry of `time` (T,)."""

    path: Path
    dataset: h5py.Dataset
    axes: tuple[str, ...]
    channel: int
    time: NDArray[np.float64]
    subtract: float
    divide_by: float

    def side(self, axis: str) -> int:
        return int(self.dataset.shape[self.axes.index(axis)])

    def snapshots(self, first: int, last: int, *, square: "Square") -> Iterator[NDArray[Any]]:
        """Snapshots first <= i < last, (size, size) float32.

        Raises FlexbenchError naming file, dataset and snapshot where one is not finite.
        """
        rows, columns = (
            slice(square.y, square.y + square.size),
            slice(square.x, square.x + square.size),
        )
        place = {"channel": self.channel, "y": rows, "x": columns}
        kept = [axis for axis in self.axes if axis != "channel"]
        order = [kept.index(axis) for axis in ("time", "y", "x")]
        step = max(1, BLOCK_BYTES // (8 * square.size**2))
        for start in range(first, last, step):
            place["time"] = slice(start, min(start + step, last))
            try:
                block = self.dataset[tuple(place[axis] for axis in self.axes)]
            except OSError as error:
                raise FlexbenchError(f"{self._where}: cannot be read ({error})") from None
            for number, field in enumerate(self._values(block).transpose(order)):
                if not np.isfinite(field).all():
                    raise FlexbenchError(
                        f"{self._where}: snapshot {start + number} holds a value that is not finite"
                    )
                yield np.ascontiguousarray(field, dtype=np.float32)

    @property
    def _where(self) -> str:
        return f"{self.path}: '{self.dataset.name.removeprefix('/')}'"

    def _values(self, block: NDArray[Any]) -> NDArray[np.float64]:
        """In the user's units; what is marked as missing is NaN."""
        packed = self.dataset.attrs
        values = block.astype(np.float64)
        for name in ("_FillValue", "missing_value"):
            if name in packed:
                values[block == np.ravel(packed[name])[0]] = np.nan
        values *= float(np.ravel(packed.get("scale_factor", 1.0))[0])
        values += float(np.ravel(packed.get("add_offset", 0.0))[0])
        return (values - self.subtract) / self.divide_by


@dataclass(frozen=True)
class Square:
    """What is used of a field: size x size points from row y and column x on."""

    y: int
    x: int
    size: int


@dataclass(frozen=True)
class Summary:
    """What an import says of itself."""

    text: str
    snapshots: int
    grid: int
    periodic: bool


@contextmanager
def open_source(data: DataSettings, name: str, file: Path) -> Iterator[Source]:
    """The array of a source, checked as far as it can be without reading it.

    Raises FlexbenchError, in one line with the file, the key and what is allowed, where the file
    or its dataset is not as the layout has it.
    """
    _refuse_netcdf3(file)
    layout = LAYOUTS[data.layout]
    key = data.sources[name].key or layout.key or ""
    with open_readonly(file) as opened:
        dataset = _dataset(opened, file, key)
        axes = _axes(data, layout, dataset, f"{file}: '{key}'")
        channel = _channel(data, layout, dataset, axes, f"{file}: '{key}'")
        time = _time(data, opened, file, dataset.shape[axes.index("time")])
        yield Source(
            path=file,
            dataset=dataset,
            axes=axes,
            channel=channel,
            time=time,
            subtract=data.subtract,
            divide_by=data.divide_by,
        )


def _refuse_netcdf3(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            start = opened.read(3)
    except OSError as error:
        raise FlexbenchError(f"{file}: cannot be read ({error.strerror})") from None
    if start == b"CDF":
        raise FlexbenchError(
            f"{file}: NetCDF-3; allowed: NetCDF-4 or HDF5 (`nccopy -k netCDF-4` converts it)"
        )


def _dataset(opened: h5py.File, file: Path, key: str) -> h5py.Dataset:
    dataset = own_dataset(opened, key, packed=True)
    if dataset is None:
        found: list[str] = []
        opened.visititems(
            lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
        )
        raise FlexbenchError(
            f"{file}: no dataset '{key}'; found: {', '.join(found[:12]) or 'none'}"
        )
    if dataset.dtype.kind not in "fiu":
        raise FlexbenchError(f"{file}: '{key}' is {dataset.dtype}; allowed: real numbers")
    return dataset


def _axes(
    data: DataSettings, layout: _Layout, dataset: h5py.Dataset, where: str
) -> tuple[str, ...]:
    ranks = (len(data.axes),) if data.axes else layout.ranks
    if dataset.ndim not in ranks:
        allowed = " or ".join(
            f"rank {rank}, ({', '.join(data.axes or _BY_RANK[rank])})" for rank in ranks
        )
        raise FlexbenchError(f"{where} has shape {dataset.shape}; allowed: {allowed}")
    if min(dataset.shape) < 1:
        raise FlexbenchError(f"{where} has shape {dataset.shape}, which holds nothing")
    return tuple(data.axes) if data.axes else _BY_RANK[dataset.ndim]


def _channel(
    data: DataSettings,
    layout: _Layout,
    dataset: h5py.Dataset,
    axes: tuple[str, ...],
    where: str,
) -> int:
    if "channel" not in axes:
        if data.channel is not None:
            raise FlexbenchError(
                f"{where} has shape {dataset.shape}, without channels; allowed: data.channel null"
            )
        return 0
    channels = dataset.shape[axes.index("channel")]
    if layout.channels is not None and channels != layout.channels:
        raise FlexbenchError(
            f"{where} has {channels} channels; allowed by layout '{data.layout}': "
            f"{layout.channels} (u, v, w)"
        )
    channel = layout.channel if data.channel is None else data.channel
    if channel is None or channel >= channels:
        raise FlexbenchError(
            f"{where} has {channels} channels; data.channel is "
            f"{'null' if channel is None else channel}; allowed: 0 to {channels - 1}"
        )
    return channel


def _time(data: DataSettings, opened: h5py.File, file: Path, count: int) -> NDArray[np.float64]:
    if data.time is None:
        return data.interval * np.arange(count, dtype=np.float64)
    dataset = _dataset(opened, file, data.time)
    if dataset.shape != (count,):
        raise FlexbenchError(
            f"{file}: '{data.time}' has shape {dataset.shape}; allowed: ({count},), one for each "
            "snapshot"
        )
    time = dataset[()].astype(np.float64)
    for problem in schema.time_problems(time):
        raise FlexbenchError(
            f"{file}: {problem.replace('dataset ' + repr('time'), repr(data.time))}"
        )
    return time


def square_of(source: Source, data: DataSettings, *, side_step: int) -> Square:
    """The square that is used: as configured, or the largest centred one of side_step's multiples.

    Raises FlexbenchError where the field is too small for it.
    """
    height, width = source.side("y"), source.side("x")
    if data.crop is not None:
        square = Square(data.crop.y, data.crop.x, data.crop.size)
        if square.y + square.size > height or square.x + square.size > width:
            raise FlexbenchError(
                f"{source.path}: data.crop asks for rows {square.y} to {square.y + square.size - 1}"
                f", columns {square.x} to {square.x + square.size - 1}; the field has "
                f"{height} x {width}"
            )
        return square
    size = min(height, width) // side_step * side_step
    if not size:
        raise FlexbenchError(
            f"{source.path}: a field has {height} x {width} points; the tasks' patches need "
            f"multiples of {side_step}: choose smaller ones"
        )
    return Square((height - size) // 2, (width - size) // 2, size)


def window_of(source: Source, part: tuple[float, float], *, where: str) -> tuple[int, int]:
    """Snapshots first <= i < last of a part of a source; FlexbenchError where it holds none."""
    count = len(source.time)
    first, last = (round(share * count) for share in part)
    if first >= last:
        raise FlexbenchError(
            f"{source.path}: {where} [{part[0]:g}, {part[1]:g}] of {count} snapshots holds none"
        )
    return first, last


def import_part(
    data: DataSettings, *, source: str, split: str, file: Path, path: Path, side_step: int
) -> Summary:
    """Write the snapshots of a source that belong to a split as a trajectory file.

    side_step: the square's side is a multiple of it. Nothing is interpolated or filtered: values
    are scaled as configured and stored as float32. The file's `seed` is the source's number.
    """
    with open_source(data, source, file) as opened:
        square = square_of(opened, data, side_step=side_step)
        first, last = window_of(opened, data.part(split), where=f"data.splits.{split}")
        periodic = data.is_periodic and (opened.side("y"), opened.side("x")) == (square.size,) * 2
        write_trajectory(
            path,
            opened.snapshots(first, last, square=square),
            time=opened.time[first:last],
            grid=square.size,
            reynolds=data.sources[source].reynolds,
            seed=list(data.sources).index(source),
            attributes={
                schema.PERIODIC: int(periodic),
                "source": source,
                "source_file": file.name,
                "layout": data.layout,
                "first_snapshot": first,
            },
        )
        text = (
            f"{file.name}: snapshots {first} to {last - 1} of {len(opened.time)} for {split}; "
            f"{opened.side('y')} x {opened.side('x')} points, used: rows {square.y} to "
            f"{square.y + square.size - 1}, columns {square.x} to {square.x + square.size - 1}; "
            f"{'periodic' if periodic else 'not periodic'}"
        )
    return Summary(text, snapshots=last - first, grid=square.size, periodic=periodic)


def check_sources(config: Config, file_of: Callable[[str], Path]) -> tuple[int, int]:
    """Look at every source before any work; (most snapshots of a trajectory, points per side).

    Reads no field. Raises FlexbenchError for what an import would stop at, for sources whose
    squares differ, and for splits of one source that lie closer than the gap.
    """
    data = config.data
    if data is None:
        raise FlexbenchError("data: null; there are no sources to look at")
    grids: dict[str, int] = {}
    longest = 0
    for name in data.sources:
        with open_source(data, name, file_of(name)) as source:
            grids[name] = square_of(source, data, side_step=config.side_step).size
            spans = {}
            for split in ("train", "validation", "test"):
                if name in data.sources_of(split):
                    window = window_of(source, data.part(split), where=f"data.splits.{split}")
                    spans[split] = window
                    longest = max(longest, window[1] - window[0])
            _check_gaps(source, spans, gap=config.gap or 0.0)
    if len(set(grids.values())) > 1:
        sides = ", ".join(f"{name} {grid}" for name, grid in grids.items())
        raise FlexbenchError(f"data.sources: squares differ in size ({sides}); set data.crop")
    return longest, next(iter(grids.values()))


def _check_gaps(source: Source, spans: dict[str, tuple[int, int]], *, gap: float) -> None:
    ordered = sorted(spans, key=lambda split: spans[split])
    for one, other in pairwise(ordered):
        end, start = source.time[spans[one][1] - 1], source.time[spans[other][0]]
        if start - end < gap * (1 - _ROUNDING):
            raise FlexbenchError(
                f"{source.path}: leak: {one} ends at time {end:g}, {other} begins at {start:g}: "
                f"{start - end:g} apart, less than the gap of {gap:g} (data.gap, or the tasks' "
                "longest window); move data.splits apart"
            )
