"""Data of a user's own: arrays in foreign files, brought into trajectory files.

Layouts, with T times, C channels, y down axis H and x along axis W:

    flex         /w       (T,H,W), or (T,3,H,W) = u, v, w
    superbench   /fields  (T,3,H,W) = u, v, w
    era5         /fields  (T,H,W) or (T,C,H,W)
    custom       any dataset with the axes that the configuration names

Files are HDF5 or NetCDF-4 (which is HDF5). Conventions of NetCDF for packed values are followed:
`scale_factor`, `add_offset`, `_Unsigned`, and `_FillValue` or `missing_value`, which are refused
like NaN.
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

from flexbench.config import Config, ForecastSettings
from flexbench.data import schema
from flexbench.data.store import (
    even_interval,
    open_readonly,
    own_dataset,
    window_stride,
    write_trajectory,
)
from flexbench.errors import FlexbenchError
from flexbench.sources import DataSettings
from flexbench.tiers import in_one_line

# So much of an array is read at once: compressed chunks may span many snapshots.
BLOCK_BYTES = 1 << 26

# How files of other formats begin, and what to do with them.
_OTHERS = {
    b"CDF": "NetCDF-3; allowed: NetCDF-4 or HDF5 (`nccopy -k netCDF-4` converts it)",
    b"\x93NUMPY": "a NumPy array; allowed: NetCDF-4 or HDF5 (h5py: "
    "`File('new.h5', 'w')['a'] = numpy.load('old.npy')`)",
}

_BY_RANK = {3: ("time", "y", "x"), 4: ("time", "channel", "y", "x")}
_ROUNDING = 1e-6
# Of a label that a file brings: a title of a figure holds no more.
MOST_LETTERS = 60


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
class Packing:
    """What the attributes of a NetCDF variable say of the numbers that are stored."""

    scale: float
    offset: float
    missing: tuple[Any, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, dataset: h5py.Dataset, where: str) -> "Packing":
        """Raises FlexbenchError, naming the attribute, where one of them is none."""

        def numbers(name: str, *, default: tuple[float, ...]) -> tuple[Any, ...]:
            if name not in dataset.attrs:
                return default
            value = dataset.attrs[name]
            found = np.ravel(value) if not isinstance(value, h5py.Empty) else np.empty(0)
            if found.dtype.kind not in "fiu" or not found.size:
                raise FlexbenchError(
                    f"{where}: attribute '{name}' is {in_one_line(repr(value))}; allowed: numbers"
                )
            return tuple(found)

        scale = float(numbers("scale_factor", default=(1.0,))[0])
        offset = float(numbers("add_offset", default=(0.0,))[0])
        if not (np.isfinite([scale, offset]).all() and scale):
            raise FlexbenchError(
                f"{where}: attributes 'scale_factor' and 'add_offset' are {scale:g} and "
                f"{offset:g}; allowed: finite numbers, the first not 0"
            )
        dtype = dataset.dtype
        # Files that once were NetCDF-3 store unsigned bytes as signed ones.
        if dtype.kind == "i" and schema.plain(dataset.attrs.get("_Unsigned")) == "true":
            dtype = np.dtype(dtype.str.replace("i", "u"))
        missing = numbers("_FillValue", default=()) + numbers("missing_value", default=())
        return cls(scale, offset, tuple(_as_stored(value, dtype) for value in missing), dtype)

    def unpack(self, block: NDArray[Any]) -> NDArray[np.float64]:
        """The numbers that are meant; what is marked as missing is NaN."""
        stored = block.view(self.dtype)
        values = stored.astype(np.float64)
        for value in self.missing:
            values[stored == value] = np.nan
        values *= self.scale
        values += self.offset
        return values


def _as_stored(value: Any, dtype: np.dtype[Any]) -> Any:
    """A mark of missing values as the data would hold it: 1e20 is another number in float32."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(value)
    if dtype.kind == "u" and value < 0 and float(value).is_integer():
        return dtype.type(int(value) % 2 ** (8 * dtype.itemsize))  # signed, as is what it marks
    return value


