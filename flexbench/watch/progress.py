"""How far a run is, by what Snakemake tells of it (`snakemake_events` has the format)."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flexbench.graph.planned import PlannedJob
from flexbench.planning.forecast import Slots


@dataclass(frozen=True, kw_only=True)
class Running:
    """A job that was started. began: by the clock. log: where it writes what it prints."""

    job: PlannedJob
    began: float
    log: Path


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A job that failed. at: by the clock."""

    running: Running
    at: float


@dataclass
class Progress:
    """A run so far.

    jobs: all of the graph, by key. missing: keys of those that are to be made in the end, whatever
    Snakemake is asked for first; empty where it is asked for all at once.
    slots: None, until Snakemake tells. took: seconds of every job that is done, by key.
    running: by Snakemake's number. failed: for good, or as long as nobody knows better.
    """

    jobs: Mapping[str, PlannedJob]
    missing: frozenset[str] = frozenset()
    began: float | None = None
    slots: Slots | None = None
    took: dict[str, float] = field(default_factory=dict)
    running: dict[int, Running] = field(default_factory=dict)
    failed: dict[int, Failed] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)
    _here: set[str] = field(default_factory=set)
    _absent: set[str] = field(default_factory=set)

    def take(self, event: Mapping[str, Any]) -> None:
        """One event more; ValueError where nobody knows its kind."""
        match event["event"]:
            case "slots" if "cores" in event:
                self.slots = Slots(count=event["cores"])
            case "slots":
                self.slots = Slots(count=event["nodes"], cores=False)
            case "planned":
                self._begin(event)
            case "started":
                self._start(event)
            case "finished":
                self._finish(event)
            case "failed":
                if (running := self.running.pop(event["id"], None)) is not None:
                    self.failed[event["id"]] = Failed(running=running, at=event["time"])
            case "again":
                self.failed.pop(event["id"], None)
            case kind:
                raise ValueError(f"no event of a run: {kind!r}")

    def _begin(self, event: Mapping[str, Any]) -> None:
        """Of a Snakemake, which numbers its jobs anew; milestones are no work."""
        rules = {job.rule for job in self.jobs.values()}
        self.began = event["time"] if self.began is None else self.began
        self._asked = Counter({rule: n for rule, n in event["jobs"].items() if rule in rules})
        self.running.clear()
        self._here.clear()
        self._absent = {key for key, job in self.jobs.items() if is_missing(job)}

    def _start(self, event: Mapping[str, Any]) -> None:
        key = _key(event)
        if key in self.jobs:
            self.failed.pop(event["id"], None)
            self.running[event["id"]] = Running(
                job=self.jobs[key], began=event["time"], log=Path(event["log"])
            )

    def _finish(self, event: Mapping[str, Any]) -> None:
        if (done := self.running.pop(event["id"], None)) is not None:
            self.took[done.job.key] = event["time"] - done.began
            self._here.add(done.job.key)

    @property
    def done(self) -> int:
        return len(self.took)

    @property
    def total(self) -> int:
        return self.done + self._left

    @property
    def _left(self) -> int:
        here = self._asked.total() - len(self._here)
        return max(here, len(self.missing - self.took.keys()))

    def waiting(self) -> list[str]:
        """Keys of the jobs that were not started yet, in the graph's order.

        Snakemake tells how many of each rule there are, not which: those whose outputs are
        missing first, then any. What needs a job that failed will not be started.
        """
        begun = [one.job for one in self.running.values()]
        lost = [one.running.job for one in self.failed.values()]
        left = self._asked - Counter(self.jobs[key].rule for key in self._here)
        left -= Counter(job.rule for job in (*begun, *lost))
        over = self.took.keys() | {job.key for job in (*begun, *lost)}
        rest = [key for key in self.jobs if key not in over]
        found = set(self.missing - over)
        for key in sorted(rest, key=lambda key: key not in self._absent):
            if left[self.jobs[key].rule] > 0:
                left[self.jobs[key].rule] -= 1
                found.add(key)
        blocked = {job.key for job in lost}
        for key in rest:
            if not blocked.isdisjoint(self.jobs[key].needs):
                blocked.add(key)
        return [key for key in rest if key in found - blocked]


def is_missing(job: PlannedJob) -> bool:
    """Whether a job has outputs that are not there."""
    return not all(path.exists() for path in job.step.outputs)


def _key(event: Mapping[str, Any]) -> str:
    """As `PlannedJob.key`."""
    return f"{event['rule']} " + ", ".join(f"{k}={v}" for k, v in event["names"].items())


def read_events(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Events of a run, one of each line."""
    return [json.loads(line) for line in lines]
