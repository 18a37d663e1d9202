"""The processes of a run, on this host: which they are, and how they are ended."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

GRACE_SECONDS = 30.0  # what a job gets to save its state
MARK = "FLEXBENCH_RUN_FOLDER"  # environment variable that marks every process of a run


def marked(folder: Path) -> list[int]:
    """Processes of this host that belong to a run of `folder` (Linux; elsewhere none are found).

    A Slurm job inherits the mark; its processes are Slurm's to end, even where the node is this.
    """
    wanted = f"{MARK}={folder.resolve()}".encode()
    ours = _slurm_job(f"SLURM_JOB_ID={os.environ.get('SLURM_JOB_ID', '')}".encode())
    return [
        pid
        for pid, variables in processes("environ")
        if wanted in variables and _slurm_job(*variables) in (b"", ours)
    ]


def _slurm_job(*variables: bytes) -> bytes:
    """The number of the Slurm job that an environment is of; empty: of none."""
    name = b"SLURM_JOB_ID="
    return next((word.removeprefix(name) for word in variables if word.startswith(name)), b"")


def processes(what: str) -> Iterator[tuple[int, list[bytes]]]:
    """Every other process and its environment, or its arguments; none without /proc."""
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            yield int(entry.name), (entry / what).read_bytes().split(b"\0")


def end(folder: Path) -> None:
    """End every process of a run: all are asked to, and killed where they do not in time."""
    signal_all(marked(folder), signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while marked(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    signal_all(marked(folder), signal.SIGKILL)


def signal_all(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
