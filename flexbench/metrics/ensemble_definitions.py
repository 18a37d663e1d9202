"""Definitions of the scores that say how an ensemble is spread, and of what they are formed from.

`definitions` puts them in their places among all others.
"""

import math
from typing import Any

from flexbench.metrics import combining
from flexbench.metrics.score_types import (
    BAND,
    FIFTH,
    LEVEL,
    OF_FIELD,
    PAIR,
    PULL_BIN,
    PULLS,
    RANK,
    REGION,
    ROOT,
    SORTED,
    SUBSET,
    Definition,
)

_POSITIVE = (0.0, math.inf)
_SHARE = (0.0, 1.0)


def _helper(**own: Any) -> Definition:
    """A helper of files of scores."""
    usual: dict[str, Any] = {
        "group": "Ensemble",
        "members": PAIR,
        "better": "none",
        "bounds": _POSITIVE,
        "helper": True,
    }
    return Definition(**usual | own)


ENSEMBLE: dict[str, Definition] = {
    "crps": Definition(
        label="CRPS",
        group="Ensemble",
        details=REGION,
        better="lower",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        text="fair continuous ranked probability score (unbiased in M); the mean absolute error "
        "for M = 1",
        averaging="mean over points, then of the snapshots' values",
    ),
    "spread": Definition(
        label="Spread",
        group="Ensemble",
        details=BAND,
        members=PAIR,
        better="none",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        text="standard deviation of the members (ddof = 1), of all scales or of a band",
        averaging="root of the mean variance over points and snapshots",
        combine=combining.root_of("spread"),
        moments=("spread",),
    ),
    "skill": Definition(
        label="Skill",
        group="Ensemble",
        details=BAND,
        better="lower",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        text="error of the ensemble mean, of all scales or of a band",
        averaging="root of the mean square error over points and snapshots",
        combine=combining.root_of("skill"),
        moments=("skill",),
    ),
    "spread_skill": Definition(
        label="Spread / skill",
        group="Ensemble",
        details=BAND,
        members=PAIR,
        better="one",
        bounds=_POSITIVE,
        text="sqrt((M + 1) / M) spread / skill, of all scales or of a band; below 1: overconfident",
        averaging="mean variance and mean square error over snapshots, then the ratio's root",
        moments=("spread", "skill"),
        combine=combining.spread_skill,
    ),
    "spread_skill_fifth": Definition(
        label="Spread / skill by predicted spread",
        group="Ensemble",
        whole=False,
        details=FIFTH,
        members=SORTED,
        better="one",
        bounds=_POSITIVE,
        text="whether the ensemble is right where it says so: spread / skill of each fifth of the "
        "points of a snapshot, sorted by the spread that is predicted there. Each quarter of the "
        "members is left out in turn, the others say where and are the prediction; spread is how "
        "far those left out lie from its mean, skill how far the truth does. A perfect ensemble "
        "has 1 in each, whatever M is; below 1: overconfident there",
        averaging="mean squares over points, over the quarters and over snapshots, then the "
        "ratio's root",
        moments=("fifth_spread", "fifth_skill"),
        combine=combining.spread_skill_fifth,
    ),
    "spread_skill_worst": Definition(
        label="Spread / skill, worst fifth",
        group="Ensemble",
        across=True,
        members=SORTED,
        better="one",
        bounds=_POSITIVE,
        text="spread / skill in that fifth of points, by predicted spread, where it is farthest "
        "from 1: it cannot be right only in the mean over all points",
        averaging="as spread_skill_fifth; the worst is chosen last",
        moments=("fifth_spread", "fifth_skill"),
        combine=combining.spread_skill_worst,
    ),
    "reliability_slope": Definition(
        label="Reliability slope",
        group="Ensemble",
        across=True,
        partial=True,
        members=SORTED,
        better="one",
        text="whether errors grow as fast as the spread that is predicted: slope of ln(skill) "
        "against ln(spread) over the fifths of spread_skill_fifth; 1 if perfect, whatever M is. "
        "0: where the ensemble spreads says nothing of where it errs; above 1: its spread differs "
        "too little from place to place. Absent where the loudest fifth spreads less than 1.25 "
        "times as far as the quietest: such a spread is flat and has no slope",
        averaging="as spread_skill_fifth; the slope is formed last",
        moments=("fifth_spread", "fifth_skill"),
        combine=combining.reliability_slope,
    ),
    "error_contrast": Definition(
        label="Error contrast",
        group="Ensemble",
        square=True,
        members=SORTED,
        better="one",
        bounds=_POSITIVE,
        text="whether errors are as uneven in space as members say: standard deviation of "
        "ln(local error) of the truth over that of members, both about the ensemble mean; local "
        "is the median of a block of 8 x 8 points. 1 if perfect; above 1: the spread is flat where "
        "errors are not, so right on average at best",
        averaging="mean squares of both over snapshots, then the root of their ratio",
        moments=("contrast_truth", "contrast_members"),
        combine=combining.error_contrast,
    ),
    "coverage": Definition(
        label="Coverage",
        group="Ensemble",
        whole=False,
        details=LEVEL,
        members=PAIR,
        better="none",
        bounds=_SHARE,
        text="share of points where the truth lies between the i-th smallest and the i-th largest "
        "member; nominally (M + 1 - 2 i) / (M + 1)",
    ),
    "central_mass": Definition(
        label="Central mass",
        group="Ensemble",
        members=PAIR,
        better="one",
        bounds=_POSITIVE,
        text="whether the truth lies in the middle of the members as often as it should: coverage "
        "of the central level nearest to one half, over its nominal value. 1 if perfect; below 1: "
        "overconfident; above 1 where spread / skill is 1: some places get too much spread and "
        "others too little, or errors have heavy tails",
    ),
    "pull_mean": Definition(
        label="Pull mean",
        group="Ensemble",
        details=REGION,
        members=PULLS,
        better="zero",
        text="mean over points of the pull (y - mean) / std (ddof = 1)",
    ),
    "pull_std": Definition(
        label="Pull std",
        group="Ensemble",
        details=REGION,
        members=PULLS,
        better="none",
        bounds=_POSITIVE,
        text="standard deviation of the pull; sqrt((1 + 1/M) (M - 1) / (M - 3)) if perfect; M >= 6",
        averaging="mean pull and mean square pull over snapshots, then the root of the variance",
        moments=("pull_square", "pull_mean"),
        combine=combining.pull_std,
    ),
    "pull_ratio": Definition(
        label="Pull ratio",
        group="Ensemble",
        details=REGION,
        members=PULLS,
        better="one",
        bounds=_POSITIVE,
        text="pull_std over that of a perfect ensemble of M members; above 1: overconfident",
        averaging="as pull_std",
        moments=("pull_square", "pull_mean"),
        combine=combining.pull_ratio,
    ),
    "pull_iqr_ratio": Definition(
        label="Pull IQR ratio",
        group="Ensemble",
        details=REGION,
        members=PAIR,
        better="one",
        bounds=_POSITIVE,
        text="distance of the pull's quartiles over that of a perfect ensemble of M members",
    ),
    "pull_tail": Definition(
        label="Pulls beyond 5",
        group="Ensemble",
        members=PULLS,
        better="none",
        bounds=_SHARE,
        text="how often the truth is a surprise: share of points that lie more than 5 standard "
        "deviations of the members from their mean; pull_tail_ratio has that of a perfect ensemble "
        "beside it",
    ),
    "pull_tail_ratio": Definition(
        label="Pulls beyond 5, ratio",
        group="Ensemble",
        members=PULLS,
        better="one",
        bounds=_POSITIVE,
        text="how many times as often as it should the truth is a surprise: pull_tail over that of "
        "a perfect Gaussian ensemble of M members (from Student's t: 0.2 % for M = 8, 0.02 % for "
        "M = 16, hardly any for large M)",
        averaging="mean of the snapshots' shares, then over the perfect one",
        moments=("pull_tail",),
        combine=combining.pull_tail_ratio,
    ),
    "pull_ratio_subset": Definition(
        label="Pull ratio by number of members",
        group="Ensemble",
        whole=False,
        details=SUBSET,
        figure_only=True,
        members=PULLS,
        better="one",
        bounds=_POSITIVE,
        text="what a smaller ensemble would be told: pull_ratio of the first m members, against a "
        "perfect ensemble of m",
        averaging="as pull_std",
        moments=("subset_square", "subset_mean"),
        combine=combining.pull_ratio_subset,
    ),
    "rank_hist": Definition(
        label="Rank histogram",
        group="Ensemble",
        whole=False,
        details=RANK,
        figure_only=True,
        members=PAIR,
        better="none",
        bounds=_SHARE,
        text="share of points by the number of members below the truth; ties count equally in "
        "every rank they allow; 1 / (M + 1) if perfect",
    ),
    "pull_hist": Definition(
        label="Pull histogram",
        group="Ensemble",
        whole=False,
        details=PULL_BIN,
        figure_only=True,
        members=PAIR,
        better="none",
        bounds=_POSITIVE,
        text="density of the pull at the centre of a bin of 0.25",
    ),
}

