"""What trajectories, their splits and their statistics cost."""

import math

from flexbench.graph import boundary_of
from flexbench.graph.rule import Names
from flexbench.planning.costs.cost import Cost, hdf5_bytes
from flexbench.planning.facts import FLOAT, RunFacts
from flexbench.planning.rates import Measurement

# Fields that a step has in memory at once, in multiples of one float32 field.
_SOLVER_FIELDS = 22
DEGRADE_FIELDS = 14
# Segments of a simulation are as large as this, or as one snapshot.
_SEGMENT = 2**28


class TrajectoryCost(Cost):
    """Of whatever writes a trajectory file."""

    category = "data"

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        """As `data/FORMAT.md` has it."""
        from flexbench.data.schema import chunk_shape

        side = chunk_shape(facts.grid)[-1]
        return [
            hdf5_bytes(
                chunks=facts.snapshots * math.ceil(facts.grid / side) ** 2,
                chunk_bytes=FLOAT * side**2,
                rank=3,
                fixed=6_680 + 8 * facts.snapshots,
            )
        ]


class SimulateCost(TrajectoryCost):
    """The solver's steps, and snapshots that wait for the next restart point."""

    rule = "simulate"
    receipt, process = 1160, 255

    def temporary(self, facts: RunFacts, names: Names) -> tuple[int, int]:
        """Segments hold every snapshot until the file is written; then the state, in double."""
        segments = math.ceil(facts.trajectory_fields / max(_SEGMENT, facts.field_bytes))
        return facts.trajectory_fields + 8 * facts.points, segments + 1

    def work(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        from flexbench.solver.step_count import solver_steps

        rates, solver = speed.rates, facts.graph.config.solver
        boundary = boundary_of(names["walls"])
        steps = solver_steps(solver, float(names["reynolds"]), boundary)
        per_point = rates.solver * rates.walls[boundary]
        double = 2 if solver.precision == "float64" else 1
        stepping = steps * facts.points * math.log2(facts.grid) * per_point * double
        return stepping + 2 * sum(self.sizes(facts, names)) / rates.write

    def memory(self, facts: RunFacts, names: Names) -> float:
        """Snapshots wait for the next restart point, and once more while it is written."""
        waiting = min(facts.trajectory_fields, _SEGMENT + facts.field_bytes)
        return _SOLVER_FIELDS * facts.field_bytes + 2 * waiting


class ImportDataCost(TrajectoryCost):
    """Reading and writing."""

    rule = "import_data"
    receipt, process = 1200, 250

    def work(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        return sum(self.sizes(facts, names)) / speed.rates.write


class SplitsCost(Cost):
    """Hashing, which every job does."""

    rule = "splits"
    category = "data"
    receipt, process = 900, 150

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        return [60 + 90 * len(facts.graph.all_trajectories)]


class StatisticsCost(Cost):
    """The task's examples of some snapshots of every training file."""

    rule = "statistics"
    category = "data"
    receipt, process = 820, 245

    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        reynolds = len(facts.graph.config.split("train").reynolds)
        return [420 + 200 * reynolds + 20 * len(facts.graph.stems("train"))]

    def work(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        from flexbench.tasks.statistics import SNAPSHOTS

        used = min(SNAPSHOTS, facts.snapshots) * len(facts.graph.stems("train"))
        return used * facts.points * speed.rates.statistics

    def memory(self, facts: RunFacts, names: Names) -> float:
        return DEGRADE_FIELDS * facts.field_bytes
