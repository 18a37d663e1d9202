"""What would run now, and why: asked of Snakemake itself, then explained by receipts and code."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flexbench.errors import FlexbenchError
from flexbench.graph import RULES, Graph
from flexbench.graph.planned import PlannedJob
from flexbench.nested import ABSENT, Difference, differences
from flexbench.paths import checkout
from flexbench.provenance import plain, read_receipt


@dataclass(frozen=True)
class Stale:
    """A job that would run. reasons: in the words of `dry_run`. details: what changed, exactly."""

    key: str
    reasons: tuple[str, ...]
    details: tuple[str, ...] = ()


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
