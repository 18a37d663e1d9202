"""New HDF5 files: whole or not at all, and on a full disk an error instead of a crash."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from flexbench.atomic import replacing


@contextmanager
def new_hdf5(path: Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """A file to fill, and a check to call after each large write; appears at `path` at the end.

    The check, and the end, raise the first error that the disk gave; FlexbenchError where it is
    full. Then nothing is left behind, and what stood at `path` stays.
    """
    with replacing(path) as temporary, temporary.open("wb+", buffering=0) as raw:
        sink = _Sink(raw)
        with h5py.File(sink, "w") as file:
            yield file, sink.check
        sink.check()


class _Sink(io.RawIOBase):
    """A file that HDF5 sees as one that never fails; the first failure is kept for `check`.

    HDF5 cannot close a file that it could not write: the process then ends by a segmentation
    fault (HDF5 1.14), without a word.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._failure: OSError | None = None

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self._failure is None:
                left = left[self._raw.write(left) :]
        except OSError as error:
            self._failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            if self._failure is None:
                self._raw.truncate(size)
        except OSError as error:
            self._failure = error
        return size or 0

    def readinto(self, buffer: Any) -> int:
        count: int = self._raw.readinto(buffer)
        return count

    def seek(self, offset: int, whence: int = 0) -> int:
        place: int = self._raw.seek(offset, whence)
        return place

    def tell(self) -> int:
        place: int = self._raw.tell()
        return place

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
