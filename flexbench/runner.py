"""`flexbench run`: Snakemake with the two things that a killed run needs, a guard and a resume.

Snakemake alone refuses to go on after `kill -9` (stale lock, incomplete files), and its orphaned
jobs work on, on this host or under Slurm. Here a live owner of the results folder is respected;
orphans of a dead one are ended (training saves its state on SIGTERM); then the run is unlocked and
resumed.
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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from flexbench import registry, slurm, spares
from flexbench.atomic import telling_full
from flexbench.config import Config
from flexbench.environment import of_child
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.nested import merge
from flexbench.paths import Layout, checkout
from flexbench.profiles import profile_folder

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 120.0
GRACE_SECONDS = 30.0  # what a job gets to save its state
MARK = "FLEXBENCH_RUN_FOLDER"  # environment variable that marks every process of a run


def run_graph(
    config: Config,
    *,
    overrides: Mapping[str, Any],
    targets: Sequence[str] = (),
    stages: Iterable[Sequence[str]] = (),
    cores: int | None = None,
    profile: str | None = None,
    dry_run: bool = False,
    own: Path | None = None,
) -> int:
    """Run the graph and return Snakemake's exit code; the same call resumes after any kill.

    stages: targets that are made before, one after the other; a run that fails, or is stopped,
    starts no further one.

    overrides: what the configuration is beyond the tier's file, the profile's part included.
    own: a user's configuration file, whose part overrides need not repeat.
    Snakemake runs in the checkout: that is where a relative root, and targets, start. A profile
    and baseline folders are looked for in the working directory first.
    Raises FlexbenchError where another run, or a plain Snakemake, works in the same place.
    """
    folder = checkout() / Layout(Path(config.root), config.tier).folder
    overrides = _found_folders(config, overrides)

    def command(targets: Sequence[str]) -> list[str]:
        return snakemake_command(
            overrides, targets=targets, cores=cores, profile=profile, dry_run=dry_run, own=own
        )

    if dry_run:
        whole, environment = command(targets), run_environment(folder)
        return subprocess.run(whole, cwd=checkout(), env=environment, check=False).returncode
    with sole_owner(folder):
        return next(
            filter(None, (run_owned(command(part), folder) for part in (*stages, targets))), 0
        )


def stage_targets(graph: Graph) -> list[list[str]]:
    """What Snakemake is asked for in each of the configuration's stages: scores of its methods."""
    layout = Layout(Path(graph.config.root), graph.config.tier)
    return [
        [str(layout.scores(it.case, it.method, it.seed)) for it in graph.jobs if it.method in names]
        for names in graph.config.stages
    ]


@contextmanager
def sole_owner(folder: Path) -> Iterator[None]:
    """Hold a results folder, and the checkout, as one run at a time does.

    What a killed owner left is cleared first: its jobs are ended, files that it had taken away for
    a moment are put back. Raises FlexbenchError while anybody else works in either place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _owned(folder / ".run.lock"), _owned(_checkout_lock()):
        orphans = marked(folder)
        if orphans:
            print(
                f"flexbench: ending {len(orphans)} orphaned jobs of a killed run", file=sys.stderr
            )
            _end(folder)
        _refuse_live_snakemake()
        _end_slurm_jobs()
        spares.put_back(folder)
        yield


def run_owned(command: Sequence[str], folder: Path) -> int:
    """Run a Snakemake command to its end, in a folder that the caller holds; its exit code."""
    environment = run_environment(folder)
    if _is_locked():
        print("flexbench: unlocking after a killed run", file=sys.stderr)
        unlocked = subprocess.run(
            with_options(command, "--unlock"),
            cwd=checkout(),
            env=environment,
            check=False,
            stdout=subprocess.DEVNULL,
        )
        if unlocked.returncode:
            return unlocked.returncode
    return _run(command, folder, environment)


def _is_locked() -> bool:
    """Whether Snakemake works in the checkout, or was killed there."""
    return any((checkout() / ".snakemake" / "locks").glob("*"))


def dry_run_command(
    config: Config, overrides: Mapping[str, Any], *, own: Path | None = None
) -> list[str]:
    """The Snakemake call that tells what a run would do, and locks nothing."""
    overrides = _found_folders(config, overrides)
    command = snakemake_command(
        overrides, targets=[], cores=None, profile=None, dry_run=True, own=own
    )
    return with_options(command, "--nolock")


def snakemake_command(
    overrides: Mapping[str, Any],
    *,
    targets: Sequence[str],
    cores: int | None,
    profile: str | None,
    dry_run: bool,
    own: Path | None = None,
) -> list[str]:
    """The Snakemake call that stands for a run; nested overrides travel as JSON (which is YAML)."""
    command = [sys.executable, "-m", "snakemake", "--rerun-incomplete"]
    command += ["--profile", str(profile_folder(profile) or profile)]
    if cores is not None:
        command += ["--cores", str(cores)]
    if dry_run:
        command += ["--dry-run", "--quiet", "host"]  # every job, with the reason why it would run
    if own is not None:
        command += ["--configfile", str(own.resolve())]
    if overrides:
        command += ["--config", *(f"{key}={_as_word(value)}" for key, value in overrides.items())]
    return [*command, "--", *targets]


def _found_folders(config: Config, overrides: Mapping[str, Any]) -> Mapping[str, Any]:
    """The overrides with files and folders as found from here: Snakemake works elsewhere.

    A root such as 2024_11 goes as ./2024_11: Snakemake would make it the number 202411.
    """
    if isinstance(overrides.get("root"), str) and _is_number(overrides["root"]):
        overrides = {**overrides, "root": f"./{overrides['root']}"}
    if config.data is not None:
        found = {name: {"file": source.file} for name, source in config.data.sources.items()}
        overrides = merge(overrides, {"data": {"sources": found}})
    if "baseline_folders" not in overrides:
        return overrides
    own = registry.folders(config.baseline_folders)[1:]
    return {**overrides, "baseline_folders": [str(path) for path in own]}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_word(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def with_options(command: Sequence[str], *options: str) -> list[str]:
    """The command without its targets, and with more options."""
    return [*command[: command.index("--")], *options]


def run_environment(folder: Path | None = None) -> dict[str, str]:
    """Of every process of a run: nothing of the caller's that decides results, the folder's mark.

    Without a folder: of a process that a run of that folder should not end as one of its own.
    """
    mark = {MARK: str(folder.resolve())} if folder else {}
    return {name: value for name, value in of_child().items() if name != MARK} | mark


# --- one run at a time ----------------------------------------------------------------------


@contextmanager
def _owned(path: Path) -> Iterator[None]:
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
    path = _checkout_lock()
    with suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
        owner = _read_owner(path)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return f"`flexbench run` (process {owner.get('pid', 'unknown')})"
        recent = time.time() - path.stat().st_mtime < STALE_SECONDS
        if owner and owner["host"] != socket.gethostname() and recent:
            return f"`flexbench run` (process {owner['pid']} on {owner['host']})"
    pid = _live_snakemake()
    return None if pid is None else f"Snakemake (process {pid})"


def _checkout_lock() -> Path:
    return checkout() / ".snakemake" / "flexbench.lock"


def _refuse_live_snakemake() -> None:
    pid = _live_snakemake()
    if pid is not None:
        raise FlexbenchError(
            f"{checkout()}: Snakemake (process {pid}) is working here; "
            "wait for it, or end it, then run again"
        )


def _live_snakemake() -> int | None:
    """Snakemake's own locks name no owner: look for a process that runs the graph here."""
    for pid, arguments in _processes("cmdline"):
        # `snakemake …`, `python …/snakemake …` or `python -m snakemake …`
        if b"snakemake" not in (part.rpartition(b"/")[2] for part in arguments[:3]):
            continue
        # Those that Snakemake starts itself do one job each, for whoever runs the graph.
        if b"--target-jobs" in arguments:
            continue
        with suppress(OSError):
            if Path(f"/proc/{pid}/cwd").resolve() == checkout():
                return pid
    return None


