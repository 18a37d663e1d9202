"""What every kind of task says of itself, without a tensor: its window, its names, its checks."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from flexbench.config.base import Misfit, Name, Points, Settings, Unique
from flexbench.errors import FlexbenchError
from flexbench.spec import ProblemSpec

if TYPE_CHECKING:
    from flexbench.config.own_data import DataSettings


class TaskBase(Settings):
    """The settings that all tasks have, and what a kind of task has to tell.

    title: the kind in a person's words. given, base_name: what a network starts from, and the field
    that a residual is added to. condition_channels: of what a network is told. rolls_out: whether
    a prediction can become a part of what the next one is made from. difficulty_key: the key that
    makes one task harder than another that is alike in all else.
    """

    title: ClassVar[str]
    given: ClassVar[str]
    base_name: ClassVar[str]
    rolls_out: ClassVar[bool] = False
    difficulty_key: ClassVar[str]

    kind: str
    patch: Points = Field(64, description="height and width of the training patches")
    normalisation: Literal["unit_variance", "official"] = Field(
        "unit_variance", description="official: residuals divided by the field's std, not their own"
    )
    residual: bool = Field(
        True, description="what is generated: truth - base; false: the field itself"
    )
    methods: Annotated[list[Name], Unique] | None = Field(
        None, description="the methods that run on this task; null: all of the tier's"
    )

    @property
    def headline(self) -> str:
        """The kind, with what tells it from others of its kind, in a person's words."""
        return self.title

    # --- the window of snapshots that an example is made of ---------------------------------

    @property
    def window(self) -> int:
        """Snapshots in a window, the target among them."""
        return 1

    @property
    def target(self) -> int:
        """Place of the target in the window, from 0: the last, unless a kind says otherwise."""
        return self.window - 1

    @property
    def lead_time(self) -> float | None:
        """Time between two snapshots of a window; None where a window is a single snapshot."""
        return None

    @property
    def condition_channels(self) -> int:
        """Channels of the condition."""
        raise NotImplementedError

    @property
    def difficulty(self) -> float:
        """The larger, the harder, of tasks that are alike but for `difficulty_key`."""
        return float(getattr(self, self.difficulty_key))

    @property
    def align(self) -> int:
        """Patches of fields that are not periodic, and tiles, start at multiples of it."""
        return 1

    def cutoff(self, points: int) -> float | None:
        """The largest wavenumber that the given field holds, of a field of so many points per side;
        None: all that there are."""
        return None

    def span(self, leads: int) -> float:
        """Time from the first snapshot of a window to its last, or to the last of so many leads."""
        return (self.window + leads - 2) * (self.lead_time or 0.0)

    def stride(self, interval: float, *, where: str = "") -> int:
        """Stored snapshots between two of a window; interval: time between two stored snapshots.

        Raises FlexbenchError, naming `where`, unless the one is a whole multiple of the other.
        """
        return 1 if self.lead_time is None else window_stride(self.lead_time, interval, where=where)

    def problem(self, *, periodic: bool = True) -> ProblemSpec:
        """All that a network has to know of the task before it is built."""
        return ProblemSpec(
            task=self.kind,
            condition_channels=self.condition_channels,
            patch=self.patch,
            periodic=periodic,
        )

    # --- what has to fit: Misfit otherwise; `name` is the task's ----------------------------

    def check_grid(self, name: str, *, grid: int, overlap: int) -> None:
        """Patches, whole or overlapping, make up a simulated field of grid x grid points."""
        patch, key = self.patch, f"tasks.{name}.patch"
        if patch > grid:
            raise Misfit(f"{key} ({patch}) is larger than the field ({grid})", key, "solver.grid")
        if grid % patch and not overlap:
            raise Misfit(
                f"{key} ({patch}) must divide the grid ({grid}), or sample.overlap be more than 0",
                *(key, "solver.grid", "sample.overlap"),
            )

    def check_overlap(self, name: str, overlap: int, *, place: str) -> None:
        """Tiles get on by a point at least; place: the section that holds the overlap."""
        if overlap >= self.patch:
            raise Misfit(
                f"{place}.overlap ({overlap}) must be smaller than tasks.{name}.patch "
                f"({self.patch})",
                *(f"{place}.overlap", f"tasks.{name}.patch"),
            )

    def check_interval(self, name: str, interval: float) -> None:
        """What is stored holds the snapshots of a window."""
        if self.lead_time is None:
            return
        ratio = self.lead_time / interval
        if abs(ratio - round(ratio)) > 1e-6 or round(ratio) < 1:
            raise Misfit(
                f"tasks.{name}.lead ({self.lead_time:g}) must be a whole multiple of "
                f"solver.interval ({interval:g})",
                *(f"tasks.{name}.lead", "solver.interval"),
            )

    def check_data(self, name: str, data: "DataSettings") -> None:
        """The task can be done on this data of a user's own."""
        if data.crop is not None and data.crop.size % self.patch:
            raise Misfit(
                f"data.crop.size ({data.crop.size}) must be a multiple of tasks.{name}.patch "
                f"({self.patch})",
                *("data.crop.size", f"tasks.{name}.patch"),
            )


def window_stride(lead: float, interval: float, *, where: str = "") -> int:
    """Stored snapshots per lead; FlexbenchError, naming `where`, unless the lead is a multiple."""
    ratio = lead / interval
    if round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-3:
        raise FlexbenchError(
            f"{where}{': ' if where else ''}lead {lead:g} is not a whole multiple of the interval "
            f"{interval:g} between snapshots"
        )
    return round(ratio)
