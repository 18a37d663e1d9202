"""Tables of the page: plain rows of cells, ready for the template."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from flexbench.metrics.definitions import definition_of, in_order
from flexbench.metrics.tables import ALL, MARK, SUBMITTED
from flexbench.report.better import BETTER_SIGNS, BETTER_WORDS, SUMMARY, loss_of
from flexbench.report.labels import Labels
from flexbench.report.numbers import amount, duration, with_interval

# Finds the anchor of a receipt on the page from what a table's `receipt` column says; "" if none.
FindAnchor = Callable[[str], str]
# The same for a number of the table of costs, from its column and its row.
FindCost = Callable[[str, dict[Any, Any]], str]


@dataclass(kw_only=True)
class Cell:
    """One cell: a text, an interval under it, and how it is set off."""

    text: str
    interval: str = ""
    anchor: str = ""
    kind: str = ""  # "best", "near", "worse", "bad" or ""


_NONE = Cell(text="–")


@dataclass(kw_only=True)
class Head:
    """A column's head; `hint` is shown on hovering."""

    text: str
    sign: str = ""
    hint: str = ""


@dataclass(kw_only=True)
class Row:
    """A row: its name (a method, mostly) and its cells."""

    name: str
    note: str = ""
    cells: list[Cell]


@dataclass(kw_only=True)
class Table:
    """A table with a corner, heads and rows; `title` and `caption` may be empty."""

    corner: str
    heads: list[Head]
    rows: list[Row] = field(default_factory=list)
    title: str = ""
    caption: str = ""


A_MEMBER = "one ensemble member of one whole field"


def summary_table(
    scores: pd.DataFrame,
    cost: pd.DataFrame,
    find_anchor: FindAnchor,
    find_cost: FindCost,
    *,
    labels: Labels,
) -> Table:
    """The headline scores of one case, all Reynolds numbers together, with cost beside them."""
    pooled = scores[(scores["reynolds"] == ALL) & (scores["detail"] == "")]
    present = [score for score in SUMMARY if score in set(pooled["score"])]
    table = _score_table(pooled, present, find_anchor, labels)
    runs = {str(method): rows for method, rows in cost.groupby("method", sort=False)}
    table.heads += [
        Head(text="Parameters"),
        Head(text="FLOP", hint=f"floating-point operations of {A_MEMBER}: all calls, all tiles"),
        Head(
            text="Time",
            hint=f"processor time (on a GPU wall time) of {A_MEMBER}; compare on one machine alone",
        ),
    ]
    for row in table.rows:
        row.cells += _cost_cells(runs[row.name], find_cost) if row.name in runs else 3 * [_NONE]
    return table


def _cost_cells(runs: pd.DataFrame, find_cost: FindCost) -> list[Cell]:
    """Means over the training seeds; the first one's receipt stands for all."""
    record: dict[Any, float] = runs.mean(numeric_only=True).to_dict()
    anchor = find_cost("seconds_per_member", runs.iloc[0].to_dict())
    return [
        Cell(text=amount(record["parameters"]), anchor=anchor),
        Cell(text=amount(record["flops_per_member"]), anchor=anchor),
        Cell(text=duration(record["seconds_per_member"]), anchor=anchor),
    ]


def _score_table(
    rows: pd.DataFrame, scores: list[str], find_anchor: FindAnchor, labels: Labels
) -> Table:
    """Methods down, scores across; the best of each column set off."""
    table = Table(corner="Method", heads=[_head(score, labels) for score in scores])
    for method, own in rows.groupby("method", sort=False):
        table.rows.append(Row(name=str(method), note=str(own["mode"].iloc[0]), cells=[]))
    for score in scores:
        column = rows[rows["score"] == score]
        records = {record["method"]: record for record in column.to_dict("records")}
        best = _best(score, records)
        for row in table.rows:
            row.cells.append(_score_cell(records.get(row.name), score, best, find_anchor))
    return table


