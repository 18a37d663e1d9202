"""Two runs side by side, for people: scores with intervals, what differs in settings and code."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from flexbench.config.reading import load_config
from flexbench.errors import FlexbenchError
from flexbench.metrics.tables import ALL, SCORES
from flexbench.nested import differences
from flexbench.paths import Layout
from flexbench.regression.scores import code_of, comparable

HEADLINE = ("rfne_mean", "crps", "spread_skill", "pull_ratio", "spectrum_error")
KEYS = ["case", "method", "score", "detail"]
HEADS = ("case method score", "A", "B", "B / A", "intervals")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two. configuration: None, and code: {}, where only a table is at hand."""

    name: str
    table: pd.DataFrame
    configuration: dict[str, Any] | None
    code: dict[str, str]


def read_side(path: Path) -> Side:
    """A results folder (`results/desk`), or a table of scores (`…/tables/scores.csv`)."""
    folder = path.is_dir()
    table_path = path / "tables" / "scores.csv" if folder else path
    if not table_path.is_file():
        raise FlexbenchError(f"{table_path}: no such table of scores; a results folder is needed")
    table = SCORES.read(table_path)
    table = table[table["reynolds"] == ALL]
    settings = path / "config.yaml"
    configuration: dict[str, Any] | None = None
    code: dict[str, str] = {}
    if folder and settings.is_file():
        config = load_config(resolved=settings)
        configuration = comparable(config) | {"training_seeds": config.training_seeds}
        layout = Layout(path.parent, path.name)
        for case, method in table[["case", "method"]].drop_duplicates().itertuples(index=False):
            steps = code_of(layout, case, config.training_seeds[0], method)
            code |= {f"{step} {method}": digest for step, digest in steps.items()}
    return Side(name=str(path), table=table, configuration=configuration, code=code)


def compare_sides(
    one: Side,
    other: Side,
    *,
    write: Callable[[Sequence[str], Sequence[Sequence[str]]], str],
    everything: bool = False,
) -> str:
    """The comparison as text; `write` draws a table from heads and rows."""
    joined = one.table.merge(other.table, on=KEYS, how="outer", suffixes=("_a", "_b"), sort=False)
    if not everything:
        joined = joined[joined["score"].isin(HEADLINE) & (joined["detail"] == "")]
    if joined.empty:
        raise FlexbenchError(f"{one.name} and {other.name}: no score to show")
    both = joined.dropna(subset=["value_a", "value_b"])
    lines = [f"A: {one.name}", f"B: {other.name}", ""]
    if len(both):
        lines += [write(HEADS, [_row(record) for record in both.to_dict("records")]), ""]
    else:
        lines += ["The two share no case, method and score.", ""]
    for side, column in (("A", "value_b"), ("B", "value_a")):
        alone = joined[joined[column].isna()][["case", "method"]].drop_duplicates()
        names = [f"{case} {method}" for case, method in alone.itertuples(index=False)]
        if names:
            lines.append(f"only in {side}: {', '.join(names)}")
    return "\n".join(lines + _what_differs(one, other))


def _row(record: dict[Any, Any]) -> tuple[str, ...]:
    name = " ".join(str(record[key]) for key in KEYS if record[key])
    ratio = record["value_b"] / record["value_a"] if record["value_a"] else float("nan")
    ends = [float(record[key]) for key in ("low_a", "high_a", "low_b", "high_b")]
    if any(end != end for end in ends):
        overlap = "unknown"
    else:
        overlap = "overlap" if ends[0] <= ends[3] and ends[2] <= ends[1] else "APART"
    cells = [_with_interval(record, side) for side in ("a", "b")]
    return (name, *cells, f"{ratio:.3f}", overlap)


def _with_interval(record: dict[Any, Any], side: str) -> str:
    value, low, high = (float(record[f"{key}_{side}"]) for key in ("value", "low", "high"))
    interval = f" [{low:.4g}, {high:.4g}]" if low == low and high == high else ""
    return f"{value:.4g}{interval}"


def _what_differs(one: Side, other: Side) -> list[str]:
    if one.configuration is None or other.configuration is None:
        return ["configuration and code: not known of a table alone"]
    found = [
        f"configuration: {key}: {was} | {now}"
        for key, was, now in differences(one.configuration, other.configuration)
    ]
    shared = sorted(set(one.code) & set(other.code))
    changed = [step for step in shared if one.code[step] != other.code[step]]
    found = found or ["configuration: the same"]
    if not shared:
        return [*found, "code: not known, for want of receipts"]
    told = f"differs in {', '.join(changed)}" if changed else "the same"
    return [*found, f"code: {told}"]
