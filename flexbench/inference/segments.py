"""What a killed run has already drawn: one file per finished snapshot."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flexbench.atomic import replacing, write_text


class Segments:
    """Finished snapshots of an unfinished file, one .npy each, in a folder of their own.

    identity: JSON-like; a folder that was begun under another one is emptied.
    """

    def __init__(self, folder: Path, *, identity: Mapping[str, Any]):
        self.folder = folder
        text = json.dumps(identity, sort_keys=True)
        plan = folder / "plan.json"
        if not plan.is_file() or plan.read_text(encoding="utf-8") != text:
            self.remove()
            write_text(plan, text)

    def __contains__(self, row: int) -> bool:
        return self._path(row).is_file()

    def write(self, row: int, prediction: NDArray[np.float32]) -> None:
        with replacing(self._path(row)) as temporary, temporary.open("wb") as file:
            np.save(file, prediction)

    def read(self, count: int) -> Iterator[NDArray[np.float32]]:
        """The first `count` segments, one by one."""
        return (np.load(self._path(row)) for row in range(count))

    def remove(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _path(self, row: int) -> Path:
        return self.folder / f"snapshot_{row:05d}.npy"
