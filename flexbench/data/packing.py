"""How NetCDF variables are packed: the conventions for what the stored numbers mean."""

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench.config.reading import in_one_line
from flexbench.data import schema
from flexbench.errors import FlexbenchError


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
