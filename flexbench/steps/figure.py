"""Step `figure`: one figure of one case."""

from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.provenance import Receipt
from flexbench.report.catalogue import FIGURES, figures_of
from flexbench.report.drawn import report_inputs
from flexbench.report.figures import draw_figure, save


def figure_step(graph: Graph, *, case: str, name: str) -> None:
    """Write `figures/<case>/<name>.png`, and the same as PDF beside it; or a GIF."""
    allowed = figures_of(graph.config, graph.case(case).name)
    if name not in allowed:
        raise FlexbenchError(f"{case} has no figure '{name}'; allowed: {', '.join(allowed)}")
    step = graph.step("animation" if FIGURES[name].animated else "figure", case=case, name=name)
    receipt = Receipt(step)
    inputs = report_inputs(graph.layout, graph.config)
    inputs.table("scores")  # an error where nothing was scored yet, not an empty figure
    save(draw_figure(name, inputs, case=case), step.outputs[0])
    receipt.write()
