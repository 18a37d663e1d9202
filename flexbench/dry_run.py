"""What Snakemake says that a run would do: a dry run, asked for and read."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.paths import checkout
from flexbench.runner import dry_run_command, run_environment

# What Snakemake says of a job, and what it is called here.
_REASONS = {
    "Missing output files": "missing output",
    "Incomplete output files": "incomplete output",
    "Updated input files": "newer input",
    "Input files updated by another job": "input is made anew",
    "Set of input files has changed": "other inputs",
    "Code has changed": "changed rule",
    "Params have changed": "changed parameters",
    "Forced execution": "forced",
}
_REASON = re.compile("|".join(re.escape(text) for text in _REASONS))


@dataclass(frozen=True)
class DryRun:
    """A dry run of Snakemake under way, so that something else can be done meanwhile."""

    process: "subprocess.Popen[str]" = field(repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nobody waits for it where something else went wrong."""
        if error is not None:
            self.process.kill()
        self.process.wait()

    @classmethod
    def start(
        cls, graph: Graph, overrides: Mapping[str, Any], *, own: Path | None = None
    ) -> "DryRun":
        process = subprocess.Popen(
            dry_run_command(graph.config, overrides, own=own),
            cwd=checkout(),
            env=run_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        return cls(process)

    def reasons(self) -> dict[str, tuple[str, ...]]:
        """Waits for it: why each job would run, by key; FlexbenchError where it failed."""
        out, err = self.process.communicate()
        if self.process.returncode:
            lines = [line for line in (out + err).splitlines() if line.strip()]
            raise FlexbenchError("snakemake -n failed:\n" + "\n".join(lines[-8:]))
        return read_dry_run(out)


def read_dry_run(text: str) -> dict[str, tuple[str, ...]]:
    """Rule and wildcards of every job of a dry run's output, each with its reasons."""
    found = {}
    for block in re.split(r"^(?:local)?rule ", text, flags=re.M)[1:]:
        rule = block.partition(":")[0]
        lines = dict(re.findall(r"^    (\w+): (.*)$", block, flags=re.M))
        key = f"{rule} {lines.get('wildcards', '')}"
        told = _REASON.findall(lines.get("reason", ""))
        found[key] = tuple(dict.fromkeys(_REASONS[text] for text in told)) or ("other",)
    return found
