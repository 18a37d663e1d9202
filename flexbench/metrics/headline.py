"""The few numbers that say how a run went, nested as tools that compare versions want them."""

import json
import math

import pandas as pd

from flexbench.metrics.tables import ALL

# Accuracy of the ensemble mean and of the ensemble; calibration in space and in units of spread.
HEADLINE = ("rfne_mean", "crps", "spread_skill", "pull_ratio")


def headline(scores: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Case -> method -> score: the values of HEADLINE over all Reynolds numbers together.

    scores: the table of `aggregate`. A score that a method does not have, or that is no number
    (JSON has no word for it; the red flags do), is left out.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    pooled = scores[(scores["reynolds"] == ALL) & (scores["detail"] == "")]
    for (case, method), own in pooled.groupby(["case", "method"], sort=False):
        values = dict(zip(own["score"], own["value"], strict=True))
        found.setdefault(str(case), {})[str(method)] = {
            name: float(values[name])
            for name in HEADLINE
            if name in values and math.isfinite(values[name])
        }
    return found


def headline_json(scores: pd.DataFrame) -> str:
    """The same as text; ends with a line break."""
    return json.dumps(headline(scores), indent=1) + "\n"
