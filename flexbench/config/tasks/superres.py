"""Super-resolution: a snapshot from its degraded version."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from flexbench.config.base import Misfit
from flexbench.config.tasks.base import TaskBase

if TYPE_CHECKING:
    from flexbench.config.own_data import DataSettings


class SuperResolutionSettings(TaskBase):
    """Super-resolution: a snapshot from its degraded version."""

    title: ClassVar[str] = "Super-resolution"
    given: ClassVar[str] = "low resolution"
    base_name: ClassVar[str] = "up-sampled"
    difficulty_key: ClassVar[str] = "factor"

    kind: Literal["superres"] = "superres"
    factor: Literal[2, 4, 8, 16] = 4
    degradation: Literal["block_mean", "strided", "bicubic", "spectral"] = "block_mean"
    upsampling: Literal["bicubic", "bilinear", "spectral"] = "bicubic"
    alignment: Literal["aligned", "official"] = Field(
        "aligned", description="official: half-pixel-centred up-sampling of strided samples"
    )

    @model_validator(mode="after")
    def _aligned(self) -> "SuperResolutionSettings":
        official = self.alignment == "official"
        if official and (self.degradation != "strided" or self.upsampling == "spectral"):
            raise Misfit(
                f"alignment: 'official' with degradation '{self.degradation}' and upsampling "
                f"'{self.upsampling}'; allowed: 'strided' with 'bicubic' or 'bilinear'",
                *("alignment", "degradation", "upsampling"),
            )
        return self

    @property
    def headline(self) -> str:
        """With how many times finer it gets."""
        return f"{self.title} ×{self.factor}"

    @property
    def condition_channels(self) -> int:
        """The up-sampled field."""
        return 1

    @property
    def align(self) -> int:
        """The low-resolution points of a patch are those of the domain."""
        return self.factor

    def cutoff(self, points: int) -> float | None:
        """Half the points per side of the low-resolution field."""
        return points // 2 / self.factor

    def check_grid(self, name: str, *, grid: int, overlap: int) -> None:
        """Fields, too, are made of whole low-resolution points."""
        self._check_factor(name)
        if grid % self.factor:
            key = f"tasks.{name}.factor"
            raise Misfit(f"{key} ({self.factor}) must divide the grid ({grid})", key, "solver.grid")
        super().check_grid(name, grid=grid, overlap=overlap)

    def check_overlap(self, name: str, overlap: int, *, place: str) -> None:
        """Tiles get on by a whole low-resolution point at least."""
        super().check_overlap(name, overlap, place=place)
        if overlap > self.patch - self.factor:
            raise Misfit(
                f"{place}.overlap ({overlap}) must be at most tasks.{name}.patch - factor "
                f"({self.patch - self.factor})",
                *(f"{place}.overlap", f"tasks.{name}.patch", f"tasks.{name}.factor"),
            )

    def check_data(self, name: str, data: "DataSettings") -> None:
        """Spectral operators need the whole period."""
        self._check_factor(name)
        super().check_data(name, data)
        if "spectral" in (self.degradation, self.upsampling) and not data.is_periodic:
            raise Misfit(
                f"tasks.{name}: a spectral degradation or upsampling needs periodic data; "
                "data.periodic is false, or data.crop given",
                *(f"tasks.{name}.degradation", f"tasks.{name}.upsampling"),
                *("data.periodic", "data.crop"),
            )

    def _check_factor(self, name: str) -> None:
        """Patches are made of whole low-resolution points."""
        if self.patch % self.factor:
            key = f"tasks.{name}.factor"
            raise Misfit(
                f"{key} ({self.factor}) must divide the patch ({self.patch})",
                *(key, f"tasks.{name}.patch"),
            )


SETTINGS = SuperResolutionSettings
