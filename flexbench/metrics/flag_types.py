"""What a flag is, and the tables that flags are looked for in."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pandas as pd

from flexbench.config import TaskSettings
from flexbench.metrics.group_scores import Resampling
from flexbench.metrics.tables import ALL, SNAPSHOT

# What is wrong: numbers that are none, or are not to be trusted, or a method that fails.
Defect = Literal[
    "not finite",
    "missing snapshots",
    "worse than formula",
    "harder but better",
    "another size",
    "copy of the truth",
    "collapsed ensemble",
    "copied members",
    "member is the truth",
    "energy grows",
]
# What a reader would want to know.
Note = Literal[
    "no better than formula",
    "worse in a band",
    "energy above the truth",
    "overconfident",
    "underconfident",
    "biased",
    "flat in space",
    "spread in the wrong places",
    "heavy tails",
    "seams",
    "unresolved",
]
Kind = Defect | Note
DEFECTS, NOTES = get_args(Defect), get_args(Note)

# The flag that is no defect, whatever kind of note it is.
INFORMATION = "information"
# Below this error a prediction is a copy of the truth, in float32.
COPY = 1e-5


@dataclass(frozen=True, kw_only=True)
class Flag:
    """What one check found of one method on one case: a row of the table, and its numbers.

    score, detail, reynolds: of the value that fired; "" where it is none of the tables'. against:
    the formula that it is compared with. value: a ratio to that one's, or the score itself, with
    its interval; NaN where there is none.
    """

    tier: str
    case: str
    method: str
    kind: Kind
    message: str
    score: str = ""
    detail: str = ""
    reynolds: str = ""
    against: str = ""
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def is_defect(self) -> bool:
        return self.kind in DEFECTS

    @property
    def row(self) -> dict[str, str]:
        """Of `tables.RED_FLAGS`."""
        own = {name: getattr(self, name) for name in ("tier", "case", "method", "message")}
        return own | {"flag": self.kind if self.is_defect else INFORMATION}


@dataclass(frozen=True, kw_only=True)
class Matched:
    """The size of a network over FLEX's. by: what is compared, parameters or flops."""

    by: str
    ratio: float


@dataclass(frozen=True, kw_only=True)
class Tables:
    """scores: the aggregated table. rows: all scores of snapshots. flow: what Re is called.

    how: paired intervals are made. decaying: flows lose energy by themselves.
    """

    scores: pd.DataFrame
    rows: pd.DataFrame
    tasks: Mapping[str, TaskSettings]
    planned: Mapping[str, int]
    resolutions: Mapping[str, Mapping[str, float]]
    matched: Mapping[tuple[str, str], Matched]
    flow: str
    how: Resampling
    decaying: bool

    def flag(self, row: Mapping[Any, Any], kind: Kind, message: str, **numbers: Any) -> Flag:
        """numbers: see `Flag`."""
        tier, case, method = (str(row[name]) for name in ("tier", "case", "method"))
        named = {"tier": tier, "case": case, "method": method}
        return Flag(kind=kind, message=message, **(named | numbers))

    @staticmethod
    def numbers(row: Mapping[Any, Any]) -> dict[str, Any]:
        """Of a row of scores or of ratios, for a flag."""
        ends = {name: float(row[name]) for name in ("value", "low", "high")}
        return {"reynolds": str(row["reynolds"])} | ends

    def interval(self, row: Mapping[Any, Any]) -> str:
        """Of a row, in words."""
        if math.isnan(row["low"]):
            return "without an interval: too few trajectories"
        return f"{self.how.confidence:.0%} interval {row['low']:.3g} to {row['high']:.3g}"

    def where(self, reynolds: str) -> str:
        """A Reynolds number as tables name it, in words."""
        if reynolds == ALL:
            return "all Re" if self.flow == "Re" else f"all {self.flow}s"
        return f"{self.flow} {reynolds}"

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
