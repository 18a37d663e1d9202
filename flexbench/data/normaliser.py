"""The two numbers that scale a task's condition and residual."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from flexbench.errors import FlexbenchError


@dataclass(frozen=True)
class Normaliser:
    """Scales between physical units and what networks see.

    condition = physical / field_std; residual = physical / residual_std.
    """

    field_std: float
    residual_std: float

    def __post_init__(self) -> None:
        for name in ("field_std", "residual_std"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise FlexbenchError(f"{name} is {value}; allowed: a finite number above 0")

    @classmethod
    def of(cls, statistics: Mapping[str, Any]) -> "Normaliser":
        """From what `compute_statistics` returned."""
        missing = [name for name in ("field_std", "residual_std") if name not in statistics]
        if missing:
            raise FlexbenchError(f"statistics: key '{missing[0]}' is missing")
        return cls(
            field_std=float(statistics["field_std"]),
            residual_std=float(statistics["residual_std"]),
        )
