"""The file of samples: one method's ensembles on the scored snapshots of one case.

`/prediction` float32 (S, M, C, H, W), physical units, one chunk per member and field; and of each
of the S snapshots `/trajectory` (file stem), `/reynolds`, `/seed`, `/index` (of the target
snapshot in its file), `/time`, and `/lead` (1 but in rollouts, whose leads follow one another).
Root attributes: `Labels`, and the format's name and version. Version 2 added leads, version 3
calls the attributes `task` and `evaluations` `case` and `calls`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench.data.newfile import new_hdf5
from flexbench.data.store import own_dataset
from flexbench.errors import FlexbenchError

FORMAT = "flexbench-samples"
FORMAT_VERSION = 3

PREDICTION = "prediction"
COLUMNS: dict[str, Any] = {
    "trajectory": str,
    "reynolds": np.dtype("<f8"),
    "seed": np.dtype("<i8"),
    "index": np.dtype("<i8"),
    "time": np.dtype("<f8"),
    "lead": np.dtype("<i8"),
}


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Which snapshot is predicted: the target's file (stem), its run, and its place in the file.

    lead: how many leads it is ahead of the last snapshot that was given.
    """

    trajectory: str
    reynolds: float
    seed: int
    index: int
    time: float
    lead: int = 1


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What drew the samples.

    mode: "denoiser", "crps", "regressor" or "formula". sampler, steps: of the reverse diffusion;
    "none" and 0 where there is none. parameters: of the network. calls: of the network, per member.
    flops: of one member of one patch, encode + calls x denoise, however many tiles a field is
    drawn in. feedback: of a rollout, "member" or "mean"; "none" where no prediction is fed back.
    patch: points per side of those tiles, and overlap: points that two of them share; 0 and 0
    where there are none.
    """

    case: str
    method: str
    mode: str
    training_seed: int
    sampler: str
    steps: int
    parameters: int
    flops: float
    calls: int
    feedback: str = "none"
    patch: int = 0
    overlap: int = 0


def write_samples(
    path: Path,
    predictions: Iterable[NDArray[np.float32]],
    *,
    snapshots: Sequence[Snapshot],
    shape: tuple[int, int, int, int],
    labels: Labels,
) -> None:
    """Write a samples file atomically; the same arguments give the same bytes.

    predictions: (M, C, H, W) float32 of each snapshot, in their order, consumed one by one.
    shape: (M, C, H, W).
    """
    with new_hdf5(path) as (file, check):
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        for name, value in asdict(labels).items():
            file.attrs[name] = value
        for name, dtype in COLUMNS.items():
            values = [getattr(snapshot, name) for snapshot in snapshots]
            kind = h5py.string_dtype() if dtype is str else dtype
            # Modification times would make two equal runs differ.
            file.create_dataset(name, data=np.array(values, dtype=kind), track_times=False)
        dataset = file.create_dataset(
            PREDICTION,
            shape=(len(snapshots), *shape),
            dtype="<f4",
            chunks=(1, 1, *shape[1:]),
            track_times=False,
        )
        for row, prediction in zip(range(len(snapshots)), predictions, strict=True):
            dataset[row] = prediction
            check()


class Samples:
    """Read-only view of a samples file; predictions are read when asked for.

    Attributes: path, labels (Labels), snapshots (list of Snapshot), shape (S, M, C, H, W).
    Raises FlexbenchError where the file is missing, damaged, or not in the format.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        if not self.path.is_file():
            raise FlexbenchError(f"{self.path}: no such samples file")
        try:
            self._file = h5py.File(self.path, "r", locking=False)
        except OSError as error:
            raise FlexbenchError(f"{self.path}: not a readable HDF5 file; draw it again") from error
        try:
            self._check_format()
            self.labels = self._labels()
            self.snapshots = self._snapshots()
            self.shape: tuple[int, ...] = self._dataset(PREDICTION).shape
            self._check_shape()
        except FlexbenchError:
            self._file.close()
            raise

    def __len__(self) -> int:
        """S, scored snapshots."""
        return len(self.snapshots)

    def ensemble(self, row: int) -> NDArray[np.float32]:
        """All members (M, C, H, W) of one snapshot, physical units."""
        return self._dataset(PREDICTION)[row]

    def member(self, row: int, member: int) -> NDArray[np.float32]:
        """One member (C, H, W) of one snapshot, physical units."""
        return self._dataset(PREDICTION)[row, member]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check_format(self) -> None:
        found = (self._attribute("format"), self._attribute("format_version"))
        if found != (FORMAT, FORMAT_VERSION):
            raise FlexbenchError(
                f"{self.path}: format is {found[0]!r} version {found[1]!r}; "
                f"allowed: {FORMAT!r} version {FORMAT_VERSION}"
            )

    def _attribute(self, name: str) -> Any:
        if name not in self._file.attrs:
            raise FlexbenchError(f"{self.path}: attribute '{name}' is missing")
        value = self._file.attrs[name]
        return value.item() if isinstance(value, np.generic) else value

    def _labels(self) -> Labels:
        return Labels(**{field.name: self._attribute(field.name) for field in fields(Labels)})

    def _dataset(self, name: str) -> h5py.Dataset:
        dataset = own_dataset(self._file, name)
        if dataset is None:
            raise FlexbenchError(f"{self.path}: dataset '{name}' is missing")
        return dataset

    def _snapshots(self) -> list[Snapshot]:
        columns = {
            name: (self._dataset(name).asstr()[()] if dtype is str else self._dataset(name)[()])
            for name, dtype in COLUMNS.items()
        }
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) != 1:
            raise FlexbenchError(f"{self.path}: datasets differ in length: {lengths}")
        lists = {name: column.tolist() for name, column in columns.items()}
        return [
            Snapshot(**dict(zip(lists, row, strict=True)))
            for row in zip(*lists.values(), strict=True)
        ]

    def _check_shape(self) -> None:
        if len(self.shape) != 5 or self.shape[0] != len(self.snapshots):
            raise FlexbenchError(
                f"{self.path}: dataset '{PREDICTION}' has shape {self.shape}; "
                f"allowed: ({len(self.snapshots)}, M, C, H, W)"
            )
