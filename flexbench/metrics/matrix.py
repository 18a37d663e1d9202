"""The matrix: how methods fare on flows unlike those of training, beside those that are like it."""

from collections.abc import Iterable, Sequence

import pandas as pd

from flexbench.config import Case
from flexbench.metrics.tables import ALL, MATRIX

# Accuracy, correlation and calibration, as the scores are named.
MATRIX_SCORES = ("rfne_mean", "pearson", "pull_ratio")


def matrix(
    scores: pd.DataFrame, *, cases: Iterable[Case], trained: Sequence[float]
) -> pd.DataFrame:
    """One row per task, flow, method and score.

    scores: the table of `aggregate`. cases: the test split's first, of each task, then those
    whose flows differ in kind. trained: Reynolds numbers of the training split.
    in_distribution: periodic vorticity at a Reynolds number of training. to_reference: the value
    over the mean of the same method's in-distribution values on the test split, of that task and
    score; NaN where it has none. Without cases the table is empty.
    """
    rows = scores[
        scores["score"].isin(MATRIX_SCORES) & (scores["detail"] == "") & (scores["reynolds"] != ALL)
    ]
    parts = []
    for case in cases:
        own = rows[rows["case"] == case.name].copy()
        flow = case.settings
        own["task"] = case.task
        own["observable"], own["boundary"] = flow.observable, flow.boundary
        like = flow.observable == "w" and flow.boundary == "periodic"
        own["in_distribution"] = own["reynolds"].astype(float).isin(trained) & like
        parts.append(own)
    if not parts:
        return MATRIX.of([])
    table = pd.concat(parts, ignore_index=True)
    key = ["task", "method", "score"]
    split = table["in_distribution"] & (table["case"] == table["task"])
    known = table[split].groupby(key)["value"].mean().rename("reference")
    table = table.join(known, on=key)
    table["to_reference"] = table["value"] / table["reference"]
    return table[list(MATRIX.columns)]
