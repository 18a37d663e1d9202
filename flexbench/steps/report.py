"""Step `report`: the page that tells it all."""

from flexbench.graph import Graph
from flexbench.paths import TABLES
from flexbench.provenance import Receipt
from flexbench.report.catalogue import FIGURES
from flexbench.report.inputs import ReportInputs
from flexbench.report.page import write_report


def report_step(graph: Graph) -> None:
    """Write `report.html`."""
    layout = graph.layout
    receipt = Receipt("report", slice_={"tasks": graph.tasks})
    write_report(ReportInputs(layout=layout, config=graph.config), layout.report)
    figures = [layout.figure(task, name) for task in graph.tasks for name in FIGURES]
    tables = [layout.table(name) for name in TABLES]
    receipt.write([layout.report], inputs=[path for path in tables + figures if path.is_file()])
