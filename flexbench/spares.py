"""Spare links: second names for results while another tool may take the first ones away.

A tool that replaces files by links may remove a file before it makes the link; killed in between,
it leaves nothing. Spares cost no bytes (hard links), and keep a file's date besides.
"""

import filecmp
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

_PLACE = Path("state", "spares")  # below a results folder


def lay(folder: Path, parts: Iterable[Path]) -> None:
    """Link every file below `parts`, folders inside the results folder `folder`, a second time."""
    place = folder / _PLACE
    growing = place.with_name("spares.growing")
    shutil.rmtree(growing, ignore_errors=True)
    growing.mkdir(parents=True)
    for part in parts:
        for path in _files(part):
            spare = growing / path.relative_to(folder)
            spare.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, spare)
    growing.rename(place)


def put_back(folder: Path) -> None:
    """Put back what is missing, re-date what was replaced by the same bytes, remove the spares.

    Does nothing where no spares were laid; killed at any moment, it can be called again.
    """
    place = folder / _PLACE
    if not place.is_dir():
        return
    for spare in _files(place):
        path = folder / spare.relative_to(place)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(spare, path)
        elif not path.samefile(spare) and filecmp.cmp(path, spare, shallow=False):
            date = spare.stat().st_mtime_ns
            os.utime(path, ns=(date, date))
    done = place.with_name("spares.done")
    shutil.rmtree(done, ignore_errors=True)
    place.rename(done)
    shutil.rmtree(done)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