ENSEMBLE_HELPERS: dict[str, Definition] = {
    "pull_square": Definition(
        label="Pull, mean square",
        group="Ensemble",
        details=REGION,
        members=PULLS,
        better="none",
        bounds=_POSITIVE,
        helper=True,
        text="mean over points of the squared pull",
    ),
    "zero_spread": Definition(
        label="Without spread",
        group="Ensemble",
        members=PAIR,
        better="none",
        bounds=_SHARE,
        helper=True,
        text="share of points where all members agree; they have no pull",
    ),
    "fifth_spread": _helper(
        label="Spread of a fifth",
        details=FIFTH,
        whole=False,
        members=SORTED,
        unit=OF_FIELD,
        averaging=ROOT,
        text="root mean square distance of members that are left out from the mean of the others, "
        "in a fifth of the points by the others' spread",
    ),
    "fifth_skill": _helper(
        label="Skill of a fifth",
        details=FIFTH,
        whole=False,
        members=SORTED,
        unit=OF_FIELD,
        averaging=ROOT,
        text="the same distance of the truth",
    ),
    "contrast_truth": _helper(
        label="Contrast of errors",
        square=True,
        members=SORTED,
        averaging=ROOT,
        text="standard deviation over blocks of ln(median |error of the ensemble mean|)",
    ),
    "contrast_members": _helper(
        label="Contrast of members",
        square=True,
        members=SORTED,
        averaging=ROOT,
        text="the same of a member's departures from the mean, root mean square over members",
    ),
    "contrast_noise": _helper(
        label="Noise of contrast",
        square=True,
        members=SORTED,
        text="standard deviation over members of the logarithm of the same",
    ),
    "pull_mean_member": _helper(
        label="Pull mean, member",
        members=PULLS,
        averaging=ROOT,
        text="mean over points of a member's pull by the others, root mean square over members: "
        "how far from 0 a perfect ensemble's pull_mean may be on so few independent places",
    ),
    "pull_noise": _helper(
        label="Noise of pull",
        members=PULLS,
        text="standard deviation over members of ln(root mean square of a member's pull by the "
        "others): how far from 1 a perfect ensemble's pull_ratio may be, likewise",
    ),
    "subset_mean": _helper(
        label="Pull of m, mean",
        details=SUBSET,
        whole=False,
        members=PULLS,
        bounds=(-math.inf, math.inf),
        text="mean over points of the pull of the first m members, over that width which a perfect "
        "ensemble's would have",
    ),
    "subset_square": _helper(
        label="Pull of m, mean square",
        details=SUBSET,
        whole=False,
        members=PULLS,
        text="mean over points of the square of the same",
    ),
    "copied_members": _helper(
        label="Copied members",
        text="members that are equal to one before them, point by point",
    ),
    "rfne_closest": _helper(
        label="RFNE, closest member",
        text="||p - y|| / ||y|| of the member p that is closest to the truth y",
    ),
}
