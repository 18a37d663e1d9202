"""Cases: a task on the test split or on an evaluation; and the trajectories that they are of."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from flexbench.config.sections import (
    FITTED_LEADS,
    EvaluationSettings,
    NetworkPrecision,
    SampleSettings,
)
from flexbench.config.tasks import TaskSettings
from flexbench.spec import Boundary, Observable

if TYPE_CHECKING:
    from flexbench.config.whole import Config


class Run(NamedTuple):
    """One trajectory: its boundary, Reynolds number and seed."""

    boundary: Boundary
    reynolds: float
    seed: int

    @property
    def stem(self) -> str:
        """The name of its file, without the ending: re500_seed7, no_slip_re500_seed7."""
        return f"{self.walls}re{self.reynolds:g}_seed{self.seed}"

    @property
    def walls(self) -> str:
        """How that name begins: "no_slip_" or the like, nothing without walls."""
        return "" if self.boundary == "periodic" else f"{self.boundary}_"


@dataclass(frozen=True, kw_only=True)
class FitSetting:
    """What a fit of a sampler to validation depends on, besides the checkpoint."""

    task: str
    observable: Observable
    sampler: str
    steps: int
    overlap: int
    leads: int
    consistent: bool
    precision: NetworkPrecision

    @property
    def name(self) -> str:
        """forecast-calibrated-2, or forecast-u-calibrated-2-overlap8-leads2."""
        own = "" if self.observable == "w" else f"-{self.observable}"
        blended = f"-overlap{self.overlap}" if self.overlap else ""
        rolled = f"-leads{self.leads}" if self.leads > 1 else ""
        free = "" if self.consistent else "-free"
        rounded = "" if self.precision == "float32" else f"-{self.precision}"
        return f"{self.task}{own}-{self.sampler}-{self.steps}{blended}{rolled}{free}{rounded}"


@dataclass(frozen=True)
class Case:
    """A task on the flows it is scored on: the test split's, or those of an evaluation."""

    config: "Config"
    task: str
    evaluation: str | None = None

    @property
    def name(self) -> str:
        """What files and tables call it: `forecast`, or `forecast.no_slip`."""
        return self.task if self.evaluation is None else f"{self.task}.{self.evaluation}"

    @property
    def task_settings(self) -> TaskSettings:
        return self.config.tasks[self.task]

    @cached_property
    def settings(self) -> EvaluationSettings:
        """Its evaluation; the test split is the one where nothing differs."""
        if self.evaluation is None:
            return EvaluationSettings()
        return self.config.evaluations[self.evaluation]

    @property
    def is_rollout(self) -> bool:
        return self.settings.leads > 1

    @property
    def is_shifted(self) -> bool:
        """Whether its flows differ in kind from the test split's: the matrix shows it."""
        own, known = self.settings, self.config.split("test").reynolds
        if self.evaluation is None or self.is_rollout:
            return False
        others = set(own.reynolds or known) - set(known)
        return bool(others) or (own.boundary, own.observable) != ("periodic", "w")

    @cached_property
    def sample(self) -> SampleSettings:
        """`sample`, with the keys that its evaluation overrides."""
        place = f"evaluations.{self.evaluation}.sample"
        return self.config.sample.overridden(self.settings.sample, place=place)

    @property
    def fit(self) -> FitSetting | None:
        """What its sampler is fitted for; None where it needs no fit."""
        if not self.sample.is_fitted:
            return None
        return FitSetting(
            task=self.task,
            observable=self.settings.observable,
            sampler=self.sample.sampler,
            steps=self.sample.steps,
            overlap=self.sample.overlap,
            # Members that share one past differ by their last step alone, at every lead.
            leads=min(
                self.settings.leads, FITTED_LEADS if self.settings.feedback == "member" else 1
            ),
            consistent=self.sample.consistent,
            precision=self.sample.precision,
        )

    def snapshots_needed(self, stride: int) -> int:
        """The fewest snapshots of a file that all that is scored of it fits in.

        stride: stored snapshots between two of a window.
        """
        windows = self.task_settings.window + self.settings.leads - 2
        return windows * stride + self.sample.snapshots

    @cached_property
    def runs(self) -> list[Run]:
        """Its trajectories: every Re with every seed."""
        test, own = self.config.split("test"), self.settings
        return [
            Run(own.boundary, reynolds, seed)
            for reynolds in own.reynolds or test.reynolds
            for seed in own.seeds or test.seeds
        ]
