"""Score rows of one method on one case as arrays, ready to be averaged and resampled."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flexbench.metrics.blocks import BLOCK
from flexbench.metrics.tables import SNAPSHOT

Array = NDArray[np.float64]
Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class TrajectoryMeans:
    """Means over the snapshots of each trajectory and training seed.

    mean, square: of the value and of its square, (keys, S, T), 0 where absent. present: same
    shape, 1 where there is a value. S training seeds, T trajectories (both in order);
    reynolds (T,): of each trajectory, ascending. Where rows have blocks, these take the place of
    trajectories, each with the weight of its snapshots among those of its trajectory; flows: of how
    many trajectories they are.
    """

    keys: dict[Key, int]
    mean: Array
    square: Array
    present: Array
    seeds: list[int]
    trajectories: list[str]
    reynolds: list[float]
    flows: int
    snapshots: int

    def average(self, weights: Mapping[str, Array], *, power: int) -> Array:
        """Weighted means (keys, R) over trajectories and training seeds.

        weights: "trajectories" (R, T) and "seeds" (R, S); either may have R = 1. NaN where all
        weight lies where there is no value.
        """
        values = self.mean if power == 1 else self.square
        with np.errstate(divide="ignore", invalid="ignore"):
            above = _contract(values, weights)
            return above / _contract(self.present, weights)

    @property
    def strata(self) -> tuple[int, ...]:
        """How many trajectories (or blocks) each Reynolds number has, in their order."""
        return tuple(Counter(self.reynolds).values())


def trajectory_means(rows: pd.DataFrame) -> TrajectoryMeans:
    """Of the score rows of one case and method."""
    units = [name for name in ("trajectory", BLOCK) if name in rows]
    places = rows[["reynolds", *units]].drop_duplicates().sort_values(["reynolds", *units])
    seeds, names = sorted(set(rows["training_seed"])), _named(places, units)
    scores = list(zip(rows["score"], rows["detail"], strict=True))
    keys = {key: place for place, key in enumerate(dict.fromkeys(scores))}
    place = (
        np.array([keys[key] for key in scores]),
        pd.Index(seeds).get_indexer(rows["training_seed"]),
        names.get_indexer(_named(rows, units)),
    )
    shape = (len(keys), len(seeds), len(names))
    value = rows["value"].to_numpy(dtype=float)
    total, squares, count = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    # A NaN is a value that must not be skipped: plain sums hand it on, pandas' would not.
    np.add.at(total, place, value)
    np.add.at(squares, place, np.square(value))
    np.add.at(count, place, 1.0)
    # Where a trajectory is one unit, this is its own number of snapshots.
    each = _in_each(count, list(places["trajectory"]))
    return TrajectoryMeans(
        keys=keys,
        mean=total / np.where(each > 0, each, 1.0),
        square=squares / np.where(each > 0, each, 1.0),
        present=count / np.where(each > 0, each, 1.0),
        seeds=seeds,
        trajectories=list(names),
        reynolds=list(places["reynolds"]),
        flows=len(set(places["trajectory"])),
        snapshots=len(rows[list(SNAPSHOT)].drop_duplicates()),
    )


def _named(rows: pd.DataFrame, units: list[str]) -> "pd.Index[Any]":
    """Of each row the trajectory, or the block of one."""
    if len(units) == 1:
        return pd.Index(rows[units[0]])
    pairs = zip(*(rows[name] for name in units), strict=True)
    return pd.Index([f"{stem} {block}" for stem, block in pairs])


def _in_each(count: Array, trajectories: list[str]) -> Array:
    """What a unit of each (keys, S, T) is measured by: all snapshots of its trajectory, over the
    units that a trajectory has in the mean, so that trajectories count alike."""
    found = np.empty_like(count)
    names = dict.fromkeys(trajectories)
    for name in names:
        own = [place for place, it in enumerate(trajectories) if it == name]
        found[:, :, own] = count[:, :, own].sum(axis=2, keepdims=True)
    return found * len(names) / len(trajectories)


def _contract(values: Array, weights: Mapping[str, Array]) -> Array:
    """Sums (keys, R) of (keys, S, T) with weights of seeds and of trajectories."""
    by_seed = np.einsum("kst,rs->ktr", values, weights["seeds"])
    trajectories = weights["trajectories"].T
    if by_seed.shape[2] == 1:
        return by_seed[:, :, 0] @ trajectories
    return np.asarray((by_seed * trajectories).sum(axis=1))
