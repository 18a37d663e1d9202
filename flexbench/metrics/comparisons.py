"""Methods against one another: ratios of scores on the same snapshots, with paired intervals."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from flexbench.config import Case
from flexbench.metrics.group_scores import Group, Resampling, estimate_ratio, mean_score
from flexbench.metrics.rows import by_reynolds, gather, rows_of_score
from flexbench.metrics.tables import COMPARISONS, SNAPSHOT

FORMULA = "formula"
BEST_FORMULA = "best formula"
BEST_NETWORK = "best network"
CENTRAL = "flex"

# Scores that methods are compared by: of the ensemble mean, and of the ensemble.
COMPARED = ("rfne_mean", "crps")

# A case of a task that generates the field itself, and the same of one that generates residuals.
Twins = tuple[str, str]


def comparisons(
    frames: Iterable[pd.DataFrame],
    *,
    bootstrap: int,
    confidence: float,
    seed: int = 0,
    twins: Iterable[Twins] = (),
) -> pd.DataFrame:
    """Every method against the best formula of its case, against CENTRAL, and against its twin;
    and, where another network than CENTRAL is the best one, the other networks against that.

    The best has the smallest mean of the score over all Reynolds numbers; the reference of its rows
    is "best formula" or "best network". twins: see `twin_cases`; there every method that learns is
    compared with itself on the other case, as the reference "<method> on <case>".
    """
    rows, twins = gather(frames), list(twins)
    how = Resampling(resamples=bootstrap, confidence=confidence, seed=seed)
    found: list[dict[str, Any]] = []
    for case, own in rows.groupby("case", sort=False):
        for score in COMPARED:
            found += _within_case(rows_of_score(own, score), how, score=score)
        for twin, unchanged in twins:
            if twin == case:
                found += _with_twin(own, rows[rows["case"] == unchanged], how)
    return COMPARISONS.of(found)


def _within_case(rows: pd.DataFrame, how: Resampling, *, score: str) -> list[dict[str, Any]]:
    by_method = {str(method): own for method, own in rows.groupby("method", sort=False)}
    learned = rows[rows["mode"] != FORMULA]
    network = best_of(learned, score=score)
    references = (
        (BEST_FORMULA, best_formula(rows, score=score), by_method),
        (CENTRAL, CENTRAL, by_method),
        (BEST_NETWORK, None if network == CENTRAL else network, set(learned["method"])),
    )
    found = []
    for label, reference, compared in references:
        if reference not in by_method:
            continue
        for method, own in by_method.items():
            if method != reference and method in compared:
                ratios = ratio_rows(own, by_method[reference], how, score=score)
                found += [row | {"reference": label} for row in ratios]
    return found


def _with_twin(
    rows: pd.DataFrame, unchanged: pd.DataFrame, how: Resampling
) -> list[dict[str, Any]]:
    """A formula has no residual, so it would be compared with itself."""
    found = []
    for score in COMPARED:
        learned = (rows_of_score(part, score) for part in (rows, unchanged))
        here, there = (part[part["mode"] != FORMULA] for part in learned)
        for method in dict.fromkeys(here["method"]):
            own, other = (part[part["method"] == method] for part in (here, there))
            if len(other):
                label = f"{method} on {other['case'].iloc[0]}"
                ratios = ratio_rows(own, other, how, score=score)
                found += [row | {"reference": label} for row in ratios]
    return found


def twin_cases(cases: Iterable[Case]) -> list[Twins]:
    """(case, unchanged case) for tasks alike but for `residual`, which the first has false."""

    def alike(case: Case) -> tuple[str | None, str]:
        settings = case.task_settings.model_dump_json(exclude={"residual", "methods"})
        return case.evaluation, settings

    cases = list(cases)
    return [
        (case.name, other.name)
        for case in cases
        if not case.task_settings.residual
        for other in cases
        if other.task_settings.residual and alike(other) == alike(case)
    ]


def best_formula(rows: pd.DataFrame, *, score: str, detail: str = "") -> str | None:
    """The formula with the smallest mean of a score over all Re; None if there is none.

    rows: score rows of one case.
    """
    return best_of(rows[rows["mode"] == FORMULA], score=score, detail=detail)


def best_of(rows: pd.DataFrame, *, score: str, detail: str = "") -> str | None:
    """The method with the smallest finite mean of a score over all rows; None if there is none."""
    means = {}
    for method in rows["method"].unique():
        group = rows_of_score(rows[rows["method"] == method], score, detail=detail)
        if len(group):
            means[method] = mean_score(group, score, detail=detail)
    finite = {method: mean for method, mean in means.items() if np.isfinite(mean)}
    return min(finite, key=lambda method: finite[method]) if finite else None


def ratio_rows(
    rows: pd.DataFrame, reference: pd.DataFrame, how: Resampling, *, score: str, detail: str = ""
) -> list[dict[str, Any]]:
    """Ratio of a method's mean score to a reference's, a row for each Reynolds number.

    rows, reference: of one method on one case each, what the score is formed from (see
    `rows_of_score`). Paired: both are averaged over the snapshots that both predict, and resampled
    with the same trajectories. Below 1 the method's score is smaller.
    """
    place = list(SNAPSHOT)
    shared = rows[place].drop_duplicates().merge(reference[place].drop_duplicates(), on=place)
    if shared.empty:
        return []
    others = dict(by_reynolds(reference.merge(shared, on=place)))
    found = []
    for reynolds, own in by_reynolds(rows.merge(shared, on=place)):
        group = Group.of(own, reynolds=reynolds)
        other = Group.of(others[reynolds], reynolds=reynolds)
        ratio = estimate_ratio(group, other, how, key=(score, detail))
        first: dict[Any, Any] = own.iloc[0].to_dict()
        found.append(
            first
            | {"reference": other.method, "score": score, "reynolds": reynolds}
            | {"value": ratio.value[0], "low": ratio.low[0], "high": ratio.high[0]}
            | {"trajectories": group.means.flows}
        )
    return found