def _head(score: str, labels: Labels) -> Head:
    meaning = definition_of(score)
    return Head(
        text=score_name(score, labels),
        sign=BETTER_SIGNS[meaning.better],
        hint=f"{meaning.text} ({BETTER_WORDS[meaning.better]})",
    )


def score_name(score: str, labels: Labels) -> str:
    """Its label, and its unit where it has one."""
    meaning = definition_of(score)
    return meaning.label + ("" if meaning.unit == "1" else f" [{labels.unit_of(meaning.unit)}]")


def _best(score: str, records: dict[Any, dict[Any, Any]]) -> float | None:
    """The best value of a column; None where there is nothing to choose between."""
    finite = [float(r["value"]) for r in records.values() if math.isfinite(r["value"])]
    if len(finite) < 2 or math.isnan(loss_of(score, finite[0])):
        return None
    return min(finite, key=lambda value: loss_of(score, value))


def _score_cell(
    record: dict[Any, Any] | None, score: str, best: float | None, find_anchor: FindAnchor
) -> Cell:
    if record is None:
        return _NONE
    value, low, high = (float(record[key]) for key in ("value", "low", "high"))
    text, interval = with_interval(value, low, high)
    kind = ""
    if not math.isfinite(value):
        kind = "bad"
    elif best is not None:
        is_best = math.isclose(loss_of(score, value), loss_of(score, best), abs_tol=1e-12)
        kind = "best" if is_best else ("near" if low <= best <= high else "")
    return Cell(text=text, interval=interval, kind=kind, anchor=find_anchor(str(record["receipt"])))


def comparison_table(comparisons: pd.DataFrame, *, labels: Labels, anchor: str = "") -> Table:
    """Paired ratios of means; set off where the interval leaves 1, by which method is better.

    anchor: of the receipt of all of them.
    """
    heads = [
        Head(text=text) for text in ("against", "score", labels.flow_short, "ratio", "trajectories")
    ]
    table = Table(corner="Method", heads=heads)
    for record in comparisons.to_dict("records"):
        score = str(record["score"])
        value, low, high = (float(record[key]) for key in ("value", "low", "high"))
        text, interval = with_interval(value, low, high)
        cells = [
            Cell(text=str(record["reference"])),
            Cell(text=definition_of(score).label),
            Cell(text=str(record["reynolds"])),
            Cell(text=text, interval=interval, kind=_verdict(score, low, high), anchor=anchor),
            Cell(text=amount(float(record["trajectories"]))),
        ]
        table.rows.append(Row(name=str(record["method"]), note=_note(record), cells=cells))
    return table


def _note(record: dict[Any, Any]) -> str:
    """What stands behind a method's name: the mark of what others ran."""
    return SUBMITTED if record[MARK] == SUBMITTED else ""


def _verdict(score: str, low: float, high: float) -> str:
    """Whether a ratio's interval says better or worse; "" where it says neither."""
    better = definition_of(score).better
    if better not in ("lower", "higher"):
        return ""
    below, above = ("best", "worse") if better == "lower" else ("worse", "best")
    return below if high < 1 else (above if low > 1 else "")


_COST_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "training_seed": ("training seed", amount),
    "parameters": ("parameters", amount),
    "flops_per_call": ("FLOP / call", amount),
    "calls": ("calls / member", amount),
    "tiles": ("tiles / field", amount),
    "flops_per_member": ("FLOP / member", amount),
    "seconds_per_member": ("time / member", duration),
    "relative_time": (
        "the same / yardstick",
        lambda value: f"{value:.3g}" if value > 0 else "n/a",
    ),
    "train_flops": ("training FLOP", amount),
    "train_cpu_seconds": ("training, processor time", duration),
    "train_seconds": ("training, wall time", duration),
    "sample_seconds": ("sampling of all, wall time", duration),
    "peak_memory_mib": ("peak memory [MiB]", lambda value: f"{value:.0f}" if value > 0 else "n/a"),
}

