"""Step `figure`: one figure of one task."""

from flexbench.graph import Graph
from flexbench.provenance import Receipt
from flexbench.report.catalogue import FIGURES
from flexbench.report.figures import draw_figure, save
from flexbench.report.inputs import ReportInputs


def figure_step(graph: Graph, *, task: str, name: str) -> None:
    """Write `figures/<task>/<name>.png`, and the same as PDF beside it."""
    graph.task_settings(task)  # an error for a task that does not exist
    receipt = Receipt("figure", slice_=graph.figure_slice(task, name))
    output = graph.layout.figure(task, name)
    inputs = ReportInputs(layout=graph.layout, config=graph.config)
    if name in FIGURES:
        inputs.table("scores")  # an error where nothing was scored yet, not an empty figure
    save(draw_figure(name, inputs, task=task), output)
    receipt.write([output, output.with_suffix(".pdf")])
