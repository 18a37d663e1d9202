"""One training per state folder: a lock file with an owner and a heartbeat.

Killing a workflow runner can leave its training alive; a second one on the same state would
spoil both. The lock says who works here; a lock whose owner is gone is taken over.
"""

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from flexbench.atomic import telling_full
from flexbench.errors import FlexbenchError

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 120.0
POLL_SECONDS = 1.0


class StateLock:
    """Context that owns `folder/lock`; FlexbenchError if a live training owns it already.

    A lock is stale if its process is gone (known on the same host only) or if its heartbeat, the
    file's modification time, is older than `stale_seconds`. `say` receives the take-over message.

    wait_seconds: how long to wait for a live owner to go before giving up. A Slurm job that runs
    again after its node died finds its own former lock with a young heartbeat.
    """

    def __init__(
        self,
        folder: Path,
        *,
        say: Callable[[str], None],
        stale_seconds: float = STALE_SECONDS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        wait_seconds: float = 0.0,
    ) -> None:
        self.path = Path(folder) / "lock"
        self._say = say
        self._stale_seconds = stale_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._wait_seconds = wait_seconds
        self._token = uuid.uuid4().hex
        self._released = threading.Event()

    def __enter__(self) -> "StateLock":
        with telling_full(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            owner = self._take()
        deadline = time.monotonic() + self._wait_seconds
        told = False
        while owner is not None:
            if time.monotonic() >= deadline:
                raise FlexbenchError(
                    f"{self.path}: {owner}; wait for it or end it (of a killed Slurm run: "
                    "`flexbench jobs --cancel`)"
                )
            if not told:
                self._say(f"{self.path}: {owner}; waiting up to {self._wait_seconds:.0f} s for it")
                told = True
            time.sleep(POLL_SECONDS)
            owner = self._take()
        threading.Thread(target=self._beat, name="state-lock", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._released.set()
        if self._owner().get("token") == self._token:
            self.path.unlink(missing_ok=True)

    def check(self) -> None:
        """FlexbenchError if another training took the lock over (this one was suspended)."""
        owner = self._owner()
        if owner.get("token") != self._token:
            raise FlexbenchError(
                f"{self.path}: {_named(owner)} has taken this state folder over; this training "
                "stops without writing"
            )

    def _take(self) -> str | None:
        """Take the lock if nobody alive has it, else say who does."""
        with self._guard():
            if self._create():
                return None
            owner = self._remove_if_stale()
            if owner is None and not self._create():
                return "another training has just taken it"
            return owner

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Let those who judge the lock do so one after another.

        Where the file system has no flock they may all find it stale at once; all but the last
        of them notice at their next `check`.
        """
        with self.path.with_name("lock.guard").open("w") as file:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _create(self) -> bool:
        """Make the lock file with its content in one step; False if there is one."""
        owner = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": _process_start(os.getpid()),
            "job": os.environ.get("SLURM_JOB_ID"),
            "token": self._token,
        }
        draft = self.path.with_name(f".lock.{self._token}")
        try:
            draft.write_text(json.dumps(owner), encoding="utf-8")
            os.link(draft, self.path)  # fails where the target exists, also on network file systems
        except FileExistsError:
            return False
        finally:
            draft.unlink(missing_ok=True)
        return True

    def _remove_if_stale(self) -> str | None:
        """Remove a dead owner's lock; of a live one, tell who it is."""
        owner = self._owner()
        age = self._age()
        gone = _is_gone(owner)
        if not gone and age <= self._stale_seconds:
            return f"{_named(owner)} is training in this folder (heartbeat {age:.0f} s ago)"
        reason = "its process is gone" if gone else f"no heartbeat for {age:.0f} s"
        self.path.unlink(missing_ok=True)
        self._say(f"state folder {self.path.parent}: took over from {_named(owner)} ({reason})")
        return None

    def _age(self) -> float:
        """Seconds since the heartbeat, by the file system's own clock (hosts' clocks differ)."""
        probe = self.path.with_name(f".lock.clock.{self._token}")
        probe.touch()
        try:
            return probe.stat().st_mtime - self.path.stat().st_mtime
        except FileNotFoundError:
            return 0.0
        finally:
            probe.unlink()

    def _owner(self) -> dict[str, Any]:
        return _read(self.path)

    def _beat(self) -> None:
        while not self._released.wait(self._heartbeat_seconds):
            if self._owner().get("token") == self._token:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(self.path)


def _read(path: Path) -> dict[str, Any]:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _named(owner: dict[str, Any]) -> str:
    if not owner:
        return "an unknown process"
    job = f", Slurm job {owner['job']}" if owner.get("job") else ""
    return f"process {owner.get('pid')} on {owner.get('host')}{job}"


def _is_gone(owner: dict[str, Any]) -> bool:
    """Whether the owner ran on this host and is no more; another process of its id is not it."""
    pid = owner.get("pid")
    if owner.get("host") != socket.gethostname() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return owner.get("started") != _process_start(pid)


def _process_start(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot (Linux; None elsewhere)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]
