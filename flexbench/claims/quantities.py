"""Quantities besides scores that a claim may rest on: what each is, and its effects.

A quantity is measured of what networks may generate, residuals and fields; an effect is
``ln(fields / residuals)``, one for each unit: a training trajectory, or a training seed.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flexbench.metrics.tables import Table
from flexbench.theory.tables import GRADIENTS, TARGETS

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Units:
    """values (U,): an effect each, NaN where it has no logarithm. strata: how many of each Re."""

    values: Array
    strata: tuple[int, ...]


class Quantity(ABC):
    """A kind of measurement.

    label: in words. table: of its files. better: which side the claim is on, as of scores.
    trained: whether trainings decide it, so that its units are their seeds; if not, they are
    trajectories. details: at which it stands on its own, with the words for each.
    """

    label: ClassVar[str]
    table: ClassVar[Table]
    better: ClassVar[Literal["lower"]] = "lower"
    trained: ClassVar[bool]
    details: ClassVar[Mapping[float | None, str]]

    @abstractmethod
    def effects(self, residuals: pd.DataFrame, fields: pd.DataFrame, detail: float | None) -> Units:
        """Of rows of `table`, of the units that both have; positive where residuals are lower."""


class TargetVariance(Quantity):
    """Of v = alpha eps - sigma x0, both sides divided by the field's standard deviation.

    An effect is the mean over t of the logarithms.
    """

    label = "variance of the target"
    table = TARGETS
    trained = False
    details: ClassVar = {None: ""}

    def effects(self, residuals: pd.DataFrame, fields: pd.DataFrame, detail: float | None) -> Units:
        keys = ["reynolds", "trajectory"]
        both = _paired(
            *(rows[rows["scaling"] == "equal"] for rows in (residuals, fields)),
            keys=[*keys, "t"],
            column="target_variance",
        )
        effects = both.groupby(level=keys, sort=True).agg(lambda values: values.mean(skipna=False))
        strata = effects.groupby(level="reynolds", sort=True).size()
        return Units(values=np.asarray(effects, dtype=np.float64), strata=tuple(strata.tolist()))


class GradientNoise(Quantity):
    """The noise scale tr(Sigma) / |G|^2; moments are parts of a training's steps."""

    label = "noise scale of gradients"
    table = GRADIENTS
    trained = True
    details: ClassVar = {
        0.1: "at a tenth of the steps",
        0.5: "at half of the steps",
        1.0: "at the end of training",
    }

    def effects(self, residuals: pd.DataFrame, fields: pd.DataFrame, detail: float | None) -> Units:
        effects = _paired(
            *(rows[rows["moment"] == detail] for rows in (residuals, fields)),
            keys=["training_seed"],
            column="noise_scale",
        )
        return Units(values=np.asarray(effects, dtype=np.float64), strata=(len(effects),))


# Every quantity, by its name in the registry.
QUANTITIES: Mapping[str, Quantity] = {
    "target_variance": TargetVariance(),
    "gradient_noise": GradientNoise(),
}


def _paired(
    residuals: pd.DataFrame, fields: pd.DataFrame, *, keys: list[str], column: str
) -> "pd.Series[float]":
    """ln(fields / residuals) by the keys that both have, in their order."""
    one, other = (rows.set_index(keys)[column].astype(float) for rows in (residuals, fields))
    one, other = one.align(other, join="inner")
    ratio = (other / one).sort_index()
    return ratio.where(ratio > 0).map(np.log, na_action="ignore")
