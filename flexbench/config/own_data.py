"""Section `data` of the configuration: data of a user's own, in place of simulated trajectories."""

from collections import Counter
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    field_validator,
    model_validator,
)

from flexbench.config.base import Name, NonNegative, Reynolds, Settings, Unique, plain_path
from flexbench.spec import Observable

Axis = Literal["time", "channel", "y", "x"]
Index = Annotated[int, Field(ge=0)]
Words = Annotated[
    str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Share = Annotated[float, Field(ge=0, le=1)]

# Whether the fields of a layout go on beyond their edges, where `periodic` does not say.
_PERIODIC = {"flex": True, "superbench": True, "era5": False, "well": False, "custom": False}
# Layouts whose channels are known: a flow on [0, 2 pi]^2, without units.
_FLOWS = {"flex", "superbench"}
_CHANNELS: tuple[Observable, ...] = ("u", "v", "w")

# Keys that say how results are labelled, and change no number of the data.
WORDS = ("name", "units", "time_units", "extent", "vorticity")


class SourceSettings(Settings):
    """One file, and the flow that it holds."""

    file: str = Field(description="HDF5 or NetCDF-4; relative: to the YAML file (or the checkout)")
    key: str | None = Field(None, min_length=1, description="the dataset; null: the layout's own")
    trajectory: Index | None = Field(
        None, description="which one of a file that holds several (layout well), from 0; null: 0"
    )
    reynolds: Reynolds = Field(
        description="the flow parameter that networks are told; any number where there is none"
    )

    @field_validator("file")
    @classmethod
    def _plain(cls, file: str) -> str:
        return plain_path(file)


class CropSettings(Settings):
    """The square that is used of every field."""

    y: Index = Field(description="first row")
    x: Index = Field(description="first column")
    size: PositiveInt = Field(description="points per side, a multiple of every task's patch")


class ExtentSettings(Settings):
    """Where the whole field of a file lies: coordinates of its outer edges."""

    x: tuple[float, float] = Field(description="left of the first column, right of the last one")
    y: tuple[float, float] = Field(description="before the first row, after the last one")
    units: Words | None = Field(None, description="of x and y, for labels")

    @model_validator(mode="after")
    def _sized(self) -> "ExtentSettings":
        for axis, (first, last) in {"x": self.x, "y": self.y}.items():
            if first == last:
                raise ValueError(f"{axis}: [{first:g}, {last:g}] is empty; two different ends")
        return self


Part = tuple[Share, Share] | Annotated[list[Name], Field(min_length=1), Unique]


class PartsSettings(Settings):
    """Of each split: a part of every source, [0, 0.7] of its snapshots, or names of sources."""

    train: Part
    validation: Part
    test: Part


class DataSettings(Settings):
    """Where the data is, how it lies in its files, and which split gets what of it."""

    layout: Literal["flex", "superbench", "era5", "well", "custom"] = Field(
        "custom", description="of the files; custom: any array, as the keys here say"
    )
    sources: dict[Name, SourceSettings] = Field(min_length=1)
    axes: Annotated[list[Axis], Unique] | None = Field(
        None, description="of a custom array; null: [time, y, x] or [time, channel, y, x]"
    )
    channel: Index | None = Field(
        None, description="which channel to take; null: the layout's own (vorticity)"
    )
    time: str | None = Field(
        None, min_length=1, description="dataset with the time of each snapshot; null: `interval`"
    )
    interval: PositiveFloat = Field(1.0, description="time between snapshots, where time is null")
    subtract: float = Field(0.0, description="from every value, before it is divided")
    divide_by: PositiveFloat = 1.0
    periodic: bool | None = Field(
        None,
        description="whether fields go on beyond their edges; null: flex and superbench do; with "
        "`crop` they do not",
    )
    vorticity: bool | None = Field(
        None,
        description="whether the field is the vorticity of a flow, so that, where it is periodic, "
        "energy and enstrophy are scored; null: channel w of flex and superbench is",
    )
    name: Words | None = Field(
        None, description="of the field, for labels; null: the file's `long_name`, or the dataset's"
    )
    units: Words | None = Field(
        None, description="of the file's values, for labels; null: the dataset's `units`"
    )
    time_units: Words | None = Field(
        None, description="of times, for labels; null: the `units` of the dataset `time`"
    )
    extent: ExtentSettings | None = Field(
        None, description="where the field lies, for the axes of maps; null: grid points"
    )
    crop: CropSettings | None = Field(
        None, description="null: the largest centred square that the patches divide"
    )
    splits: PartsSettings
    gap: NonNegative | None = Field(
        None, description="least time between splits of one source; null: the longest window's"
    )
    block: PositiveFloat | None = Field(
        None,
        description="where a flow parameter has one test source alone: how long stretches of it "
        "are, over which intervals are drawn; null: so many scored snapshots as the cube root of "
        "their number, rounded up",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "DataSettings":
        if self.axes is not None:
            if self.layout != "custom":
                raise ValueError(f"axes: layout '{self.layout}' has its own; allowed: null")
            missing = sorted({"time", "y", "x"} - set(self.axes))
            if missing:
                raise ValueError(f"axes: '{missing[0]}' is missing; time, y and x are needed")
        if self.layout != "well":
            for name, source in self.sources.items():
                if source.trajectory is not None:
                    raise ValueError(
                        f"sources.{name}.trajectory: layout '{self.layout}' has one in a file; "
                        "allowed: null"
                    )
        if self.layout == "custom":
            for name, source in self.sources.items():
                if source.key is None:
                    raise ValueError(f"sources.{name}.key: needed, as layout 'custom' has no own")
        parts = {split: getattr(self.splits, split) for split in PartsSettings.model_fields}
        in_time = {split: part for split, part in parts.items() if isinstance(part, tuple)}
        if in_time and len(in_time) < len(parts):
            raise ValueError("splits: all by parts in time, such as [0, 0.7], or all by sources")
        if in_time:
            _check_times(in_time)
        else:
            self._check_names(parts)
        return self

    def _check_names(self, parts: dict[str, list[str]]) -> None:
        seen: dict[str, str] = {}
        for split, names in parts.items():
            for name in names:
                if name not in self.sources:
                    known = ", ".join(self.sources)
                    raise ValueError(f"splits.{split}: no source '{name}'; allowed: {known}")
                if seen.setdefault(name, split) != split:
                    raise ValueError(f"leak: source '{name}' is in both {seen[name]} and {split}")

    @property
    def is_periodic(self) -> bool:
        """Whether what is used of the fields wraps around; `square_of` holds the files to it."""
        if self.crop is not None:
            return False
        return _PERIODIC[self.layout] if self.periodic is None else self.periodic

    @property
    def observable(self) -> Observable | None:
        """Which field of a flow the layout's channel is; None where the layout knows of none."""
        if self.layout not in _FLOWS:
            return None
        channel = 2 if self.channel is None else self.channel
        return _CHANNELS[channel] if channel < len(_CHANNELS) else None

    @property
    def flow(self) -> str:
        """What the number that tells flows apart is called, for short."""
        return "Re" if self.observable else "flow parameter"

    @property
    def has_one_flow(self) -> bool:
        """Whether a flow parameter has a single test source: no other tells how flows differ."""
        tested = Counter(self.sources[name].reynolds for name in self.sources_of("test"))
        return 1 in tested.values()

    @property
    def is_vorticity(self) -> bool:
        return self.observable == "w" if self.vorticity is None else self.vorticity

    def sources_of(self, split: str) -> list[str]:
        """Names of the sources that a split holds something of."""
        part = getattr(self.splits, split)
        return list(self.sources) if isinstance(part, tuple) else list(part)

    def part(self, split: str) -> tuple[float, float]:
        """Which part of the snapshots of its sources a split holds."""
        part = getattr(self.splits, split)
        return (part[0], part[1]) if isinstance(part, tuple) else (0.0, 1.0)


def _check_times(parts: dict[str, tuple[float, float]]) -> None:
    for split, (start, end) in parts.items():
        if start >= end:
            raise ValueError(f"splits.{split}: [{start:g}, {end:g}] is empty; start below end")
    ordered = sorted(parts, key=lambda split: parts[split])
    for one, other in pairwise(ordered):
        if parts[other][0] < parts[one][1]:
            raise ValueError(
                f"leak: splits {one} {list(parts[one])} and {other} {list(parts[other])} overlap"
            )
