"""The report: one HTML page that needs nothing else, neither a network nor the results folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flexbench import BENCHMARK_VERSION, __version__
from flexbench.atomic import write_text
from flexbench.config.reading import to_yaml
from flexbench.metrics.definitions import DEFINITIONS_VERSION
from flexbench.metrics.flag_types import INFORMATION
from flexbench.metrics.tables import ALL
from flexbench.report import style
from flexbench.report.catalogue import FIGURES, figures_of
from flexbench.report.claims import claims_view
from flexbench.report.dag import Edge, draw_graph
from flexbench.report.embed import EmbeddedImage, embed_gif, embed_png
from flexbench.report.inputs import ReportInputs
from flexbench.report.labels import Labels
from flexbench.report.receipts import ReceiptIndex, code_rows, receipt_view, slug, version_rows
from flexbench.report.tables import (
    Table,
    comparison_table,
    cost_table,
    definition_table,
    score_tables,
    summary_table,
)

_BESIDE = ("cost", "comparisons")
TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True, kw_only=True)
class PageFigure:
    """A figure as the page shows it; without an image where the file is missing.

    anchor: of its receipt on the page, "" where it has none.
    """

    title: str
    caption: str
    animated: bool
    file: str
    image: EmbeddedImage | None
    anchor: str


@dataclass(frozen=True, kw_only=True)
class CasePart:
    """All that the page shows of one case."""

    name: str
    anchor: str
    description: str
    summary: Table
    figures: list[PageFigure]
    scores: list[Table]
    comparisons: Table
    comparisons_by_re: Table
    cost: Table


def write_report(inputs: ReportInputs, path: Path, *, edges: Sequence[Edge]) -> None:
    """Write the page of a results folder; the same inputs give the same bytes.

    edges: (rule, rule that takes what it makes), for the drawing of the workflow.
    Figures are taken from `figures/<case>/<name>.png`; one that is missing is named on the page.
    Raises FlexbenchError where a table is missing or not readable.
    """
    write_text(path, render_page(inputs, edges=edges))


def render_page(inputs: ReportInputs, *, edges: Sequence[Edge]) -> str:
    """The page's HTML."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    config = inputs.config
    scores, flags = inputs.table("scores"), inputs.table("red_flags")
    receipts = inputs.receipts()
    index = ReceiptIndex(inputs.layout, receipts)
    present = set(scores["case"])
    cases = [case for case in config.cases if case in present]
    with style.look(config.methods):
        # Methods that were left out have no scores.
        shown = [method for method in config.methods if method in set(scores["method"])]
        colours = {method: style.colour(method) for method in shown}
    return environment.get_template("page.html").render(
        tier=config.tier,
        benchmark_version=BENCHMARK_VERSION,
        definitions_version=DEFINITIONS_VERSION,
        version=__version__,
        config=config,
        confidence=f"{100 * config.score.confidence:g} %",
        flags=flags[flags["flag"] != INFORMATION].to_dict("records"),
        notes=flags[flags["flag"] == INFORMATION].to_dict("records"),
        claims=claims_view(inputs.layout.claims, {case: slug("case", case) for case in cases}),
        cases=[case_part(inputs, case, index) for case in cases],
        # Of own data all cases have one field.
        labels=inputs.labels([*cases, *config.cases][0]),
        definitions=definition_table(scores["score"]),
        colours=colours,
        # Where the results stand is nobody's business, and no two runs need differ by it.
        configuration=to_yaml(config.model_copy(update={"root": "."})),
        receipts=[receipt_view(receipt, index) for receipt in receipts],
        versions=version_rows(receipts),
        code=code_rows(receipts),
        graph=draw_graph(edges),
    )


def case_part(inputs: ReportInputs, case: str, index: ReceiptIndex) -> CasePart:
    """Tables and figures of one case."""
    scores, labels = inputs.of_case("scores", case), inputs.labels(case)
    cost, comparisons = (table[table["case"] == case] for table in map(inputs.table, _BESIDE))
    pooled = comparisons["reynolds"] == ALL
    compared = index.of(inputs.layout.table("comparisons"))
    return CasePart(
        name=case,
        anchor=slug("case", case),
        description=describe_case(inputs, case),
        summary=summary_table(scores, cost, index.find, index.of_cost, labels=labels),
        figures=[
            page_figure(inputs, case, name, index, labels)
            for name in figures_of(inputs.config, case)
        ],
        scores=score_tables(scores, index.find, labels=labels),
        comparisons=comparison_table(comparisons[pooled], labels=labels, anchor=compared),
        comparisons_by_re=comparison_table(comparisons[~pooled], labels=labels, anchor=compared),
        cost=cost_table(cost, index.of_cost),
    )


def describe_case(inputs: ReportInputs, case: str) -> str:
    """The settings of a case in a line: its task's, and what differs from the test split."""
    here = inputs.config.cases[case]
    settings = here.task_settings.model_dump(exclude={"methods", "kind"})
    if here.evaluation is not None:
        settings |= here.settings.model_dump(exclude={"tasks", "methods"}, exclude_defaults=True)
    shown = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"{here.task_settings.title}: {shown}"


def page_figure(
    inputs: ReportInputs, case: str, name: str, index: ReceiptIndex, labels: Labels
) -> PageFigure:
    """A figure of a case, in the words of its labels."""
    entry = FIGURES[name]
    animated = entry.animated
    has_walls = inputs.config.cases[case].settings.boundary != "periodic"
    path = (inputs.layout.animation if animated else inputs.layout.figure)(case, name)
    embed = embed_gif if animated else embed_png
    return PageFigure(
        title=labels.worded(entry.title),
        caption=labels.worded(entry.caption + (entry.walls if has_walls else "")),
        animated=animated,
        file=path.relative_to(inputs.layout.folder).as_posix(),
        image=embed(path) if path.is_file() else None,
        anchor=index.of(path),
    )
