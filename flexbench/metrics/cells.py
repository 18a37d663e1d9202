"""Score rows of one method on one task as arrays, ready to be averaged and resampled."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flexbench.errors import FlexbenchError
from flexbench.metrics.definitions import in_order
from flexbench.metrics.score import COLUMNS

Array = NDArray[np.float64]
Key = tuple[str, str]

# What tells one predicted snapshot from another: rollouts may pass the same one at several leads.
SNAPSHOT = ("trajectory", "index", "lead")

_TEXT = ("benchmark_version", "tier", "task", "method", "mode", "trajectory", "score", "detail")


def read_scores(path: Path) -> pd.DataFrame:
    """A score file with its text as text ("" where empty); FlexbenchError where it is none."""
    if not path.is_file():
        raise FlexbenchError(f"{path}: no such score file; run `flexbench score` first")
    try:
        # Digits as labels ("3", "0.8824") must come back as they were written.
        frame = pd.read_csv(
            path,
            dtype=dict.fromkeys(_TEXT, "object"),
            na_values=["nan"],
        )
    except ValueError as error:
        raise FlexbenchError(f"{path}: not a readable CSV table ({error})") from error
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise FlexbenchError(f"{path}: column '{missing[0]}' is missing")
    frame[list(_TEXT)] = frame[list(_TEXT)].fillna("")
    try:
        in_order(frame["score"])
    except FlexbenchError as error:
        raise FlexbenchError(f"{path}: {error}") from None
    return frame


def gather(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """All score rows in one frame; FlexbenchError where there are none or versions differ."""
    parts = [frame for frame in frames if len(frame)]
    if not parts:
        raise FlexbenchError("no scores to aggregate: every score table is empty")
    rows = pd.concat(parts, ignore_index=True)
    versions = sorted(set(rows["benchmark_version"]))
    if len(versions) > 1:
        raise FlexbenchError(
            f"scores of benchmark versions {', '.join(versions)} cannot be compared; score again"
        )
    return rows


@dataclass(frozen=True, kw_only=True)
class Cells:
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
        weight lies on absent cells.
        """
        values = self.mean if power == 1 else self.square
        with np.errstate(divide="ignore", invalid="ignore"):
            above = _contract(values, weights)
            return above / _contract(self.present, weights)

    @property
    def strata(self) -> tuple[int, ...]:
        """How many trajectories each Reynolds number has, in the order of `trajectories`."""
        return tuple(Counter(self.reynolds).values())


def make_cells(rows: pd.DataFrame) -> Cells:
    """Of the score rows of one task and method."""
    places = rows[["reynolds", "trajectory"]].drop_duplicates()
    places = places.sort_values(["reynolds", "trajectory"])
    seeds, names = sorted(set(rows["training_seed"])), list(places["trajectory"])
    keys = {key: place for place, key in enumerate(dict.fromkeys(_keys(rows)))}
    place = (
        np.array([keys[key] for key in _keys(rows)]),
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
    return Cells(
        keys=keys,
        mean=total / np.maximum(count, 1),
        square=squares / np.maximum(count, 1),
        present=np.minimum(count, 1),
        seeds=seeds,
        trajectories=names,
        reynolds=list(places["reynolds"]),
        snapshots=len(rows[list(SNAPSHOT)].drop_duplicates()),
    )


def _keys(rows: pd.DataFrame) -> list[Key]:
    return list(zip(rows["score"], rows["detail"], strict=True))


def _contract(values: Array, weights: Mapping[str, Array]) -> Array:
    """Sums (keys, R) of (keys, S, T) with weights of seeds and of trajectories."""
    by_seed = np.einsum("kst,rs->ktr", values, weights["seeds"])
    trajectories = weights["trajectories"].T
    if by_seed.shape[2] == 1:
        return by_seed[:, :, 0] @ trajectories
    return np.asarray((by_seed * trajectories).sum(axis=1))
