"""A run against the reference: a verdict per score."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Literal

from pydantic import ValidationError

from flexbench.config import Config
from flexbench.errors import FlexbenchError
from flexbench.nested import differences
from flexbench.regression.reference import Reference
from flexbench.regression.scores import Run, comparable, kind_of
from flexbench.regression.statistics import (
    ALPHA,
    Limits,
    detected,
    leave_one_out,
    prediction_limits,
    share_interval,
)

Status = Literal["ok", "better", "worse", "missing"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One score. run: of its seeds (a geometric mean for ratios). std, limit: None for counts.

    std: of one seed; of a ratio, relative to the mean. message: what to say where it fails.
    """

    name: str
    run: float
    mean: float
    std: float | None = None
    limit: float
    status: Status
    message: str = ""

    @property
    def failed(self) -> bool:
        return self.status in ("worse", "missing")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All verdicts, and what is to be said beside them. seeds: of the run, of the reference."""

    verdicts: list[Verdict]
    flags: list[str]
    notes: list[str] = field(default_factory=list)
    seeds: tuple[int, int]
    alpha: float

    @property
    def failures(self) -> list[str]:
        """One line for all that fails; empty where the run passes."""
        failed = [verdict.message for verdict in self.verdicts if verdict.failed]
        return failed + [f"red flag: {flag}" for flag in self.flags]


def judge(
    run: Run, reference: Reference, *, alpha: float = ALPHA, ignore_configuration: bool = False
) -> Outcome:
    """Hold a run's scores against a reference's limits.

    Raises FlexbenchError where the two cannot be compared: another benchmark version or
    configuration, or a training seed that the reference itself was made of.
    """
    notes = _check_comparable(run, reference, ignore_configuration=ignore_configuration)
    verdicts = [_judge_score(name, run, reference, alpha=alpha) for name in reference.names]
    verdicts += [
        _judge_count(name, run.counts.get(name, math.nan), value)
        for name, value in reference.counts.items()
    ]
    better = [verdict.name for verdict in verdicts if verdict.status == "better"]
    if better:
        notes.append(
            f"better than the reference: {', '.join(better)}; "
            "`flexbench accept` makes the new level the one to keep"
        )
    return Outcome(
        verdicts=verdicts,
        flags=run.flags,
        notes=notes,
        seeds=(len(run.seeds), len(reference.seeds)),
        alpha=alpha,
    )


def score_limits(reference: Reference, name: str, *, runs: int = 1, alpha: float = ALPHA) -> Limits:
    """Limits of a score on its own scale of comparison (see `scores.Kind`)."""
    kind = kind_of(name)
    values = [kind.forward(value) for value in reference.values(name)]
    scores = len(reference.names)
    return prediction_limits(
        values, runs=runs, alpha=alpha, scores=scores, elsewhere=kind.elsewhere
    )


def _judge_score(name: str, run: Run, reference: Reference, *, alpha: float) -> Verdict:
    kind = kind_of(name)
    limits = score_limits(reference, name, runs=len(run.seeds), alpha=alpha)
    value = fmean(kind.forward(scores.get(name, math.nan)) for scores in run.seeds.values())
    own, mean, limit = (kind.back(it) for it in (value, limits.mean, limits.high))
    status: Status = "ok"
    message = ""
    if not math.isfinite(value):
        status, message = "missing", f"{name}: the run has no finite value"
    elif value > limits.high:
        status = "worse"
        message = f"{name}: {own:.4g} is above the limit {limit:.4g} (reference: {mean:.4g})"
    elif value < limits.low:
        status = "better"
    return Verdict(
        name=name,
        run=own,
        mean=mean,
        std=mean * limits.std if kind.log else limits.std,
        limit=limit,
        status=status,
        message=message,
    )


def _judge_count(name: str, run: float, limit: float) -> Verdict:
    """A count has no noise: any more is a regression."""
    status: Status
    if not math.isfinite(run):
        status, message = "missing", f"{name}: the run has no finite value"
    elif run > limit:
        status, message = "worse", f"{name}: {run:.10g} is more than the reference's {limit:.10g}"
    else:
        status, message = ("better" if run < limit else "ok"), ""
    return Verdict(name=name, run=run, mean=limit, limit=limit, status=status, message=message)


def _check_comparable(run: Run, reference: Reference, *, ignore_configuration: bool) -> list[str]:
    """Refuse, or return what is worth a note."""
    if run.benchmark_version != reference.benchmark_version:
        raise FlexbenchError(
            f"{run.folder}: benchmark version {run.benchmark_version}, the reference has "
            f"{reference.benchmark_version}; accept a new reference"
        )
    shared = sorted(set(run.seeds) & set(reference.seeds))
    if shared:
        raise FlexbenchError(
            f"{run.folder}: training seed {shared[0]} is one of the reference's; a new seed is "
            "needed, such as `--set training_seeds=[100]`"
        )
    changed = [
        f"{key}: {was} in the reference, {now} in the run"
        for key, was, now in differences(_configuration(reference), run.configuration)
    ]
    if changed and not ignore_configuration:
        raise FlexbenchError(
            "\n".join(
                (
                    f"{run.folder}: the configuration is not the reference's",
                    *changed,
                    "accept a new reference, or compare all the same by --ignore-configuration",
                )
            )
        )
    notes = [f"configuration differs: {line}" for line in changed]
    for name, was, now in differences(reference.machine, run.machine):
        notes.append(f"{name}: {was} in the reference, {now} in the run")
    changed_code = [step for step, _, _ in differences(reference.code, run.code)]
    if changed_code:
        notes.append(f"code behind these steps has changed: {', '.join(changed_code)}")
    return notes


def _configuration(reference: Reference) -> dict[str, Any]:
    """The reference's configuration, with the defaults of keys that are younger than it."""
    try:
        return comparable(Config.model_validate(reference.configuration))
    except ValidationError:
        return reference.configuration  # a key of it is gone: the difference will be told