@dataclass(frozen=True)
class Source:
    """An open array of a user's: its snapshots (H, W), one per entry of `time` (T,)."""

    path: Path
    dataset: h5py.Dataset
    axes: tuple[str, ...]
    channel: int
    packing: "Packing"
    time: NDArray[np.float64]
    time_units: str | None
    subtract: float
    divide_by: float

    def side(self, axis: str) -> int:
        return int(self.dataset.shape[self.axes.index(axis)])

    def snapshots(self, first: int, last: int, *, square: "Square") -> Iterator[NDArray[Any]]:
        """Snapshots first <= i < last, (size, size) float32.

        Raises FlexbenchError naming file, dataset and snapshot where one is not finite in float32.
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
            with np.errstate(over="ignore"):  # told below
                fields = self._values(block).transpose(order).astype(np.float32, order="C")
            for number, field in enumerate(fields):
                if not np.isfinite(field).all():
                    raise FlexbenchError(
                        f"{self._where}: snapshot {start + number} holds a value that is not finite"
                    )
                yield field

    @property
    def units(self) -> str | None:
        """Of the values, as the file has them."""
        return _text(self.dataset, "units")

    @property
    def words(self) -> dict[str, str]:
        """What the file says for labels, by the names of `schema.DESCRIPTION`."""
        found = {
            "field_name": _text(self.dataset, "long_name") or _text(self.dataset, "standard_name"),
            "field_units": self.units,
            "time_units": self.time_units,
        }
        return {name: text for name, text in found.items() if text}

    @property
    def _where(self) -> str:
        return f"{self.path}: '{self.dataset.name.removeprefix('/')}'"

    def _values(self, block: NDArray[Any]) -> NDArray[np.float64]:
        """In the user's units, scaled as configured; what is marked as missing is NaN."""
        return (self.packing.unpack(block) - self.subtract) / self.divide_by


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
    _refuse_other_formats(file)
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
            packing=Packing.of(dataset, f"{file}: '{key}'"),
            time=time,
            time_units=_time_units(data, opened, file),
            subtract=data.subtract,
            divide_by=data.divide_by,
        )


def _refuse_other_formats(file: Path) -> None:
    """FlexbenchError for what is no file, or one whose first bytes say that it is no HDF5."""
    try:
        if not file.is_dir() and file.exists() and not file.is_file():
            raise FlexbenchError(f"{file}: not a regular file; allowed: HDF5 or NetCDF-4")
        with file.open("rb") as opened:
            start = opened.read(max(map(len, _OTHERS)))
    except OSError as error:
        raise FlexbenchError(f"{file}: cannot be read ({error.strerror})") from None
    for magic, advice in _OTHERS.items():
        if start.startswith(magic):
            raise FlexbenchError(f"{file}: {advice}")
    if not h5py.is_hdf5(file):
        raise FlexbenchError(f"{file}: neither HDF5 nor NetCDF-4, which are allowed")


def _dataset(opened: h5py.File, file: Path, key: str) -> h5py.Dataset:
    dataset = own_dataset(opened, key, packed=True)
    if dataset is None:
        found: list[str] = []
        opened.visititems(
            lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
        )
        raise FlexbenchError(
            f"{file}: no dataset '{in_one_line(key)}'; "
            f"found: {in_one_line(', '.join(found[:12])) or 'none'}"
        )
    if dataset.dtype.kind not in "fiu":
        raise FlexbenchError(f"{file}: '{key}' is {dataset.dtype}; allowed: real numbers")
    if dataset.size and not dataset.id.get_storage_size():
        raise FlexbenchError(f"{file}: '{key}' was never written: it holds its fill value alone")
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
    time = Packing.of(dataset, f"{file}: '{data.time}'").unpack(dataset[()])
    for problem in schema.time_problems(time):
        raise FlexbenchError(
            f"{file}: {problem.replace('dataset ' + repr('time'), repr(data.time))}"
        )
    return time


def _time_units(data: DataSettings, opened: h5py.File, file: Path) -> str | None:
    """What the times count; NetCDF's date of their zero ("hours since 1900-01-01") is left out."""
    if data.time is None:
        return None
    units = _text(_dataset(opened, file, data.time), "units")
    return units.partition(" since ")[0] if units else None


def _text(dataset: h5py.Dataset, name: str) -> str | None:
    """An attribute that is text, in one line of printable characters; None where it is none."""
    try:
        value = schema.plain(dataset.attrs.get(name))
    except (OSError, TypeError, ValueError):  # of a type that has no equal in numpy
        return None
    if not isinstance(value, str):
        return None
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return line[:MOST_LETTERS] or None


