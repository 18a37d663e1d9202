"""What the weights of an imported checkpoint cannot tell, in a YAML file beside them.

Every key has to be there: a network was trained in one way, and no default knows which.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, ValidationError, model_validator

from flexbench.config import DiffusionSettings, Misfit, Settings
from flexbench.config.base import NonNegative, unknown_key
from flexbench.config.reading import Origin, explain
from flexbench.config.strict_yaml import parse_yaml, read_yaml
from flexbench.config.tasks.superres import SuperResolutionSettings
from flexbench.errors import FlexbenchError
from flexbench.nested import Difference, differences

# Of the task; what else a run's tasks may say is not about the network.
_OF_TASK = ("factor", "degradation", "upsampling", "alignment", "patch", "residual")

# The conventions of minFLEX's loader and trainer.
_PUBLISHED = """\
# What the weights beside this file cannot tell. These are minFLEX's conventions for ERA5; whoever
# trained the network otherwise has to say so here, before anything is sampled.
scales: {{mean: 0, std: 1}}      # the network sees (field - mean) / std, and residuals / std
reynolds: 0                    # told as Re / 40000; 0 where there is none
diffusion:
  target: v                    # of the loss: v or eps (networks of either give v)
  shift: 1                     # s of the cosine log-SNR schedule
  grid: uniform                # times of N sampler steps: k / N
task:
  factor: 4
  degradation: strided
  upsampling: bilinear         # of each patch by itself
  alignment: official          # half-pixel centres
  patch: {patch}
  residual: true               # what is generated: the field less the up-sampled one
"""


class ScalesSettings(Settings):
    """One mean and one standard deviation, of fields and residuals alike."""

    mean: float
    std: PositiveFloat


class OfficialDiffusion(Settings):
    """The diffusion of the authors; their networks for target x give no velocity."""

    target: Literal["v", "eps"]
    shift: PositiveFloat = Field(ge=1e-6, le=1e6)
    grid: Literal["uniform"]

    @property
    def settings(self) -> DiffusionSettings:
        return DiffusionSettings(target=self.target, shift=self.shift)


class TaskSettings(SuperResolutionSettings):
    """Super-resolution, all of it said."""

    @model_validator(mode="after")
    def _is_whole(self) -> "TaskSettings":
        found = self.model_fields_set - {"kind"}
        for key in sorted(found - set(_OF_TASK)):
            raise Misfit(f"{key}: {unknown_key(key, _OF_TASK)}", key)
        for key in _OF_TASK:
            if key not in found:
                raise Misfit(f"{key} is missing; needed: {', '.join(_OF_TASK)}", key)
        if self.patch % self.factor:
            raise Misfit(
                f"factor ({self.factor}) must divide the patch ({self.patch})", "factor", "patch"
            )
        return self


class Sidecar(Settings):
    """The file. reynolds: what all fields are told to have, Re itself."""

    scales: ScalesSettings
    reynolds: NonNegative
    diffusion: OfficialDiffusion
    task: TaskSettings


def sidecar_of(checkpoint: Path) -> Path:
    """Where the sidecar of an imported checkpoint stands."""
    return checkpoint.with_name(f"{checkpoint.name}.yaml")


def published_sidecar(patch: int) -> str:
    """The text of a sidecar with the conventions of the published checkpoint."""
    return _PUBLISHED.format(patch=patch)


def departures(sidecar: Sidecar) -> list[Difference]:
    """Where a sidecar differs from those conventions, which stand before."""
    text = published_sidecar(sidecar.task.patch)
    usual = Sidecar.model_validate(parse_yaml(text)).model_dump()
    return list(differences(usual, sidecar.model_dump()))


def read_sidecar(path: Path) -> Sidecar:
    """FlexbenchError, with one line for every key that is wrong or missing."""
    if not path.exists():
        raise FlexbenchError(
            f"{path}: missing; `flexbench import-checkpoint` writes it beside the weights, and "
            "nothing can be sampled without"
        )
    values = read_yaml(path)
    try:
        return Sidecar.model_validate(values)
    except ValidationError as error:
        origins = [Origin(str(path), values)]
        lines = [explain(item, origins, whole=Sidecar) for item in error.errors()]
        raise FlexbenchError("\n".join(dict.fromkeys(lines))) from None
