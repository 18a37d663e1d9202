"""What sentences are made from: a run's tables, its flags and its claims, looked up by name."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from flexbench.findings.names import case_names, listed, method_names
from flexbench.graph import Graph
from flexbench.metrics.comparisons import BEST_FORMULA, BEST_NETWORK, CENTRAL, FORMULA
from flexbench.metrics.flag_types import Flag
from flexbench.metrics.tables import ALL

# The score that says who is ahead: the error of the ensemble mean over the field's size.
ERROR = "rfne_mean"


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A value with its interval, NaN where there is none; flows: the trajectories behind it."""

    value: float
    low: float = math.nan
    high: float = math.nan
    flows: int = 0

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.low)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """tables: those of `metrics.tables.TABLES` that are named below, as `tabulate` writes them.

    claims: the ledger as `claims.output.ledger_json` has it.
    """

    graph: Graph
    scores: pd.DataFrame
    leads: pd.DataFrame
    comparisons: pd.DataFrame
    cost: pd.DataFrame
    flags: Sequence[Flag]
    claims: Mapping[str, Any]

    # --- names ----------------------------------------------------------------------------

    @cached_property
    def case_names(self) -> dict[str, str]:
        return case_names(self.graph.config)

    @cached_property
    def method_names(self) -> dict[str, str]:
        return method_names(self.graph.config)

    def case(self, case: str) -> str:
        return self.case_names[case]

    def listed(self, cases: Iterable[str]) -> str:
        """Cases by their tasks: "Forecast (test flows and velocity u)"."""
        by_task: dict[str, list[str]] = {}
        for name in cases:
            case = self.graph.case(name)
            own = self.case(name).removeprefix(f"{self.case(case.task)}, ")
            by_task.setdefault(case.task, []).append(own if case.evaluation else "test flows")
        return listed(
            [
                self.case(task) + ("" if own == ["test flows"] else f" ({listed(own)})")
                for task, own in by_task.items()
            ]
        )

    def method(self, method: str) -> str:
        return self.method_names.get(method, method)

    @property
    def flow(self) -> str:
        """What the column `reynolds` is called."""
        return self.graph.config.data.flow if self.graph.config.data else "Re"

    @cached_property
    def cases(self) -> list[str]:
        """The cases with scores, in the configuration's order."""
        present = set(self.scores["case"])
        return [case for case in self.graph.cases if case in present]

    @cached_property
    def tasks(self) -> list[str]:
        """The cases on the test split."""
        return [case for case in self.cases if case in self.graph.tasks]

    def same_flows(self, case: str) -> bool:
        """Whether a case is of the snapshots that its task's test split is scored on."""
        here, there = (self.graph.case(name) for name in (case, self.graph.case(case).task))
        same = here.runs == there.runs and here.sample.snapshots == there.sample.snapshots
        return same and not here.is_rollout and here.settings.observable == "w"

    # --- scores ---------------------------------------------------------------------------

    @cached_property
    def _by_place(self) -> dict[tuple[str, ...], Ratio]:
        return _by_keys(self.scores, "case", "method", "score", "detail", "reynolds")

    def score(
        self, case: str, method: str, score: str, *, detail: str = "", reynolds: str = ALL
    ) -> Ratio | None:
        """A score with its interval; None where the method does not have it, or it is no number."""
        found = self._by_place.get((case, method, score, detail, reynolds))
        return found if found is not None and math.isfinite(found.value) else None

    def rows(self, case: str, method: str, score: str) -> pd.DataFrame:
        """All rows of one score of a method on a case, whatever their Re and detail."""
        table = self.scores
        own = (table["case"] == case) & (table["method"] == method) & (table["score"] == score)
        return table[own]

    def learned(self, case: str) -> list[str]:
        """Networks with an error that is a number, in the table's order."""
        return self._methods(case, formula=False)

    def formulas(self, case: str) -> list[str]:
        return self._methods(case, formula=True)

    def _methods(self, case: str, *, formula: bool) -> list[str]:
        own = self.scores[self.scores["case"] == case]
        kept = own[(own["mode"] == FORMULA) == formula]
        return [it for it in dict.fromkeys(kept["method"]) if self.score(case, it, ERROR)]

    def best(self, case: str, methods: Sequence[str], score: str) -> str | None:
        """The method with the smallest value of a score; None where none has it."""
        found = {it: self.score(case, it, score) for it in methods}
        values = {it: own.value for it, own in found.items() if own is not None}
        return min(values, key=lambda it: values[it]) if values else None

    def test_flows(self, case: str) -> int:
        """Trajectories behind a case's scores."""
        return int(self.scores.loc[self.scores["case"] == case, "trajectories"].max())

    def trainings(self, case: str, method: str) -> int:
        """Training seeds behind a method's scores."""
        own = self.scores[(self.scores["case"] == case) & (self.scores["method"] == method)]
        return int(own["training_seeds"].max())

    # --- paired comparisons ---------------------------------------------------------------

    @cached_property
    def _pairs(self) -> dict[tuple[str, ...], Ratio]:
        return _by_keys(self.comparisons, "case", "method", "reference", "score", "reynolds")

    @property
    def has_intervals(self) -> bool:
        """Whether any comparison has one."""
        return any(ratio.has_interval for ratio in self._pairs.values())

    def to_formula(
        self, case: str, method: str, score: str = ERROR, *, reynolds: str = ALL
    ) -> Ratio | None:
        """A method's score over that of the case's best formula, paired."""
        return self._pairs.get((case, method, BEST_FORMULA, score, reynolds))

    def to_best(self, case: str, method: str, best: str, score: str) -> Ratio | None:
        """A network's score over that of the case's best network, paired."""
        reference = CENTRAL if best == CENTRAL else BEST_NETWORK
        return self._pairs.get((case, method, reference, score, ALL))

    # --- cost -----------------------------------------------------------------------------

    def cost_of(self, case: str, method: str, column: str) -> float:
        """A column of the costs in the mean over training seeds; NaN where it is not known."""
        own = self.cost[(self.cost["case"] == case) & (self.cost["method"] == method)]
        return float(own[column].mean()) if len(own) else math.nan


def _by_keys(table: pd.DataFrame, *keys: str) -> dict[tuple[str, ...], Ratio]:
    """The values of a table, by what these columns hold."""
    return {
        tuple(str(row[key]) for key in keys): Ratio(
            **{end: float(row[end]) for end in ("value", "low", "high")},
            flows=int(row["trajectories"]),
        )
        for row in table.to_dict("records")
    }
