"""What is handed on: sentences, the scorecard, flags in words; as `tables/findings.json` has it."""

import math
from dataclasses import dataclass
from typing import Literal

from flexbench.metrics.flag_types import Flag

# How many sentences stand where there is room for few: at the end of a run, in a comment.
FIRST = 3


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """about: what it tells of, one word. case: that it is of, "" where of none in particular."""

    about: str
    text: str
    case: str = ""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """All flags of one kind and method. cases: that they are of, in the configuration's order."""

    kind: str
    method: str
    cases: list[str]
    text: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A method on a case. None stands for what there is not.

    state: "formula" of the best formula, which the others are held against; "impossible" where a
    method cannot do the task. error: of the ensemble mean, of the field. ratio: that over the best
    formula's, with its interval where both predicted the same snapshots (paired); else over that
    of the test split's best formula on the same flows. verdict: see `standing.Verdict`; "" without
    a ratio. pull: the pull ratio; width: what it says, see `uncertainty.Width`.
    """

    case: str
    method: str
    state: Literal["scored", "formula", "not run", "impossible"]
    error: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    paired: bool = False
    verdict: str = ""
    pull: float | None = None
    pull_low: float | None = None
    pull_high: float | None = None
    width: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """methods down, cases across, by their keys; cells row by row."""

    methods: list[str]
    cases: list[str]
    cells: list[Cell]

    def cell(self, case: str, method: str) -> Cell:
        place = self.methods.index(method) * len(self.cases) + self.cases.index(case)
        return self.cells[place]


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A flag for machines: as `metrics.flag_types.Flag`, None for what is no number."""

    case: str
    method: str
    kind: str
    score: str
    detail: str
    reynolds: str
    against: str
    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, flag: Flag) -> "Numbers":
        return cls(
            case=flag.case,
            method=flag.method,
            kind=flag.kind,
            score=flag.score,
            detail=flag.detail,
            reynolds=flag.reynolds,
            against=flag.against,
            value=finite(flag.value),
            low=finite(flag.low),
            high=finite(flag.high),
        )


@dataclass(frozen=True, kw_only=True)
class Findings:
    """case_names, method_names: what people call them. minute: the sentences, the first first.

    cannot_tell: what the run says nothing of. defects, notes: flags in words.
    """

    tier: str
    case_names: dict[str, str]
    method_names: dict[str, str]
    minute: list[Sentence]
    cannot_tell: list[Sentence]
    scorecard: Scorecard
    defects: list[Alert]
    notes: list[Alert]
    flags: list[Numbers]

    @property
    def first(self) -> list[str]:
        return [sentence.text for sentence in self.minute[:FIRST]]


def finite(value: float) -> float | None:
    """None for NaN and infinity, which JSON has no words for."""
    return value if math.isfinite(value) else None
