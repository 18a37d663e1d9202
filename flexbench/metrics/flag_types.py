"""What a flag is, and the tables that flags are looked for in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from flexbench.config import TaskSettings
from flexbench.metrics.tables import ALL, SNAPSHOT

# The flag that is no defect.
INFORMATION = "information"
# Below this error a prediction is a copy of the truth, in float32.
COPY = 1e-5


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One row of the table."""

    tier: str
    case: str
    method: str
    flag: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Matched:
    """The size of a network over FLEX's. by: what is compared, parameters or flops."""

    by: str
    ratio: float


@dataclass(frozen=True, kw_only=True)
class Tables:
    """scores: the aggregated table. rows: all scores of snapshots. flow: what Re is called."""

    scores: pd.DataFrame
    rows: pd.DataFrame
    tasks: Mapping[str, TaskSettings]
    planned: Mapping[str, int]
    resolutions: Mapping[str, Mapping[str, float]]
    matched: Mapping[tuple[str, str], Matched]
    flow: str

    def flag(self, row: Mapping[Any, Any], flag: str, message: str) -> Flag:
        named = {name: str(row[name]) for name in ("tier", "case", "method")}
        return Flag(**named, flag=flag, message=message)

    def overall(self, score: str) -> pd.DataFrame:
        """Rows of a score of all scales."""
        return self.scores[(self.scores["score"] == score) & (self.scores["detail"] == "")]

    def runs_of(self, *scores: str) -> list[pd.DataFrame]:
        """Rows of these scores of snapshots, for each case, method and training seed."""
        rows = self.rows[self.rows["score"].isin(scores)]
        runs = rows.groupby(["case", "method", "training_seed"], sort=False)
        return [group for _, group in runs]

    def pooled(self) -> list[pd.DataFrame]:
        """Rows of the table of scores of all Reynolds numbers, for each case and method."""
        rows = self.scores[self.scores["reynolds"] == ALL]
        return [group for _, group in rows.groupby(["case", "method"], sort=False)]


def snapshots(rows: pd.DataFrame) -> int:
    """How many snapshots score rows are of."""
    return len(rows[list(SNAPSHOT)].drop_duplicates())
