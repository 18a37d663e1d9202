"""Coordinates of foreign files: where the rows and columns of a field lie, as the file says it.

NetCDF attaches a dimension scale to each axis, or names a variable as the dimension; plain HDF5
files have datasets named as their axes are. Of coordinates in two dimensions nothing is asked.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench.config.own_data import DataSettings
from flexbench.data.attributes import text_of
from flexbench.data.packing import Packing
from flexbench.data.store import own_dataset
from flexbench.data.times import evened, rounding_of
from flexbench.errors import FlexbenchError

# By so much of their distance, beyond what rounding does, points may lie off an even grid.
_UNEVEN = 0.01
# What a dataset of an axis is called where no dimension says so.
_NAMES = {"y": ("y", "lat", "latitude"), "x": ("x", "lon", "longitude")}


@dataclass(frozen=True)
class Coordinates:
    """Of one axis: values (N,), made even where rounding alone kept them off it."""

    name: str
    values: NDArray[np.float64]
    units: str | None

    @property
    def apart(self) -> float:
        """From one point to the next, on average; below 0 where they fall."""
        return float(np.diff(self.values).mean())

    def refuse_uneven(self, path: Path, used: range) -> None:
        """FlexbenchError where those that are used are not equally far apart."""
        steps = np.diff(self.values[used.start : used.stop])
        if not len(steps) or np.abs(steps - steps.mean()).max() < _UNEVEN * abs(steps.mean()):
            return
        raise FlexbenchError(
            f"{path}: '{self.name}' has points {np.abs(steps).min():g} to {np.abs(steps).max():g} "
            f"apart in {used.start} to {used.stop - 1}; what is computed needs equal distances: "
            "choose a data.crop where they are, or interpolate the field to such points"
        )

    def refuse_other(self, path: Path, ends: tuple[float, float], *, key: str) -> None:
        """FlexbenchError where these ends, of the key, are not within a point of the outer ones."""
        own = float(self.values[0]), float(self.values[-1])
        if max(abs(a - b) for a, b in zip(ends, own, strict=True)) > 1.01 * abs(self.apart):
            half = self.apart / 2
            raise FlexbenchError(
                f"{path}: {key} is [{ends[0]:g}, {ends[1]:g}], and '{self.name}' of the file goes "
                f"from {own[0]:g} to {own[1]:g}; allowed: about [{own[0] - half:g}, "
                f"{own[1] + half:g}], or null"
            )


def coordinates_of(
    opened: h5py.File, dataset: h5py.Dataset, axes: tuple[str, ...]
) -> dict[str, Coordinates]:
    """What a file says of a dataset's axes y and x; one that it says nothing of is left out."""
    found = {}
    for axis in _NAMES:
        place = axes.index(axis)
        values = _variable(opened, dataset, place, axis)
        if values is not None:
            found[axis] = read_coordinates(values)
    return {axis: it for axis, it in found.items() if it is not None}


def check_extent(data: DataSettings, path: Path, found: Mapping[str, Coordinates]) -> None:
    """FlexbenchError where `data.extent` is not what the file says, in the same units."""
    if data.extent is None:
        return
    for axis, ends in (("x", data.extent.x), ("y", data.extent.y)):
        own = found.get(axis)
        if own is None or (data.extent.units and own.units and data.extent.units != own.units):
            continue
        own.refuse_other(path, ends, key=f"data.extent.{axis}")


def _variable(
    opened: h5py.File, dataset: h5py.Dataset, place: int, axis: str
) -> h5py.Dataset | None:
    """The dataset that holds an axis's coordinates: numbers, one for each point."""
    dimension = dataset.dims[place]
    beside = str(dataset.parent.name).rstrip("/")
    named = (f"{beside}/{name}" for name in (dimension.label, *_NAMES[axis]) if name)
    for name in (*(scale.name for scale in dimension.values() if scale.name), *named):
        values = None
        with suppress(FlexbenchError):  # of what lies elsewhere nothing is read
            values = own_dataset(opened, name, packed=True)
        if (
            values is not None
            and values.shape == (dataset.shape[place],)
            and values.dtype.kind in "fiu"
            and values.id.get_storage_size()  # NetCDF writes none of a dimension without a variable
        ):
            return values
    return None


def read_coordinates(dataset: h5py.Dataset) -> Coordinates | None:
    """Of a dataset (N,); None where a value is missing: what lies where is then not said."""
    name = str(dataset.name).removeprefix("/")
    packing = Packing.of(dataset, f"{dataset.file.filename}: '{name}'")
    stored = dataset[()]
    values = packing.unpack(stored)
    if not np.isfinite(values).all():
        return None
    units = text_of(dataset, "units")
    if units and units.casefold().startswith("degree"):
        values = np.unwrap(values, period=360.0)
    rising = 1.0 if values[-1] >= values[0] else -1.0
    rounding = rounding_of(stored, values, scale=packing.scale)
    return Coordinates(name, rising * evened(rising * values, rounding=rounding), units)
