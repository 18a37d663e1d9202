"""The scorecard of the findings as a table of the page: cases down, methods across."""

from collections.abc import Collection

from flexbench.findings.results import Cell as Found
from flexbench.findings.results import Findings
from flexbench.report.tables import Cell, Head, Row, Table

# Of a verdict of `findings.standing`: how a cell is set off; others are not.
_KINDS = {"better": "best", "worse": "worse"}


def scorecard_table(findings: Findings, formulas: Collection[str], anchor: str) -> Table:
    """Error over the best formula's, and under it what the pull ratio says; the formula by name.

    formulas: the methods that learn nothing. anchor: of the receipt of the tables, where the
    numbers lead to.
    """
    card, names = findings.scorecard, findings.method_names
    learned = [method for method in card.methods if method not in formulas]
    table = Table(corner="flows", heads=[Head(text=names[method]) for method in learned])
    table.heads.append(Head(text="best formula"))
    for case in card.cases:
        cells = [_cell(card.cell(case, method), anchor) for method in learned]
        best = [names[it] for it in formulas if card.cell(case, it).state == "formula"]
        cells.append(Cell(text=", ".join(best) or "not run"))
        table.rows.append(Row(name=findings.case_names[case], cells=cells))
    return table


def _cell(found: Found, anchor: str) -> Cell:
    if found.state != "scored" or found.ratio is None:
        return Cell(text=found.text)
    pull = "" if found.pull is None else f"{found.width} ({found.pull:.2f})"
    return Cell(
        text=f"{found.ratio:.2f}",
        interval=pull,
        anchor=anchor,
        kind=_KINDS.get(found.verdict, ""),
    )
