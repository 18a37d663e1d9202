"""The whole forecast: jobs, hours, disk, files, memory and the longest chain, of all or of some."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from flexbench.planning.disk import BLOCK, Written, folders, temporary, written
from flexbench.planning.facts import RunFacts
from flexbench.planning.jobs import RULES, PlannedJob
from flexbench.planning.memory import memory_bytes
from flexbench.planning.rates import Calibration
from flexbench.planning.schedule import Schedule, simulate_schedule
from flexbench.planning.times import on_gpu


@dataclass(frozen=True, kw_only=True)
class Slots:
    """What runs at once: a number of cores, or of a cluster's jobs."""

    count: int
    cores: bool = True

    @property
    def text(self) -> str:
        return f"{self.count} {'cores' if self.cores else 'jobs at once'}"


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


def forecast(
    facts: RunFacts,
    calibration: Calibration,
    jobs: Mapping[str, PlannedJob],
    *,
    slots: Slots,
    seconds: Mapping[str, float],
) -> Forecast:
    """What these jobs cost, everything that they need from others being there."""
    schedule = simulate_schedule(jobs, seconds, slots=slots.count, cores=slots.cores)
    memory = {key: memory_bytes(facts, job) for key, job in jobs.items()}
    largest = max(memory, key=memory.__getitem__, default="")
    files = {key: written(facts, job) for key, job in jobs.items()}
    disk = Counter[str]()
    for file in chain.from_iterable(files.values()):
        disk[file.category] += file.on_disk
    if jobs:
        disk["folders"] = BLOCK * folders(facts, jobs.values())
    peak_bytes, peak_files = _peak(facts, jobs, files, schedule)
    begin = calibration.rates.snakemake if jobs else 0.0
    return Forecast(
        rules={
            rule: _cost(facts, calibration, seconds, memory, own)
            for rule in RULES
            if (own := {key: job for key, job in jobs.items() if job.rule == rule})
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
    calibration: Calibration,
    seconds: Mapping[str, float],
    memory: Mapping[str, int],
    jobs: Mapping[str, PlannedJob],
) -> RuleCost:
    cpu = gpu = 0.0
    for key, job in jobs.items():
        hours = seconds[key] / 3600
        cpu += hours * job.threads
        if on_gpu(facts, calibration, job.rule):
            method = job.wildcards["method"]
            gpu += hours * (facts.train(method).processes if job.rule == "train" else 1)
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
        beside, count = temporary(facts, job)
        events.append((schedule.start[key], 1, own + beside, len(files[key]) + count))
        events.append((schedule.end[key], 0, -beside, -count))
    most_bytes = most_files = now_bytes = now_files = 0
    for _, _, size, count in sorted(events):
        now_bytes, now_files = now_bytes + size, now_files + count
        most_bytes, most_files = max(most_bytes, now_bytes), max(most_files, now_files)
    return most_bytes, most_files
