"""What was fitted, and what the sampler draws with it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flexbench.atomic import write_text
from flexbench.diffusion.sampler import Posterior
from flexbench.errors import FlexbenchError
from flexbench.posterior.features import NAMES, Features, Span
from flexbench.posterior.noise import SHELLS, shaped

# Of files; a fit of another layout is no fit.
VERSION = 2


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """The errors of x0_hat at one time of the sampler.

    t: that time. coefficients: (F,) of the features, float64, in the order of `features.NAMES`.
    spectrum: (SHELLS + 1,) of errors in units of their own standard deviation, float64, where the
    amplitude of the domain is in the middle of its span. tilt: (SHELLS + 1,) by how much the
    spectrum's logarithm grows with that amplitude. span: amplitudes that the fit has seen.
    """

    t: float
    coefficients: Tensor
    spectrum: Tensor
    tilt: Tensor
    span: Span

    def deviation(self, features: Features, x0_hat: Tensor) -> Tensor:
        """Standard deviation (M,C,H,W) of the errors of x0_hat (M,C,H,W)."""
        logarithm = torch.zeros_like(x0_hat)
        found = features.of(x0_hat, span=self.span)
        for coefficient, feature in zip(self.coefficients.tolist(), found, strict=True):
            if coefficient:
                logarithm += coefficient * feature
        return torch.exp(logarithm / 2)

    def draw(self, features: Features, x0_hat: Tensor, white: Tensor) -> Tensor:
        """x0 (M,C,H,W) from white noise (M,C,H + 2 margin,W + 2 margin)."""
        x0_hat = features.held(x0_hat)
        return x0_hat + self.noise(features, x0_hat, white)

    def noise(self, features: Features, x0_hat: Tensor, white: Tensor) -> Tensor:
        """What may be wrong with x0_hat: noise (M,C,H,W), from white noise as in `draw`."""
        return self.loud(self.deviation(features, x0_hat), features, x0_hat, white)

    def loud(self, deviation: Tensor, features: Features, x0_hat: Tensor, white: Tensor) -> Tensor:
        """The same where the deviation (M,C,H,W) is known."""
        away = features.amplitude(x0_hat).double().clamp(*self.span) - sum(self.span) / 2
        tilt = torch.exp(away[:, None] * self.tilt.to(away))
        spectrum = self.spectrum.to(away) * tilt
        drawn = deviation * shaped(white, spectrum, periodic=features.periodic)
        return features.known.free(drawn) if features.known else drawn

    def as_json(self) -> dict[str, Any]:
        return {
            "t": self.t,
            "span": list(self.span),
            "coefficients": self.coefficients.tolist(),
            "spectrum": self.spectrum.tolist(),
            "tilt": self.tilt.tolist(),
        }

    @classmethod
    def of_json(cls, entry: Any) -> "ErrorModel":
        """ValueError, KeyError or TypeError for what is not a model."""
        return cls(
            t=float(entry["t"]),
            span=(float(entry["span"][0]), float(entry["span"][1])),
            coefficients=_numbers(entry["coefficients"], len(NAMES)),
            spectrum=_numbers(entry["spectrum"], SHELLS + 1),
            tilt=_numbers(entry["tilt"], SHELLS + 1),
        )


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The fit of one checkpoint, for one setting of the sampler.

    setting: its name. weights: SHA-256 of the checkpoint's file. models: one for each time of the
    sampler, in the order of its steps. later: of the last time, at leads 2, 3, … of a rollout.
    holds: whether samples are held to the part of the target that the task tells.
    """

    setting: str
    weights: str
    models: tuple[ErrorModel, ...]
    later: tuple[ErrorModel, ...] = ()
    holds: bool = True

    def posterior(self, features: Features, *, lead: int = 1) -> Posterior:
        """What `diffusion.Draw` takes. lead: beyond those that were fitted, as at the last one."""
        *before, last = self.models
        at_lead = (last, *self.later)[min(lead, len(self.later) + 1) - 1]
        models = (*before, at_lead)

        def drawn(step: int, x0_hat: Tensor, white: Tensor) -> Tensor:
            return models[step].draw(features, x0_hat, white)

        return drawn

    def write(self, path: Path) -> None:
        """As JSON, atomically; the same fit gives the same bytes."""
        write_text(path, json.dumps(self.as_json(), indent=1) + "\n")

    def as_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "setting": self.setting,
            "weights": self.weights,
            "features": NAMES,
            "holds": self.holds,
            "models": [model.as_json() for model in self.models],
            "later": [model.as_json() for model in self.later],
        }

    @classmethod
    def read(cls, path: Path, *, again: str) -> "Calibration":
        """FlexbenchError for a file that is damaged, or of features that do not exist.

        again: the command that makes it anew.
        """
        try:
            return cls._of(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())
            what = f"lacks {reason}" if isinstance(error, KeyError) else reason
            raise FlexbenchError(
                f"{path}: not a calibration ({what}); `{again}` makes it anew"
            ) from None

    @classmethod
    def _of(cls, content: Any) -> "Calibration":
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']}, allowed: {VERSION}")
        if tuple(content["features"]) != NAMES:
            unknown = [name for name in content["features"] if name not in NAMES]
            what = f"feature '{unknown[0]}' does not exist" if unknown else "features are missing"
            raise ValueError(f"{what}, allowed: {', '.join(NAMES)}")
        models, later = (
            tuple(ErrorModel.of_json(entry) for entry in content[key])
            for key in ("models", "later")
        )
        return cls(
            setting=content["setting"],
            weights=content["weights"],
            models=models,
            later=later,
            holds=bool(content["holds"]),
        )


def _numbers(values: Any, count: int) -> Tensor:
    found = torch.tensor(values, dtype=torch.float64)
    if found.shape != (count,) or not torch.isfinite(found).all():
        raise ValueError(f"{tuple(found.shape)} numbers, allowed: {count} finite ones")
    return found
