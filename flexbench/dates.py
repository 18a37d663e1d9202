"""Dates of results: Snakemake makes anew what is older than what it was made from.

A copy without dates mixes them up, and then everything would be made anew, the trainings too. By
receipts that is told from a change here, and put right once somebody has looked at the bytes.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from flexbench.errors import FlexbenchError
from flexbench.graph import RULES, Graph
from flexbench.provenance import Step, name_in, read_receipt


def mixed_up(graph: Graph) -> list[Step]:
    """Steps whose outputs are older than inputs that, by all receipts, they were made from.

    Receipts are read where dates are wrong, and only there; one that cannot be read tells nothing.
    """
    dated = _dated(graph)
    makers = {path: step for step, _ in dated for path in step.outputs}
    dates: dict[Path, int] = {}
    for _, own in dated:
        for path in own:
            with suppress(FileNotFoundError):
                dates[path] = path.stat().st_mtime_ns
    found = []
    for step, own in dated:
        made = [dates[path] for path in own if path in dates]
        younger = [path for path in step.inputs if made and dates.get(path, 0) > min(made)]
        with suppress(FlexbenchError):
            if younger and all(_is_same(step, path, makers[path]) for path in younger):
                found.append(step)
    return found


def _dated(graph: Graph) -> list[tuple[Step, tuple[Path, ...]]]:
    """Every step, and the files whose dates count as its own: the benchmark, too."""
    return [
        (step, (*step.outputs, rule.benchmark(graph.layout, names)))
        for rule in RULES
        for names in rule.jobs(graph)
        for step in (rule.step(graph, names),)
    ]


def _is_same(step: Step, path: Path, maker: Step) -> bool:
    """Whether an input is, by the receipts of both, the file that a step was made from."""
    used = read_receipt(step.outputs[0]).get("inputs", {}).get(name_in(step, path))
    return used is not None and used == read_receipt(maker.outputs[0]).get("outputs", {}).get(
        path.name
    )


def redate(graph: Graph) -> int:
    """Give every output that is there one date, now; how many files there are.

    For results whose bytes are those of their receipts: nothing of them is stale then.
    """
    there = [path for _, own in _dated(graph) for path in own if path.is_file()]
    now = time.time_ns()
    for path in there:
        os.utime(path, ns=(now, now))
    return len(there)