def square_of(source: Source, data: DataSettings, *, side_step: int) -> Square:
    """The square that is used: as configured, or the largest centred one of side_step's multiples.

    Raises FlexbenchError where the field is too small for it, and where fields that are configured
    as periodic would lose their edges to it.
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
    if data.is_periodic and (height, width) != (size, size):
        raise FlexbenchError(
            f"{source.path}: a field has {height} x {width} points, of which {size} x {size} are "
            f"used (a square, its side a multiple of {side_step}, as the tasks' patches need), and "
            "a part of a periodic field is not periodic; write data.periodic: false"
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
        write_trajectory(
            path,
            opened.snapshots(first, last, square=square),
            time=opened.time[first:last],
            grid=square.size,
            reynolds=data.sources[source].reynolds,
            seed=list(data.sources).index(source),
            attributes={
                schema.PERIODIC: int(data.is_periodic),
                "source": source,
                "source_file": file.name,
                "layout": data.layout,
                "first_snapshot": first,
                "first_row": square.y,
                "last_row": square.y + square.size - 1,
                "rows": opened.side("y"),
                "first_column": square.x,
                "last_column": square.x + square.size - 1,
                "columns": opened.side("x"),
                **opened.words,
            },
        )
        text = (
            f"{file.name}: snapshots {first} to {last - 1} of {len(opened.time)} for {split}; "
            f"{opened.side('y')} x {opened.side('x')} points, used: rows {square.y} to "
            f"{square.y + square.size - 1}, columns {square.x} to {square.x + square.size - 1}; "
            f"{'periodic' if data.is_periodic else 'not periodic'}"
        )
    return Summary(text, snapshots=last - first, grid=square.size, periodic=data.is_periodic)


def check_sources(config: Config, file_of: Callable[[str], Path]) -> tuple[int, int]:
    """Look at every source before any work; (most snapshots of a trajectory, points per side).

    Reads no field. Raises FlexbenchError for what an import would stop at, for sources whose
    squares or units differ, for splits of one source that lie closer than the gap, and for splits
    that are too short, or unevenly spaced, for what a task asks of them.
    """
    data = config.data
    if data is None:
        raise FlexbenchError("data: null; there are no sources to look at")
    grids: dict[str, int] = {}
    units: dict[str, str] = {}
    longest = 0
    for name in data.sources:
        with open_source(data, name, file_of(name)) as source:
            grids[name] = square_of(source, data, side_step=config.side_step).size
            units[name] = source.units or "none"
            spans = {}
            for split in ("train", "validation", "test"):
                if name in data.sources_of(split):
                    window = window_of(source, data.part(split), where=f"data.splits.{split}")
                    spans[split] = window
                    longest = max(longest, window[1] - window[0])
                    _check_length(config, source, split, window)
            _check_gaps(source, spans, gap=config.gap or 0.0)
    if len(set(grids.values())) > 1:
        sides = ", ".join(f"{name} {grid}" for name, grid in grids.items())
        raise FlexbenchError(f"data.sources: squares differ in size ({sides}); set data.crop")
    if len(set(units.values())) > 1:
        told = ", ".join(f"{name} {unit}" for name, unit in units.items())
        raise FlexbenchError(f"data.sources: attributes `units` differ ({told}); allowed: one")
    return longest, next(iter(grids.values()))


def _check_length(config: Config, source: Source, split: str, window: tuple[int, int]) -> None:
    """A split holds a window of every task, and the test split all that is scored of it."""
    time = source.time[slice(*window)]
    for case in config.cases.values():
        task, stride, past = config.tasks[case.task], 1, 0
        where = f"{source.path}: {split}, for tasks.{case.task}"
        if isinstance(task, ForecastSettings):
            past = task.past
            stride = window_stride(task.lead, even_interval(time, where=where), where=where)
        needed = case.snapshots_needed(stride) if split == "test" else past * stride + 1
        if len(time) < needed:
            raise FlexbenchError(
                f"{source.path}: {split} holds {len(time)} snapshots; allowed: at least {needed}, "
                f"for '{case.name if split == 'test' else case.task}' (data.splits.{split})"
            )


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