# --- the processes of a run -----------------------------------------------------------------


def marked(folder: Path) -> list[int]:
    """Processes of this host that belong to a run of `folder` (Linux; elsewhere none are found).

    A Slurm job inherits the mark; its processes are Slurm's to end, even where the node is this.
    """
    wanted = f"{MARK}={folder.resolve()}".encode()
    ours = _slurm_job(f"SLURM_JOB_ID={os.environ.get('SLURM_JOB_ID', '')}".encode())
    return [
        pid
        for pid, variables in _processes("environ")
        if wanted in variables and _slurm_job(*variables) in (b"", ours)
    ]


def _slurm_job(*variables: bytes) -> bytes:
    """The number of the Slurm job that an environment is of; empty: of none."""
    name = b"SLURM_JOB_ID="
    return next((word.removeprefix(name) for word in variables if word.startswith(name)), b"")


def _end_slurm_jobs() -> None:
    """End all Slurm jobs of this checkout: whoever holds its lock knows that they are orphans."""
    try:
        jobs = slurm.jobs_of(checkout())
    except FlexbenchError as error:
        # Training is safe all the same: its state folder is locked.
        print(f"flexbench: orphaned Slurm jobs are not looked for ({error})", file=sys.stderr)
        return
    if jobs:
        print(f"flexbench: ending {len(jobs)} orphaned Slurm jobs", file=sys.stderr)
        slurm.cancel(jobs, folder=checkout())


def _processes(what: str) -> Iterator[tuple[int, list[bytes]]]:
    """Every other process and its environment, or its arguments; none without /proc."""
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            yield int(entry.name), (entry / what).read_bytes().split(b"\0")


def _end(folder: Path) -> None:
    """End every process of a run: all are asked to, and killed where they do not in time."""
    _signal(marked(folder), signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while marked(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    _signal(marked(folder), signal.SIGKILL)


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    """Run Snakemake to its end, and its jobs with it.

    Snakemake answers SIGTERM by waiting for the jobs that run, for days if need be: here they are
    asked, too, and save their state. Ctrl-C reaches everybody by itself.
    """
    asked: set[int] = set()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.add(number)

    # Both by handlers: an exception could arrive between any two lines.
    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        process = subprocess.Popen(command, cwd=checkout(), env=dict(environment))
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(timeout=0.2)
                break
            if signal.SIGTERM in asked:
                process.terminate()  # first, so that it starts no further job
                _end(folder)
                process.wait()
                break
        if asked:
            # Snakemake cancels its jobs on Ctrl-C, and knows nothing of them when it was killed.
            _end_slurm_jobs()
            print("flexbench: stopped; the same command goes on from here", file=sys.stderr)
            return 128 + (signal.SIGTERM if signal.SIGTERM in asked else signal.SIGINT)
        return code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
