"""What came out of an attempt, in plain sentences."""

from collections.abc import Iterator, Mapping

from flexbench.metrics.definitions import definition_of
from flexbench.metrics.headline import HEADLINE
from flexbench.report.numbers import with_interval
from flexbench.shared.attempt import Attempt
from flexbench.shared.card import goal_of

# What one method scored.
Values = Mapping[str, float]


def told(found: Attempt) -> Iterator[str]:
    """Line by line."""
    values = _values(found)
    yield from _asked(found)
    yield ""
    yield from _table(found, values)
    yield ""
    yield from (f"{_name(score)}: {definition_of(score).text}." for score in HEADLINE)
    yield ""
    yield from _verdict(found, values)


def _values(found: Attempt) -> dict[str, Values]:
    """By method, the headline scores of the snapshot that is shown."""
    rows, shown = found.scores, found.snapshot
    here = (rows["trajectory"] == shown.trajectory) & (rows["index"] == shown.index)
    rows = rows[here & (rows["detail"] == "") & rows["score"].isin(HEADLINE)]
    return {
        str(method): dict(zip(own["score"], own["value"], strict=True))
        for method, own in rows.groupby("method", sort=False)
    }


def _asked(found: Attempt) -> Iterator[str]:
    """What was given to whom."""
    config, shown, method = found.graph.config, found.snapshot, found.network.method
    task, labels = found.graph.task_settings(found.task), found.inputs.labels(found.task)
    points = " x ".join(map(str, shown.truth.shape))
    yield (
        f"Flow: {labels.field} at {labels.flow_short} {shown.reynolds:g}, seed {found.flow.seed}, "
        f"time {shown.time:g}, {points} points, simulated just now, and new to the network."
    )
    yield f"Task {found.task}: {goal_of(task)}"
    parameters = int(found.scores[found.scores["method"] == method]["parameters"].iloc[0])
    sample, size = config.sample, shown.ensembles[method].size
    yield (
        f"Network: {method}, training seed {found.network.seed}, {parameters:,} parameters; "
        f"{size} members in {sample.steps} steps of sampler {sample.sampler}."
    )
    trained = config.split("train").reynolds
    if shown.reynolds not in trained:
        known = ", ".join(f"{it:g}" for it in trained)
        yield f"It was trained at {labels.flow_short} {known}: this one is new to it."


def _table(found: Attempt, values: Mapping[str, Values]) -> Iterator[str]:
    labels = found.inputs.labels(found.task)
    heads = [f"{_name(it)} [{labels.unit_of(definition_of(it).unit)}]" for it in HEADLINE]
    width = max(map(len, values))
    yield "  ".join([" " * width, *heads])
    for method, own in values.items():
        cells = [_number(own[it]) if it in own else "-" for it in HEADLINE]
        aligned = (cell.rjust(len(head)) for cell, head in zip(cells, heads, strict=True))
        yield "  ".join([method.ljust(width), *aligned])


def _verdict(found: Attempt, values: Mapping[str, Values]) -> Iterator[str]:
    """Beside the formula that is best on this flow; and whether the spread is right."""
    method, error, score = found.network.method, "rfne_mean", "spread_skill"
    own = values[method]
    formulas = {name: it[error] for name, it in values.items() if name != method}
    if formulas:
        best = min(formulas, key=formulas.__getitem__)
        change = own[error] / formulas[best] - 1
        side = "below" if change < 0 else "above"
        yield f"{method}'s error is {abs(change):.0%} {side} that of the best formula, {best}."
    if score in own:
        yield (
            f"Its members differ by {own[score]:.0%} of what it is wrong by: 100% is honest, less "
            "is too sure of itself."
        )


def _name(score: str) -> str:
    return definition_of(score).label


def _number(value: float) -> str:
    return with_interval(value, value, value)[0]
