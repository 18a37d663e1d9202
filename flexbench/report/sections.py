"""What the page shows of each case, and how it falls into sections."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flexbench.metrics.tables import ALL
from flexbench.report.catalogue import FIGURES, PARTS, FigureEntry, figures_of, part_of
from flexbench.report.embed import EmbeddedImage, embed_gif, embed_png
from flexbench.report.figures import draw_figure, save
from flexbench.report.inputs import ReportInputs
from flexbench.report.labels import Labels
from flexbench.report.receipts import ReceiptIndex, slug
from flexbench.report.tables import Table, comparison_table, cost_table, summary_table

_BESIDE = ("cost", "comparisons")


@dataclass(frozen=True, kw_only=True)
class PageFigure:
    """A figure as the page shows it; without images where the file is missing.

    name: of the figure and its case, fit for an anchor. alt: for who does not see it. part: LEAD
    or one of PARTS. images: one, or those of an animation. anchor: of its receipt on the page, ""
    where it has none.
    """

    name: str
    title: str
    caption: str
    alt: str
    part: str
    animated: bool
    file: str
    images: list[EmbeddedImage]
    anchor: str


@dataclass(frozen=True, kw_only=True)
class CasePart:
    """All that the page shows of one case. is_task: on the test split, which is a task's own."""

    name: str
    title: str
    anchor: str
    description: str
    is_task: bool
    summary: Table
    figures: list[PageFigure]
    comparisons: Table
    comparisons_by_re: Table
    cost: Table

    def shown_in(self, part: str) -> list[PageFigure]:
        """Its figures of LEAD or one of PARTS."""
        return [figure for figure in self.figures if figure.part == part]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A folded part of the page, with the figures of each case that has any there."""

    name: str
    title: str
    anchor: str
    cases: list[tuple[CasePart, list[PageFigure]]]


def parts_of(cases: list[CasePart]) -> list[Part]:
    """The parts that any of the cases has a figure in, in the catalogue's order."""
    parts = []
    for name, title in PARTS.items():
        shown = [(case, case.shown_in(name)) for case in cases if case.shown_in(name)]
        if shown:
            parts.append(Part(name=name, title=title, anchor=slug("part", name), cases=shown))
    return parts


def case_part(
    inputs: ReportInputs, case: str, index: ReceiptIndex, titles: Mapping[str, str]
) -> CasePart:
    """Tables and figures of one case."""
    scores, labels = inputs.of_case("scores", case), inputs.labels(case)
    cost, comparisons = (table[table["case"] == case] for table in map(inputs.table, _BESIDE))
    pooled = comparisons["reynolds"] == ALL
    compared = index.of(inputs.layout.table("comparisons"))
    return CasePart(
        name=case,
        title=titles[case],
        anchor=slug("case", case),
        description=describe_case(inputs, case),
        is_task=inputs.config.cases[case].evaluation is None,
        summary=summary_table(scores, cost, index.find, index.of_cost, labels=labels),
        figures=[
            page_figure(inputs, case, name, index, labels, title=titles[case])
            for name in figures_of(inputs.config, case)
        ],
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
    inputs: ReportInputs,
    case: str,
    name: str,
    index: ReceiptIndex,
    labels: Labels,
    *,
    title: str,
) -> PageFigure:
    """A figure of a case, in the words of its labels; title: of the case."""
    entry = FIGURES[name]
    has_walls = inputs.config.cases[case].settings.boundary != "periodic"
    path = (inputs.layout.animation if entry.animated else inputs.layout.figure)(case, name)
    images: list[EmbeddedImage] = []
    if path.is_file():
        images = _embedded(path, entry)
    elif inputs.redraws:
        with tempfile.TemporaryDirectory() as folder:
            redrawn = Path(folder) / path.name
            save(draw_figure(name, inputs, case=case), redrawn)
            images = _embedded(redrawn, entry)
    named = labels.worded(entry.title)
    caption = labels.worded(entry.caption + (entry.walls if has_walls else ""))
    return PageFigure(
        name=slug(case, name),
        title=named,
        caption=caption,
        alt=f"{title}. {named}: {caption.split('. ')[0].rstrip('.')}.",
        part=part_of(inputs.config, case, name),
        animated=entry.animated,
        file=path.relative_to(inputs.layout.folder).as_posix(),
        images=images,
        anchor=index.of(path),
    )


def _embedded(path: Path, entry: FigureEntry) -> list[EmbeddedImage]:
    return embed_gif(path) if entry.animated else [embed_png(path, is_map=entry.is_map)]
