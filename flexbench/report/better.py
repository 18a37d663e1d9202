"""Which values of a score are better: in words, in signs, and as numbers to choose by."""

import math

from flexbench.metrics.definitions import definition_of
from flexbench.metrics.score_types import Better

BETTER_WORDS: dict[Better, str] = {
    "lower": "lower is better",
    "higher": "higher is better",
    "one": "1 is best",
    "zero": "0 is best",
    "none": "no order",
}
BETTER_SIGNS: dict[Better, str] = {
    "lower": "↓",
    "higher": "↑",
    "one": "→ 1",
    "zero": "→ 0",
    "none": "",
}

SUMMARY = (
    *("rfne_mean", "rfne_member", "pearson", "crps", "spread_skill", "pull_ratio"),
    # Right in the mean over all points is not right.
    *("spread_skill_worst", "error_contrast"),
)


def loss_of(score: str, value: float) -> float:
    """A number that is smaller for a better value of the score; NaN where there is no order."""
    match definition_of(score).better:
        case "lower":
            return value
        case "higher":
            return -value
        case "one":
            # Twice as wide is as wrong as half as wide.
            return abs(math.log(value)) if value > 0 else math.inf
        case "zero":
            return abs(value)
        case "none":
            return math.nan
