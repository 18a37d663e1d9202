"""What a finished run really took: seconds of its jobs, the whole of it, bytes and files."""

import csv
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

from flexbench.errors import FlexbenchError
from flexbench.graph import RULES, Graph
from flexbench.graph.planned import PlannedJob

_BLOCK_UNIT = 512  # of st_blocks
_CATEGORIES = {
    "logs": "records",
    "benchmarks": "records",
    "config.yaml": "records",
    ".run.lock": "records",
    "report.html": "report",
    "report.html.receipt.json": "report",
    "headline.json": "tables",
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """seconds, cpu_seconds: sums of the jobs' benchmarks, by rule. makespan: from the first job's
    start to the last one's end. disk: bytes in whole blocks, by category. files: how many."""

    seconds: Mapping[str, float]
    cpu_seconds: Mapping[str, float]
    makespan: float
    disk: Mapping[str, int]
    files: int

    @property
    def disk_bytes(self) -> int:
        return sum(self.disk.values())


def measure_run(graph: Graph, jobs: Mapping[str, PlannedJob]) -> Measured:
    """Of the run in the graph's folder; FlexbenchError where a job left no benchmark.

    The makespan means something only where all jobs ran in one go.
    """
    seconds = {rule.name: 0.0 for rule in RULES}
    cpu = dict(seconds)
    begin, end = [], []
    for job in jobs.values():
        path = graph.rule(job.rule).benchmark(graph.layout, job.names)
        if not path.is_file():
            raise FlexbenchError(f"{path}: missing; run `flexbench run` to the end first")
        row = job_seconds(path)
        seconds[job.rule] += row["s"]
        cpu[job.rule] += row["cpu_time"]
        end.append(path.stat().st_mtime)
        begin.append(end[-1] - row["s"])
    disk, files = disk_of(graph.layout.folder)
    return Measured(
        seconds=seconds,
        cpu_seconds=cpu,
        makespan=max(end) - min(begin),
        disk=disk,
        files=files,
    )


def disk_of(folder: Path) -> tuple[dict[str, int], int]:
    """Bytes on disk of a results folder, by the categories of a forecast, and its files."""
    disk, count = Counter[str](), 0
    for place, _, names in os.walk(folder):
        disk["folders"] += _on_disk(Path(place))
        for name in names:
            path = Path(place) / name
            part = path.relative_to(folder).parts[0]
            disk[_CATEGORIES.get(part, part)] += _on_disk(path)
            count += 1
    return dict(disk), count


def _on_disk(path: Path) -> int:
    return path.lstat().st_blocks * _BLOCK_UNIT


def job_seconds(path: Path) -> dict[str, float]:
    """ "s" and "cpu_time" of a benchmark file; where Snakemake could not measure (NA, -), 0."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    if not rows:
        raise FlexbenchError(f"{path}: an empty benchmark; run the job again")
    found = {}
    for name in ("s", "cpu_time"):
        try:
            found[name] = float(rows[-1][name])
        except (KeyError, TypeError, ValueError):
            found[name] = 0.0
    return found


def copy_networks(folder: Path, root: Path) -> None:
    """Make a root of results where the networks of a finished run can be fitted and sampled anew.

    Its data are the run's own, its checkpoints a copy.
    """
    here = root / folder.name
    here.mkdir(parents=True)
    (here / "data").symlink_to(folder / "data")
    copytree(folder / "checkpoints", here / "checkpoints")
