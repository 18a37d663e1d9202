"""An open array of a user's own: its snapshots, its times, and what it says of itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench.data.attributes import text_of
from flexbench.data.coordinates import Coordinates
from flexbench.data.packing import Packing
from flexbench.data.times import evened
from flexbench.data.unwritten import first_unwritten
from flexbench.errors import FlexbenchError

# So much of an array is read at once: compressed chunks may span many snapshots.
BLOCK_BYTES = 1 << 26
# Axes of which one index is taken.
_SINGLE = ("channel", "trajectory")
# What h5py raises where a file is damaged.
_DAMAGE = (OSError, RuntimeError)
# Of a label that a file brings: a title of a figure holds no more.
MOST_LETTERS = 60


class MissingError(FlexbenchError):
    """snapshot: the first with a missing value, or one that is not finite, where one is used; None
    where it lacks all of them, so that no other square would help."""

    def __init__(self, message: str, *, snapshot: int | None):
        super().__init__(message)
        self.snapshot = snapshot


@dataclass(frozen=True)
class Square:
    """What is used of a field: size x size points from row y and column x on."""

    y: int
    x: int
    size: int


@dataclass(frozen=True)
class Source:
    """An open array of a user's: its snapshots (H, W), one per entry of `time` (T,).

    time_rounding: how far its times may have been moved when they were written. coordinates: of
    axes y and x, where the file has any. channel, trajectory: which one, where there are several.
    origin: when its time is 0, as `placed` has it, where the file says so.
    """

    path: Path
    dataset: h5py.Dataset
    axes: tuple[str, ...]
    channel: int
    packing: Packing
    time: NDArray[np.float64]
    time_rounding: float
    time_units: str | None
    coordinates: Mapping[str, Coordinates]
    subtract: float
    divide_by: float
    trajectory: int = 0
    origin: Mapping[str, str] | None = None

    def side(self, axis: str) -> int:
        return int(self.dataset.shape[self.axes.index(axis)])

    def times(self, first: int, last: int) -> NDArray[np.float64]:
        """Of snapshots first <= i < last, even where rounding alone keeps the file's off it."""
        return evened(self.time[first:last], rounding=self.time_rounding)

    def snapshots(self, first: int, last: int, *, square: Square) -> Iterator[NDArray[Any]]:
        """Snapshots first <= i < last, (size, size) float32.

        Raises FlexbenchError naming file, dataset and snapshot where one holds what is missing, or
        not finite in float32. What was never written looks like data: `refuse_unwritten` first.
        """
        kept = [axis for axis in self.axes if axis not in _SINGLE]
        order = [kept.index(axis) for axis in ("time", "y", "x")]
        step = max(1, BLOCK_BYTES // (8 * square.size**2))
        for start in range(first, last, step):
            place = self._part(start, min(start + step, last), square)
            # A number, not a range, where one is taken: its axis is dropped.
            chosen = tuple(
                along.start if axis in _SINGLE else slice(along.start, along.stop)
                for axis, along in zip(self.axes, place, strict=True)
            )
            try:
                block = self.dataset[chosen]
            except _DAMAGE as error:
                raise FlexbenchError(f"{self._where}: cannot be read ({error})") from None
            with np.errstate(over="ignore"):  # told below
                fields = self._values(block).transpose(order).astype(np.float32, order="C")
            for number, field in enumerate(fields):
                if not np.isfinite(field).all():
                    stored = block.transpose(order)[number]
                    raise self._gap(start + number, square, stored=stored, field=field)
                yield field

    def lacking(self, snapshots: Iterable[int]) -> NDArray[np.bool_]:
        """Points (H, W) of the whole field that are missing, or not finite, in any of these."""
        kept = [axis for axis in self.axes if axis not in _SINGLE]
        single = {"channel": self.channel, "trajectory": self.trajectory}
        found = np.zeros((self.side("y"), self.side("x")), dtype=bool)
        for index in snapshots:
            place = single | {"time": int(index)}
            stored = self.dataset[tuple(place.get(axis, slice(None)) for axis in self.axes)]
            with np.errstate(over="ignore"):
                values = ~np.isfinite(self._values(stored).astype(np.float32))
            found |= values if kept.index("y") < kept.index("x") else values.T
        return found

    def refuse_unwritten(self, first: int, last: int, *, square: Square) -> None:
        """FlexbenchError where the file lacks chunks of snapshots first <= i < last."""
        part = self._part(first, last, square)
        try:
            place = first_unwritten(self.dataset, part)
        except _DAMAGE as error:
            raise FlexbenchError(f"{self._where}: cannot be read ({error})") from None
        if place is None:
            return
        # A chunk may begin before what is used.
        at = dict(zip(self.axes, map(max, place, (along.start for along in part)), strict=True))
        raise FlexbenchError(
            f"{self._where}: snapshot {at['time']} was never written at row {at['y']}, column "
            f"{at['x']}; choose data.splits or data.crop without it"
        )

    def block_of(self, index: int) -> tuple[int, int]:
        """Snapshots first <= i < last that are stored together with one."""
        along = self.axes.index("time")
        size = self._chunks[along]
        first = index // size * size
        return first, min(first + size, len(self.time))

    def stored_bytes(self, first: int, last: int, *, square: Square) -> int:
        """What has to be read for snapshots first <= i < last, unpacked: chunks are read whole."""
        count = self.dataset.dtype.itemsize
        for along, size in zip(self._part(first, last, square), self._chunks, strict=True):
            count *= (-(-along.stop // size) - along.start // size) * size
        return int(count)

    @property
    def units(self) -> str | None:
        """Of the values, as the file has them."""
        return text_of(self.dataset, "units")

    @property
    def words(self) -> dict[str, str]:
        """What the file says for labels, by the names of `schema.DESCRIPTION`."""
        found = {
            "field_name": text_of(self.dataset, "long_name")
            or text_of(self.dataset, "standard_name"),
            "field_units": self.units,
            "time_units": self.time_units,
        }
        return {name: text[:MOST_LETTERS] for name, text in found.items() if text}

    @property
    def _where(self) -> str:
        return f"{self.path}: '{self.dataset.name.removeprefix('/')}'"

    @property
    def _chunks(self) -> tuple[int, ...]:
        """Per axis, how many values are stored together; of an array without chunks, its rows."""
        if self.dataset.chunks is not None:
            return tuple(self.dataset.chunks)
        return (*(1 for _ in self.dataset.shape[:-1]), self.dataset.shape[-1])

    def _part(self, first: int, last: int, square: Square) -> tuple[range, ...]:
        """Of each axis of the dataset, what snapshots first <= i < last need."""
        place = {
            "time": range(first, last),
            "channel": range(self.channel, self.channel + 1),
            "trajectory": range(self.trajectory, self.trajectory + 1),
            "y": range(square.y, square.y + square.size),
            "x": range(square.x, square.x + square.size),
        }
        return tuple(place[axis] for axis in self.axes)

    def _values(self, block: NDArray[Any]) -> NDArray[np.float64]:
        """In the user's units, scaled as configured; what is marked as missing is NaN."""
        return (self.packing.unpack(block) - self.subtract) / self.divide_by

    def _gap(
        self, snapshot: int, square: Square, *, stored: NDArray[Any], field: NDArray[Any]
    ) -> MissingError:
        """Of a field (size, size) that is not finite everywhere: which value, where, what helps."""
        lacking = ~np.isfinite(field)
        y, x = np.argwhere(lacking)[0]
        mark = self.packing.mark_in(stored[y : y + 1, x : x + 1])
        if mark is not None:
            what = f"holds a missing value ({mark})"
        elif np.isfinite(self.packing.unpack(stored[y : y + 1, x : x + 1])).all():
            what = "holds a value that is not finite as float32, after data.divide_by"
        else:
            what = "holds a value that is not finite"
        helps = "data.splits" if lacking.all() else "data.crop, or data.splits,"
        return MissingError(
            f"{self._where}: snapshot {snapshot} {what} at {lacking.sum()} of {field.size} points, "
            f"the first in row {square.y + y}, column {square.x + x}; choose {helps} without it",
            snapshot=None if lacking.all() else snapshot,
        )
