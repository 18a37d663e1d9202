"""Score rows of one method on one case as arrays, ready to be averaged and resampled."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flexbench.metrics.tables import SNAPSHOT

Array = NDArray[np.float64]
Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class TrajectoryMeans:
    """Means over the snapshots of each trajectory and training seed.

    mean, square: of the value and of its square, (keys, S, T), 0 where absent. present: same
    shape, 1 where there is a value. S training seeds, T trajectories (both in order);
    reynolds (T,): of each trajectory, ascending.
    """

    keys: dict[Key, int]
    mean: Array
    square: Array
    present: Array
    seeds: list[int]
    trajectories: list[str]
    reynolds: list[float]
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
        """How many trajectories each Reynolds number has, in the order of `trajectories`."""
        return tuple(Counter(self.reynolds).values())


def trajectory_means(rows: pd.DataFrame) -> TrajectoryMeans:
    """Of the score rows of one case and method."""
    places = rows[["reynolds", "trajectory"]].drop_duplicates()
    places = places.sort_values(["reynolds", "trajectory"])
    seeds, names = sorted(set(rows["training_seed"])), list(places["trajectory"])
    each = list(zip(rows["score"], rows["detail"], strict=True))
    keys = {key: place for place, key in enumerate(dict.fromkeys(each))}
    place = (
        np.array([keys[key] for key in each]),
        pd.Index(seeds).get_indexer(rows["training_seed"]),
        pd.Index(names).get_indexer(rows["trajectory"]),
    )
    shape = (len(keys), len(seeds), len(names))
    value = rows["value"].to_numpy(dtype=float)
    total, squares, count = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    # A NaN is a value that must not be skipped: plain sums hand it on, pandas' would not.
    np.add.at(total, place, value)
    np.add.at(squares, place, np.square(value))
    np.add.at(count, place, 1.0)
    return TrajectoryMeans(
        keys=keys,
        mean=total / np.maximum(count, 1),
        square=squares / np.maximum(count, 1),
        present=np.minimum(count, 1),
        seeds=seeds,
        trajectories=names,
        reynolds=list(places["reynolds"]),
        snapshots=len(rows[list(SNAPSHOT)].drop_duplicates()),
    )


def _contract(values: Array, weights: Mapping[str, Array]) -> Array:
    """Sums (keys, R) of (keys, S, T) with weights of seeds and of trajectories."""
    by_seed = np.einsum("kst,rs->ktr", values, weights["seeds"])
    trajectories = weights["trajectories"].T
    if by_seed.shape[2] == 1:
        return by_seed[:, :, 0] @ trajectories
    return np.asarray((by_seed * trajectories).sum(axis=1))
