"""How results and cache share bytes: what the file system can do, and nobody may write through."""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from flexbench.errors import FlexbenchError

KINDS = ("reflink", "hardlink", "copy")
_FICLONE = 0x40049409  # Linux: share a file's blocks, copy-on-write


def first_usable(kinds: Sequence[str], *, cache: Path, folder: Path) -> str:
    """The first of these kinds of link that works from the cache to a results folder.

    Symbolic links are refused: Snakemake dates a link and not its file.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise FlexbenchError(
                f"DVC's cache.type: '{kind}' does not go with Snakemake; "
                f"allowed: {', '.join(KINDS)}"
            )
        if _works(kind, cache, folder):
            return kind
    raise FlexbenchError(f"DVC's cache.type: none of {', '.join(kinds)} works from {cache}")


def protect(folders: Iterable[Path]) -> int:
    """Make every linked file read-only, and return how many linked files there are.

    A file with two names is the cache's object, too: whoever writes into it corrupts a version.
    """
    linked = 0
    for folder in folders:
        for path in folder.rglob("*"):
            if not path.is_file():
                continue
            status = path.stat()
            if status.st_nlink > 1:
                linked += 1
                if status.st_mode & 0o222:
                    path.chmod(0o444)
    return linked


def _works(kind: str, cache: Path, folder: Path) -> bool:
    if kind == "copy":
        return True
    with _probe(cache) as source, _probe(folder) as target:
        source.write_bytes(b"flexbench")
        try:
            if kind == "hardlink":
                os.link(source, target)
            else:
                with source.open("rb") as old, target.open("wb") as new:
                    fcntl.ioctl(new, _FICLONE, old.fileno())
        except OSError:
            return False
    return True


@contextmanager
def _probe(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".probe-{os.getpid()}"
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink()
