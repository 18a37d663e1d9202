"""Predictions from elsewhere, read and held against what was asked for, fault by fault.

Nothing of an answer is believed but its numbers: which snapshots are asked for, from which inputs
and in which units is known here, and an answer has to say the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench.data.store import open_readonly, own_dataset
from flexbench.errors import FlexbenchError
from flexbench.graph.submitted import FORMAT_VERSION
from flexbench.submissions.request import ANSWER_FORMAT, IDENTITY, PREDICTION, Request

_SUFFIX = ".h5"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A file that answers a request, and that nothing is wrong with but, maybe, its numbers."""

    path: Path
    request: Request
    training_seed: int
    members: int

    def ensemble(self, row: int) -> NDArray[np.float32]:
        """All members (M, C, H, W) of one snapshot, physical units.

        Raises FlexbenchError where a value of it is not finite.
        """
        with open_readonly(self.path) as file:
            fields: NDArray[np.float32] = file[PREDICTION][row]
        if not np.isfinite(fields).all():
            snapshot = self.request.snapshots[row]
            wrong = fields.size - int(np.isfinite(fields).sum())
            raise FlexbenchError(
                f"{self.path}: {PREDICTION}: row {row} ({snapshot.trajectory}, snapshot "
                f"{snapshot.index}) holds {wrong} values that are not finite; allowed: numbers"
            )
        return fields


def answer_files(answer: Path) -> list[Path]:
    """The files of an answer: one, or all of a folder; FlexbenchError where there is none."""
    if answer.is_file():
        return [answer]
    found = sorted(answer.glob(f"*{_SUFFIX}")) if answer.is_dir() else []
    if not found:
        raise FlexbenchError(
            f"{answer}: holds no answer; allowed: an HDF5 file, or a folder of files *{_SUFFIX}"
        )
    return found


def read_answer(
    path: Path, request_of: Callable[[str], Request], *, cases: Sequence[str], ensemble: bool
) -> Answer:
    """An answer that fits its request.

    request_of: makes the request of a case. cases: that there are. ensemble: whether the card says
    that the model draws one. Raises FlexbenchError for the first fault, with the file, the key,
    what was found and what is allowed.
    """
    with open_readonly(path) as file:
        found = _Found(path, file)
        found.require("format", ANSWER_FORMAT)
        found.require("format_version", FORMAT_VERSION)
        case = found.attribute("case", allowed=", ".join(cases))
        if case not in cases:
            raise found.fault("case", case, ", ".join(cases))
        request = request_of(case)
        found.require("request", request.digest, why=" (this configuration asks for it)")
        found.require(
            "inputs_sha256", request.inputs_digest, why=" (the inputs as they were given)"
        )
        found.require("units", request.units)
        seed = found.attribute("training_seed", allowed="a whole number from 0 on")
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**53:
            raise found.fault("training_seed", seed, "a whole number from 0 on")
        for name in IDENTITY:
            found.require_column(name, [getattr(it, name) for it in request.snapshots])
        members = found.require_prediction(request, ensemble=ensemble)
    return Answer(path=path, request=request, training_seed=seed, members=members)


class _Found:
    """What an opened file says, and errors about it."""

    def __init__(self, path: Path, file: h5py.File):
        self._path, self._file = path, file

    def fault(self, key: str, value: Any, allowed: str) -> FlexbenchError:
        return FlexbenchError(f"{self._path}: {key}: found {value!r}; allowed: {allowed}")

    def attribute(self, key: str, *, allowed: str) -> Any:
        if key not in self._file.attrs:
            raise FlexbenchError(
                f"{self._path}: {key}: the attribute is missing; allowed: {allowed}"
            )
        value = self._file.attrs[key]
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(())[()]
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        return value.item() if isinstance(value, np.generic) else value

    def require(self, key: str, wanted: str | int, *, why: str = "") -> None:
        shown = f"{wanted!r}{why}"
        value = self.attribute(key, allowed=shown)
        if type(value) is not type(wanted) or value != wanted:
            raise self.fault(key, value, shown)

    def dataset(self, key: str, *, allowed: str) -> h5py.Dataset:
        found = own_dataset(self._file, key)
        if found is None:
            raise FlexbenchError(f"{self._path}: {key}: the dataset is missing; allowed: {allowed}")
        return found

    def require_column(self, key: str, wanted: list[Any]) -> None:
        """The rows are those of the request, in its order."""
        allowed = f"the {len(wanted)} rows of the request, in its order"
        dataset = self.dataset(key, allowed=allowed)
        if dataset.shape != (len(wanted),):
            raise self.fault(key, f"shape {dataset.shape}", allowed)
        text = h5py.check_string_dtype(dataset.dtype) is not None
        values = (dataset.asstr()[()] if text else dataset[()]).tolist()
        for row, (value, own) in enumerate(zip(values, wanted, strict=True)):
            if value != own:
                raise FlexbenchError(
                    f"{self._path}: {key}: row {row} is {value!r}; allowed: {own!r}, as in the "
                    "request"
                )

    def require_prediction(self, request: Request, *, ensemble: bool) -> int:
        """Of the right type and shape; the number of members."""
        members, *field = request.shape
        rows = len(request.snapshots)
        wanted = members if ensemble else 1
        allowed = f"float32 of shape {(rows, wanted, *field)}"
        dataset = self.dataset(PREDICTION, allowed=allowed)
        if dataset.dtype != np.dtype("<f4"):
            raise self.fault(PREDICTION, str(dataset.dtype), allowed)
        shape = dataset.shape
        if len(shape) == 5 and (shape[0], *shape[2:]) == (rows, *field) and shape[1] != wanted:
            said = "ensemble: true" if ensemble else "ensemble: false"
            raise FlexbenchError(
                f"{self._path}: {PREDICTION}: found {shape[1]} members; allowed: {wanted}, where "
                f"the card says {said}"
            )
        if shape != (rows, wanted, *field):
            raise self.fault(PREDICTION, f"shape {shape}", allowed)
        return wanted
