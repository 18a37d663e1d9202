"""What is claimed: `workflow/claims.yaml`, read strictly. It holds statements and no verdict.

A comparison names what its two sides are (a method, and how it is drawn on which flows), not what
a tier happens to call them: the ledger looks for them in a run's own configuration. One comparison
may stand for many, one for each of its tasks, rivals and scores; a claim needs all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, StringConstraints, ValidationError, model_validator

from flexbench.claims.quantities import QUANTITIES, Quantity
from flexbench.claims.verdict import FEWEST_SEEDS, Statement
from flexbench.claims.verdict import KINDS as STATEMENTS
from flexbench.config import KINDS, MethodSettings, Misfit, Settings
from flexbench.config.base import Count, Name, NonNegative, unknown_key
from flexbench.config.reading import Origin, explain
from flexbench.config.strict_yaml import read_yaml
from flexbench.errors import FlexbenchError
from flexbench.metrics.definitions import DEFINITIONS
from flexbench.paths import default_claims as default_claims
from flexbench.provenance import digest_of
from flexbench.spec import Boundary, Observable

# What a method may be compared with besides another one: the formula that is best in the run's own
# scores, and a score of 1.
BEST_FORMULA = "best-formula"
PERFECT = "perfect"

# How a score is turned so that what is claimed is positive; the words of its definition.
Direction = Literal["lower", "higher", "one"]

# One sentence or more; a claim that says nothing is none.
Words = Annotated[str, StringConstraints(min_length=1)]


def _none(name: str) -> str:
    return f"{name} is none"


class ArmSettings(MethodSettings):
    """A method as a claim needs it: all that is not said here has its default.

    A size that is not said is any, the same of both sides. Of `train`, what is said here has to be
    so; all else is tuned, alike for all methods.
    """

    submitted: bool = Field(
        False, description="the method of this name that others ran; nothing else is known of it"
    )
    equal: Literal["patches", "training_flops"] = Field(
        "patches", description="what both arms of a comparison spend on training, within 5 %"
    )


class DrawnSettings(Settings):
    """How one side is drawn, and on which flows; null: any."""

    sampler: str | None = None
    steps: Count | None = None
    members: Count | None = None
    residual: bool = True
    boundary: Boundary = "periodic"
    observable: Observable = "w"
    reynolds: Literal["trained", "unseen"] = "trained"
    detail: str = Field("", description="of the score: near (walls), M=6 (members)")


class StatementSettings(Settings):
    """What is said of the effect, 100 of its units being about one percent of a score."""

    kind: str = Field(description=", ".join(STATEMENTS))
    delta: NonNegative | None = Field(None, description="the smallest effect that counts")
    margin: PositiveFloat | None = Field(None, description="the largest one that does not")
    because: Words = Field(description="why this delta or margin")

    @model_validator(mode="after")
    def _has_its_number(self) -> "StatementSettings":
        if self.kind not in STATEMENTS:
            raise Misfit(
                f"kind: {unknown_key(self.kind, STATEMENTS, what=_none(self.kind))}", "kind"
            )
        (needed,) = (field.name for field in fields(STATEMENTS[self.kind]))
        if self._numbers.keys() != {needed}:
            raise Misfit(f"{self.kind} needs {needed}, and no other number", "delta", "margin")
        return self

    @property
    def _numbers(self) -> dict[str, float]:
        given = {"delta": self.delta, "margin": self.margin}
        return {key: value for key, value in given.items() if value is not None}

    @property
    def statement(self) -> Statement:
        """The rules by which it is judged."""
        return STATEMENTS[self.kind](**self._numbers)


class ComparisonSettings(Settings):
    """Comparisons that are alike but for the task, the rival and the score."""

    tasks: list[str] = Field(min_length=1, description="kinds of task")
    method: Name
    drawn: DrawnSettings = DrawnSettings()
    against: list[Name] = Field(min_length=1)
    against_drawn: DrawnSettings | None = Field(None, description="null: as the method")
    scores: list[str] = Field(min_length=1)
    direction: Direction
    says: StatementSettings
    seeds: Annotated[int, Field(ge=FEWEST_SEEDS)] = Field(description="training seeds, at least")
    trajectories: Annotated[int, Field(ge=2)] = Field(2, description="test flows, at least")

    @model_validator(mode="after")
    def _is_known(self) -> "ComparisonSettings":
        for key, values, known in (
            ("tasks", self.tasks, KINDS),
            ("scores", self.scores, DEFINITIONS),
        ):
            for value in values:
                if value not in known:
                    raise Misfit(f"{key}: {unknown_key(value, known, what=_none(value))}", key)
        if PERFECT in self.against and (self.says.kind, self.direction) != ("equivalence", "one"):
            raise Misfit(
                f"against: {PERFECT} is a score of 1, which takes an equivalence and direction one",
                *("against", "says.kind", "direction"),
            )
        for score in self.scores:
            if (better := DEFINITIONS[score].better) != self.direction:
                raise Misfit(
                    f"direction: found {self.direction}, allowed: {better}, what is better of "
                    f"{score}",
                    *("direction", "scores"),
                )
        return self


class MeasuredSettings(Settings):
    """Effects of one quantity, ln(fields / residuals), alike but for the task and the moment."""

    tasks: list[str] = Field(min_length=1, description="kinds of task")
    quantity: str = Field(description=", ".join(QUANTITIES))
    method: Name | None = Field(None, description="whose trainings; null: nothing is trained")
    direction: Direction
    says: StatementSettings
    seeds: Annotated[int, Field(ge=0)] = Field(
        0, description="training seeds, at least; 0: nothing is trained"
    )

    @model_validator(mode="after")
    def _is_known(self) -> "MeasuredSettings":
        for key, values, known in (
            ("tasks", self.tasks, KINDS),
            ("quantity", [self.quantity], QUANTITIES),
        ):
            for value in values:
                if value not in known:
                    raise Misfit(f"{key}: {unknown_key(value, known, what=_none(value))}", key)
        if (better := QUANTITIES[self.quantity].better) != self.direction:
            raise Misfit(
                f"direction: found {self.direction}, allowed: {better}, what is better of "
                f"{self.quantity}",
                *("direction", "quantity"),
            )
        trained = QUANTITIES[self.quantity].trained
        if (self.method is not None) != trained or (self.seeds >= FEWEST_SEEDS) != trained:
            needed = f"a method and seeds of at least {FEWEST_SEEDS}" if trained else "neither"
            raise Misfit(
                f"method, seeds: {self.quantity} needs {needed}", "method", "seeds", "quantity"
            )
        return self


class ClaimSettings(Settings):
    """A claim: words, and the comparisons and measured quantities that it rests on, all of which
    it needs.

    lacking: what the suite does not measure of it; with it a claim cannot hold, only fail.
    """

    statement: Words
    scope: Words
    comparisons: list[ComparisonSettings] = Field(default_factory=list)
    measured: list[MeasuredSettings] = Field(default_factory=list)
    lacking: Words | None = None

    @model_validator(mode="after")
    def _rests_on_something(self) -> "ClaimSettings":
        if not (self.comparisons or self.measured) and self.lacking is None:
            raise Misfit(
                "comparisons, measured or lacking: one of them is needed", "comparisons", "measured"
            )
        return self

    @property
    def named(self) -> list[str]:
        """The methods that it is about."""
        compared = [name for it in self.comparisons for name in (it.method, *it.against)]
        return [*compared, *(it.method for it in self.measured if it.method is not None)]


ClaimName = Annotated[str, StringConstraints(pattern=r"^[0-9]+[a-z]?$")]


class Claims(Settings):
    """The file. source: where the claims were made."""

    source: Words
    pairing: Words
    arms: dict[Name, ArmSettings]
    claims: dict[ClaimName, ClaimSettings] = Field(min_length=1)

    @model_validator(mode="after")
    def _arms_are_known(self) -> "Claims":
        for reserved in (BEST_FORMULA, PERFECT):
            if reserved in self.arms:
                raise Misfit(f"arms.{reserved}: this name stands for something else", "arms")
        for part in self.parts:
            rivals = (*self.arms, BEST_FORMULA, PERFECT)
            for name, known in ((part.settings.method, self.arms), (part.against, rivals)):
                if name not in known:
                    place = f"claims.{part.claim}.comparisons"
                    raise Misfit(f"{place}: {unknown_key(name, known, what=f'no arm {name}')}")
        for measured in self.measured_parts:
            arm = measured.settings.method
            if arm is not None and arm not in self.arms:
                place = f"claims.{measured.claim}.measured"
                raise Misfit(f"{place}: {unknown_key(arm, self.arms, what=f'no arm {arm}')}")
        return self

    @property
    def parts(self) -> Iterator["Part"]:
        """Every single comparison, in the order of the file."""
        for claim, settings in self.claims.items():
            for it in settings.comparisons:
                for task, against, score in product(it.tasks, it.against, it.scores):
                    yield Part(claim=claim, settings=it, task=task, against=against, score=score)

    @property
    def measured_parts(self) -> Iterator["MeasuredPart"]:
        """Every single effect of a quantity, in the order of the file."""
        for claim, settings in self.claims.items():
            for it in settings.measured:
                for task, detail in product(it.tasks, QUANTITIES[it.quantity].details):
                    yield MeasuredPart(claim=claim, settings=it, task=task, detail=detail)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One comparison: of a method with one other, by one score, on one kind of task."""

    claim: str
    settings: ComparisonSettings
    task: str
    against: str
    score: str

    @property
    def against_drawn(self) -> DrawnSettings:
        return self.settings.against_drawn or self.settings.drawn

    @property
    def label(self) -> str:
        """What is compared."""
        return self.score


