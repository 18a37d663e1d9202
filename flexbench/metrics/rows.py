"""Score rows of snapshots: put together, and picked."""

from collections.abc import Iterable, Iterator

import pandas as pd

from flexbench.errors import FlexbenchError
from flexbench.metrics.definitions import definition_of
from flexbench.metrics.tables import ALL, MARK, mark_of


def gather(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """All rows of files of scores in one, with the mark of their methods.

    FlexbenchError without any, or where versions differ.
    """
    parts = [frame for frame in frames if len(frame)]
    if not parts:
        raise FlexbenchError("no scores to aggregate: every score table is empty")
    rows = pd.concat(parts, ignore_index=True)
    versions = sorted(set(rows["benchmark_version"]))
    if len(versions) > 1:
        raise FlexbenchError(
            f"scores of benchmark versions {', '.join(versions)} cannot be compared; score again"
        )
    return rows.assign(**{MARK: rows["mode"].map(mark_of)})


def by_reynolds(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """All rows, then those of each Reynolds number, with the name that tables give it."""
    yield ALL, rows
    for reynolds, group in rows.groupby("reynolds", sort=True):
        yield f"{float(str(reynolds)):g}", group


def rows_of_score(rows: pd.DataFrame, score: str, *, detail: str = "") -> pd.DataFrame:
    """The rows that a score (over all scales, or of a detail) is formed from, of the methods that
    have it."""
    needed = {score, *definition_of(score).moments}
    kept = rows[rows["score"].isin(needed) & (rows["detail"] == detail)]
    having = set(kept.loc[kept["score"] == score, "method"])
    return kept[kept["method"].isin(having)]
