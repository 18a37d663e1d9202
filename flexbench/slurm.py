"""The Slurm jobs of this clone: which there are, and how they are ended.

Snakemake's Slurm plugin forgets the jobs of a killed run and never finds them again. They are
known by the prefix of their name (from the profile), their user and their working directory,
which is the clone.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flexbench.environment import of_child
from flexbench.errors import FlexbenchError

PREFIX = "flexbench"  # slurm-jobname-prefix of the profile
ANSWER_SECONDS = 60.0  # what a busy controller gets
GONE_SECONDS = 300.0  # what jobs get to save and to leave: the site's KillWait, and then some
POLL_SECONDS = 1.0

# squeue's fields with their widths: it cuts what is longer, and knows no other separator.
_FIELDS = {
    "JobID": 20,
    "State": 20,
    "TimeUsed": 20,
    "Name": 120,
    "Comment": 400,
    "WorkDir": 1000,
    "STDOUT": 1000,
}
_UNCONFIGURED = "Could not establish a configuration source"


@dataclass(frozen=True)
class SlurmJob:
    """One job that waits, runs or ends.

    rule: of Snakemake; of a group of rules, its name. wildcards: their values, joined by `_`.
    time: since it began to run, as Slurm writes it (days-hours:minutes:seconds).
    """

    number: str
    state: str
    rule: str
    wildcards: str
    time: str
    log: Path


def available() -> bool:
    """Whether this host talks to a Slurm at all."""
    return shutil.which("squeue") is not None


def jobs_of(folder: Path) -> list[SlurmJob]:
    """This user's jobs that Snakemake submitted from `folder`; none where there is no Slurm.

    Raises FlexbenchError if the controller does not answer.
    """
    if not available():
        return []
    fields = ",".join(f"{name}:{width}" for name, width in _FIELDS.items())
    try:
        told = _call(["squeue", "--me", "--noheader", "--Format", fields])
    except FlexbenchError as error:
        if _UNCONFIGURED in str(error):
            return []  # the commands are installed, and that is all
        raise
    rows = [_cut(line) for line in told.splitlines() if line.strip()]
    return [
        _job(row)
        for row in rows
        if row["Name"].startswith(f"{PREFIX}_") and Path(row["WorkDir"]).resolve() == folder
    ]


def cancel(jobs: Sequence[SlurmJob], *, folder: Path, wait_seconds: float = GONE_SECONDS) -> None:
    """End jobs, SIGTERM first (training saves its state), and wait until they are gone.

    Raises FlexbenchError if some are still there after `wait_seconds`.
    """
    numbers = {job.number for job in jobs}
    if not numbers:
        return
    # SIGTERM, and SIGKILL for what is left after the site's KillWait.
    _call(["scancel", "--quiet", *sorted(numbers)])
    deadline = time.monotonic() + wait_seconds
    while left := numbers & {job.number for job in jobs_of(folder)}:
        if time.monotonic() > deadline:
            raise FlexbenchError(
                f"Slurm jobs {_listed(left)} do not end; look at `squeue --me`, then run again"
            )
        time.sleep(POLL_SECONDS)


def _listed(numbers: Iterable[str]) -> str:
    return ", ".join(sorted(numbers))


def _call(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command,
            env=of_child(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FlexbenchError(f"{command[0]}: no answer within {ANSWER_SECONDS:.0f} s") from None
    except OSError as error:
        raise FlexbenchError(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise FlexbenchError(f"{command[0]}: {reason}")
    return done.stdout


def _cut(line: str) -> dict[str, str]:
    """A row of squeue, by field."""
    row, start = {}, 0
    for name, width in _FIELDS.items():
        row[name] = line[start : start + width].strip()
        start += width
    return row


def _job(row: dict[str, str]) -> SlurmJob:
    """A job, its rule and wildcards taken from the comment that the plugin writes."""
    found = re.fullmatch(r"rule_(.*?)(?:_wildcards_(.*))?", row["Comment"])
    return SlurmJob(
        number=row["JobID"],
        state=row["State"],
        rule=(found[1] if found else None) or "?",
        wildcards=(found[2] if found else None) or "",
        time=row["TimeUsed"],
        log=Path(row["STDOUT"].replace("%j", row["JobID"])),
    )
