"""The scorecard: every method on every case, beside the best formula there."""

from collections.abc import Iterator
from typing import Any

from flexbench.findings.evidence import ERROR, Evidence, Ratio
from flexbench.findings.results import Cell, Scorecard, finite
from flexbench.findings.standing import verdict
from flexbench.findings.uncertainty import PULL, width
from flexbench.findings.words import plain


def scorecard(evidence: Evidence) -> Scorecard:
    """methods in the configuration's order, cases likewise."""
    methods, cases = evidence.graph.config.all_methods, evidence.cases
    cells = [_cell(evidence, case, method) for method in methods for case in cases]
    return Scorecard(methods=list(methods), cases=cases, cells=cells)


def not_run(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """(case, method) of what could have run, and did not.

    How a flow is sampled changes no formula, which is told of once.
    """
    for cell in scorecard(evidence).cells:
        sampled = evidence.graph.case(cell.case).evaluation and evidence.same_flows(cell.case)
        if cell.state == "not run" and not (sampled and evidence.graph.is_formula(cell.method)):
            yield cell.case, cell.method


def _cell(evidence: Evidence, case: str, method: str) -> Cell:
    if not len(evidence.rows(case, method, ERROR)):
        impossible = evidence.graph.unfit(case, method) is not None
        return Cell(
            case=case,
            method=method,
            state="impossible" if impossible else "not run",
            text="–" if impossible else "not run",
        )
    error, pull = (evidence.score(case, method, score) for score in (ERROR, PULL))
    told: dict[str, Any] = {
        "case": case,
        "method": method,
        "error": error.value if error else None,
        "pull": pull.value if pull else None,
        "pull_low": finite(pull.low) if pull else None,
        "pull_high": finite(pull.high) if pull else None,
        "width": width(pull),
    }
    if method == evidence.best(case, evidence.formulas(case), ERROR):
        return Cell(**told, state="formula", ratio=1.0, text="best formula")
    paired = evidence.to_formula(case, method)
    ratio = paired or _elsewhere(evidence, case, error)
    if ratio is None:
        return Cell(**told, state="scored", text="no formula")
    trainings = 0 if evidence.graph.is_formula(method) else evidence.trainings(case, method)
    return Cell(
        **told,
        state="scored",
        ratio=finite(ratio.value),
        low=finite(ratio.low),
        high=finite(ratio.high),
        paired=paired is not None,
        verdict=verdict(ratio, trainings=trainings),
        text=plain(ratio),
    )


def _elsewhere(evidence: Evidence, case: str, error: Ratio | None) -> Ratio | None:
    """Over the best formula of the test split, where the flows are the same and none ran here.

    Two means, which are not paired: without an interval.
    """
    task = evidence.graph.case(case).task
    formula = evidence.best(task, evidence.formulas(task), ERROR)
    known = evidence.score(task, formula, ERROR) if formula else None
    if evidence.formulas(case) or not evidence.same_flows(case) or not (known and error):
        return None
    return Ratio(value=error.value / known.value, flows=error.flows)
