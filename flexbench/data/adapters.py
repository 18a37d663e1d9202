"""Data of a user's own: arrays in foreign files, brought into trajectory files.

Layouts, with T times, C channels, y down axis H and x along axis W:

    flex         /w       (T,H,W), or (T,3,H,W) = u, v, w
    superbench   /fields  (T,3,H,W) = u, v, w
    era5         /fields  (T,H,W) or (T,C,H,W)
    well         The Well's: any field of `t0_fields` or `t1_fields`, with the axes that it says
    custom       any dataset with the axes that the configuration names

Files are HDF5 or NetCDF-4 (which is HDF5). Conventions of NetCDF for packed and for missing values
are followed (`packing`); what is missing is refused.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench.config.own_data import DataSettings
from flexbench.config.reading import in_one_line
from flexbench.data import schema, well
from flexbench.data.attributes import text_of
from flexbench.data.coordinates import Coordinates, coordinates_of
from flexbench.data.packing import Packing
from flexbench.data.placed import origin_of, placed
from flexbench.data.source import Source, Square
from flexbench.data.store import open_readonly, own_dataset, write_trajectory
from flexbench.data.times import evened, rounding_of
from flexbench.data.unwritten import first_unwritten
from flexbench.errors import FlexbenchError

# How files of other formats begin, and what to do with them.
_OTHERS = {
    b"CDF": "NetCDF-3; allowed: NetCDF-4 or HDF5 (`nccopy -k netCDF-4` converts it)",
    b"\x93NUMPY": "a NumPy array; allowed: NetCDF-4 or HDF5 (h5py: "
    "`File('new.h5', 'w')['a'] = numpy.load('old.npy')`)",
}

# What helps where a file's own times do not.
EVEN = "data.interval, with data.time null, says how far apart snapshots are"

_BY_RANK = {3: ("time", "y", "x"), 4: ("time", "channel", "y", "x")}


@dataclass(frozen=True)
class _Layout:
    """key: of the dataset. ranks: that it may have. channel: that is taken; channels: there are.
    described: the file itself says what its axes, coordinates and times are (The Well).
    """

    key: str | None
    ranks: tuple[int, ...]
    channel: int | None = None
    channels: int | None = None
    described: bool = False


LAYOUTS = {
    "flex": _Layout("w", (3, 4), channel=2, channels=3),
    "superbench": _Layout("fields", (4,), channel=2, channels=3),
    "era5": _Layout("fields", (3, 4), channel=0),
    "well": _Layout(None, (), described=True),
    "custom": _Layout(None, (3, 4)),
}


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
    with open_readonly(file) as opened:
        try:
            source = _source(data, name, file, opened)
        # What h5py raises depends on which of a damaged file's bytes it stumbles over.
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
            told = in_one_line(str(error))
            raise FlexbenchError(f"{file}: cannot be read, perhaps damaged ({told})") from None
        yield source


def _source(data: DataSettings, name: str, file: Path, opened: h5py.File) -> Source:
    layout = LAYOUTS[data.layout]
    key = data.sources[name].key or layout.key
    if key is None:
        key = well.default_key(opened, file)
    dataset = _dataset(opened, file, key)
    where = f"{file}: '{key}'"
    told = (_by_well if layout.described else _by_settings)(data, name, opened, file, dataset)
    return Source(
        path=file,
        dataset=dataset,
        axes=told.axes,
        channel=_channel(data, layout, dataset, told.axes, where),
        packing=Packing.of(dataset, where),
        time=told.time,
        time_rounding=told.time_rounding,
        time_units=_time_units(data, opened, file),
        coordinates=told.coordinates,
        subtract=data.subtract,
        divide_by=data.divide_by,
        trajectory=told.trajectory,
        origin=origin_of(_dataset(opened, file, data.time) if data.time else None),
    )


@dataclass(frozen=True)
class _Told:
    """Where the values of an array lie, by the settings, or by a file that says it itself."""

    axes: tuple[str, ...]
    coordinates: Mapping[str, Coordinates]
    time: NDArray[np.float64]
    time_rounding: float
    trajectory: int = 0


def _by_settings(
    data: DataSettings, name: str, opened: h5py.File, file: Path, dataset: h5py.Dataset
) -> _Told:
    where = f"{file}: '{data.sources[name].key or LAYOUTS[data.layout].key}'"
    axes = _axes(data, LAYOUTS[data.layout], dataset, where)
    times = _time(data, opened, file, dataset.shape[axes.index("time")])
    return _Told(axes, coordinates_of(opened, dataset, axes), *times)


def _by_well(
    data: DataSettings, name: str, opened: h5py.File, file: Path, dataset: h5py.Dataset
) -> _Told:
    axes = well.axes_of(opened, file, dataset)
    trajectory = _trajectory(data, name, dataset, axes, file)
    if data.is_periodic:
        well.refuse_edges(opened, file)
    count = dataset.shape[axes.index("time")]
    if data.time is None:
        times = well.times_of(opened, file, trajectory=trajectory, count=count)
    else:
        times = _time(data, opened, file, count)
    return _Told(axes, well.coordinates_of(opened, file), *times, trajectory)


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


def _trajectory(
    data: DataSettings, name: str, dataset: h5py.Dataset, axes: tuple[str, ...], file: Path
) -> int:
    asked = data.sources[name].trajectory
    count = dataset.shape[axes.index(well.TRAJECTORY)] if well.TRAJECTORY in axes else 1
    if asked is not None and asked >= count:
        raise FlexbenchError(
            f"{file}: holds {count} trajectories; sources.{name}.trajectory is {asked}; allowed: 0 "
            f"to {count - 1}"
        )
    return asked or 0


def _time(
    data: DataSettings, opened: h5py.File, file: Path, count: int
) -> tuple[NDArray[np.float64], float]:
    """Times (count,), made even where rounding alone kept them off it, and that rounding."""
    if data.time is None:
        return data.interval * np.arange(count, dtype=np.float64), 0.0
    dataset = _dataset(opened, file, data.time)
    if dataset.shape != (count,):
        raise FlexbenchError(
            f"{file}: '{data.time}' has shape {dataset.shape}; allowed: ({count},), one for each "
            "snapshot"
        )
    where = f"{file}: '{data.time}'"
    if first_unwritten(dataset, (range(count),)) is not None:
        raise FlexbenchError(f"{where} was not written everywhere; {EVEN}")
    packing = Packing.of(dataset, where)
    stored = dataset[()]
    time = packing.unpack(stored)
    lacking = ~np.isfinite(time)
    if lacking.any():
        at = int(np.argmax(lacking))
        mark = packing.mark_in(stored[at : at + 1])
        what = f"a missing value ({mark})" if mark else "a value that is not finite"
        raise FlexbenchError(f"{where} holds {what} at {at}; {EVEN}")
    for problem in schema.time_problems(time):
        told = problem.replace("dataset " + repr(schema.TIME), repr(data.time))
        raise FlexbenchError(f"{file}: {told}; {EVEN}")
    rounding = rounding_of(stored, time, scale=packing.scale)
    return evened(time, rounding=rounding), rounding


def _time_units(data: DataSettings, opened: h5py.File, file: Path) -> str | None:
    """What the times count; NetCDF's date of their zero ("hours since 1900-01-01") is left out."""
    if data.time is None:
        return None
    units = text_of(_dataset(opened, file, data.time), "units")
    return re.split(r"\s+since\s+", units, flags=re.IGNORECASE)[0] if units else None