@dataclass(frozen=True, kw_only=True)
class MeasuredPart:
    """One quantity on one kind of task, of fields against residuals; detail: the moment."""

    claim: str
    settings: MeasuredSettings
    task: str
    detail: float | None

    @property
    def quantity(self) -> Quantity:
        return QUANTITIES[self.settings.quantity]

    @property
    def label(self) -> str:
        """What is measured, in words."""
        return " ".join(filter(None, (self.quantity.label, self.quantity.details[self.detail])))

    @property
    def units(self) -> str:
        """What there is one effect of each of, in words."""
        return "training seeds" if self.quantity.trained else "training trajectories"


def read_claims(path: Path) -> Claims:
    """FlexbenchError, with one line for every key that is wrong, where the file is no registry."""
    values = read_yaml(path)
    try:
        return Claims.model_validate(values)
    except ValidationError as error:
        origins = [Origin(str(path), values)]
        lines = [explain(item, origins, whole=Claims) for item in error.errors()]
        raise FlexbenchError("\n".join(dict.fromkeys(lines))) from None


def claim_digests(claims: Claims) -> dict[str, str]:
    """Digest of each claim, with the arms it names: comments, layout and order do not count."""
    values = claims.model_dump(mode="json", exclude_defaults=True)
    return {
        name: digest_of(
            {
                "claim": values["claims"][name],
                "pairing": values["pairing"],
                "arms": {
                    arm: values["arms"][arm] for arm in settings.named if arm in values["arms"]
                },
            }
        )
        for name, settings in claims.claims.items()
    }
