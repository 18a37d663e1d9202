"""Where a run has the two sides of a comparison: found by what they are, not by their names."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import yaml

from flexbench.claims.registry import (
    BEST_FORMULA,
    PERFECT,
    ArmSettings,
    Claims,
    DrawnSettings,
    Part,
)
from flexbench.config import Case, MethodSettings
from flexbench.graph import Graph
from flexbench.provenance import read_receipt

# Two trainings spend the same where they differ by less: widths are solved in whole steps.
SAME = 0.05
# What tells two methods apart, besides their size. How one is trained is tuned alike for all of
# them, and held together by what both spend.
_APART = ("mode", "width", "match", "narrow", "options", "network")


class NotRun(Exception):
    """A run lacks what a comparison needs; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A method on a case; method is BEST_FORMULA where that is asked for."""

    case: str
    method: str


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Both of them; other is None where the score is held against 1."""

    own: Side
    other: Side | None


def find_sides(graph: Graph, claims: Claims, part: Part) -> Sides:
    """The first cases and methods of a run that are what a comparison is about.

    Raises NotRun, saying what is needed.
    """
    settings, arms = part.settings, claims.arms
    found = list(_sides(graph, part.task, settings.drawn, settings.method, arms[settings.method]))
    if not found:
        raise NotRun(_needed(part.task, settings.drawn, settings.method, arms))
    for own in found:
        if part.against == PERFECT:
            return Sides(own=own, other=None)
        if part.against == BEST_FORMULA:
            if any(graph.is_formula(job.method) for job in graph.jobs_of(own.case)):
                return Sides(own=own, other=Side(case=own.case, method=BEST_FORMULA))
            continue
        rival = arms[part.against]
        for other in _sides(graph, part.task, part.against_drawn, part.against, rival):
            if settings.against_drawn is None and other.case != own.case:
                continue
            if not _comparable(graph, own, other):
                continue
            sized = _sized_as_asked(graph, own, other, arms[settings.method], rival)
            if _is_unknown(graph, own, other) or (sized and _spend_alike(graph, own, other, rival)):
                return Sides(own=own, other=other)
    raise NotRun(_needed(part.task, part.against_drawn, part.against, arms))


def _sides(
    graph: Graph, task: str, drawn: DrawnSettings, name: str, arm: ArmSettings
) -> Iterator[Side]:
    for case in graph.cases:
        if _is_drawn(graph, graph.case(case), task, drawn):
            for method in dict.fromkeys(job.method for job in graph.jobs_of(case)):
                if is_arm(graph, method, name, arm):
                    yield Side(case=case, method=method)


def _is_drawn(graph: Graph, case: Case, task: str, drawn: DrawnSettings) -> bool:
    """Whether a case is of this task, on these flows, drawn like this: tile by tile, one lead."""
    settings, sample = case.settings, case.sample
    asked = (task, drawn.residual, drawn.boundary, drawn.observable, 1, 0)
    task_settings = case.task_settings
    has = (
        *(task_settings.kind, task_settings.residual),
        *(settings.boundary, settings.observable, settings.leads, sample.overlap),
    )
    trained = set(graph.split("train").reynolds)
    flows = {run.reynolds for run in case.runs}
    tested = flows & trained if drawn.reynolds == "trained" else flows - trained
    how = all(
        getattr(drawn, key) in (None, getattr(sample, key))
        for key in ("sampler", "steps", "members")
    )
    return asked == has and how and bool(tested)


def is_arm(graph: Graph, method: str, name: str, arm: ArmSettings) -> bool:
    """Whether a method of the run is what a claim calls by this name."""

    def identity(settings: MethodSettings, own: str) -> tuple[object, ...]:
        named = settings.model_copy(update={"network": settings.network or own})
        return (*(getattr(named, key) for key in _APART), settings.together is None)

    if arm.submitted or graph.is_submitted(method):
        return arm.submitted and graph.is_submitted(method) and method == name
    here = graph.config.method(method)
    if graph.is_formula(method) or identity(arm, name) != identity(here, method):
        return False
    train = graph.config.train_settings(method)
    if any(getattr(train, key) != value for key, value in arm.train.items()):
        return False
    if arm.size not in (None, here.size or graph.config.size):
        return False
    target = str(arm.diffusion.get("target", "v"))
    return arm.mode != "denoiser" or graph.config.diffusion_settings(method).target == target


def _is_unknown(graph: Graph, *sides: Side) -> bool:
    """Whether others ran a side: its size, and what it was trained with, are not known."""
    return any(graph.is_submitted(side.method) for side in sides)


def _sized_as_asked(
    graph: Graph, own: Side, other: Side, arm: ArmSettings, rival: ArmSettings
) -> bool:
    """Whether both sides are of one size, or where an arm asks for its own, of two."""
    sizes = {graph.config.method(it.method).size or graph.config.size for it in (own, other)}
    return len(sizes) == (1 if arm.size == rival.size else 2)


def _comparable(graph: Graph, own: Side, other: Side) -> bool:
    """Whether two sides differ, and in nothing that no claim asks for."""

    def terms(side: Side) -> tuple[object, ...]:
        case = graph.case(side.case)
        task = case.task_settings.model_dump(exclude={"residual", "methods"})
        if _is_unknown(graph, own, other):
            return task, case.sample.members
        diffusion = graph.config.diffusion_settings(side.method).model_dump(exclude={"target"})
        return task, diffusion, case.sample.members, case.sample.precision

    return terms(own) == terms(other)


def _spend_alike(graph: Graph, own: Side, other: Side, rival: ArmSettings) -> bool:
    spent = {"patches": _patches, "training_flops": _training_flops}[rival.equal]
    ours, theirs = spent(graph, own), spent(graph, other)
    return bool(abs(np.log(theirs / ours)) < SAME)


def _patches(graph: Graph, side: Side) -> float:
    """That each task of a method has seen in training."""
    return graph.config.patches_of(side.method)


def _training_flops(graph: Graph, side: Side) -> float:
    """From the receipts of trainings; NaN where they do not say."""
    seeds = [job.seed for job in graph.jobs_of(side.case) if job.method == side.method]
    weights = [path for seed in seeds for path in graph.weights(side.case, side.method, seed)]
    known = [read_receipt(path).get("facts", {}).get("flops", np.nan) for path in weights]
    return float(np.mean(known))


def _needed(task: str, drawn: DrawnSettings, name: str, arms: dict[str, ArmSettings]) -> str:
    """What a run would have to hold."""
    words = [task]
    if drawn.boundary != "periodic":
        words.append(f"with walls ({drawn.boundary})")
    if drawn.observable != "w":
        words.append(f"of velocity {drawn.observable}")
    if drawn.reynolds == "unseen":
        words.append("at Re that was not trained on")
    if not drawn.residual:
        words.append("with residual: false")
    if drawn.sampler is not None:
        words.append(f"by {drawn.sampler}")
    if drawn.steps is not None:
        words.append(f"in {drawn.steps} steps")
    if drawn.members is not None:
        words.append(f"with {drawn.members} members")
    method = "a formula"
    if name in arms:
        settings = arms[name].model_dump(exclude_defaults=True, exclude={"equal"})
        said = yaml.safe_dump(settings, default_flow_style=True, sort_keys=False, width=1000)
        alike = {
            "patches": "as many patches in training",
            "training_flops": "as many FLOPs in training",
        }
        method = f"{name} ({said.strip()}; {alike[arms[name].equal]})"
    return f"{method} on {' '.join(words)}"
