"""What the jobs of each rule cost: files, seconds, memory. A rule without a cost is an error."""

from flexbench.errors import FlexbenchError
from flexbench.planning.costs.cost import BLOCK, CATEGORIES, Cost, Written
from flexbench.planning.costs.data import (
    ImportDataCost,
    SimulateCost,
    SplitsCost,
    StatisticsCost,
)
from flexbench.planning.costs.judge import (
    AnimationCost,
    FigureCost,
    ReportCost,
    ScoreCost,
    TabulateCost,
)
from flexbench.planning.costs.learn import CalibrateCost, SampleCost, TrainCost
from flexbench.planning.costs.theory import GradientsCost, TargetsCost

__all__ = ["BLOCK", "CATEGORIES", "Cost", "Written", "cost_of"]

_COSTS: dict[str, Cost] = {
    cost.rule: cost
    for cost in (
        *(SimulateCost(), ImportDataCost(), SplitsCost(), StatisticsCost()),
        *(TrainCost(), CalibrateCost(), SampleCost()),
        *(TargetsCost(), GradientsCost()),
        *(ScoreCost(), TabulateCost(), FigureCost(), AnimationCost(), ReportCost()),
    )
}


def cost_of(rule: str) -> Cost:
    """The cost of a rule's jobs; FlexbenchError names the rules that have one."""
    if rule not in _COSTS:
        known = ", ".join(_COSTS)
        raise FlexbenchError(f"planning: rule '{rule}' has no cost; these have: {known}")
    return _COSTS[rule]
