"""One-step forecasting: a snapshot from past ones."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat

from flexbench.config.tasks.base import TaskBase


class ForecastSettings(TaskBase):
    """One-step forecasting: a snapshot from past ones."""

    title: ClassVar[str] = "Forecast"
    given: ClassVar[str] = "past snapshot"
    base_name: ClassVar[str] = "last snapshot"
    rolls_out: ClassVar[bool] = True
    difficulty_key: ClassVar[str] = "lead"

    kind: Literal["forecast"] = "forecast"
    past: Literal[2] = Field(2, description="number of past snapshots")
    lead: PositiveFloat = Field(0.1, description="time between two snapshots of a window")

    @property
    def window(self) -> int:
        """The past, then the target."""
        return self.past + 1

    @property
    def lead_time(self) -> float | None:
        """Time between two past snapshots, and from the last of them to the target."""
        return self.lead

    @property
    def condition_channels(self) -> int:
        """The past."""
        return self.past


SETTINGS = ForecastSettings
