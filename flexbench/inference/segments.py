"""What a killed run has already drawn: one file per finished snapshot."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexbench.atomic import replacing, write_text
from flexbench.errors import FlexbenchError


class Segments:
    """Finished snapshots of an unfinished file, one .npy each, in a folder of their own.

    A snapshot's name has to hold what distinguishes its content within one identity.
    identity: JSON-like; a folder that was begun under another one is emptied.
    """

    def __init__(self, folder: Path, *, identity: Mapping[str, Any]):
        self.folder = folder
        text = json.dumps(identity, sort_keys=True)
        plan = folder / "plan.json"
        if not plan.is_file() or plan.read_text(encoding="utf-8") != text:
            self.remove()
            write_text(plan, text)

    def __contains__(self, name: str) -> bool:
        return self._path(name).is_file()

    def write(self, name: str, prediction: NDArray[np.float32]) -> None:
        with replacing(self._path(name)) as temporary, temporary.open("wb") as file:
            np.save(file, prediction)

    def read(self, names: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """The segments with these names, one by one."""
        return (self.load(name) for name in names)

    def load(self, name: str) -> NDArray[np.float32]:
        """One segment; FlexbenchError where it is missing or damaged."""
        path = self._path(name)
        try:
            segment: NDArray[np.float32] = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            reason = " ".join(str(error).split())
            raise FlexbenchError(
                f"{path}: not a readable segment ({reason}); delete it and run again"
            ) from None
        return segment

    def remove(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors, whatever their order and device."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().view(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
