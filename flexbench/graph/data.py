"""The rules of `workflow/rules/data.smk`: trajectories, their splits, their statistics."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flexbench.config.own_data import WORDS
from flexbench.graph.names import (
    SPLITS,
    boundary_of,
    imported_stem,
    named,
    observable_of,
    velocity_of,
)
from flexbench.graph.rule import Names, Rule, kind_files
from flexbench.graph.slices import common, section, split_slice, task_slice
from flexbench.paths import Layout

if TYPE_CHECKING:
    from flexbench.graph.jobs import Graph


class Simulate(Rule):
    """One trajectory of decaying turbulence."""

    name = "simulate"
    doing = "simulating Re {reynolds}, seed {seed}{walls}"
    wildcards: ClassVar[Names] = {
        "walls": "evaluations.*.boundary",
        "reynolds": "splits.*.reynolds, evaluations.*.reynolds",
        "seed": "splits.*.seeds, evaluations.*.seeds",
    }
    record = ("{walls}re{reynolds}_seed{seed}",)
    threaded = resumes = large = True
    lowered_by = "a smaller solver.grid"

    def jobs(self, graph: "Graph") -> list[Names]:
        return [
            {"walls": run.walls, "reynolds": named(run.reynolds), "seed": str(run.seed)}
            for run in graph.all_runs
        ]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        return (layout.trajectory(self.record[0].format(**names)),)

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        return []

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        boundary = boundary_of(names["walls"])
        return common(graph) | {
            "solver": section(graph, "solver"),
            "reynolds": float(names["reynolds"]),
            "seed": int(names["seed"]),
            **({} if boundary == "periodic" else {"boundary": boundary}),
        }


class ImportData(Rule):
    """A part of a source of own data, as a trajectory."""

    name = "import_data"
    doing = "importing {source} ({split})"
    wildcards: ClassVar[Names] = {"source": "data.sources", "split": "data.splits"}
    record = ("{source}_{split}",)
    large = True
    lowered_by = "a smaller data.crop"

    def jobs(self, graph: "Graph") -> list[Names]:
        return [{"source": source, "split": split} for source, split in graph.imports()]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        return (layout.trajectory(imported_stem(names["source"], names["split"])),)

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        return [graph.source_file(names["source"])]

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        """What decides an imported trajectory, beside the bytes of its file."""
        data, source, split = graph.config.data, names["source"], names["split"]
        assert data is not None  # there are no jobs of this rule without
        part = data.model_dump(exclude={"sources", "splits", "gap", "block", *WORDS})
        own = data.sources[source].model_dump(exclude={"file"})
        return part | {
            "source": source,
            **own,
            "part": data.part(split),
            "number": list(data.sources).index(source),
            "side_step": graph.config.side_step,
        }


class Splits(Rule):
    """Proof that no run stands in two splits."""

    name = "splits"
    doing = "checking the splits"

    def jobs(self, graph: "Graph") -> list[Names]:
        return [{}]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        return (layout.splits,)

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        return graph.all_trajectories

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        if graph.config.data is not None:
            return {split: graph.stems(split) for split in SPLITS} | {"gap": graph.config.gap}
        untrained = {name: [path.stem for path in paths] for name, paths in graph.untrained.items()}
        return {split: split_slice(graph, split) for split in SPLITS} | {"untrained": untrained}


class Statistics(Rule):
    """The scales of a task's fields and residuals, of vorticity or of a velocity."""

    name = "statistics"
    doing = "measuring the scales of {task}{velocity}"
    wildcards: ClassVar[Names] = {"task": "tasks", "velocity": "evaluations.*.observable"}
    record = ("{task}{velocity}",)
    threaded = True

    def jobs(self, graph: "Graph") -> list[Names]:
        return [{"task": task, "velocity": velocity_of(seen)} for task, seen in graph.measured]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        return (layout.statistics(self.record[0].format(**names)),)

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        return graph.trajectories("train")

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        return {
            "task": task_slice(graph, names["task"]),
            "observable": observable_of(names["velocity"]),
            "interval": None if graph.config.data else graph.config.solver.interval,
            "train": split_slice(graph, "train"),
        }

    def loaded(self, graph: "Graph", names: Names) -> tuple[Path, ...]:
        return kind_files(graph, names["task"])
