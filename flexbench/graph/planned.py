"""Every job of a graph: its step, its name for Snakemake, and what it waits for.

The same jobs as Snakemake's, counted from the configuration in milliseconds; a test holds them
against `snakemake -n`.
"""

from dataclasses import dataclass
from pathlib import Path

from flexbench.graph.jobs import Graph
from flexbench.graph.rule import Names
from flexbench.graph.rules import GIVEN, RULES
from flexbench.provenance import Step


@dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """One job of the graph.

    step: what it takes and makes. names: its wildcards, in Snakemake's order. needs: keys of the
    jobs that make its inputs. threads: cores that it takes. priority: of two that are ready, the
    higher one starts.
    """

    step: Step
    names: Names
    needs: tuple[str, ...]
    threads: int
    priority: int

    @property
    def rule(self) -> str:
        return self.step.name

    @property
    def key(self) -> str:
        """Rule and wildcards, the name that a dry run of Snakemake gives a job."""
        named = ", ".join(f"{name}={value}" for name, value in self.names.items())
        return f"{self.rule} {named}"

    @property
    def name(self) -> str:
        """What a person calls it."""
        return " ".join((self.rule, *filter(None, self.names.values())))


def planned_jobs(graph: Graph) -> dict[str, PlannedJob]:
    """Every job by its key, each after all that it needs."""
    makers: dict[Path, str] = {}
    given = {graph.source_file(source) for source, _ in graph.imports()}
    for rule in GIVEN:
        for names in rule.jobs(graph):
            given |= {*rule.outputs(graph.layout, names), *rule.inputs(graph, names)}
    jobs: dict[str, PlannedJob] = {}
    for rule in RULES:
        for names in rule.jobs(graph):
            step = rule.step(graph, names)
            job = PlannedJob(
                step=step,
                names=names,
                needs=tuple(
                    dict.fromkeys(makers[path] for path in step.inputs if path not in given)
                ),
                threads=rule.cores(graph, names),
                priority=rule.priority,
            )
            jobs[job.key] = job
            makers.update(dict.fromkeys(step.outputs, job.key))
    return jobs
