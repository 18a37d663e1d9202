"""What people call the jobs of a run."""

from collections.abc import Callable
from typing import Any

from flexbench.findings.names import case_names, listed, method_names
from flexbench.graph import Graph, boundary_of, observable_of
from flexbench.graph.planned import PlannedJob


class JobWords:
    """Names of the jobs of a graph: "training FLEX on Forecast"."""

    def __init__(self, graph: Graph):
        self._graph = graph
        self._cases, self._methods = case_names(graph.config), method_names(graph.config)
        self._shown: dict[str, Callable[[str], str]] = {
            "case": self._cases.__getitem__,
            "task": self._cases.__getitem__,
            "training": lambda name: listed([self._cases[task] for task in name.split("+")]),
            "method": self._methods.__getitem__,
            "walls": _walls,
            "velocity": _velocity,
        }

    def of(self, job: PlannedJob) -> str:
        """What a job does."""
        names: dict[str, Any] = {
            name: self._shown.get(name, str)(value) for name, value in job.names.items()
        }
        several = len(self._graph.config.training_seeds) > 1
        names["repeat"] = f", seed {names['seed']}" if several and "seed" in names else ""
        return self._graph.rule(job.rule).doing.format(**names)


def _walls(name: str) -> str:
    boundary = boundary_of(name)
    return "" if boundary == "periodic" else f", {boundary.replace('_', '-')} walls"


def _velocity(name: str) -> str:
    observable = observable_of(name)
    return "" if observable == "w" else f", velocity {observable}"
