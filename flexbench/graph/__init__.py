"""The graph: which jobs there are, and what a job of each rule takes, makes and depends on.

The Snakefile asks here; so do receipts, `verify`, `plan` and the report. Nothing heavy is imported.
"""

from flexbench.graph.jobs import Graph
from flexbench.graph.names import (
    SPLITS,
    TOGETHER,
    Fit,
    Job,
    Training,
    boundary_of,
    imported_stem,
    named,
    observable_of,
    velocity_of,
)
from flexbench.graph.rule import Names, Rule
from flexbench.graph.rules import RULES

__all__ = [
    "RULES",
    "SPLITS",
    "TOGETHER",
    "Fit",
    "Graph",
    "Job",
    "Names",
    "Rule",
    "Training",
    "boundary_of",
    "imported_stem",
    "named",
    "observable_of",
    "velocity_of",
]
