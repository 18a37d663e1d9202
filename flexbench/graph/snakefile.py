"""What a rule of the Snakefile is made of, besides the line that it runs."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from flexbench.graph.jobs import Graph
from flexbench.graph.resources import resources
from flexbench.graph.rule import Names

# A value, or a function of a job's wildcards where the rule has some.
Value = Any


class SnakemakeRule:
    """A rule in Snakemake's words: `input`, `output` and so on of the rule of that name."""

    def __init__(self, graph: Graph, name: str):
        self.graph, self.rule = graph, graph.rule(name)
        # Snakemake's own placeholders.
        self._patterns: Names = {name: f"{{{name}}}" for name in self.rule.wildcards}

    @property
    def input(self) -> Value:
        return self._by_names(lambda names: [str(it) for it in self.rule.inputs(self.graph, names)])

    @property
    def output(self) -> tuple[Path, ...]:
        return self.rule.outputs(self.graph.layout, self._patterns)

    @property
    def constraints(self) -> dict[str, str]:
        """Of the wildcards of what draws samples: none are drawn of methods that others ran."""
        others = "|".join(self.graph.config.submissions)
        return {"method": f"(?!({others})/)[A-Za-z0-9_-]+"} if others else {}

    @property
    def log(self) -> Path:
        return self.rule.log(self.graph.layout, self._patterns)

    @property
    def benchmark(self) -> Path:
        return self.rule.benchmark(self.graph.layout, self._patterns)

    @property
    def threads(self) -> Value:
        return self._by_names(lambda names: self.rule.cores(self.graph, names))

    @property
    def resources(self) -> dict[str, Value]:
        """Of the first job, whose keys all have, a function for each that may differ by job."""
        first = next(iter(self.rule.jobs(self.graph)), None)
        if first is None:
            return {}
        found: dict[str, Value] = dict(resources(self.graph, self.rule, first))
        for key in {"cpus_per_task", "gpu"} & set(found):
            found[key] = self._by_names(partial(self._resource, key))
        return found

    def _resource(self, key: str, names: Names) -> int | str:
        return resources(self.graph, self.rule, names)[key]

    @property
    def params(self) -> dict[str, Value]:
        """resolved: the configuration that the verb reads. slice, code: what decides its result."""
        return {
            "resolved": str(self.graph.layout.config),
            "slice": self._by_names(lambda names: self.rule.slice(self.graph, names)),
            "code": self._by_names(lambda names: self.rule.code(self.graph, names)),
        }

    def _by_names(self, value: Callable[[Names], Value]) -> Value:
        if not self.rule.wildcards:
            return value({})

        def of_wildcards(wildcards: Any) -> Value:
            return value(_names(wildcards))

        return of_wildcards


def _names(wildcards: Any) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in wildcards.items()}


def launcher(graph: Graph, method: str) -> str:
    """How `flexbench train` starts: alone, or once per GPU under torchrun."""
    processes = graph.config.train_settings(method).processes
    if processes == 1:
        return "flexbench"
    # `--`, or torchrun takes the verb's --log for one of its own options.
    return f"torchrun --standalone --nproc-per-node {processes} -m -- flexbench"
