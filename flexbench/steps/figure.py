"""Step `figure`: one figure of one task."""

from flexbench import planned
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.provenance import Receipt
from flexbench.report.catalogue import figures_of
from flexbench.report.figures import draw_figure, save
from flexbench.report.inputs import ReportInputs


def figure_step(graph: Graph, *, task: str, name: str) -> None:
    """Write `figures/<task>/<name>.png`, and the same as PDF beside it."""
    allowed = figures_of(graph.config, graph.case(task).name)
    if name not in allowed:
        raise FlexbenchError(f"{task} has no figure '{name}'; allowed: {', '.join(allowed)}")
    step = planned.figure(graph, task, name)
    receipt = Receipt(step)
    inputs = ReportInputs(layout=graph.layout, config=graph.config)
    inputs.table("scores")  # an error where nothing was scored yet, not an empty figure
    save(draw_figure(name, inputs, task=task), step.outputs[0])
    receipt.write()
