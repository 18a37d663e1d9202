"""What a rule of the graph is: one kind of step, said once.

The Snakefile, a step's receipt, `verify`, `plan` and the report's drawing all ask the same rule,
so a kind of step cannot be known to one of them and forgotten by another.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flexbench.paths import Layout
from flexbench.provenance import PACKAGE, Step, code_digest, code_files

if TYPE_CHECKING:
    from flexbench.graph.jobs import Graph

# Values of a job's wildcards, as text, by their names.
Names = Mapping[str, str]

# Wildcards of a file of samples, and of its scores.
JOB = {"case": "tasks, evaluations", "method": "methods", "seed": "training_seeds"}


class Rule(ABC):
    """A kind of step.

    name: of the rule, of its verb, and of the module below `flexbench/steps/` that does it.
    wildcards: in the order of the outputs' patterns, with the keys of the configuration that their
    values are of. record: the words, with wildcards, of which
    the names of a job's log and benchmark are made. threaded: it computes with the configuration's
    threads; the others need one. resumes: a job that is stopped saves its state, and goes on when
    it is tried again. large: what it makes is too large for an archive that is sent about.
    priority: of two jobs that are ready, the higher one starts. lowered_by: settings by which a job
    needs less memory, in words. doing: what a job of it does, for whoever watches a run: "training
    {method}", with its wildcards and what `watch.words` has beside them.
    """

    name: ClassVar[str]
    wildcards: ClassVar[Mapping[str, str]] = {}
    record: ClassVar[tuple[str, ...]] = ()
    threaded: ClassVar[bool] = False
    resumes: ClassVar[bool] = False
    large: ClassVar[bool] = False
    priority: ClassVar[int] = 0
    lowered_by: ClassVar[str] = ""
    doing: ClassVar[str]

    @abstractmethod
    def jobs(self, graph: "Graph") -> list[Names]:
        """The wildcards of every job that the graph has of this rule."""

    @abstractmethod
    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        """What a job makes; of placeholders such as {case} the patterns of the Snakefile."""

    @abstractmethod
    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        """What a job takes."""

    @abstractmethod
    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        """The part of the configuration that decides what a job makes, JSON-like."""

    def loaded(self, graph: "Graph", names: Names) -> tuple[Path, ...]:
        """Source files that a job loads by name, which no import tells of."""
        return ()

    def code(self, graph: "Graph", names: Names) -> str:
        """Digest of the code behind a job."""
        return code_digest(f"steps.{self.name}", *self.loaded(graph, names))

    def code_files(self, graph: "Graph", names: Names) -> frozenset[Path]:
        """The source files that `code` covers."""
        return code_files(f"steps.{self.name}", *self.loaded(graph, names))

    @property
    def section(self) -> str:
        """The key of section `cluster` that says what a job asks for."""
        return self.name

    def cores(self, graph: "Graph", names: Names) -> int:
        """CPUs of a job."""
        return graph.config.threads if self.threaded else 1

    def gpus(self, graph: "Graph", names: Names) -> int:
        """GPUs of a job, where the cluster's section asks for any."""
        return 1

    def log(self, layout: Layout, names: Names) -> Path:
        """Where a job's log is written to."""
        return layout.log(self.name, *(word.format(**names) for word in self.record))

    def benchmark(self, layout: Layout, names: Names) -> Path:
        """Where Snakemake writes what a job took."""
        return layout.benchmark(self.name, *(word.format(**names) for word in self.record))

    def step(self, graph: "Graph", names: Names) -> Step:
        """One job, for its receipt and for whoever checks receipts."""
        return Step(
            name=self.name,
            folder=graph.layout.folder,
            outputs=self.outputs(graph.layout, names),
            inputs=tuple(self.inputs(graph, names)),
            slice=self.slice(graph, names),
            code=self.code(graph, names),
        )


def kind_files(graph: "Graph", *tasks: str) -> tuple[Path, ...]:
    """The source files of the kinds of these tasks, which are found by their folder."""
    kinds = dict.fromkeys(graph.config.tasks[task].kind for task in tasks)
    return tuple(
        PACKAGE / folder / f"{kind}.py" for kind in kinds for folder in ("tasks", "config/tasks")
    )
