"""The whole forecast: jobs, hours, disk, files, memory and the longest chain, of all or of some."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from flexbench.graph import RULES
from flexbench.graph.planned import PlannedJob
from flexbench.planning.costs import BLOCK, Written, cost_of
from flexbench.planning.costs.learn import on_gpu
from flexbench.planning.facts import RunFacts
from flexbench.planning.rates import Measurement
from flexbench.planning.schedule import Schedule, simulate_schedule


@dataclass(frozen=True, kw_only=True)
class Slots:
    """What runs at once: a number of cores, or of a cluster's jobs."""

    count: int
    cores: bool = True

    @property
    def text(self) -> str:
        several = "" if self.count == 1 else "s"
        return f"{self.count} {f'core{several}' if self.cores else f'job{several} at once'}"


def cores_here() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class RuleCost:
    """Jobs of a rule: how many, their hours of CPU or GPU, the longest one's seconds and memory."""

    jobs: int
    cpu_hours: float
    gpu_hours: float
    longest_seconds: float
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a set of jobs costs.

    disk: bytes in whole blocks by category, once all is done. files: of outputs and records.
    peak_bytes, peak_files: with restart points and temporary files, at their most.
    chain: names of the longest chain of jobs. largest: the job with the most memory.
    """

    rules: dict[str, RuleCost]
    seconds: float
    disk: dict[str, int]
    files: int
    peak_bytes: int
    peak_files: int
    chain: list[str]
    chain_seconds: float
    largest: str
    memory_bytes: int

    @property
    def disk_bytes(self) -> int:
        return sum(self.disk.values())

    @property
    def jobs(self) -> int:
        return sum(cost.jobs for cost in self.rules.values())

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"disk_bytes": self.disk_bytes, "jobs": self.jobs}


def all_seconds(
    facts: RunFacts, speed: Measurement, jobs: Mapping[str, PlannedJob]
) -> dict[str, float]:
    """Seconds of each job, by key, in a slot of its own: from its process's start to its receipt.

    jobs: all of the graph, as sizes of inputs are those of other jobs' outputs.
    """
    sizes: dict[Path, int] = {}
    for job in jobs.values():
        own = cost_of(job.rule).sizes(facts, job.names)
        sizes |= zip(job.step.outputs, own, strict=True)
    found = {}
    for key, job in jobs.items():
        cost = cost_of(job.rule)
        # Receipts hash every input and output, however large.
        files = (*job.step.outputs, *job.step.inputs)
        hashed = sum(sizes.get(path) or path.stat().st_size for path in files)
        found[key] = (
            cost.start(facts, speed, job.names)
            + cost.work(facts, speed, job.names)
            + hashed / speed.rates.digest
        )
    return found


def forecast(
    facts: RunFacts,
    speed: Measurement,
    jobs: Mapping[str, PlannedJob],
    *,
    slots: Slots,
    seconds: Mapping[str, float],
) -> Forecast:
    """What these jobs cost, everything that they need from others being there."""
    schedule = simulate_schedule(jobs, seconds, slots=slots.count, cores=slots.cores)
    memory = {key: cost_of(job.rule).memory_bytes(facts, job) for key, job in jobs.items()}
    largest = max(memory, key=memory.__getitem__, default="")
    files = {key: cost_of(job.rule).written(facts, job) for key, job in jobs.items()}
    disk = Counter[str]()
    for file in chain.from_iterable(files.values()):
        disk[file.category] += file.on_disk
    if jobs:
        disk["folders"] = BLOCK * _folders(facts, jobs.values())
    peak_bytes, peak_files = _peak(facts, jobs, files, schedule)
    begin = speed.rates.snakemake if jobs else 0.0
    return Forecast(
        rules={
            rule.name: _cost(facts, speed, seconds, memory, own)
            for rule in RULES
            if (own := {key: job for key, job in jobs.items() if job.rule == rule.name})
        },
        seconds=schedule.makespan + begin,
        disk=dict(disk),
        files=sum(map(len, files.values())),
        peak_bytes=peak_bytes + disk["folders"],
        peak_files=peak_files,
        chain=[jobs[key].name for key in schedule.chain],
        chain_seconds=schedule.chain_seconds,
        largest=jobs[largest].name if largest else "",
        memory_bytes=memory.get(largest, 0),
    )


def _cost(
    facts: RunFacts,
    speed: Measurement,
    seconds: Mapping[str, float],
    memory: Mapping[str, int],
    jobs: Mapping[str, PlannedJob],
) -> RuleCost:
    cpu = gpu = 0.0
    for key, job in jobs.items():
        hours = seconds[key] / 3600
        cpu += hours * job.threads
        if on_gpu(facts, speed, job.rule):
            gpu += hours * facts.graph.rule(job.rule).gpus(facts.graph, job.names)
    return RuleCost(
        jobs=len(jobs),
        cpu_hours=cpu,
        gpu_hours=gpu,
        longest_seconds=max(seconds[key] for key in jobs),
        memory_bytes=max(memory[key] for key in jobs),
    )


def _peak(
    facts: RunFacts,
    jobs: Mapping[str, PlannedJob],
    files: Mapping[str, list[Written]],
    schedule: Schedule,
) -> tuple[int, int]:
    """The most bytes, and the most files, there are at any moment of the schedule.

    While a job works it may hold its temporary files and its outputs; after it, its outputs.
    """
    events: list[tuple[float, int, int, int]] = []
    for key, job in jobs.items():
        own = sum(file.on_disk for file in files[key])
        beside, count = cost_of(job.rule).temporary(facts, job.names)
        events.append((schedule.start[key], 1, own + beside, len(files[key]) + count))
        events.append((schedule.end[key], 0, -beside, -count))
    most_bytes = most_files = now_bytes = now_files = 0
    for _, _, size, count in sorted(events):
        now_bytes, now_files = now_bytes + size, now_files + count
        most_bytes, most_files = max(most_bytes, now_bytes), max(most_files, now_files)
    return most_bytes, most_files


def _folders(facts: RunFacts, jobs: Iterable[PlannedJob]) -> int:
    """Folders that a run makes: of outputs, logs and benchmarks, and of state."""
    layout = facts.graph.layout
    found = {layout.folder}
    for job in jobs:
        rule = facts.graph.rule(job.rule)
        places = [output.parent for output in job.step.outputs]
        places += [rule.log(layout, job.names).parent, rule.benchmark(layout, job.names).parent]
        if cost_of(job.rule).state:
            places.append(layout.state(job.rule, *list(job.names.values())[:-1]))
        for place in places:
            # All lie in the first; what is above one that was found was found with it.
            while place not in found:
                found.add(place)
                place = place.parent
    return len(found)
