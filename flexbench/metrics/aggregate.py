"""From scores of snapshots to tables of scores: means and intervals.

Averages go over the snapshots of a trajectory, then over trajectories, then over training seeds;
scores that are roots or ratios are formed from averaged moments (see `definitions`). Intervals
are bootstrapped over trajectories (within each Reynolds number) and over training seeds (see
`bootstrap`). Each group's random streams are named after the group, so no row depends on what
else is in a table.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flexbench.metrics.calibration import FIFTHS
from flexbench.metrics.definitions import BY_LEAD, definition_of
from flexbench.metrics.group_scores import Group, Resampling, estimate_scores, table_keys
from flexbench.metrics.rows import by_reynolds, gather
from flexbench.metrics.tables import LEADS, SCORES
from flexbench.metrics.trajectory_means import Key
from flexbench.paths import Layout, receipt_of


def aggregate(
    frames: Iterable[pd.DataFrame], *, bootstrap: int, confidence: float, seed: int = 0
) -> pd.DataFrame:
    """The table of scores, by case, method and Reynolds number ("all" first).

    frames: score files, as `tables.SNAPSHOT_SCORES` reads them. bootstrap: resamples. low and high
    are NaN for fewer than two degrees of freedom (trajectories less Reynolds numbers), and where a
    Reynolds number has a single trajectory. Raises FlexbenchError where there are no rows.
    """
    rows = gather(frames)
    how = Resampling(resamples=bootstrap, confidence=confidence, seed=seed)
    found: list[dict[str, Any]] = []
    for _, own in rows.groupby(["case", "method"], sort=False):
        for reynolds, part in by_reynolds(own):
            found += _score_rows(part, how, reynolds=reynolds)
    return SCORES.of(found)


def _score_rows(rows: pd.DataFrame, how: Resampling, *, reynolds: str) -> list[dict[str, Any]]:
    group = Group.of(rows, reynolds=reynolds)
    seeds = group.means.seeds
    layout = Layout(Path(), rows["tier"].iloc[0])
    # Over several training seeds, it is the table's receipt that names the files of all.
    one = layout.scores(group.case, group.method, seeds[0])
    source = one if len(seeds) == 1 else layout.table("scores")
    receipt = receipt_of(source).relative_to(layout.folder)
    own = {"snapshots": group.means.snapshots, "receipt": receipt.as_posix()}
    return [row | own for row in _estimated(rows, group, table_keys(group.means), how)]


def _estimated(
    rows: pd.DataFrame, group: Group, keys: list[Key], how: Resampling
) -> list[dict[str, Any]]:
    """A row for each (score, detail), with its interval. rows: those that the group is of."""
    found = estimate_scores(group, keys, how)
    first: dict[Any, Any] = rows.iloc[0].to_dict()
    common = first | {
        "reynolds": group.reynolds,
        "trajectories": group.means.flows,
        "training_seeds": len(group.means.seeds),
    }
    return [
        common | {"score": score, "detail": detail, "value": value, "low": low, "high": high}
        for (score, detail), value, low, high in zip(
            keys, found.value, found.low, found.high, strict=True
        )
        if not (definition_of(score).partial and np.isnan(value))
    ]


def aggregate_leads(
    frames: Iterable[pd.DataFrame], *, bootstrap: int, confidence: float, seed: int = 0
) -> pd.DataFrame:
    """Scores of rollouts by lead, of all Reynolds numbers together.

    Averages and intervals as in `aggregate`, over the snapshots of one lead; empty where nothing
    was rolled out.
    """
    rows = gather(frames)
    how = Resampling(resamples=bootstrap, confidence=confidence, seed=seed)
    found: list[dict[str, Any]] = []
    for _, own in rows.groupby(["case", "method"], sort=False):
        if own["lead"].max() > 1:
            found += _lead_rows(own, how)
    return LEADS.of(found)


def _lead_rows(rows: pd.DataFrame, how: Resampling) -> list[dict[str, Any]]:
    """A lead takes the place of a detail: all of them share their draws of trajectories.

    Fifths, which some scores are formed across, stand behind it.
    """
    needed = {*BY_LEAD, *(name for score in BY_LEAD for name in definition_of(score).moments)}
    kept = rows[rows["score"].isin(needed) & rows["detail"].isin(("", *FIFTHS))]
    group = Group.of(kept.assign(detail=kept["lead"].astype(str) + kept["detail"]))
    keys = [key for score in BY_LEAD for key in group.means.keys if key[0] == score]
    return [row | {"lead": int(row["detail"])} for row in _estimated(kept, group, keys, how)]
