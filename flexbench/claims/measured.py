"""Where a run has the quantities that a claim rests on: found by what tasks and methods are."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from flexbench.claims.quantities import Units
from flexbench.claims.registry import Claims, MeasuredPart
from flexbench.claims.sides import NotRun, is_arm
from flexbench.graph import Graph


def units_of(graph: Graph, claims: Claims, part: MeasuredPart) -> Units:
    """The effects of one part, of the first task and method that it is about.

    Raises NotRun, saying what is needed.
    """
    find = _of_trainings if part.quantity.trained else _of_data
    residuals, fields = find(graph, claims, part)
    units = part.quantity.effects(residuals, fields, part.detail)
    if not len(units.values):
        raise NotRun(f"{part.label} of residuals and of fields, of the same {part.units}")
    return units


def _of_data(graph: Graph, claims: Claims, part: MeasuredPart) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of residuals and of fields, of one file."""
    for names in graph.rule("targets").jobs(graph):
        if graph.task_settings(names["task"]).kind == part.task:
            rows = _gathered([graph.layout.targets(names["task"])], part, names["task"])
            return rows[rows["space"] == "residuals"], rows[rows["space"] == "fields"]
    raise NotRun(f"{part.label} on {part.task}, which section `theory` of a configuration asks for")


def _of_trainings(
    graph: Graph, claims: Claims, part: MeasuredPart
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of a training on residuals and of one on fields that is else the same, all seeds."""
    name = part.settings.method
    assert name is not None  # what trainings decide has a method
    jobs = graph.rule("gradients").jobs(graph)
    asked = dict.fromkeys((names["training"], names["method"]) for names in jobs)
    for task, method in asked:
        fields = graph.config.fields_of(task) if task in graph.config.tasks else None
        if (
            fields is None
            or (fields, method) not in asked
            or graph.task_settings(task).kind != part.task
            or not is_arm(graph, method, name, claims.arms[name])
        ):
            continue
        sides = []
        for side in (task, fields):
            seeds = [it["seed"] for it in jobs if (it["training"], it["method"]) == (side, method)]
            paths = [graph.layout.gradients(side, method, seed) for seed in seeds]
            sides.append(_gathered(paths, part, f"{side} by {method}"))
        return sides[0], sides[1]
    raise NotRun(
        f"{part.label} of {name} on {part.task}, with residual: true and false, which section "
        "`theory` of a configuration asks for"
    )


def _gathered(paths: Sequence[Path], part: MeasuredPart, of: str) -> pd.DataFrame:
    """The rows of all files that are there; NotRun where none is."""
    made = [part.quantity.table.read(path) for path in paths if path.is_file()]
    if not made:
        raise NotRun(f"{part.label} on {of}, which is not measured yet")
    return pd.concat(made, ignore_index=True)