# --- how good the gate is -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Power:
    """By which factor (ratios) or amount a score has to grow to be caught.

    half, most: caught with a probability of 50 % and of 90 %.
    """

    name: str
    text: str
    mean: float
    std: float
    limit: float
    half: str
    most: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """alarms: by seed, the scores that fail against the others' limits. interval: of the rate."""

    powers: list[Power]
    alarms: Mapping[int, list[str]]
    interval: tuple[float, float]
    alpha: float

    @property
    def false(self) -> int:
        return sum(bool(names) for names in self.alarms.values())


def explain(reference: Reference, *, alpha: float = ALPHA) -> Explanation:
    """How often the reference's own seeds fail against one another, and what the gate detects."""
    names = reference.names
    values = {name: [kind_of(name).forward(it) for it in reference.values(name)] for name in names}
    elsewhere = {name: kind_of(name).elsewhere for name in names}
    failed = leave_one_out(values, alpha=alpha, elsewhere=elsewhere)
    alarms = dict(zip(reference.seeds, failed, strict=True))
    return Explanation(
        powers=[_power(name, values[name], alpha=alpha, scores=len(names)) for name in names],
        alarms=alarms,
        interval=share_interval(sum(map(bool, failed)), len(failed)),
        alpha=alpha,
    )


def _power(name: str, values: list[float], *, alpha: float, scores: int) -> Power:
    kind = kind_of(name)
    limits = prediction_limits(values, alpha=alpha, scores=scores, elsewhere=kind.elsewhere)
    shifts = [
        detected(values, power=power, alpha=alpha, scores=scores, elsewhere=kind.elsewhere)
        for power in (0.5, 0.9)
    ]
    half, most = (f"x {math.exp(it):.3f}" if kind.log else f"+ {it:.3f}" for it in shifts)
    mean = kind.back(limits.mean)
    return Power(
        name=name,
        text=kind.text,
        mean=mean,
        std=mean * limits.std if kind.log else limits.std,
        limit=kind.back(limits.high),
        half=half,
        most=most,
    )
