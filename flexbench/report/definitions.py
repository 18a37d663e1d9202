"""How the page names scores, and which it shows where; what they mean is `metrics.definitions`."""

import math

from flexbench.metrics.definitions import DEFINITIONS, Better, Definition

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

LABELS = {
    "rfne_mean": "RFNE, mean",
    "rfne_member": "RFNE, member",
    "rfne_batch": "RFNE, batch",
    "pearson": "Pearson r",
    "correlation_time": "Correlation time, mean",
    "correlation_time_member": "Correlation time, member",
    "correlation_censored": "Correlated to the end",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "max_error": "Max error",
    "spectrum_error": "Spectrum error",
    "enstrophy_error": "Enstrophy error",
    "energy_error": "Energy error",
    "pdf_distance": "PDF distance",
    "seam_ratio": "Seam ratio",
    "crps": "CRPS",
    "spread": "Spread",
    "skill": "Skill",
    "spread_skill": "Spread / skill",
    "coverage": "Coverage",
    "pull_mean": "Pull mean",
    "pull_std": "Pull std",
    "pull_ratio": "Pull ratio",
    "pull_iqr_ratio": "Pull IQR ratio",
    "rank_hist": "Rank histogram",
    "pull_hist": "Pull histogram",
}

_GROUPS = {
    "Accuracy": "rfne_mean rfne_member rfne_batch pearson psnr ssim max_error seam_ratio",
    "Rollout": "correlation_time correlation_time_member correlation_censored",
    "Physics": "spectrum_error enstrophy_error energy_error pdf_distance",
}
_GROUP_OF = {score: group for group, scores in _GROUPS.items() for score in scores.split()}

# Told by figures; as tables they would be long and say little.
FIGURE_ONLY = frozenset({"rank_hist", "pull_hist"})

SUMMARY = ("rfne_mean", "rfne_member", "pearson", "crps", "spread_skill", "pull_ratio")

# A score of a user's own metric is shown under its own name, without an order.
_UNKNOWN = Definition(better="none", text="not described")


def definition(score: str) -> Definition:
    """What a score means."""
    return DEFINITIONS.get(score, _UNKNOWN)


def label(score: str) -> str:
    """A score's name in heads of columns."""
    return LABELS.get(score, score)


def group(score: str) -> str:
    """The table that a score stands in."""
    return _GROUP_OF.get(score, "Ensemble" if score in DEFINITIONS else "Other")


def loss_of(score: str, value: float) -> float:
    """A number that is smaller for a better value of the score; NaN where there is no order."""
    match definition(score).better:
        case "lower":
            return value
        case "higher":
            return -value
        case "one":
            # Twice as wide is as wrong as half as wide.
            return abs(math.log(value)) if value > 0 else math.inf
        case "zero":
            return abs(value)
        case _:
            return math.nan
