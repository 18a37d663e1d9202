"""The matrix: how methods fare on flows unlike those of training, beside those that are like it."""

from collections.abc import Iterable, Sequence

import pandas as pd

from flexbench.config import Case
from flexbench.metrics.tables import ALL, MATRIX

# Accuracy, correlation and calibration, as the scores are named.
MATRIX_SCORES = ("rfne_mean", "pearson", "pull_ratio")
# Of what a value of the test split and one of other flows have to be, to be compared.
_OF = ["task", "method", "score"]


def matrix(
    scores: pd.DataFrame, *, cases: Iterable[Case], trained: Sequence[float]
) -> pd.DataFrame:
    """One row per task, flow, method and score.

    scores: the table of `aggregate`. cases: the test split's first, of each task, then those
    whose flows differ in kind. trained: Reynolds numbers of the training split.
    in_distribution: periodic vorticity at a Reynolds number of training. to_reference: the value
    over that of the same method, task and score on the test split's flows like those of training,
    at the same Reynolds number; where no network was trained at it, over the mean of all of them.
    reference_reynolds: which of the two, as the number or "all". Both are missing where the
    method has no such value. Without cases the table is empty.
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
    known = table[table["in_distribution"] & (table["case"] == table["task"])]
    for name, key in (("same", [*_OF, "reynolds"]), ("mean", _OF)):
        table = table.join(known.groupby(key)["value"].mean().rename(name), on=key)
    # A wall or a velocity is not to look easier for having a low Reynolds number.
    reference = table["same"].fillna(table["mean"])
    named = table["reynolds"].where(table["same"].notna(), ALL)
    table["reference_reynolds"] = named.where(reference.notna())
    table["to_reference"] = table["value"] / reference
    return table[list(MATRIX.columns)]
