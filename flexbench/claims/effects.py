"""From score rows of two sides to paired effects: one for each training seed and trajectory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flexbench.claims.registry import Direction
from flexbench.metrics.comparisons import FORMULA
from flexbench.metrics.definitions import definition_of
from flexbench.metrics.group_scores import Group, form
from flexbench.metrics.tables import SNAPSHOT

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Effects:
    """values (S, T): of training seeds and trajectories. strata: trajectories of each Re.

    A value is NaN where a score is missing, or has no logarithm.
    """

    values: Array
    seeds: tuple[int, ...]
    strata: tuple[int, ...]

    @property
    def trajectories(self) -> int:
        return sum(self.strata)


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """values (S, T): the score of each training seed on each trajectory."""

    values: Array
    seeds: list[int]
    strata: tuple[int, ...]

    def of(self, seeds: Sequence[int]) -> Array:
        return self.values[[self.seeds.index(seed) for seed in seeds]]


def effects_of(
    rows: pd.DataFrame,
    reference: pd.DataFrame | None,
    *,
    score: str,
    direction: Direction,
    details: tuple[str, str] = ("", ""),
) -> Effects | None:
    """Effects of one side against another (None: against a score of 1); None where none is shared.

    rows, reference: score rows of one method on one case each. details: of the score, on each side;
    of a score that has no row for all scales together, "" is the mean over its bands. Paired: both
    sides are formed of the snapshots that both have, and seeds go with the same seeds; a formula,
    which learns nothing, goes with all. An effect is the logarithm of a ratio, or where 1 is best
    the difference of two distances from it; the better side has the positive sign, but against 1
    the logarithm keeps its own: positive is above.
    """
    own = _of_score(rows, score, details[0])
    if own.empty:
        return None
    if reference is None:
        cells = _cells(own, score)
        return Effects(
            values=_logarithm(cells.values), seeds=tuple(cells.seeds), strata=cells.strata
        )
    other = _of_score(reference, score, details[1])
    place = list(SNAPSHOT)
    shared = own[place].drop_duplicates().merge(other[place].drop_duplicates(), on=place)
    if shared.empty:
        return None
    one, two = (_cells(part.merge(shared, on=place), score) for part in (own, other))
    if (other["mode"] == FORMULA).all():
        seeds, beside = one.seeds, np.repeat(two.values[:1], len(one.seeds), axis=0)
    else:
        seeds = [seed for seed in one.seeds if seed in two.seeds]
        beside = two.of(seeds)
    if not seeds:
        return None
    ours, theirs = _logarithm(one.of(seeds)), _logarithm(beside)
    turned = {
        "lower": theirs - ours,
        "higher": ours - theirs,
        "one": np.abs(theirs) - np.abs(ours),
    }
    return Effects(values=turned[direction], seeds=tuple(seeds), strata=one.strata)


def _of_score(rows: pd.DataFrame, score: str, detail: str) -> pd.DataFrame:
    """The rows that one detail of a score is formed from; "": of all scales, or of every band."""
    needed = rows[rows["score"].isin({score, *definition_of(score).moments})]
    whole = detail != "" or (needed.loc[needed["score"] == score, "detail"] == "").any()
    kept = needed[needed["detail"] == detail] if whole else needed
    return kept if (kept["score"] == score).any() else kept.iloc[:0]


def _cells(rows: pd.DataFrame, score: str) -> _Cells:
    group = Group.of(rows)
    seeds, flows = len(group.means.seeds), len(group.means.trajectories)
    each = {
        "seeds": np.repeat(np.eye(seeds), flows, axis=0),
        "trajectories": np.tile(np.eye(flows), (seeds, 1)),
    }
    keys = [key for key in group.means.keys if key[0] == score]
    values = form(group, keys, each).mean(axis=0).reshape(seeds, flows)
    return _Cells(values=values, seeds=group.means.seeds, strata=group.means.strata)


def _logarithm(values: Array) -> Array:
    """NaN where there is none."""
    return np.log(values, out=np.full_like(values, np.nan), where=values > 0)
