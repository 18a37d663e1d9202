"""The report: one HTML page that needs nothing else, neither a network nor the results folder."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flexbench import BENCHMARK_VERSION
from flexbench.atomic import write_text
from flexbench.config.reading import to_yaml
from flexbench.findings.output import read_findings
from flexbench.metrics.comparisons import FORMULA
from flexbench.metrics.definitions import DEFINITIONS_VERSION
from flexbench.report import style
from flexbench.report.claims import claims_view
from flexbench.report.dag import Edge, draw_graph
from flexbench.report.explorer import explorer
from flexbench.report.inputs import ReportInputs
from flexbench.report.origin import origin_of
from flexbench.report.receipts import ReceiptIndex, code_rows, receipt_view, slug, version_rows
from flexbench.report.scorecard import scorecard_table
from flexbench.report.sections import case_part, parts_of
from flexbench.report.tables import Table, card_table, definition_table, leaderboard_table

TEMPLATES = Path(__file__).resolve().parent / "templates"


def write_report(
    inputs: ReportInputs, path: Path, *, edges: Sequence[Edge], revision: str | None = None
) -> None:
    """Write the page of a results folder; the same inputs give the same bytes.

    edges: (rule, rule that takes what it makes), for the drawing of the workflow. revision: the
    commit of the code, which the page names. Figures are taken from `figures/<case>/<name>.png`;
    one that is missing is named on the page. Raises FlexbenchError where a table is missing or not
    readable.
    """
    write_text(path, render_page(inputs, edges=edges, revision=revision))


def render_page(inputs: ReportInputs, *, edges: Sequence[Edge], revision: str | None = None) -> str:
    """The page's HTML."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    config = inputs.config
    scores = inputs.table("scores")
    receipts = inputs.receipts()
    index = ReceiptIndex(inputs.layout, receipts)
    present = set(scores["case"])
    shown = [case for case in config.cases if case in present]
    findings = read_findings(inputs.layout.findings)
    titles, anchors = findings.case_names, {case: slug("case", case) for case in shown}
    cases = [case_part(inputs, case, index, titles) for case in shown]
    with style.look(config.all_methods):
        # Methods that were left out have no scores.
        methods = [method for method in config.all_methods if method in set(scores["method"])]
        colours = {method: style.colour(method) for method in methods}
    formulas = set(scores.loc[scores["mode"] == FORMULA, "method"])
    return environment.get_template("page.html").render(
        tier=config.tier,
        benchmark_version=BENCHMARK_VERSION,
        definitions_version=DEFINITIONS_VERSION,
        origin=origin_of(config, receipts, revision=revision),
        config=config,
        confidence=f"{100 * config.score.confidence:g} %",
        findings=findings,
        scorecard=scorecard_table(
            findings,
            [method for method in methods if method in formulas],
            index.of(inputs.layout.table("comparisons")),
        ),
        leaderboard=_leaderboard(inputs, shown, index),
        cards=card_table(inputs.cards()),
        claims=claims_view(inputs.layout.claims, anchors),
        titles=titles,
        cases=cases,
        parts=parts_of(cases),
        # Of own data all cases have one field.
        labels=inputs.labels([*shown, *config.cases][0]),
        columns=explorer(
            scores,
            titles=titles,
            methods=config.all_methods,
            labels_of=inputs.labels,
            find_anchor=index.find,
        ),
        definitions=definition_table(scores["score"]),
        colours=colours,
        # Where the results stand is nobody's business, and no two runs need differ by it.
        configuration=to_yaml(config.model_copy(update={"root": "."})),
        receipts=[receipt_view(receipt, index) for receipt in receipts],
        versions=version_rows(receipts),
        code=code_rows(receipts),
        graph=draw_graph(edges),
    )


def _leaderboard(
    inputs: ReportInputs, cases: Sequence[str], index: ReceiptIndex
) -> dict[str, Table]:
    """A table for each case."""
    board, anchor = inputs.table("leaderboard"), index.of(inputs.layout.table("leaderboard"))
    return {
        case: leaderboard_table(
            board[board["case"] == case], labels=inputs.labels(case), anchor=anchor
        )
        for case in cases
    }
