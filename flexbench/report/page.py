"""The report: one HTML page that needs nothing else, neither a network nor the results folder."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flexbench import BENCHMARK_VERSION, __version__
from flexbench.atomic import write_text
from flexbench.graph import EDGES
from flexbench.report import style
from flexbench.report.catalogue import FIGURES, FigureEntry
from flexbench.report.dag import draw_graph
from flexbench.report.embed import EmbeddedImage, embed_png
from flexbench.report.inputs import Receipt, ReportInputs
from flexbench.report.tables import (
    FindAnchor,
    Table,
    comparison_table,
    cost_table,
    definition_table,
    score_tables,
    summary_table,
)
from flexbench.tiers import to_yaml

# A flag of this name is no defect, but what a reader would want to know.
INFORMATION = "information"
_BESIDE = ("cost", "comparisons")
TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True, kw_only=True)
class PageFigure:
    """A figure as the page shows it; without an image where the file is missing."""

    entry: FigureEntry
    file: str
    image: EmbeddedImage | None


@dataclass(frozen=True, kw_only=True)
class TaskPart:
    """All that the page shows of one task."""

    name: str
    anchor: str
    description: str
    summary: Table
    figures: list[PageFigure]
    scores: list[Table]
    comparisons: Table
    comparisons_by_re: Table
    cost: Table


def write_report(inputs: ReportInputs, path: Path) -> None:
    """Write the page of a results folder; the same inputs give the same bytes.

    Figures are taken from `figures/<task>/<name>.png`; one that is missing is named on the page.
    Raises FlexbenchError where a table is missing or not readable.
    """
    write_text(path, render_page(inputs))


def render_page(inputs: ReportInputs) -> str:
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
    find_anchor = anchor_finder(receipts)
    present = set(scores["task"])
    with style.look(config.methods):
        colours = {method: style.colour(method) for method in config.methods}
    return environment.get_template("page.html").render(
        tier=config.tier,
        benchmark_version=BENCHMARK_VERSION,
        version=__version__,
        config=config,
        confidence=f"{100 * config.score.confidence:g} %",
        flags=flags[flags["flag"] != INFORMATION].to_dict("records"),
        notes=flags[flags["flag"] == INFORMATION].to_dict("records"),
        tasks=[task_part(inputs, task, find_anchor) for task in config.tasks if task in present],
        definitions=definition_table(scores["score"]),
        colours=colours,
        # Where the results stand is nobody's business, and no two runs need differ by it.
        configuration=to_yaml(config.model_copy(update={"root": "."})),
        receipts=[receipt_view(receipt) for receipt in receipts],
        versions=version_rows(receipts),
        code=code_rows(receipts),
        graph=draw_graph(list(EDGES)),
    )


def task_part(inputs: ReportInputs, task: str, find_anchor: FindAnchor) -> TaskPart:
    """Tables and figures of one task."""
    scores = inputs.task_scores(task)
    cost, comparisons = (table[table["task"] == task] for table in map(inputs.table, _BESIDE))
    pooled = comparisons["reynolds"] == "all"
    return TaskPart(
        name=task,
        anchor=slug("task", task),
        description=describe_task(inputs, task),
        summary=summary_table(scores, cost, find_anchor),
        figures=[page_figure(inputs, task, name) for name in FIGURES],
        scores=score_tables(scores, find_anchor),
        comparisons=comparison_table(comparisons[pooled]),
        comparisons_by_re=comparison_table(comparisons[~pooled]),
        cost=cost_table(cost),
    )


def describe_task(inputs: ReportInputs, task: str) -> str:
    """A task's settings in a line."""
    settings = inputs.config.tasks[task].model_dump(exclude={"methods", "kind"})
    kind = {"superres": "Super-resolution", "forecast": "Forecast"}[inputs.config.tasks[task].kind]
    shown = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"{kind}: {shown}"


def page_figure(inputs: ReportInputs, task: str, name: str) -> PageFigure:
    path = inputs.layout.figure(task, name)
    return PageFigure(
        entry=FIGURES[name],
        file=path.relative_to(inputs.layout.folder).as_posix(),
        image=embed_png(path) if path.is_file() else None,
    )


def slug(*parts: str) -> str:
    """An anchor: letters, digits and dashes; never the same for two different names."""
    text = "-".join(parts)
    clean = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return clean if clean == text else f"{clean}-{style.short_hash(text)}"


def anchor_finder(receipts: Iterable[Receipt]) -> FindAnchor:
    """From the `receipt` column of a table (a path, relative to the results folder or not)."""
    anchors = {receipt.output: slug("receipt", receipt.output) for receipt in receipts}

    def find(text: str) -> str:
        parts = text.removesuffix(".receipt.json").split("/")
        # Tables may be written with longer paths than the results folder's own.
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((anchors[tail] for tail in tails if tail in anchors), "")

    return find


def receipt_view(receipt: Receipt) -> dict[str, Any]:
    """What the page shows of a receipt; keys that it lacks are empty."""
    content = receipt.content
    keys = ("outputs", "inputs", "slice", "facts")
    return {
        "anchor": slug("receipt", receipt.output),
        "output": receipt.output,
        "step": content.get("step", ""),
        "code": content.get("code_digest", ""),
        "slice_digest": content.get("slice_digest", ""),
        "seconds": content.get("seconds", ""),
        "memory": content.get("peak_memory_mib", ""),
        **{key: content.get(key) or {} for key in keys},
    }


def version_rows(receipts: Iterable[Receipt]) -> list[tuple[str, list[str]]]:
    """Every package that computed, with all versions that the receipts name."""
    found: dict[str, set[str]] = {}
    for receipt in receipts:
        for name, version in (receipt.content.get("versions") or {}).items():
            found.setdefault(name, set()).add(str(version))
    return [(name, sorted(versions)) for name, versions in sorted(found.items())]


def code_rows(receipts: Iterable[Receipt]) -> list[tuple[str, list[str]]]:
    """Every step, with all digests of its code that the receipts name."""
    found: dict[str, set[str]] = {}
    for receipt in receipts:
        step, code = receipt.content.get("step"), receipt.content.get("code_digest")
        if step and code:
            found.setdefault(str(step), set()).add(str(code))
    return [(step, sorted(codes)) for step, codes in sorted(found.items())]
