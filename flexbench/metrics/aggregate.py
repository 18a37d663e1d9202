"""From scores of snapshots to tables: means, intervals, and paired comparisons.

Averages go over the snapshots of a trajectory, then over trajectories, then over training seeds;
scores that are roots or ratios are formed from averaged moments (see `definitions`). Intervals
are bootstrapped over trajectories (within each Reynolds number) and over training seeds (see
`bootstrap`). Each group's random streams are named after the group, so no row depends on what
else is in a table.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flexbench.errors import FlexbenchError
from flexbench.metrics.cells import SNAPSHOT, Cells, Key, gather, make_cells
from flexbench.metrics.definitions import definition_of
from flexbench.metrics.forming import (
    Resampling,
    estimate_ratio,
    estimate_scores,
    form,
    table_keys,
)
from flexbench.paths import Layout, receipt_of

ALL = "all"
FORMULA = "formula"
BEST_TRIVIAL = "best trivial"
CENTRAL = "flex"

# Scores that methods are compared by: of the ensemble mean, and of the ensemble.
COMPARED = ("rfne_mean", "crps")

# Scores of a rollout that have a row for each lead.
BY_LEAD = ("rfne_mean", "pearson", "crps", "spread_skill", "pull_ratio")

SCORE_COLUMNS = (
    *("benchmark_version", "tier", "task", "method", "mode", "reynolds", "score", "detail"),
    *("value", "low", "high", "snapshots", "trajectories", "training_seeds"),
    *("members", "parameters", "flops", "evaluations", "receipt"),
)
LEAD_COLUMNS = (
    *("benchmark_version", "tier", "task", "method", "mode", "reynolds", "score", "lead"),
    *("value", "low", "high", "trajectories", "training_seeds", "members"),
)
COMPARISON_COLUMNS = (
    *("benchmark_version", "tier", "task", "method", "reference", "score", "reynolds"),
    *("value", "low", "high", "trajectories"),
)


def aggregate(
    frames: Iterable[pd.DataFrame], *, bootstrap: int, confidence: float, seed: int = 0
) -> pd.DataFrame:
    """The table of scores, by task, method and Reynolds number ("all" first): SCORE_COLUMNS.

    frames: score files (see `cells.read_scores`). bootstrap: resamples. low and high are NaN for
    fewer than two degrees of freedom (trajectories less Reynolds numbers), and where a Reynolds
    number has a single trajectory. Raises FlexbenchError where there are no rows.
    """
    rows = gather(frames)
    how = Resampling(resamples=bootstrap, confidence=confidence, seed=seed)
    found: list[dict[str, Any]] = []
    for _, own in rows.groupby(["task", "method"], sort=False):
        for reynolds, group in _by_reynolds(own):
            found += _score_rows(group, how, reynolds=reynolds)
    return pd.DataFrame(found, columns=list(SCORE_COLUMNS))


def _score_rows(group: pd.DataFrame, how: Resampling, *, reynolds: str) -> list[dict[str, Any]]:
    cells = make_cells(group)
    first = group.iloc[0].to_dict()
    layout = Layout(Path(), first["tier"])
    # Over several training seeds, it is the table's receipt that names the files of all.
    one = layout.scores(first["task"], first["method"], cells.seeds[0])
    source = one if len(cells.seeds) == 1 else layout.table("scores")
    receipt = receipt_of(source).relative_to(layout.folder)
    own = {"snapshots": cells.snapshots, "receipt": receipt.as_posix()}
    return [
        row | own for row in _estimated(first, cells, table_keys(cells), how, reynolds=reynolds)
    ]


def _estimated(
    first: Mapping[Any, Any], cells: Cells, keys: list[Key], how: Resampling, *, reynolds: str
) -> list[dict[str, Any]]:
    """A row for each (score, detail), with its interval. first: any of the rows they come from."""
    found = estimate_scores(
        cells,
        keys,
        how,
        task=first["task"],
        method=first["method"],
        reynolds=reynolds,
        members=int(first["members"]),
    )
    common = {name: first[name] for name in SCORE_COLUMNS if name in first} | {
        "reynolds": reynolds,
        "trajectories": len(cells.trajectories),
        "training_seeds": len(cells.seeds),
    }
    return [
        common | {"score": score, "detail": detail, "value": value, "low": low, "high": high}
        for (score, detail), value, low, high in zip(
            keys, found.value, found.low, found.high, strict=True
        )
    ]


def aggregate_leads(
    frames: Iterable[pd.DataFrame], *, bootstrap: int, confidence: float, seed: int = 0
) -> pd.DataFrame:
    """Scores of rollouts by lead, of all Reynolds numbers together: LEAD_COLUMNS.

    Averages and intervals as in `aggregate`, over the snapshots of one lead; empty where nothing
    was rolled out.
    """
    rows = gather(frames)
    how = Resampling(resamples=bootstrap, confidence=confidence, seed=seed)
    found: list[dict[str, Any]] = []
    for _, own in rows.groupby(["task", "method"], sort=False):
        if own["lead"].max() > 1:
            found += _lead_rows(own, how)
    return pd.DataFrame(found, columns=list(LEAD_COLUMNS))


def _lead_rows(rows: pd.DataFrame, how: Resampling) -> list[dict[str, Any]]:
    """A lead takes the place of a detail: all of them share their draws of trajectories."""
    needed = {*BY_LEAD, *(name for score in BY_LEAD for name in definition_of(score).moments)}
    kept = rows[rows["score"].isin(needed) & (rows["detail"] == "")]
    cells = make_cells(kept.assign(detail=kept["lead"].astype(str)))
    keys = [key for score in BY_LEAD for key in cells.keys if key[0] == score]
    found = _estimated(kept.iloc[0].to_dict(), cells, keys, how, reynolds=ALL)
    return [row | {"lead": int(row["detail"])} for row in found]


def compare(
    frames: Iterable[pd.DataFrame],
    *,
    task: str,
    method: str,
    reference: str,
    score: str,
    bootstrap: int,
    confidence: float,
    seed: int = 0,
) -> pd.DataFrame:
    """Ratios of a method's mean score to a reference's, by Reynolds number: COMPARISON_COLUMNS.

    Paired: both are averaged over the snapshots that both predict, and resampled with the same
    trajectories (training seeds of each on their own). Below 1 the method's score is smaller.
    """
    rows = gather(frames)
    rows = _rows_of(rows[rows["task"] == task], score)
    for name in (method, reference):
        if name not in set(rows["method"]):
            known = ", ".join(dict.fromkeys(rows["method"]))
            raise FlexbenchError(
                f"task '{task}': method '{name}' has no score '{score}'; these have: {known}"
            )
    how = Resampling(resamples=bootstrap, confidence=confidence, seed=seed)
    found = _comparison_rows(rows, how, method=method, reference=reference, score=score)
    return pd.DataFrame(found, columns=list(COMPARISON_COLUMNS))


def comparisons(
    frames: Iterable[pd.DataFrame],
    *,
    bootstrap: int,
    confidence: float,
    seed: int = 0,
    references: Mapping[str, tuple[str, ...]] | None = None,
    central: str = CENTRAL,
    scores: tuple[str, ...] = COMPARED,
) -> pd.DataFrame:
    """Every method against the best trivial baseline of its task, and against `central`.

    references: the trivial baselines of each task; None: its formulas. The best of them has the
    smallest mean of the score over all Reynolds numbers; its rows' reference is "best trivial".
    """
    rows = gather(frames)
    how = Resampling(resamples=bootstrap, confidence=confidence, seed=seed)
    found: list[dict[str, Any]] = []
    for task, own in rows.groupby("task", sort=False):
        trivial = None if references is None else references.get(str(task), ())
        for score in scores:
            part = _rows_of(own, score)
            methods = list(dict.fromkeys(part["method"]))
            best = best_trivial(part, score=score, trivial=trivial)
            for label, reference in ((BEST_TRIVIAL, best), (central, central)):
                for method in methods if reference in methods else ():
                    if method != reference:
                        ratios = _comparison_rows(
                            part, how, method=method, reference=str(reference), score=score
                        )
                        found += [row | {"reference": label} for row in ratios]
    return pd.DataFrame(found, columns=list(COMPARISON_COLUMNS))


def best_trivial(
    rows: pd.DataFrame, *, score: str, trivial: tuple[str, ...] | None = None
) -> str | None:
    """The trivial baseline with the smallest mean of a score over all Re; None if there is none.

    rows: score rows of one task. trivial: names to choose from; None: all formulas.
    """
    if trivial is None:
        trivial = tuple(rows.loc[rows["mode"] == FORMULA, "method"].unique())
    means = {}
    for method in trivial:
        group = _rows_of(rows[rows["method"] == method], score)
        if len(group):
            means[method] = mean_score(group, score)
    finite = {method: mean for method, mean in means.items() if np.isfinite(mean)}
    return min(finite, key=lambda method: finite[method]) if finite else None


def mean_score(group: pd.DataFrame, score: str) -> float:
    """The score, over all scales and Re, of a group of rows of one method on one task."""
    cells = make_cells(group)
    weights = {
        "trajectories": np.ones((1, len(cells.trajectories))),
        "seeds": np.ones((1, len(cells.seeds))),
    }
    members = int(group["members"].iloc[0])
    return float(form(cells, [(score, "")], weights, members=members)[0, 0])


def _comparison_rows(
    rows: pd.DataFrame, how: Resampling, *, method: str, reference: str, score: str
) -> list[dict[str, Any]]:
    """One row per Reynolds number at which both methods predict the same snapshots."""
    place = list(SNAPSHOT)
    parts = [rows[rows["method"] == name] for name in (method, reference)]
    shared = parts[0][place].drop_duplicates().merge(parts[1][place].drop_duplicates(), on=place)
    own, other = (dict(_by_reynolds(part.merge(shared, on=place))) for part in parts)
    found = []
    for reynolds, group in own.items() if len(shared) else ():
        cells = make_cells(group), make_cells(other[reynolds])
        first = group.iloc[0].to_dict()
        ratio = estimate_ratio(
            *cells,
            how,
            key=(score, ""),
            task=first["task"],
            names=(method, reference),
            reynolds=reynolds,
            members=(int(first["members"]), int(other[reynolds]["members"].iloc[0])),
        )
        common = {name: first[name] for name in COMPARISON_COLUMNS if name in first}
        found.append(
            common
            | {"reference": reference, "reynolds": reynolds, "value": ratio.value[0]}
            | {"low": ratio.low[0], "high": ratio.high[0]}
            | {"trajectories": len(cells[0].trajectories)}
        )
    return found


def _rows_of(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    """The rows that a score (over all scales) is formed from."""
    needed = {score, *definition_of(score).moments}
    kept = rows[rows["score"].isin(needed) & (rows["detail"] == "")]
    having = set(kept.loc[kept["score"] == score, "method"])
    return kept[kept["method"].isin(having)]


def _by_reynolds(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """All rows, then those of each Reynolds number, with the name that tables give it."""
    yield ALL, rows
    for reynolds, group in rows.groupby("reynolds", sort=True):
        yield f"{float(str(reynolds)):g}", group
