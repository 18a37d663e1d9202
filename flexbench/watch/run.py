"""A run under watch: what Snakemake says goes to a log, what happens to the screen."""

import os
import tempfile
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from flexbench.findings.words import counted
from flexbench.graph import Graph
from flexbench.graph.planned import planned_jobs
from flexbench.planning.facts import RunFacts
from flexbench.planning.forecast import all_seconds
from flexbench.planning.rates import load_measurement
from flexbench.planning.show import duration
from flexbench.watch.failure import failure_block
from flexbench.watch.progress import Failed, Progress, is_missing, read_events
from flexbench.watch.remaining import Remaining
from flexbench.watch.screen import Moment, Screen
from flexbench.watch.words import JobWords

HOLD_SECONDS = 2.0  # in which it shows whether a failed job is tried again
FORECAST_SECONDS = 2.0  # how often the time that is left is counted anew
LAST = 15  # lines of Snakemake's, where no job is to blame


class _Spool:
    """A file that others write and this process reads, as it grows.

    In memory, where the system has that: neither a full disk nor the end of this process stops
    those who write.
    """

    def __init__(self, name: str):
        if hasattr(os, "memfd_create"):
            self.descriptor = os.memfd_create(name)
        else:
            with tempfile.TemporaryFile() as file:
                self.descriptor = os.dup(file.fileno())
        self._place = 0

    def read(self) -> bytes:
        """What has come since the last time."""
        found = b""
        while part := os.pread(self.descriptor, 2**20, self._place):
            self._place += len(part)
            found += part
        return found

    def close(self) -> None:
        os.close(self.descriptor)


class RunWatch:
    """What `runner` asks of whoever watches a run.

    words, events: open files for what Snakemake says and for its events. whole: all of the graph
    is to be made, though Snakemake is asked for parts of it first. verbose: what Snakemake says
    goes to standard error, too.
    """

    def __init__(
        self, graph: Graph, facts: RunFacts, screen: Screen, *, whole: bool, verbose: bool
    ):
        self._graph, self._facts, self._screen, self._verbose = graph, facts, screen, verbose
        self._words, self._events = _Spool("words"), _Spool("events")
        self._log, self._record = graph.layout.run_log, graph.layout.run_events
        self._files: dict[Path, BinaryIO] = {}
        self._said = ""
        self._half = b""  # of an event that is being written
        self._whole = whole
        self._begun = False  # whether there is anything to do, as far as Snakemake has told
        self._left = self._forecast_at = 0.0
        self._told: set[int] = set()

    @property
    def words(self) -> int:
        return self._words.descriptor

    @property
    def events(self) -> int:
        return self._events.descriptor

    def __enter__(self) -> "RunWatch":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            with suppress(OSError):
                file.close()
        self._words.close()
        self._events.close()

    @cached_property
    def _progress(self) -> Progress:
        jobs = planned_jobs(self._graph)
        missing = (key for key, job in jobs.items() if self._whole and is_missing(job))
        return Progress(jobs=jobs, missing=frozenset(missing))

    @cached_property
    def _remaining(self) -> Remaining:
        speed = load_measurement(self._graph.layout.root, self._graph.config.tier)
        return Remaining(all_seconds(self._facts, speed, self._progress.jobs))

    @cached_property
    def _job_words(self) -> JobWords:
        return JobWords(self._graph)

    # --- while it runs ----------------------------------------------------------------------

    def look(self, *, stopping: bool) -> None:
        """Take in what has happened, and show it.

        stopping: the run was told to end; jobs that fail now do so because of that.
        """
        words = self._words.read()
        self._said += words.decode(errors="replace")
        self._keep(self._log, words)
        if self._verbose:
            self._screen.write(words.decode(errors="replace"))
        events = self._events.read()
        self._keep(self._record, events)
        *lines, self._half = (self._half + events).split(b"\n")
        for event in read_events(line.decode() for line in lines):
            self._progress.take(event)
            if event["event"] == "planned":
                self._begin()
        if self._begun:
            if not stopping:
                self._tell_failed(over=False)
            self._show(time.time())

    def _begin(self) -> None:
        if self._begun:
            return  # told at the first of several stages
        self._begun = True
        progress, slots = self._progress, self._progress.slots
        assert slots is not None
        self._count(time.time())
        jobs, tier = counted(progress.total, "job"), self._graph.config.tier
        self._screen.say(
            f"flexbench: tier {tier}: {jobs} on {slots.text}, about {duration(self._left)}; "
            f"what Snakemake says: {self._log}"
        )

    def _show(self, now: float) -> None:
        if now - self._forecast_at > FORECAST_SECONDS:
            self._count(now)
        progress = self._progress
        self._screen.show(
            Moment(
                done=progress.done,
                total=progress.total,
                failed=len(progress.failed),
                doing=[self._job_words.of(it.job) for it in progress.running.values()],
                left=max(0.0, self._left - (now - self._forecast_at)),
            )
        )

    def _count(self, now: float) -> None:
        self._left = self._remaining.left(self._progress, now=now)
        self._forecast_at = now

    def _tell_failed(self, *, over: bool) -> None:
        """Of jobs that nobody tries again."""
        for number, failed in self._progress.failed.items():
            held = time.time() - failed.at > HOLD_SECONDS
            if number not in self._told and (over or held):
                self._told.add(number)
                self._screen.say(self._block(failed), error=True)

    def _block(self, failed: Failed) -> str:
        doing = self._job_words.of(failed.running.job)
        return failure_block(failed.running, doing, self._said)

    def _keep(self, path: Path, content: bytes) -> None:
        """Append to a file of the logs, begun anew by each run; a full disk stops nothing."""
        if not content:
            return
        with suppress(OSError):
            if path not in self._files:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._files[path] = path.open("wb", buffering=0)
            self._files[path].write(content)

    # --- when it is over --------------------------------------------------------------------

    def end(self, code: int) -> None:
        """Tell how it ended, but for what was found; code: Snakemake's, or 128 + a signal's."""
        stopped = code > 128
        self.look(stopping=stopped)
        if stopped:
            return
        if not code:
            self._screen.say(f"flexbench: {self._well_done()}")
            return
        if self._begun and self._progress.failed:
            self._tell_failed(over=True)
            line = f"flexbench: {self._how_far()}; what Snakemake says: {self._log}"
        else:
            said = [line for line in self._said.splitlines() if line.strip()][-LAST:]
            line = "\n".join(["flexbench: Snakemake failed:", *(f"    {line}" for line in said)])
        self._screen.say(line, error=True)

    def _well_done(self) -> str:
        if not self._begun:
            return "Nothing to be done: all that is asked for is there"
        progress = self._progress
        assert progress.began is not None
        return f"{counted(progress.done, 'job')} done in {duration(time.time() - progress.began)}"

    def _how_far(self) -> str:
        progress = self._progress
        failed = counted(len(progress.failed), "job")
        return (
            f"{failed} failed, {progress.done} of {progress.total} are done; the same command goes "
            "on from here"
        )
