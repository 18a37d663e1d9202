"""One run at a time: who works in a results folder and in the checkout.

A lock file names its owner; flock tells the dead from the living. Snakemake's own locks name
nobody: for one that was started plainly, its process is looked for.
"""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flexbench.atomic import telling_full
from flexbench.errors import FlexbenchError
from flexbench.paths import checkout
from flexbench.processes import marked, processes

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 120.0
# Snakemake with its events, for whoever watches.
SNAKEMAKE_EVENTS = "flexbench.snakemake_events"


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Hold a lock file for as long as the block runs.

    flock tells the dead from the living on one host; the heartbeat (the file's mtime) does where
    a network file system does not carry flock between hosts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FlexbenchError(_owner_message(path)) from None
        owner = _read_owner(path)
        recent = time.time() - path.stat().st_mtime < STALE_SECONDS
        if owner and owner["host"] != socket.gethostname() and recent:
            raise FlexbenchError(_owner_message(path))
        file.truncate(0)
        with telling_full(path):
            file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode())
        stop = threading.Event()
        beat = threading.Thread(target=_beat, args=(path, stop), daemon=True)
        beat.start()
        try:
            yield
        finally:
            stop.set()
            beat.join()
            file.truncate(0)


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        os.utime(path)


def _read_owner(path: Path) -> dict[str, Any]:
    """Who holds a lock file; {} where nobody does, or was killed while writing it."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) and {"host", "pid"} <= set(owner) else {}


def _owner_message(path: Path) -> str:
    owner = _read_owner(path)
    who = f"process {owner['pid']} on {owner['host']}" if owner else "another process"
    return f"{path.parent}: {who} is working here; wait for it, or end it, then run again"


def live_owner() -> str | None:
    """Who runs the graph in this checkout, in words; None: nobody (on this host) does."""
    owner = _holder(checkout_lock())
    if owner is not None:
        elsewhere = owner.get("host") not in (None, socket.gethostname())
        where = f" on {owner['host']}" if elsewhere else ""
        return f"`flexbench run` (process {owner.get('pid', 'unknown')}{where})"
    pid = _live_snakemake()
    return None if pid is None else f"Snakemake (process {pid})"


def _holder(path: Path) -> dict[str, Any] | None:
    """Who holds a lock file, as far as that is known; None: nobody does."""
    with suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
        owner = _read_owner(path)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return owner
        recent = time.time() - path.stat().st_mtime < STALE_SECONDS
        if owner and owner["host"] != socket.gethostname() and recent:
            return owner
    return None


def refuse_another(folder: Path) -> None:
    """FlexbenchError where anybody works in the checkout; writes nothing.

    What a killed run of this results folder has left there is no reason: it will be ended.
    """
    if _holder(checkout_lock()) is not None:
        raise FlexbenchError(_owner_message(checkout_lock()))
    if not marked(folder):
        refuse_live_snakemake()


def checkout_lock() -> Path:
    return checkout() / ".snakemake" / "flexbench.lock"


def refuse_live_snakemake() -> None:
    pid = _live_snakemake()
    if pid is not None:
        raise FlexbenchError(
            f"{checkout()}: Snakemake (process {pid}) is working here; "
            "wait for it, or end it, then run again"
        )


def _live_snakemake() -> int | None:
    """Snakemake's own locks name no owner: look for a process that runs the graph here."""
    for pid, arguments in processes("cmdline"):
        # `snakemake …`, `python …/snakemake …`, `python -m snakemake …`, or ours
        names = {part.rpartition(b"/")[2] for part in arguments[:3]}
        if names.isdisjoint({b"snakemake", SNAKEMAKE_EVENTS.encode()}):
            continue
        # Those that Snakemake starts itself do one job each, for whoever runs the graph.
        if b"--target-jobs" in arguments:
            continue
        with suppress(OSError):
            if Path(f"/proc/{pid}/cwd").resolve() == checkout():
                return pid
    return None
