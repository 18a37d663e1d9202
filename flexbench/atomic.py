"""Files appear whole or not at all; a full disk is told in one line."""

import errno
import glob
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flexbench.errors import FlexbenchError

# A disk with less room than this is the reason for an error that gives none.
_FULL_BYTES = 2**20


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place, durably, if the block ends well.

    If the block fails, the temporary file is removed and what stood at `path` stays. Raises
    FlexbenchError where the disk is full.
    """
    with telling_full(path):
        yield from _replace(path)


@contextmanager
def telling_full(path: Path) -> Iterator[None]:
    """Errors of a full disk inside the block become a FlexbenchError that names `path`."""
    try:
        yield
    except Exception as error:
        if not _is_full(error, path.parent):
            raise
        raise FlexbenchError(
            f"{path}: no space left on the device; nothing that was finished is lost: make room, "
            "then run the same command again"
        ) from error


def _is_full(error: Exception, folder: Path) -> bool:
    """Whether an error comes from a full disk; torch and numpy do not say so."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    if "No space left" in str(error) or "quota exceeded" in str(error):
        return True
    if not isinstance(error, OSError | RuntimeError):
        return False
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _FULL_BYTES


def _replace(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{_host()}-{os.getpid()}.tmp")
    try:
        yield temporary
        # Some writers make private files; a result is as readable as any other file of the user.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` whose writers, on this host, were killed."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.{_host()}-*.tmp"):
        process = leftover.name.removesuffix(".tmp").rpartition("-")[2]
        if process.isdigit() and not _is_alive(int(process)):
            leftover.unlink(missing_ok=True)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", socket.gethostname())


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8)."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
