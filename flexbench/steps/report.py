"""Step `report`: the page that tells it all."""

from flexbench.graph import Graph
from flexbench.provenance import Receipt
from flexbench.report.inputs import ReportInputs
from flexbench.report.page import write_report


def report_step(graph: Graph) -> None:
    """Write `report.html`."""
    receipt = Receipt(graph.step("report"))
    write_report(ReportInputs(layout=graph.layout, config=graph.config), graph.layout.report)
    receipt.write()
