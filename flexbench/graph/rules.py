"""Every rule of the graph, in an order in which their jobs can run."""

from flexbench.graph.data import ImportData, Simulate, Splits, Statistics
from flexbench.graph.judge import Animation, Figure, Report, Score, Tabulate
from flexbench.graph.learn import Calibrate, Sample, Train
from flexbench.graph.rule import Rule
from flexbench.graph.submitted import Submit
from flexbench.graph.theory import Gradients, Targets

RULES: tuple[Rule, ...] = (
    *(Simulate(), ImportData(), Splits(), Statistics()),
    *(Train(), Calibrate(), Sample()),
    *(Targets(), Gradients()),
    *(Score(), Tabulate(), Figure(), Animation(), Report()),
)
# What comes from elsewhere: files with receipts, which no job makes.
GIVEN: tuple[Rule, ...] = (Submit(),)
