"""Where files of an archive go: into a folder or a .zip, whole or not at all; the same files give
the same bytes.
"""

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from flexbench.atomic import replacing

_CHUNK = 1 << 20


class Archive(Protocol):
    """Takes files; says what it has written of each: SHA-256 and size."""

    def add(self, name: str, source: Path | bytes) -> tuple[str, int]: ...


class Folder:
    """root: where the files go until the folder is whole."""

    def __init__(self, root: Path):
        self.root = root

    def add(self, name: str, source: Path | bytes) -> tuple[str, int]:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            result = _copy(source, file)
            file.flush()
            os.fsync(file.fileno())
        return result


class _Zip:
    def __init__(self, file: zipfile.ZipFile):
        self.file = file

    def add(self, name: str, source: Path | bytes) -> tuple[str, int]:
        entry = zipfile.ZipInfo(name)  # no time of its own: 1980, like all others
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        entry.create_system = 3
        with self.file.open(entry, "w", force_zip64=True) as file:
            return _copy(source, file)


def _copy(source: Path | bytes, target: Any) -> tuple[str, int]:
    """Copy in chunks; what was written, not what is read later, is what the hash is of."""
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(source):
        digest.update(chunk)
        size += len(chunk)
        target.write(chunk)
    return digest.hexdigest(), size


def _chunks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


@contextmanager
def zipped(output: Path) -> Iterator[Archive]:
    """A .zip that appears under its name when it is whole."""
    with replacing(output) as temporary, zipfile.ZipFile(temporary, "w") as file:
        yield _Zip(file)


@contextmanager
def new_folder(output: Path) -> Iterator[Folder]:
    """A folder that appears under its name when it is whole."""
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".tmp", dir=output.parent))
    try:
        yield Folder(temporary)
        temporary.chmod(0o755)
        temporary.rename(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
