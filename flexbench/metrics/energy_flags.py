"""Rollouts that gain energy, which no flow here does: it decays.

`energy_error` is signed and of each lead, E / E_truth - 1. A prediction that never changes keeps
the energy of the start, so that `persistence` says what that is.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from flexbench.metrics.comparisons import FORMULA, ratio_rows
from flexbench.metrics.flag_types import Flag, Tables
from flexbench.metrics.group_scores import Group, estimate_scores
from flexbench.metrics.tables import ALL

SCORE = "energy_error"
START = "persistence"


def energy_grows(tables: Tables) -> Iterator[Flag]:
    """Networks whose last lead has more energy than the flow had at the start, or, which is a note,
    than the truth has then; both by more than an interval."""
    rows = tables.rows[tables.rows["score"] == SCORE]
    if not tables.decaying:
        return
    for _, own in rows.groupby("case", sort=False):
        last = own[own["lead"] == own["lead"].max()]
        start = last[last["method"] == START]
        learned = last[(last["mode"] != FORMULA) & (last["lead"] > 1)]
        for _, ends in learned.groupby("method", sort=False):
            yield from _of_method(ends, start, tables)


def _of_method(ends: pd.DataFrame, start: pd.DataFrame, tables: Tables) -> Iterator[Flag]:
    row = _beyond_truth(ends, tables)
    if not row["low"] > 0:
        return
    lead = f"after {row['lead']} steps"
    told = (
        f"{lead} the energy is {row['value']:.1%} above the truth's "
        f"({row['low']:.1%} to {row['high']:.1%})"
    )
    numbers = {"score": SCORE, "detail": lead, **tables.numbers(row)}
    for ratio in _over_start(ends, start, tables):
        if ratio["low"] > 1:
            grown = f", and {ratio['value'] - 1:.1%} above the start's ({tables.interval(ratio)})"
            text = f"{told}{grown}: this flow loses energy"
            yield tables.flag(row, "energy grows", text, **numbers)
            return
    yield tables.flag(row, "energy above the truth", told, **numbers)


def _beyond_truth(ends: pd.DataFrame, tables: Tables) -> dict[str, Any]:
    """The score with its interval, of all Re together. ends: of a method, at the last lead."""
    found = estimate_scores(Group.of(ends), [(SCORE, "")], tables.how)
    first: dict[Any, Any] = ends.iloc[0].to_dict()
    numbers = {"value": found.value[0], "low": found.low[0], "high": found.high[0]}
    return first | {"reynolds": ALL} | numbers


def _over_start(ends: pd.DataFrame, start: pd.DataFrame, tables: Tables) -> list[dict[str, Any]]:
    """Energy over the start's, of all Re; [] where persistence was not rolled out.

    Both are over the same truth, which the ratio of their means takes out.
    """
    own, other = (part.assign(value=part["value"] + 1) for part in (ends, start))
    return ratio_rows(own, other, tables.how, score=SCORE)[:1] if len(other) else []
