"""The rules of `workflow/rules/theory.smk`: what theory says of residuals, measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flexbench.graph.learn import Train
from flexbench.graph.rule import Names, Rule, kind_files
from flexbench.graph.slices import common, split_slice, task_slice
from flexbench.paths import Layout

if TYPE_CHECKING:
    from flexbench.graph.jobs import Graph


class Targets(Rule):
    """How much a network has to say of a task's residuals, and of its fields."""

    name = "targets"
    doing = "measuring the targets of {task}"
    wildcards: ClassVar[Names] = {"task": "tasks, theory"}
    record = ("{task}",)
    threaded = True

    def jobs(self, graph: "Graph") -> list[Names]:
        if graph.config.theory is None:
            return []
        return [{"task": task} for task in graph.tasks if graph.config.tasks[task].residual]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        return (layout.targets(names["task"]),)

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        return [graph.layout.statistics(names["task"]), *graph.trajectories("train")]

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        theory = graph.config.theory
        assert theory is not None  # there are no jobs of this rule without
        return common(graph) | {
            "task": task_slice(graph, names["task"]),
            "shift": graph.config.diffusion.shift,
            "snapshots": theory.snapshots,
            "train": split_slice(graph, "train"),
        }

    def loaded(self, graph: "Graph", names: Names) -> tuple[Path, ...]:
        return kind_files(graph, names["task"])


class Gradients(Train):
    """The noise of the gradients of a training that is done once more."""

    name = "gradients"
    doing = "measuring the gradients of {method} on {training}{repeat}"
    resumes = large = False
    priority = 0

    def jobs(self, graph: "Graph") -> list[Names]:
        theory = graph.config.theory
        if theory is None:
            return []
        seeds = theory.training_seeds or graph.config.training_seeds
        return [
            {"training": it.name, "method": it.method, "seed": str(it.seed)}
            for it in graph.trainings
            if it.method in theory.methods and it.seed in seeds
        ]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        return (layout.gradients(names["training"], names["method"], names["seed"]),)

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        """All that decides the training, and how many batches are looked at."""
        theory = graph.config.theory
        assert theory is not None  # there are no jobs of this rule without
        return super().slice(graph, names) | {"batches": theory.batches}

    def cores(self, graph: "Graph", names: Names) -> int:
        return graph.config.threads

    def gpus(self, graph: "Graph", names: Names) -> int:
        """One process does it alone."""
        return 1
