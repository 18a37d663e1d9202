"""What every score means, in words: the page's table of definitions and its idea of better."""

from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher", "one", "zero", "none"]

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


@dataclass(frozen=True, kw_only=True)
class ScoreEntry:
    """A score: the name in column heads, its group, what better means, its unit and definition."""

    label: str
    group: str
    better: Better
    text: str
    unit: str = "1"


_W = "1/time unit"

SCORES: dict[str, ScoreEntry] = {
    "rfne_mean": ScoreEntry(
        label="RFNE, mean",
        group="Accuracy",
        better="lower",
        text="‖p − y‖ / ‖y‖ (Frobenius) of the ensemble mean p and the truth y, per snapshot; "
        "then the mean over snapshots.",
    ),
    "rfne_member": ScoreEntry(
        label="RFNE, member",
        group="Accuracy",
        better="lower",
        text="The same of each member, averaged over members, then over snapshots. A sharp and "
        "honest ensemble has a larger one than its mean has.",
    ),
    "rfne_batch": ScoreEntry(
        label="RFNE, batch",
        group="Accuracy",
        better="lower",
        text="One norm over all snapshots together, as the authors' code averages; only to "
        "compare with numbers made that way.",
    ),
    "pearson": ScoreEntry(
        label="Pearson r",
        group="Accuracy",
        better="higher",
        text="Correlation over the points of a snapshot of the ensemble mean and the truth.",
    ),
    "psnr": ScoreEntry(
        label="PSNR",
        group="Accuracy",
        better="higher",
        unit="dB",
        text="Peak signal-to-noise ratio of the ensemble mean; the peak is the truth's range.",
    ),
    "ssim": ScoreEntry(
        label="SSIM",
        group="Accuracy",
        better="higher",
        text="Structural similarity of the ensemble mean and the truth.",
    ),
    "max_error": ScoreEntry(
        label="Max error",
        group="Accuracy",
        better="lower",
        unit=_W,
        text="Largest absolute error of the ensemble mean in a snapshot.",
    ),
    "spectrum_error": ScoreEntry(
        label="Spectrum error",
        group="Physics",
        better="lower",
        text="Mean |ln(E of members / E of truth)| of the energy spectrum, over a band of "
        "wavenumbers.",
    ),
    "enstrophy_error": ScoreEntry(
        label="Enstrophy error",
        group="Physics",
        better="zero",
        text="Relative error of the members' enstrophy (half the mean squared vorticity).",
    ),
    "energy_error": ScoreEntry(
        label="Energy error",
        group="Physics",
        better="zero",
        text="Relative error of the members' kinetic energy.",
    ),
    "pdf_distance": ScoreEntry(
        label="PDF distance",
        group="Physics",
        better="lower",
        unit=_W,
        text="Wasserstein-1 distance between the members' and the truth's distribution of "
        "vorticity.",
    ),
    "crps": ScoreEntry(
        label="CRPS",
        group="Ensemble",
        better="lower",
        unit=_W,
        text="Continuous ranked probability score, the fair estimator (unbiased in the number of "
        "members); of a single member it is the mean absolute error.",
    ),
    "spread": ScoreEntry(
        label="Spread",
        group="Ensemble",
        better="none",
        unit=_W,
        text="Root mean square of the members' standard deviation.",
    ),
    "skill": ScoreEntry(
        label="Skill",
        group="Ensemble",
        better="lower",
        unit=_W,
        text="Root mean square error of the ensemble mean.",
    ),
    "spread_skill": ScoreEntry(
        label="Spread / skill",
        group="Ensemble",
        better="one",
        text="Their ratio times √((M + 1) / M), which makes it 1 for a perfect ensemble of M "
        "members. Below 1: overconfident.",
    ),
    "coverage": ScoreEntry(
        label="Coverage",
        group="Ensemble",
        better="none",
        text="How often the truth lies between the i-th smallest and i-th largest of M members; "
        "nominally (M + 1 − 2i) / (M + 1). Best where both agree.",
    ),
    "pull_mean": ScoreEntry(
        label="Pull mean",
        group="Ensemble",
        better="zero",
        text="Mean of (truth − ensemble mean) / ensemble standard deviation over all points.",
    ),
    "pull_std": ScoreEntry(
        label="Pull std",
        group="Ensemble",
        better="none",
        text="Standard deviation of the pull. A perfect ensemble does not have 1 but "
        "√((1 + 1/M)(M − 1)/(M − 3)).",
    ),
    "pull_ratio": ScoreEntry(
        label="Pull ratio",
        group="Ensemble",
        better="one",
        text="Pull std over that of a perfect ensemble of as many members. Above 1: overconfident.",
    ),
    "pull_iqr_ratio": ScoreEntry(
        label="Pull IQR ratio",
        group="Ensemble",
        better="one",
        text="The same from quartiles, which a few wild points cannot move.",
    ),
    "rank_hist": ScoreEntry(
        label="Rank histogram",
        group="Ensemble",
        better="none",
        text="Frequency of the truth's rank among the members; flat for a perfect ensemble.",
    ),
    "pull_hist": ScoreEntry(
        label="Pull histogram",
        group="Ensemble",
        better="none",
        text="Density of the pull; see the figure for what a perfect ensemble gives.",
    ),
}

# Told by figures; as tables they would be long and say little.
FIGURE_ONLY = frozenset({"rank_hist", "pull_hist"})

SUMMARY = ("rfne_mean", "rfne_member", "pearson", "crps", "spread_skill", "pull_ratio")


def entry(score: str) -> ScoreEntry:
    """The entry of a score; a score that has none is shown under its own name, without an order."""
    unknown = ScoreEntry(label=score, group="Other", better="none", text="")
    return SCORES.get(score, unknown)


def loss_of(score: str, value: float) -> float:
    """A number that is smaller for a better value of the score."""
    match entry(score).better:
        case "lower":
            return value
        case "higher":
            return -value
        case "one":
            return abs(value - 1.0)
        case "zero":
            return abs(value)
        case _:
            return float("nan")
