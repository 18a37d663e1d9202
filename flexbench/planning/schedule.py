"""When each job would run: list scheduling on a number of slots, and the longest chain."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import count

from flexbench.graph.planned import PlannedJob


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """start, end: seconds by job. makespan: when the last one ends.

    chain: keys of the longest chain of jobs that wait for one another, first to last.
    chain_seconds: what it takes with as many slots as it likes.
    """

    start: Mapping[str, float]
    end: Mapping[str, float]
    makespan: float
    chain: list[str]
    chain_seconds: float


def simulate_schedule(
    jobs: Mapping[str, PlannedJob], seconds: Mapping[str, float], *, slots: int, cores: bool = True
) -> Schedule:
    """Run the jobs in thought, as Snakemake would: whatever is ready, by priority, fills the slots.

    jobs: each after all that it needs; needs outside `jobs` are taken as done.
    slots: cores, of which a job takes its threads (all of them where it has more); with
    cores=False, jobs at once, whatever their threads.
    """
    waiting = {key: {need for need in job.needs if need in jobs} for key, job in jobs.items()}
    followers: dict[str, list[str]] = {key: [] for key in jobs}
    for key, needs in waiting.items():
        for need in needs:
            followers[need].append(key)
    order = {key: place for place, key in enumerate(jobs)}
    ready = [(-jobs[key].priority, order[key], key) for key in jobs if not waiting[key]]
    heapq.heapify(ready)
    running: list[tuple[float, int, str]] = []
    ticket, free, now = count(), slots, 0.0
    start: dict[str, float] = {}
    end: dict[str, float] = {}
    while ready or running:
        postponed = []
        while ready and free > 0:
            entry = heapq.heappop(ready)
            key = entry[2]
            width = _width(jobs[key], slots, cores=cores)
            if width > free:
                postponed.append(entry)
                continue
            free -= width
            start[key], end[key] = now, now + seconds[key]
            heapq.heappush(running, (end[key], next(ticket), key))
        for entry in postponed:
            heapq.heappush(ready, entry)
        now = running[0][0]
        # All that end together make room together, before anything is chosen.
        while running and running[0][0] == now:
            done = heapq.heappop(running)[2]
            free += _width(jobs[done], slots, cores=cores)
            for key in followers[done]:
                waiting[key].discard(done)
                if not waiting[key]:
                    heapq.heappush(ready, (-jobs[key].priority, order[key], key))
    chain, length = longest_chain(jobs, seconds)
    return Schedule(start=start, end=end, makespan=now, chain=chain, chain_seconds=length)


def longest_chain(
    jobs: Mapping[str, PlannedJob], seconds: Mapping[str, float]
) -> tuple[list[str], float]:
    """The chain of jobs that no number of slots makes shorter, and its seconds."""
    waits = {key: [need for need in job.needs if need in jobs] for key, job in jobs.items()}
    end: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for key in TopologicalSorter(waits).static_order():
        before[key] = last = max(waits[key], key=end.__getitem__, default=None)
        end[key] = seconds[key] + (end[last] if last else 0.0)
    chain = []
    at: str | None = max(end, key=end.__getitem__, default=None)
    while at:
        chain.append(at)
        at = before[at]
    return chain[::-1], sum(seconds[key] for key in chain)


def _width(job: PlannedJob, slots: int, *, cores: bool) -> int:
    return min(job.threads, slots) if cores else 1
