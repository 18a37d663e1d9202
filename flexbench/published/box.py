"""minFLEX's box of ERA5: `fields` (T,H,W) or (T,C,H,W), channel 0, cut into patches."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from flexbench.config.own_data import DataSettings
from flexbench.data.adapters import open_source
from flexbench.data.source import Source
from flexbench.data.unwritten import first_unwritten
from flexbench.errors import FlexbenchError

_NAME = "box"
# Of a section `data` this takes the layout alone; the rest is what the section cannot do without.
_LAYOUT = DataSettings.model_validate(
    {
        "layout": "era5",
        "sources": {_NAME: {"file": _NAME, "reynolds": 1}},
        "splits": {"train": [0, 0.5], "validation": [0.5, 0.75], "test": [0.75, 1]},
    }
)


@dataclass(frozen=True)
class Box:
    """An open file whose fields are made of whole patches."""

    source: Source
    patch: int

    @property
    def snapshots(self) -> int:
        """T."""
        return len(self.source.time)

    def patches(self, index: int) -> Tensor:
        """Patches (B, 1, p, p), float32, of a snapshot: row by row, as the authors cut them.

        Raises FlexbenchError where a value is missing, or not finite in float32.
        """
        source, place = self.source, {"time": index, "channel": self.source.channel}
        where = f"{source.path}: '{source.dataset.name.removeprefix('/')}'"
        part = [
            range(place[axis], place[axis] + 1) if axis in place else range(length)
            for axis, length in zip(source.axes, source.dataset.shape, strict=True)
        ]
        chosen = tuple(place.get(axis, slice(None)) for axis in source.axes)
        try:
            unwritten = first_unwritten(source.dataset, part)
            block = source.dataset[chosen]
        except (OSError, RuntimeError) as error:
            raise FlexbenchError(f"{where}: cannot be read ({error})") from None
        if unwritten is not None:
            raise FlexbenchError(f"{where}: snapshot {index} was not written everywhere")
        with np.errstate(over="ignore"):  # told below
            field = source.packing.unpack(block).astype(np.float32)
        lacking = ~np.isfinite(field)
        if lacking.any():
            y, x = np.argwhere(lacking)[0]
            raise FlexbenchError(
                f"{where}: snapshot {index} holds values that are missing or not finite at "
                f"{lacking.sum()} of {field.size} points, the first in row {y}, column {x}"
            )
        rows = torch.from_numpy(field).unfold(0, self.patch, self.patch)
        tiles = rows.unfold(1, self.patch, self.patch)  # (rows, columns, p, p)
        return tiles.reshape(-1, 1, self.patch, self.patch).contiguous()


@contextmanager
def open_box(path: Path, *, patch: int) -> Iterator[Box]:
    """Raises FlexbenchError, in one line, where the file is no such box, or no patches make it."""
    with open_source(_LAYOUT, _NAME, path) as source:
        height, width = source.side("y"), source.side("x")
        if height % patch or width % patch:
            raise FlexbenchError(
                f"{path}: fields of {height} x {width} points; allowed: multiples of the "
                f"network's patch ({patch})"
            )
        yield Box(source, patch)
