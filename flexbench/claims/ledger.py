"""What a finished run says of every claim. All is read from files of scores and from receipts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from flexbench.claims.effects import Effects, effects_of
from flexbench.claims.measured import units_of
from flexbench.claims.registry import Claims, ClaimSettings, MeasuredPart, Part, claim_digests
from flexbench.claims.sides import BEST_FORMULA, NotRun, Side, Sides, find_sides
from flexbench.claims.verdict import (
    CANNOT_TELL,
    FEWEST_SEEDS,
    Evidence,
    Verdict,
    conjunction,
    holm,
    judge,
    p_values,
    seeds_to_decide,
    weigh,
    weigh_units,
)
from flexbench.graph import Graph, Job
from flexbench.metrics.comparisons import best_formula
from flexbench.metrics.rows import gather
from flexbench.metrics.tables import SNAPSHOT_SCORES
from flexbench.paths import Layout
from flexbench.provenance import read_receipt

Registration = Literal[
    "registered before the runs",
    "written after the fact",
    "of unknown age, since receipts of samples do not say",
]
BEFORE, AFTER, UNKNOWN = get_args(Registration)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One comparison, or one measured quantity. open: why nothing can be told, "" where an interval
    was judged.

    effect, low, high, smallest_visible: logarithms, NaN where they are not known. adjusted: the
    verdict at Holm's level. seeds_needed: see `verdict.seeds_to_decide`; trajectories_needed: the
    same, where nothing is trained. seeds, trajectories: that there are, 0 of what plays no part.
    """

    part: Part | MeasuredPart
    sides: Sides | None = None
    open: str = ""
    verdict: Verdict = CANNOT_TELL
    adjusted: Verdict = CANNOT_TELL
    effect: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    smallest_visible: float = np.nan
    seeds_needed: int | None = None
    trajectories_needed: int | None = None
    seeds: int = 0
    trajectories: int = 0

    @property
    def found(self) -> bool:
        """Whether the run has what it is about."""
        return bool(self.seeds or self.trajectories)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A claim with the decisions that it rests on. registration: None where nothing was judged."""

    name: str
    claim: ClaimSettings
    decisions: tuple[Decision, ...]
    registration: Registration | None

    @property
    def verdict(self) -> Verdict:
        return self._of(it.verdict for it in self.decisions)

    @property
    def adjusted(self) -> Verdict:
        return self._of(it.adjusted for it in self.decisions)

    def _of(self, verdicts: Iterable[Verdict]) -> Verdict:
        """What is lacking is a part that nothing can be told of."""
        return conjunction([*verdicts, *([CANNOT_TELL] if self.claim.lacking else [])])


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """entries: in the order of the registry. scope: what it is true of."""

    entries: tuple[Entry, ...]
    source: str
    pairing: str
    scope: str


def ledger_of(graph: Graph, claims: Claims, *, instead: Layout | None = None) -> Ledger:
    """Judge every claim by the scores of a run.

    instead: another results folder, whose files of scores take the place of those of the same name.
    """
    scores = Scores(graph, instead=instead)
    judged = [_judge(scores, claims, part) for part in claims.parts]
    judged += [_judge_measured(graph, claims, part) for part in claims.measured_parts]
    weighed = [evidence for _, evidence in judged]
    levels = holm(np.array([decision.p for decision, _ in judged]))
    decisions = [
        decision if evidence is None else replace(decision, adjusted=_at(level, decision, evidence))
        for (decision, _), evidence, level in zip(judged, weighed, levels, strict=True)
    ]
    config, digests, entries = graph.config, claim_digests(claims), []
    for name, claim in claims.claims.items():
        own = tuple(it for it in decisions if it.part.claim == name)
        behind = dict.fromkeys(job for it in own if it.sides for job in scores.behind(it.sides))
        told = registration(graph, name, digests[name], behind)
        entries.append(Entry(name=name, claim=claim, decisions=own, registration=told))
    return Ledger(
        entries=tuple(entries),
        source=claims.source,
        pairing=claims.pairing,
        scope=f"tier {config.tier}, size {config.size}, {config.train.steps} training steps, "
        f"{len(config.training_seeds)} training seed(s): every verdict is one at this budget",
    )


def registration(graph: Graph, claim: str, digest: str, jobs: Iterable[Job]) -> Registration | None:
    """Whether a claim stood already as it does when the samples of these jobs were drawn.

    The receipt of a file of samples holds the digests of the claims of its day; None without jobs.
    """
    paths = (graph.layout.samples(job.case, job.method, job.seed) for job in jobs)
    facts = [read_receipt(path).get("facts", {}).get("claims") for path in paths]
    if not facts:
        return None
    known = [it for it in facts if isinstance(it, dict)]
    if any(it.get(claim) != digest for it in known):
        return AFTER
    return BEFORE if len(known) == len(facts) else UNKNOWN


class Scores:
    """The score rows of a run, each file read once. instead: see `ledger_of`."""

    def __init__(self, graph: Graph, *, instead: Layout | None = None):
        self.graph, self._folders = graph, [it for it in (instead, graph.layout) if it is not None]
        self._rows: dict[tuple[str, str], pd.DataFrame] = {}

    def made(self, case: str, method: str) -> dict[Job, Path]:
        """The files that are there, of all training seeds."""
        found = {}
        for job in (job for job in self.graph.jobs_of(case) if job.method == method):
            paths = (folder.scores(case, method, job.seed) for folder in self._folders)
            path = next((path for path in paths if path.is_file()), None)
            if path is not None:
                found[job] = path
        return found

    def of(self, case: str, method: str) -> pd.DataFrame:
        """All training seeds whose files are there. Raises NotRun where none is."""
        key = (case, method)
        if key not in self._rows:
            made = self.made(case, method)
            if not made:
                raise NotRun(f"the scores of {method} on {case}, which are not made yet")
            self._rows[key] = gather(SNAPSHOT_SCORES.read(path) for path in made.values())
        return self._rows[key]

    def behind(self, sides: Sides) -> list[Job]:
        """The jobs whose scores both sides are made of."""
        found: list[Job] = []
        for side in filter(None, (sides.own, sides.other)):
            methods = [side.method]
            if side.method == BEST_FORMULA:
                jobs = self.graph.jobs_of(side.case)
                methods = [job.method for job in jobs if self.graph.is_formula(job.method)]
            found += (job for method in methods for job in self.made(side.case, method))
        return found

    def side(self, side: Side, score: str) -> pd.DataFrame:
        """Rows of a side; of the best formula, those of the one with the best mean score."""
        if side.method != BEST_FORMULA:
            return self.of(side.case, side.method)
        jobs = self.graph.jobs_of(side.case)
        rows = gather(
            self.of(side.case, job.method) for job in jobs if self.graph.is_formula(job.method)
        )
        method = best_formula(rows, score=score)
        if method is None:
            raise NotRun(f"a formula that has the score {score} on {side.case}")
        return rows[rows["method"] == method]

    @cached_property
    def trained(self) -> set[float]:
        return set(self.graph.split("train").reynolds)


def _judge(scores: Scores, claims: Claims, part: Part) -> tuple[Decision, Evidence | None]:
    """A decision without its adjusted verdict, and the evidence if there is an interval."""
    try:
        sides = find_sides(scores.graph, claims, part)
        effects = _effects(scores, sides, part)
    except NotRun as error:
        return Decision(part=part, open=f"not run here: needs {error}"), None
    count, settings = len(effects.seeds), part.settings
    decision = Decision(part=part, sides=sides, seeds=count, trajectories=effects.trajectories)
    evidence = weigh(effects.values[None], strata=effects.strata)
    decision = replace(decision, effect=float(evidence.value[0]))
    if told := _unfit(decision):
        return replace(decision, open=told), None
    if effects.trajectories < settings.trajectories or not np.isfinite(evidence.error[0]):
        least = max(settings.trajectories, 2 * len(effects.strata))
        told = f"needs {least} test trajectories, two of each Re or more"
        return replace(decision, open=f"{told}; has {effects.trajectories}"), None
    needed = seeds_to_decide(settings.says.statement, evidence, seeds=settings.seeds)[0]
    return replace(_decided(decision, evidence), seeds_needed=needed), evidence


def _judge_measured(
    graph: Graph, claims: Claims, part: MeasuredPart
) -> tuple[Decision, Evidence | None]:
    """As `_judge`, of a quantity."""
    try:
        units = units_of(graph, claims, part)
    except NotRun as error:
        return Decision(part=part, open=f"not run here: needs {error}"), None
    count, settings, trained = len(units.values), part.settings, part.quantity.trained
    evidence = weigh_units(units.values[None], strata=units.strata)
    decision = Decision(
        part=part,
        seeds=count if trained else 0,
        trajectories=0 if trained else count,
        effect=float(evidence.value[0]),
    )
    if told := _unfit(decision):
        return replace(decision, open=told), None
    if not np.isfinite(evidence.error[0]):
        told = f"needs {2 * len(units.strata)} {part.units}, two of each Re or more; has {count}"
        return replace(decision, open=told), None
    fewest = max(settings.seeds, FEWEST_SEEDS)
    needed = seeds_to_decide(settings.says.statement, evidence, seeds=fewest)[0]
    found = _decided(decision, evidence)
    if trained:
        return replace(found, seeds_needed=needed), evidence
    return replace(found, trajectories_needed=needed), evidence


def _unfit(decision: Decision) -> str:
    """Why a decision has no effect, or too few seeds; "" where it has enough."""
    part = decision.part
    if not np.isfinite(decision.effect):
        return f"{part.label} is missing, or no positive number"
    if decision.seeds < part.settings.seeds:
        return f"needs {part.settings.seeds} training seeds, has {decision.seeds}"
    return ""


def _decided(decision: Decision, evidence: Evidence) -> Decision:
    """With what its interval says."""
    settings = decision.part.settings
    statement = settings.says.statement
    low, high = evidence.interval()
    return replace(
        decision,
        verdict=judge(statement, evidence, seeds=settings.seeds)[0],
        low=float(low[0]),
        high=float(high[0]),
        p=float(p_values(statement, evidence)[0]),
        smallest_visible=float(evidence.smallest_visible[0]),
    )


def _effects(scores: Scores, sides: Sides, part: Part) -> Effects:
    """Raises NotRun where the two sides share nothing."""
    settings = part.settings

    def rows(side: Side) -> pd.DataFrame:
        found = scores.side(side, part.score)
        trained = found["reynolds"].isin(scores.trained)
        return found[trained if settings.drawn.reynolds == "trained" else ~trained]

    effects = effects_of(
        rows(sides.own),
        None if sides.other is None else rows(sides.other),
        score=part.score,
        direction=settings.direction,
        details=(settings.drawn.detail, part.against_drawn.detail),
    )
    if effects is None:
        details = dict.fromkeys((settings.drawn.detail, part.against_drawn.detail))
        named = " ".join((part.score, *filter(None, details)))
        raise NotRun(f"{named} of both sides on {sides.own.case}, of the same seeds and snapshots")
    return effects


def _at(level: float, decision: Decision, evidence: Evidence) -> Verdict:
    """The verdict at Holm's level; 0: the step-down stopped before it."""
    if level == 0:
        return CANNOT_TELL
    settings = decision.part.settings
    return judge(settings.says.statement, evidence, seeds=settings.seeds, alpha=level)[0]
