"""Networks against the best formula of a case, on paired intervals: over all, and by band."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from flexbench.metrics.comparisons import COMPARED, FORMULA, best_formula, ratio_rows
from flexbench.metrics.flag_types import Flag, Kind, Tables
from flexbench.metrics.rows import by_reynolds, rows_of_score
from flexbench.metrics.tables import ALL

# A band whose energy is right to a percent is right enough for anybody.
NOTICEABLE = 0.01

# From the best to the worst that can be said of a network beside a formula.
_RANKS: tuple[Kind | None, ...] = (None, "no better than formula", "worse than formula")

_Row = dict[str, Any]


def worse_than_formula(tables: Tables) -> Iterator[Flag]:
    """A network that is worse than the best formula, or no better, over all Re or at one of them.

    At each Re the formula is the best one there; a Re is told of where it is worse off than all of
    them together.
    """
    for score in COMPARED:
        for rows in _trained_for(tables):
            own = rows_of_score(rows, score)
            for method in _learned(own):
                known = 0
                for row in _by_reynolds(own, method, tables, score=score):
                    kind = _RANKS[_rank(row)]
                    if kind is not None and _rank(row) > known:
                        yield _compared(row, kind, tables)
                    known = _rank(row) if row["reynolds"] == ALL else known


def _by_reynolds(rows: pd.DataFrame, method: str, tables: Tables, *, score: str) -> Iterator[_Row]:
    """A method's ratio to the best formula over all Re, then, of several, to the best at each."""
    single = rows["reynolds"].nunique() == 1
    for reynolds, part in by_reynolds(rows):
        if reynolds == ALL or not single:
            for row in _ratios(part, method, tables, score=score):
                if row["reynolds"] == reynolds:
                    yield row


def _rank(row: _Row) -> int:
    """Place in `_RANKS`; without an interval nothing is worse."""
    if row["low"] > 1:
        return 2
    # A network that is better may be so by chance, where the interval holds 1.
    return 1 if row["high"] >= 1 or (math.isnan(row["high"]) and row["value"] >= 1) else 0


def _compared(row: _Row, kind: Kind, tables: Tables) -> Flag:
    verdict = "worse" if kind == "worse than formula" else "no better"
    return tables.flag(
        row,
        kind,
        f"{row['score']}, {tables.where(row['reynolds'])}: {verdict} than {row['reference']} "
        f"({row['value']:.4g} times its, {tables.interval(row)})",
        score=row["score"],
        against=row["reference"],
        **tables.numbers(row),
    )


def worse_in_a_band(tables: Tables) -> Iterator[Flag]:
    """A network whose spectrum is farther off in a band than that of the best formula there."""
    for rows in _trained_for(tables):
        spectra = rows[rows["score"] == "spectrum_error"]
        for band, own in spectra.groupby("detail", sort=False):
            errors = own.groupby("method")["value"].mean()
            for method in _learned(own):
                for row in _ratios(own, method, tables, score="spectrum_error", detail=str(band)):
                    worse = row["reynolds"] == ALL and row["low"] > 1
                    if worse and errors[method] > NOTICEABLE:
                        yield _in_band(row, str(band), tables)


def _in_band(row: _Row, band: str, tables: Tables) -> Flag:
    return tables.flag(
        row,
        "worse in a band",
        f"worse than a formula in band {band}: the spectrum of a member is {row['value']:.3g} "
        f"times as far off as that of {row['reference']} ({tables.interval(row)})",
        score="spectrum_error",
        detail=band,
        against=row["reference"],
        **tables.numbers(row),
    )


def _trained_for(tables: Tables) -> Iterator[pd.DataFrame]:
    """The rows of each of the tasks that networks were trained for."""
    for case, rows in tables.rows.groupby("case", sort=False):
        if case in tables.tasks:
            yield rows


def _learned(rows: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(rows.loc[rows["mode"] != FORMULA, "method"]))


def _ratios(
    rows: pd.DataFrame, method: str, tables: Tables, *, score: str, detail: str = ""
) -> list[_Row]:
    """A method's score over that of the best formula among these rows, by Re; [] without any."""
    formula = best_formula(rows, score=score, detail=detail)
    own, other = (rows[rows["method"] == name] for name in (method, formula))
    return ratio_rows(own, other, tables.how, score=score, detail=detail) if formula else []
