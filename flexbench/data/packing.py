"""What the stored numbers of a variable mean: how they are packed, and which of them mark a gap.

What NetCDF's own library masks is missing here: `_FillValue`, `missing_value`, what lies outside
`valid_range` (or `valid_min` and `valid_max`), and the default fill value of the type where no
`_FillValue` is declared. So is HDF5's own fill value, where the file's maker chose one.
"""

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench.data.attributes import flag_of, numbers_of
from flexbench.errors import FlexbenchError

# What NetCDF's library fills unwritten values with, by type; bytes use all their values.
_DEFAULT_FILL = {
    **{"i2": -32767, "u2": 65535, "i4": -2147483647, "u4": 4294967295},
    **{"i8": -9223372036854775806, "u8": 18446744073709551614},
}
_DEFAULT_FILL_OF_FLOATS = 9.969209968386869e36


@dataclass(frozen=True)
class Mark:
    """One value, as stored, that stands for none; name: of what makes it one."""

    name: str
    value: Any

    def of(self, stored: NDArray[Any]) -> NDArray[np.bool_]:
        return np.asarray(stored == self.value)

    def __str__(self) -> str:
        return f"{self.name} {self.value}"


@dataclass(frozen=True)
class Bound:
    """A least or a greatest valid value, as stored or, where packed numbers cannot be it, meant."""

    name: str
    value: Any
    least: bool
    meant: bool

    def of(self, stored: NDArray[Any], meant: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Where values, as stored and as meant, lie beyond it."""
        values = meant if self.meant else stored
        return np.asarray(values < self.value if self.least else values > self.value)

    def __str__(self) -> str:
        return f"{'below' if self.least else 'above'} '{self.name}' {self.value}"


@dataclass(frozen=True)
class Packing:
    """What the attributes of a variable say of the numbers that are stored."""

    scale: float
    offset: float
    marks: tuple[Mark, ...]
    bounds: tuple[Bound, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, dataset: h5py.Dataset, where: str) -> "Packing":
        """Raises FlexbenchError, naming the attribute, where one of them is none."""
        scale, offset = (
            float(next(iter(numbers_of(dataset, name, where=where, count=1)), default))
            for name, default in (("scale_factor", 1.0), ("add_offset", 0.0))
        )
        if not (np.isfinite([scale, offset]).all() and scale):
            raise FlexbenchError(
                f"{where}: attributes 'scale_factor' and 'add_offset' are {scale:g} and "
                f"{offset:g}; allowed: finite numbers, the first not 0"
            )
        dtype = _meant_type(dataset, where)
        return cls(
            scale, offset, _marks(dataset, dtype, where), _bounds(dataset, dtype, where), dtype
        )

    def unpack(self, block: NDArray[Any]) -> NDArray[np.float64]:
        """The numbers that are meant; what is marked as missing is NaN."""
        stored = block.view(self.dtype)
        values = stored.astype(np.float64)
        for mark in self.marks:
            values[mark.of(stored)] = np.nan
        values *= self.scale
        values += self.offset
        for bound in self.bounds:
            values[bound.of(stored, values)] = np.nan
        return values

    def mark_in(self, block: NDArray[Any]) -> Mark | Bound | None:
        """What marks one of the values as missing; None where nothing does."""
        stored = block.view(self.dtype)
        meant = stored.astype(np.float64) * self.scale + self.offset
        found: list[Mark | Bound] = [mark for mark in self.marks if mark.of(stored).any()]
        found += [bound for bound in self.bounds if bound.of(stored, meant).any()]
        return found[0] if found else None


def _meant_type(dataset: h5py.Dataset, where: str) -> np.dtype[Any]:
    """Files that once were NetCDF-3 store unsigned integers as signed ones, or the reverse."""
    dtype: np.dtype[Any] = dataset.dtype
    unsigned = flag_of(dataset, "_Unsigned", where=where)
    if unsigned is None or dtype.kind not in "iu":
        return dtype
    return np.dtype(dtype.str.replace(dtype.kind, "u" if unsigned else "i"))


def _marks(dataset: h5py.Dataset, dtype: np.dtype[Any], where: str) -> tuple[Mark, ...]:
    found = [
        (f"'{name}'", value)
        for name in ("_FillValue", "missing_value")
        for value in numbers_of(dataset, name, where=where)
    ]
    default = _default_fill(dataset.dtype, declared="_FillValue" in dataset.attrs)
    if default is not None:
        found.append(("NetCDF's default fill value", default))
    chosen = dataset.id.get_create_plist().fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
    # Of bytes NetCDF's library sets one whether it means anything or not; so do many with 0.
    if chosen and dtype.itemsize > 1 and dataset.fillvalue:
        found.append(("the dataset's own fill value", dataset.fillvalue))
    marks: dict[Any, Mark] = {}
    for name, value in found:
        stored = _as_stored(value, dtype, flagged=dtype != dataset.dtype)
        if stored == stored:  # NaN is no mark: it is found without one
            marks.setdefault(stored, Mark(name, stored))
    return tuple(marks.values())


def _default_fill(dtype: np.dtype[Any], *, declared: bool) -> Any:
    if dtype.kind == "f":
        # No field holds it by chance, whatever else is declared.
        return dtype.type(_DEFAULT_FILL_OF_FLOATS) if dtype.itemsize >= 4 else None
    fill = None if declared else _DEFAULT_FILL.get(dtype.str[1:])
    return None if fill is None else dtype.type(fill)


def _bounds(dataset: h5py.Dataset, dtype: np.dtype[Any], where: str) -> tuple[Bound, ...]:
    ends = numbers_of(dataset, "valid_range", where=where, count=2)
    named = [("valid_range", value, not place) for place, value in enumerate(ends)] or [
        (name, value, least)
        for name, least in (("valid_min", True), ("valid_max", False))
        for value in numbers_of(dataset, name, where=where, count=1)
    ]
    flagged = dtype != dataset.dtype
    bounds = []
    for name, value, least in named:
        stored = _as_stored(value, dtype, flagged=flagged)
        # What packed integers cannot hold is meant of the numbers that they stand for.
        meant = dtype.kind != "f" and not _is_held(stored, dtype)
        bounds.append(Bound(name, stored, least, meant))
    return tuple(bounds)


def _is_held(value: Any, dtype: np.dtype[Any]) -> bool:
    limits = np.iinfo(dtype)
    return bool(float(value).is_integer() and limits.min <= value <= limits.max)


def _as_stored(value: Any, dtype: np.dtype[Any], *, flagged: bool) -> Any:
    """A number of an attribute as the data would hold it: 1e20 is another number in float32.

    flagged: the integers are meant as unsigned though stored as signed ones, or the reverse; so
    are those of attributes.
    """
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(value)
    if not float(value).is_integer():
        return value
    bits, whole = 8 * dtype.itemsize, int(value)
    twin = flagged or (value.dtype.kind in "iu" and value.dtype.itemsize == dtype.itemsize)
    if twin and not _is_held(value, dtype) and -(2 ** (bits - 1)) <= whole < 2**bits:
        return dtype.type(whole % 2**bits if dtype.kind == "u" else whole - 2**bits)
    return value
