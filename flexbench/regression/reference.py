"""The committed reference: the scores of n seeds, what made them, and why they changed."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flexbench import git
from flexbench.atomic import write_text
from flexbench.errors import FlexbenchError
from flexbench.paths import checkout
from flexbench.regression.scores import Run

FEWEST_SEEDS = 8


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Change(_Strict):
    """Why, when and at which revision a reference was accepted, with its mean scores."""

    date: str
    reason: str = Field(min_length=1)
    revision: str | None
    seeds: int
    means: dict[str, float]


class Reference(_Strict):
    """The file `workflow/reference/<tier>.json`; the last change is the one in force."""

    format: Literal["flexbench-reference"] = "flexbench-reference"
    format_version: Literal[1] = 1
    tier: str
    benchmark_version: str
    seeds: dict[int, dict[str, float]] = Field(min_length=FEWEST_SEEDS)
    counts: dict[str, float]
    code: dict[str, str]
    machine: dict[str, str]
    configuration: dict[str, Any]
    history: list[Change] = Field(min_length=1)

    @model_validator(mode="after")
    def _complete(self) -> "Reference":
        for seed, scores in self.seeds.items():
            if set(scores) != set(self.names):
                raise ValueError(f"seed {seed} does not have the scores {', '.join(self.names)}")
        return self

    @property
    def names(self) -> list[str]:
        """The named scores."""
        return list(next(iter(self.seeds.values())))

    def values(self, name: str) -> list[float]:
        """A score of every seed, in the order of the seeds."""
        return [scores[name] for scores in self.seeds.values()]


def default_reference(tier: str) -> Path:
    """Where a tier's reference is committed."""
    return checkout() / "workflow" / "reference" / f"{tier}.json"


def read_reference(path: Path) -> Reference:
    """FlexbenchError, in one line, where the file is missing or no reference."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FlexbenchError(
            f"{path}: no such reference; `flexbench accept` makes one of a run with "
            f"{FEWEST_SEEDS} seeds or more"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise FlexbenchError(f"{path}: cannot be read ({error})") from None
    try:
        return Reference.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise FlexbenchError(
            f"{path}: not a reference: {place}{': ' if place else ''}{message}"
        ) from None


def accept(run: Run, path: Path, *, reason: str) -> Reference:
    """Make a run the reference, with the history of the former one; refuses what is no measure.

    Raises FlexbenchError without a reason, with fewer than FEWEST_SEEDS seeds, with red flags, or
    where a score is not finite.
    """
    if not reason.strip():
        raise FlexbenchError("--reason: say why the reference changes")
    if len(run.seeds) < FEWEST_SEEDS:
        raise FlexbenchError(
            f"{run.folder}: {len(run.seeds)} training seeds; a reference needs {FEWEST_SEEDS} or "
            "more (`--set training_seeds=[…]`)"
        )
    if run.flags:
        raise FlexbenchError(f"{run.folder}: red flag: {run.flags[0]}")
    for seed, scores in run.seeds.items():
        for name, value in scores.items():
            if not abs(value) < float("inf"):
                raise FlexbenchError(f"{run.folder}: {name} of training seed {seed} is {value}")
    history = read_reference(path).history if path.exists() else []
    change = Change(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        reason=" ".join(reason.split()),
        revision=git.revision(),
        seeds=len(run.seeds),
        means=_means(run),
    )
    reference = Reference(
        tier=run.tier,
        benchmark_version=run.benchmark_version,
        seeds=run.seeds,
        counts=run.counts,
        code=run.code,
        machine=run.machine,
        configuration=run.configuration,
        history=[*history, change],
    )
    write_text(path, json.dumps(reference.model_dump(mode="json"), indent=1) + "\n")
    return reference


def _means(run: Run) -> dict[str, float]:
    names = list(next(iter(run.seeds.values())))
    return {
        name: round(sum(scores[name] for scores in run.seeds.values()) / len(run.seeds), 6)
        for name in names
    }
