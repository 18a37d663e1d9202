"""`flexbench run`: Snakemake with the two things that a killed run needs, a guard and a resume.

Snakemake alone refuses to go on after `kill -9` (stale lock, incomplete files), and its orphaned
jobs work on. Here a live owner of the results folder is respected; orphans of a dead one are
ended (training saves its state on SIGTERM); then the run is unlocked and resumed.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flexbench.config import Config
from flexbench.errors import FlexbenchError
from flexbench.paths import Layout, checkout

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 120.0
MARK = "FLEXBENCH_RUN_FOLDER"  # environment variable that marks every process of a run


def run_graph(
    config: Config,
    *,
    overrides: Mapping[str, Any],
    targets: Sequence[str] = (),
    cores: int | None = None,
    profile: str | None = None,
    dry_run: bool = False,
) -> int:
    """Run the graph and return Snakemake's exit code; the same call resumes after any kill."""
    folder = Layout(Path(config.root), config.tier).folder
    command = snakemake_command(
        overrides, targets=targets, cores=cores, profile=profile, dry_run=dry_run
    )
    environment = os.environ | {MARK: str((checkout() / folder).resolve())}
    if dry_run:
        return subprocess.run(command, cwd=checkout(), env=environment, check=False).returncode
    folder_absolute = checkout() / folder
    folder_absolute.mkdir(parents=True, exist_ok=True)
    with (
        _owned(folder_absolute / ".run.lock"),
        _owned(checkout() / ".snakemake" / "flexbench.lock"),
    ):
        _end_orphans(folder_absolute)
        if any((checkout() / ".snakemake" / "locks").glob("*")):
            print("flexbench: unlocking after an interrupted run", file=sys.stderr)
            subprocess.run(
                [*command, "--unlock"],
                cwd=checkout(),
                env=environment,
                check=True,
                capture_output=True,
            )
        return _wait(subprocess.Popen(command, cwd=checkout(), env=environment))


def snakemake_command(
    overrides: Mapping[str, Any],
    *,
    targets: Sequence[str],
    cores: int | None,
    profile: str | None,
    dry_run: bool,
) -> list[str]:
    """The Snakemake call that stands for a run; nested overrides travel as JSON (which is YAML)."""
    command = [sys.executable, "-m", "snakemake", "--rerun-incomplete"]
    command += ["--profile", profile or str(checkout() / "workflow" / "profiles" / "local")]
    if cores is not None:
        command += ["--cores", str(cores)]
    if dry_run:
        command += ["--dry-run"]
    if overrides:
        command += ["--config", *(f"{key}={_as_word(value)}" for key, value in overrides.items())]
    return [*command, "--", *targets] if targets else command


def _as_word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@contextmanager
def _owned(path: Path) -> Iterator[None]:
    """Hold a lock file for as long as the block runs.

    flock tells the dead from the living on one host; the heartbeat (the file's mtime) does where
    a network file system does not carry flock between hosts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise FlexbenchError(_owner_message(path)) from None
    owner = _read_owner(path)
    recent = time.time() - path.stat().st_mtime < STALE_SECONDS
    if owner and owner["host"] != socket.gethostname() and recent:
        file.close()
        raise FlexbenchError(_owner_message(path))
    file.truncate(0)
    file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
    file.flush()
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        file.truncate(0)
        file.close()


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        os.utime(path)


def _read_owner(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if text else {}


def _owner_message(path: Path) -> str:
    owner = _read_owner(path)
    who = f"process {owner['pid']} on {owner['host']}" if owner else "another process"
    return f"{path.parent}: {who} is working here; wait for it, or end it, then run again"


def _end_orphans(folder: Path) -> None:
    """End what a killed run left behind: its processes carry the folder in their environment."""
    orphans = _marked(folder)
    if not orphans:
        return
    print(f"flexbench: ending {len(orphans)} orphaned jobs of an interrupted run", file=sys.stderr)
    for pid in orphans:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while _marked(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    for pid in _marked(folder):
        _signal(pid, signal.SIGKILL)


def _marked(folder: Path) -> list[int]:
    """Processes of this host that belong to a run of `folder` (Linux; elsewhere none are found)."""
    wanted = f"{MARK}={folder.resolve()}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            marked = wanted in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if marked and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait(process: "subprocess.Popen[bytes]") -> int:
    """Wait for Snakemake; pass SIGTERM on (Ctrl-C reaches it by itself)."""
    previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
    finally:
        signal.signal(signal.SIGTERM, previous)
