"""Every job of a graph: its step, its name for Snakemake, and what it waits for.

The same jobs as Snakemake's, counted from the configuration in milliseconds; a test holds them
against `snakemake -n`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flexbench import planned
from flexbench.graph import Graph
from flexbench.provenance import Step

# As in the rules: training goes first.
PRIORITY = {"train": 1}
# Rules whose jobs have the threads of the configuration; the others have one.
THREADED = frozenset({"simulate", "statistics", "train", "sample", "score"})
RULES = (
    *("simulate", "import_data", "splits", "statistics", "train", "sample"),
    *("score", "tabulate", "figure", "animation", "report"),
)


@dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """One job of the graph.

    step: what it takes and makes. wildcards: as Snakemake has them, in its order, values as text.
    needs: keys of the jobs that make its inputs. threads: cores that it takes.
    """

    step: Step
    wildcards: Mapping[str, str]
    needs: tuple[str, ...]
    threads: int

    @property
    def rule(self) -> str:
        return self.step.name

    @property
    def key(self) -> str:
        """Rule and wildcards, the name that a dry run of Snakemake gives a job."""
        named = ", ".join(f"{name}={value}" for name, value in self.wildcards.items())
        return f"{self.rule} {named}"

    @property
    def name(self) -> str:
        """What a person calls it."""
        return " ".join((self.rule, *filter(None, self.wildcards.values())))

    @property
    def priority(self) -> int:
        return PRIORITY.get(self.rule, 0)


def planned_jobs(graph: Graph) -> dict[str, PlannedJob]:
    """Every job by its key, each after all that it needs."""
    makers: dict[Path, str] = {}
    given = {graph.source_file(source) for source, _ in graph.imports()}
    jobs: dict[str, PlannedJob] = {}

    def add(step: Step, **wildcards: str) -> None:
        threaded = step.name in THREADED
        job = PlannedJob(
            step=step,
            wildcards=wildcards,
            needs=tuple(dict.fromkeys(makers[path] for path in step.inputs if path not in given)),
            threads=graph.cores(step.name, wildcards.get("method")) if threaded else 1,
        )
        jobs[job.key] = job
        makers.update(dict.fromkeys(step.outputs, job.key))

    for source, split in graph.imports():
        add(planned.import_data(graph, source, split), source=source, split=split)
    for run in graph.all_runs:
        names = {"walls": run.walls, "reynolds": f"{run.reynolds:g}", "seed": str(run.seed)}
        add(planned.simulate(graph, run), **names)
    add(planned.splits(graph))
    for task, observable in graph.measured:
        velocity = "" if observable == "w" else f".{observable}"
        add(planned.statistics(graph, task, observable), task=task, velocity=velocity)
    for job in graph.trainings:
        step = planned.train(graph, job.task, job.method, job.seed)
        add(step, task=job.task, method=job.method, seed=str(job.seed))
    for job in graph.jobs:
        place = (job.task, job.method, job.seed)
        names = {"case": job.task, "method": job.method, "seed": str(job.seed)}
        add(planned.sample(graph, *place), **names)
        add(planned.score(graph, *place), **names)
    add(planned.tabulate(graph))
    for case, name in planned.drawn(graph):
        add(planned.figure(graph, case, name), case=case, name=name)
    add(planned.report(graph))
    return jobs
