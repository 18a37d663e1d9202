"""The report: figures, tables and one self-contained page, drawn from files alone.

`FIGURES` is cheap to import (no matplotlib, no pandas); the rest is imported where it is used:
`report.inputs.ReportInputs`, `report.figures.draw_figure`, `report.figures.save`,
`report.page.write_report`.
"""

from flexbench.report.catalogue import FIGURES

__all__ = ["FIGURES"]
