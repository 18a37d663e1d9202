"""Step `report`: the page that tells it all."""

from flexbench import planned
from flexbench.graph import Graph
from flexbench.provenance import Receipt
from flexbench.report.inputs import ReportInputs
from flexbench.report.page import write_report


def report_step(graph: Graph) -> None:
    """Write `report.html`."""
    receipt = Receipt(planned.report(graph))
    write_report(ReportInputs(layout=graph.layout, config=graph.config), graph.layout.report)
    receipt.write()