_COST_WORDS = {"training": "trained on", "device": "device"}


def cost_table(cost: pd.DataFrame, find_cost: FindCost) -> Table:
    """What each run of one case cost."""
    heads = [*(head for head, _ in _COST_COLUMNS.values()), *_COST_WORDS.values()]
    table = Table(corner="Method", heads=[Head(text=head) for head in heads])
    for record in cost.to_dict("records"):
        cells = [
            Cell(text=write(float(record[name])), anchor=find_cost(name, record))
            for name, (_, write) in _COST_COLUMNS.items()
        ]
        cells += [
            Cell(text=str(record[name]), anchor=find_cost(name, record)) if record[name] else _NONE
            for name in _COST_WORDS
        ]
        table.rows.append(Row(name=str(record["method"]), note=_note(record), cells=cells))
    return table


_BOARD = ("crps", "rfne_mean", "pull_ratio", "spread_skill")


def leaderboard_table(rows: pd.DataFrame, *, labels: Labels, anchor: str = "") -> Table:
    """One case of the leaderboard: ranks, what they are by, and calibration beside.

    anchor: of the receipt of the tables.
    """
    heads = [Head(text="by CRPS"), Head(text="by error"), *(_head(it, labels) for it in _BOARD)]
    table = Table(corner="Method", heads=heads)
    for record in rows.to_dict("records"):
        ranks = (record["rank_crps"], record["rank_rfne_mean"])
        cells = [Cell(text="–" if math.isnan(rank) else f"{rank:.0f}") for rank in ranks]
        for score in _BOARD:
            low, high = (float(record.get(f"{score}_{end}", math.nan)) for end in ("low", "high"))
            if math.isnan(record[score]):
                cells.append(_NONE)
                continue
            text, interval = with_interval(float(record[score]), low, high)
            cells.append(Cell(text=text, interval=interval, anchor=anchor))
        table.rows.append(Row(name=str(record["method"]), note=str(record[MARK]), cells=cells))
    return table


def card_table(cards: Mapping[str, Mapping[str, Any]]) -> Table:
    """Who ran the submitted methods, and how, in their own words. cards: by method."""
    words = {"who": "who", "what": "what", "trained": "trained", "cost": "cost, as stated"}
    heads = [*words.values(), "training seeds", "parameters"]
    table = Table(corner="Method", heads=[Head(text=text) for text in heads])
    for method, card in cards.items():
        cells = [Cell(text=str(card[key])) for key in words]
        cells.append(Cell(text=", ".join(map(str, card["training_seeds"]))))
        size = card["parameters"]
        cells.append(_NONE if size is None else Cell(text=amount(float(size))))
        table.rows.append(Row(name=method, note=SUBMITTED, cells=cells))
    return table


def definition_table(present: Iterable[str]) -> Table:
    """What each score means; those that the run does not have are left out."""
    heads = ("unit", "better", "averaging", "definition")
    table = Table(corner="Score", heads=[Head(text=text) for text in heads])
    for score in in_order(present):
        meaning = definition_of(score)
        texts = (meaning.unit, BETTER_WORDS[meaning.better], meaning.averaging, meaning.text)
        cells = [Cell(text=text) for text in texts]
        table.rows.append(Row(name=meaning.label, note=score, cells=cells))
    return table


def reynolds_in_order(scores: pd.DataFrame) -> list[str]:
    """ALL first, then Reynolds numbers by size."""
    return sorted(set(scores["reynolds"]), key=lambda re: (re != ALL, _number(re)))


def details_in_order(rows: pd.DataFrame) -> list[str]:
    """Details by the first number in them."""
    return sorted(set(rows["detail"]), key=lambda detail: (_number(detail), detail))


def _number(text: str) -> float:
    """The first number of "500", "k=5-9", "M=8", or infinity where there is none."""
    try:
        return float(text.rpartition("=")[2].split("-")[0])
    except ValueError:
        return math.inf
