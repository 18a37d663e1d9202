"""What theory's measurements cost."""

from flexbench.graph.rule import Names
from flexbench.planning.costs.data import StatisticsCost
from flexbench.planning.costs.learn import TrainCost
from flexbench.planning.facts import RunFacts
from flexbench.planning.rates import Measurement
from flexbench.spec import TRAINING_PASSES

# Bytes of a row of text, measured on finished runs.
_TARGET_ROW, _GRADIENT_ROW, _HEADS = 96, 85, 90


class TargetsCost(StatisticsCost):
    """The task's examples of some snapshots of every training file, as statistics have them."""

    rule = "targets"
    receipt, process = 900, 300

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        from flexbench.theory.tables import SCALINGS, SPACES
        from flexbench.theory.targets import TIMES

        rows = len(facts.graph.stems("train")) * len(SPACES) * len(SCALINGS) * TIMES
        return [_HEADS + _TARGET_ROW * rows]

    def work(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        theory = facts.graph.config.theory
        assert theory is not None  # there are no jobs of this rule without
        used = min(theory.snapshots, facts.snapshots) * len(facts.graph.stems("train"))
        return used * facts.points * speed.rates.statistics


class GradientsCost(TrainCost):
    """A training's steps, and the gradients of further batches: each as long as a step."""

    rule = "gradients"
    receipt, log, process = 2000, 0, 360
    state = False

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        from flexbench.theory.gradients import MOMENTS

        return [_HEADS + _GRADIENT_ROW * len(MOMENTS)]

    def temporary(self, facts: RunFacts, names: Names) -> tuple[int, int]:
        """Nothing is kept on the way."""
        return 0, 0

    def work(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        from flexbench.theory.gradients import MOMENTS

        method, theory = names["method"], facts.graph.config.theory
        assert theory is not None  # there are no jobs of this rule without
        size, settings = facts.networks[names["training"], method], facts.train(method)
        rows = settings.batch * facts.members_learnt(method)
        steps = settings.steps + len(MOMENTS) * theory.batches
        flops = TRAINING_PASSES * steps * rows * size.forward
        return flops / self.flops_per_second(facts, speed, method)

    def memory(self, facts: RunFacts, names: Names) -> float:
        """As a training, and a gradient and the sum of them in double precision."""
        size = facts.networks[names["training"], names["method"]]
        return super().memory(facts, names) + 4 * size.state_bytes
