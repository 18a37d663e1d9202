"""Step `report`: the page that tells it all."""

from flexbench import git
from flexbench.graph import Graph
from flexbench.provenance import Receipt
from flexbench.report.drawn import report_inputs
from flexbench.report.page import write_report


def report_step(graph: Graph) -> None:
    """Write `report.html`."""
    receipt = Receipt(graph.step("report"))
    inputs = report_inputs(graph.layout, graph.config)
    write_report(inputs, graph.layout.report, edges=graph.edges, revision=git.revision())
    receipt.write()
