"""`flexbench run`: Snakemake with the two things that a killed run needs, a guard and a resume.

Snakemake alone refuses to go on after `kill -9` (stale lock, incomplete files), and its orphaned
jobs work on, on this host or under Slurm. Here a live owner of the results folder is respected;
orphans of a dead one are ended (training saves its state on SIGTERM); then the run is unlocked and
resumed.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from flexbench import registry, slurm, spares
from flexbench.config import Config
from flexbench.environment import of_child
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.nested import merge
from flexbench.owners import SNAKEMAKE_EVENTS, checkout_lock, owned, refuse_live_snakemake
from flexbench.paths import Layout, checkout
from flexbench.processes import MARK, end, marked
from flexbench.profiles import profile_folder
from flexbench.stopping import tell_stopped

INTERRUPT_SECONDS = 5.0  # in which a run ends by itself after Ctrl-C, if it heard of it


class Watch(Protocol):
    """Whoever is told of a run: what Snakemake says, and what happens, goes to two open files."""

    @property
    def words(self) -> int: ...

    @property
    def events(self) -> int: ...

    def look(self, *, stopping: bool) -> None:
        """Called several times a second while the run goes on; stopping: it was told to end."""


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
    watch: Watch | None = None,
) -> int:
    """Run the graph and return Snakemake's exit code; the same call resumes after any kill.

    stages: targets that are made before, one after the other; a run that fails, or is stopped,
    starts no further one.

    overrides: what the configuration is beyond the tier's file, the profile's part included.
    own: a user's configuration file, whose part overrides need not repeat.
    watch: None: what Snakemake says goes where this process's words go, as in every dry run.
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
            filter(
                None,
                (run_owned(command(part), folder, watch=watch) for part in (*stages, targets)),
            ),
            0,
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
    with owned(checkout_lock()), owned(folder / ".run.lock"):
        orphans = marked(folder)
        if orphans:
            print(
                f"flexbench: ending {len(orphans)} orphaned jobs of a killed run", file=sys.stderr
            )
            end(folder)
        refuse_live_snakemake()
        _end_slurm_jobs()
        spares.put_back(folder)
        yield


def run_owned(command: Sequence[str], folder: Path, *, watch: Watch | None = None) -> int:
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
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        if unlocked.returncode:
            print(unlocked.stderr, end="", file=sys.stderr)
            return unlocked.returncode
    return _run(command, folder, environment, watch)


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


def _run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], watch: Watch | None
) -> int:
    """Run Snakemake to its end, and its jobs with it.

    Snakemake answers SIGTERM by waiting for the jobs that run, for days if need be: here they are
    asked, too, and save their state. Ctrl-C reaches everybody by itself; a SIGINT that was sent to
    this process alone is handed on.
    """
    asked: dict[int, float] = {}

    def ask(number: int, frame: FrameType | None) -> None:
        asked.setdefault(number, time.monotonic())

    # Both by handlers: an exception could arrive between any two lines.
    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    process = None
    try:
        process = _start(command, environment, watch)
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(timeout=0.2)
                break
            if watch is not None:
                watch.look(stopping=bool(asked))
            unheard = time.monotonic() - INTERRUPT_SECONDS
            if signal.SIGTERM in asked or asked.get(signal.SIGINT, unheard) < unheard:
                process.terminate()  # first, so that it starts no further job
                end(folder)
                process.wait()
                break
        if asked:
            # Snakemake cancels its jobs on Ctrl-C, and knows nothing of them when it was killed.
            _end_slurm_jobs()
            tell_stopped()
            return 128 + (signal.SIGTERM if signal.SIGTERM in asked else signal.SIGINT)
        return code
    finally:
        if process is not None and process.poll() is None:  # a fault of our own: leave nothing
            process.terminate()
            end(folder)
            process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(
    command: Sequence[str], environment: Mapping[str, str], watch: Watch | None
) -> "subprocess.Popen[bytes]":
    if watch is None:
        return subprocess.Popen(command, cwd=checkout(), env=dict(environment))
    plain = ["-m", "snakemake"]
    place = command.index(plain[0])
    assert command[place : place + 2] == plain
    told = ["--logger", "flexbench", "--logger-flexbench-descriptor", str(watch.events)]
    return subprocess.Popen(
        [*command[:place], "-m", SNAKEMAKE_EVENTS, *told, *command[place + 2 :]],
        cwd=checkout(),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=watch.words,
        stderr=watch.words,
        pass_fds=[watch.events],
    )
