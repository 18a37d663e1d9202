"""What would run now, and why: asked of Snakemake itself, then explained by receipts and code."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flexbench.errors import FlexbenchError
from flexbench.graph import RULES, Graph
from flexbench.graph.planned import PlannedJob
from flexbench.nested import ABSENT, Difference, differences
from flexbench.paths import checkout
from flexbench.provenance import plain, read_receipt
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
class Stale:
    """A job that would run. reasons: in the words of `_REASONS`. details: what changed, exactly."""

    key: str
    reasons: tuple[str, ...]
    details: tuple[str, ...] = ()


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
            text=True,
        )
        return cls(process)

    def reasons(self) -> dict[str, tuple[str, ...]]:
        """Waits for it: why each job would run, by key; FlexbenchError where it failed."""
        out, err = self.process.communicate()
        if self.process.returncode:
            lines = [line for line in (out + err).splitlines() if line.strip()]
            raise FlexbenchError("snakemake -n failed:\n" + "\n".join(lines[-8:]))
        return read_dry_run(out)


def explained(
    graph: Graph, jobs: Mapping[str, PlannedJob], found: Mapping[str, tuple[str, ...]]
) -> dict[str, Stale]:
    """The jobs that would run, by key, in the order of `jobs`; found: what a dry run said."""
    unknown = sorted(set(found) - set(jobs) - {"all "})
    if unknown:
        raise FlexbenchError(f"snakemake -n names a job that the plan does not know: {unknown[0]}")
    return {
        key: Stale(key, found[key], explain(graph, job, found[key]))
        for key, job in jobs.items()
        if key in found
    }


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


def explain(graph: Graph, job: PlannedJob, reasons: tuple[str, ...]) -> tuple[str, ...]:
    """What changed, where Snakemake only says that parameters did: settings by name, or code."""
    if "changed parameters" not in reasons:
        return ()
    receipt = read_receipt(job.step.outputs[0])
    if not receipt:
        return ("no receipt tells what it was made with",)
    before, now = receipt.get("slice", {}), plain(dict(job.step.slice))
    details = [_told(difference) for difference in differences(before, now)]
    if not details:
        details = [_changed_code(graph, job)]
    return tuple(details)


def _told(difference: Difference) -> str:
    """`train.learning_rate: 0.002 -> 0.01`."""
    place, before, now = difference
    if before is ABSENT:
        return f"{place}: new, {_short(now)}"
    return f"{place}: {_short(before)} -> {'gone' if now is ABSENT else _short(now)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _changed_code(graph: Graph, job: PlannedJob) -> str:
    """A receipt holds one digest for all the code: the files edited since then are the suspects."""
    files = graph.rule(job.rule).code_files(graph, job.names)
    made = job.step.outputs[0].stat().st_mtime if job.step.outputs[0].is_file() else 0.0
    edited = sorted(_place(path) for path in files if path.stat().st_mtime > made)
    if not edited:
        return f"code of {job.rule}"
    more = f" and {len(edited) - 4} more" if len(edited) > 4 else ""
    return f"code of {job.rule}; edited since: {', '.join(edited[:4])}{more}"


def _place(path: Path) -> str:
    root = checkout()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def grouped(stale: Mapping[str, Stale]) -> list[tuple[str, int, str]]:
    """(rule, jobs, why) for each rule and reason, in the graph's order: lines for a person."""
    order = [rule.name for rule in RULES]
    groups: dict[tuple[str, str], int] = {}
    for entry in stale.values():
        rule = entry.key.partition(" ")[0]
        # What a job's inputs do explains it only where nothing of its own does.
        own = [reason for reason in entry.reasons if reason != "input is made anew"]
        why = "; ".join([*(own or entry.reasons), *entry.details])
        groups[rule, why] = groups.get((rule, why), 0) + 1
    return [
        (rule, count, why)
        for (rule, why), count in sorted(groups.items(), key=lambda item: order.index(item[0][0]))
    ]
