"""What a definition says of a score; the definitions themselves are in `definitions`."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from flexbench.metrics.calibration import (
    FIFTHS,
    PULL_CENTRES,
    PULL_MEMBERS,
    SORTED_MEMBERS,
    nominal_levels,
    subset_sizes,
)

Better = Literal["lower", "higher", "one", "zero", "none"]

# The table of the report that a score stands in.
Group = Literal["Accuracy", "Rollout", "Physics", "Ensemble"]


class Moment(Protocol):
    """Averages that a score is formed from."""

    def __call__(self, score: str, power: int, detail: str = "") -> Any:
        """Of a score, or of its square (power 2).

        It has the detail of the score that is formed; detail: of one that is formed across details,
        which of them.
        """


# The score from averages, and M.
Combine = Callable[[Moment, int], Any]

OF_FIELD, OF_TIME = "the field's", "time"

MEAN = "mean of the snapshots' values"
OVER_ROLLOUTS = "mean of the rollouts' values"
ROOT = "root of the mean square over snapshots"

# The fewest members that make an ensemble, one that can be judged by members that are left out, and
# one whose pull has a variance.
PAIR, SORTED, PULLS = 2, SORTED_MEMBERS, PULL_MEMBERS


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A snapshot that is scored: what decides which rows its scores have.

    members: M. bands: wavenumber bands that its grid has. tiled: whether the field was drawn in
    tiles, more than one. vorticity: of a periodic flow. walls: whether the flow has some.
    """

    members: int
    bands: int
    tiled: bool
    vorticity: bool = True
    walls: bool = False


@dataclass(frozen=True, kw_only=True)
class Detail:
    """What tells the rows of one score apart. title: in heads of tables. rows: of one snapshot."""

    title: str
    rows: Callable[[Scored], int]


BAND = Detail(title="wavenumber band", rows=lambda scored: 0 if scored.walls else scored.bands)
LEVEL = Detail(title="nominal level", rows=lambda scored: len(nominal_levels(scored.members)))
RANK = Detail(title="rank", rows=lambda scored: scored.members + 1)
PULL_BIN = Detail(title="pull", rows=lambda scored: len(PULL_CENTRES))
FIFTH = Detail(
    title="fifth of points by predicted spread, the quietest first",
    rows=lambda scored: len(FIFTHS),
)
SUBSET = Detail(title="number of members", rows=lambda scored: len(subset_sizes(scored.members)))
REGION = Detail(title="distance from the walls", rows=lambda scored: 2 if scored.walls else 0)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One score.

    label: in heads of tables. group: the table that it stands in. better: "one" and "zero" name the
    best value. unit: "1" where it has none, OF_FIELD where it is that of the field that is scored,
    OF_TIME where it is that of the times. averaging: in words; `combine` does it (None: the mean).
    moments: scores of snapshots that `combine` needs. bounds: values it can take. across: it is
    formed from all the details of its moments at once. partial: of some ensembles it is undefined,
    and absent (`combine` gives NaN).

    whole: it has a row without a detail. details: what its other rows have; None: it has none.
    members: the fewest that it can be measured of. tiled: only of fields that were drawn in tiles.
    vorticity: only of that of periodic flows. square: only where there are no walls.

    helper: stands in score files only, for others to be formed from. figure_only: told by figures;
    in tables of the page it would be long and say little. rollout: a score of a whole rollout, not
    of a snapshot. censored: no upper bound is known where a rollout stays correlated to its end.
    """

    label: str
    group: Group
    better: Better
    unit: str = "1"
    text: str
    averaging: str = MEAN
    moments: tuple[str, ...] = ()
    combine: Combine | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)
    across: bool = False
    partial: bool = False
    whole: bool = True
    details: Detail | None = None
    members: int = 1
    tiled: bool = False
    vorticity: bool = False
    square: bool = False
    helper: bool = False
    figure_only: bool = False
    rollout: bool = False
    censored: bool = False

    def rows(self, scored: Scored) -> int:
        """How many rows a snapshot has of it."""
        lacking = (
            self.rollout
            or scored.members < self.members
            or (self.tiled and not scored.tiled)
            or (self.vorticity and not scored.vorticity)
            or (self.square and scored.walls)
        )
        if lacking:
            return 0
        return self.whole + (self.details.rows(scored) if self.details else 0)
