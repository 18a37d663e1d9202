"""The configuration: one set of pydantic models, the only source of defaults, YAML and JSON schema.

A tier's YAML under `workflow/config/` holds only what differs from the defaults here. Unknown
keys are errors that name the nearest key.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from flexbench.config.base import Name, Seed, Settings, Unique, Workers, plain_path
from flexbench.config.cases import Case
from flexbench.config.checks import check
from flexbench.config.cluster import ClusterSettings
from flexbench.config.own_data import DataSettings
from flexbench.config.sections import (
    CalibrationSettings,
    DiffusionSettings,
    EvaluationSettings,
    MethodSettings,
    SampleSettings,
    ScoreSettings,
    Size,
    SolverSettings,
    SplitSettings,
    SplitsSettings,
    SubmittedSettings,
    TheorySettings,
    TrainSettings,
)
from flexbench.config.tasks import TaskSettings

TIERS = ("smoke", "gate", "desk", "study", "lab", "paper")


class Config(Settings):
    """A whole run of the benchmark."""

    tier: Name = Field(
        "desk", description=f"names the folder of results; shipped: {', '.join(TIERS)}"
    )
    root: Annotated[str, AfterValidator(plain_path)] = Field(
        "results", description="where data and results go; may be outside the clone"
    )
    baseline_folders: list[str] = Field(
        default_factory=list, description="further folders with network files"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Workers = Field(1, description="CPU threads per job (changes bits, so it is set here)")
    size: Size = "XS"
    training_seeds: Annotated[list[Seed], Unique] = Field([0], min_length=1)
    methods: Annotated[list[Name], Unique] = Field(min_length=1)
    method_settings: dict[Name, MethodSettings] = Field(default_factory=dict)
    stages: list[Annotated[list[Name], Unique]] = Field(
        default_factory=list,
        description="methods whose scores are made first, in this order, so that a run that is "
        "stopped has told most; on one machine alone",
    )
    submitted: dict[Name, SubmittedSettings] | None = Field(
        None,
        description="methods that others ran, shown beside `methods`; null: those that "
        "`flexbench submit` put into the results, {}: none",
    )
    solver: SolverSettings = SolverSettings()
    splits: SplitsSettings | None = Field(
        None, description="which trajectories to simulate; null where `data` is given"
    )
    data: DataSettings | None = Field(
        None, description="data of your own, in place of simulated trajectories"
    )
    tasks: dict[Name, TaskSettings] = Field(min_length=1)
    evaluations: dict[Name, EvaluationSettings] = Field(
        default_factory=dict, description="flows unlike the test split's, by name; null: none"
    )
    diffusion: DiffusionSettings = DiffusionSettings()
    train: TrainSettings = TrainSettings()
    sample: SampleSettings = SampleSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    score: ScoreSettings = ScoreSettings()
    theory: TheorySettings | None = Field(
        None, description="what theory says of residuals, measured on this run; null: nothing"
    )
    cluster: ClusterSettings = ClusterSettings()

    @field_validator("evaluations", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        """An override of null takes away what a tier's file holds."""
        return {} if value is None else value

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        check(self)
        return self

    @property
    def submissions(self) -> dict[str, SubmittedSettings]:
        """The methods that others ran; {} where none is known."""
        return self.submitted or {}

    @property
    def all_methods(self) -> list[str]:
        """All that tables and the report show: `methods`, then those that others ran."""
        return [*self.methods, *self.submissions]

    def split(self, name: str) -> SplitSettings:
        """The trajectories of a split; of own data, its flows and the numbers of its sources."""
        if self.splits is not None:
            settings: SplitSettings = getattr(self.splits, name)
            return settings
        if self.data is None:
            raise ValueError("neither splits nor data")
        numbers = {source: number for number, source in enumerate(self.data.sources)}
        sources = self.data.sources_of(name)
        flows = sorted({self.data.sources[source].reynolds for source in sources})
        return SplitSettings(reynolds=flows, seeds=[numbers[source] for source in sources])

    @property
    def gap(self) -> float | None:
        """Time that has to lie between two splits of one source; None for simulated runs."""
        if self.data is None or self.data.gap is not None:
            return self.data.gap if self.data else None
        return max(task.span(leads=1) for task in self.tasks.values())

    @property
    def side_step(self) -> int:
        """What the side of a field has to be a multiple of: every task's patch."""
        return math.lcm(*(task.patch for task in self.tasks.values()))

    @property
    def cases(self) -> dict[str, Case]:
        """Every task on the test split, then on each evaluation that it can be done on."""
        found = [Case(config=self, task=task) for task in self.tasks]
        found += [
            Case(config=self, task=task, evaluation=name)
            for name, evaluation in self.evaluations.items()
            for task in self.tasks_of(evaluation)
        ]
        return {case.name: case for case in found}

    def tasks_of(self, evaluation: EvaluationSettings) -> list[str]:
        """The tasks that an evaluation can be done on: not every kind can be rolled out."""
        return [
            task
            for task, settings in self.tasks.items()
            if (evaluation.tasks is None or task in evaluation.tasks)
            and (evaluation.leads == 1 or settings.rolls_out)
        ]

    def fields_of(self, residuals: str) -> str | None:
        """The task that is the same as one of residuals, but for generating the field itself."""
        own = self.tasks[residuals]
        if not own.residual:
            return None
        free = {"residual", "methods"}
        wanted = own.model_dump(exclude=free)
        return next(
            (
                name
                for name, task in self.tasks.items()
                if not task.residual and task.model_dump(exclude=free) == wanted
            ),
            None,
        )

    def method(self, name: str) -> MethodSettings:
        """The settings of a method; a name without an entry is a network file of that name."""
        settings = self.method_settings.get(name, MethodSettings())
        return settings.model_copy(update={"network": settings.network or name})

    def train_settings(self, method: str) -> TrainSettings:
        """`train`, with the keys that the method overrides."""
        place = f"method_settings.{method}.train"
        return self.train.overridden(self.method(method).train, place=place)

    def diffusion_settings(self, method: str) -> DiffusionSettings:
        """`diffusion`, with the keys that the method overrides."""
        place = f"method_settings.{method}.diffusion"
        return self.diffusion.overridden(self.method(method).diffusion, place=place)

    def patches_of(self, method: str) -> float:
        """Patches of each of its tasks that a network sees in training."""
        train, together = self.train_settings(method), self.method(method).together
        return train.steps * train.batch / len(together or [method])

    def training_seeds_of(self, method: str) -> list[int]:
        """`training_seeds`; of a method that others ran, their own."""
        own = self.submissions.get(method)
        return self.training_seeds if own is None else own.training_seeds

    def seeds_of(self, case: str, method: str) -> list[int]:
        """The training seeds of a method on a case, in the order of `training_seeds_of`."""
        if method in self.submissions:
            return self.training_seeds_of(method)
        lists = (self.method(method).training_seeds, self.cases[case].settings.training_seeds)
        return [
            seed for seed in self.training_seeds if all(it is None or seed in it for it in lists)
        ]

    def methods_of(self, case: str) -> list[str]:
        """The methods asked for that this task or case runs, in the order of `all_methods`.

        Which of them can do the task's kind is the registry's knowledge, not the configuration's.
        """
        here = self.cases[case]
        lists = (self.tasks[here.task].methods, here.settings.methods)
        drawn = [name for name in self.methods if all(own is None or name in own for own in lists)]
        return drawn + [name for name, it in self.submissions.items() if case in it.cases]