def square_of(source: Source, data: DataSettings, *, side_step: int) -> Square:
    """The square that is used: as configured, or the largest centred one of side_step's multiples.

    Raises FlexbenchError where the field is too small for it, where fields that are configured as
    periodic would lose their edges to it, and where its points are not equally far apart.
    """
    square = _square(source, data, side_step=side_step)
    for axis, first in (("y", square.y), ("x", square.x)):
        if axis in source.coordinates:
            used = range(first, first + square.size)
            source.coordinates[axis].refuse_uneven(source.path, used)
    return square


def _square(source: Source, data: DataSettings, *, side_step: int) -> Square:
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
        opened.refuse_unwritten(first, last, square=square)
        write_trajectory(
            path,
            opened.snapshots(first, last, square=square),
            time=opened.times(first, last),
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
                **placed(opened.coordinates, square),
                **(opened.origin or {}),
            },
        )
        text = (
            f"{file.name}: snapshots {first} to {last - 1} of {len(opened.time)} for {split}; "
            f"{opened.side('y')} x {opened.side('x')} points, used: rows {square.y} to "
            f"{square.y + square.size - 1}, columns {square.x} to {square.x + square.size - 1}; "
            f"{'periodic' if data.is_periodic else 'not periodic'}"
        )
    return Summary(text, snapshots=last - first, grid=square.size, periodic=data.is_periodic)
