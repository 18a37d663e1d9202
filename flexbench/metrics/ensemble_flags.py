"""What is wrong with an ensemble, told as what it is.

Members that are no draws are defects, and nothing is said of the calibration of what holds them.
Draws that are not calibrated are a finding, and for information: few-step samplers are so by
nature.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from flexbench.metrics.calibration import CALIBRATED, FIFTHS, tail_ref
from flexbench.metrics.flag_types import COPY, Flag, Kind, Tables
from flexbench.metrics.tables import ALL, SNAPSHOT

# More collapsed points than this, and the pull speaks for a part of the field only.
MOST_COLLAPSED = 0.01
# A mean pull beyond counts as biased.
BIASED = 0.25
# What one snapshot with few independent places has by chance is told by how its members differ
# among themselves: nothing is flagged that is not so many times as far off.
NOISE = 4.0
# Errors that are so many times as uneven as members.
UNEVEN = 1.25
# A fifth of the points whose spread over skill is off by this factor from that of all.
FIFTH_OFF = 1.5
# Pulls beyond 5 are too many where they are so many times those of an ensemble that is Gaussian,
# with a centre and a width as this one has them, and this share more.
TAILS, TAILS_AND = 3.0, 1e-3
# Tails are judged where chance moves the width of pulls by less.
MOST_CHANCE = 1.15


def copies(tables: Tables) -> Iterator[Flag]:
    """Predictions that equal the truth: they must have seen it."""
    rows = tables.overall("rfne_member")
    for row in rows[(rows["reynolds"] == ALL) & (rows["value"] < COPY)].to_dict("records"):
        message = f"rfne_member {row['value']:.2g}: the predictions are the truth"
        yield tables.flag(row, "copy of the truth", message)


def broken_ensembles(tables: Tables) -> Iterator[Flag]:
    """Members that are no draws of their own: that agree, are copies, or are the truth."""
    for check in (_collapsed, _copied_members, _members_that_are_the_truth):
        yield from check(tables)


def _collapsed(tables: Tables) -> Iterator[Flag]:
    for group in tables.runs_of("zero_spread"):
        share = float(group["value"].mean())
        if share > MOST_COLLAPSED:
            first = group.iloc[0].to_dict()
            yield tables.flag(
                first,
                "collapsed ensemble",
                f"training seed {first['training_seed']}: all members agree at {share:.1%} of "
                "the points, which have no pull",
            )


def _copied_members(tables: Tables) -> Iterator[Flag]:
    for group in tables.runs_of("copied_members", "zero_spread"):
        each = _by_snapshot(group)
        if "copied_members" not in each:
            continue
        # Members that all agree are told as a collapsed ensemble.
        found = each[(each["copied_members"] > 0) & ~(each["zero_spread"] == 1)]
        if len(found):
            first = group.iloc[0].to_dict()
            yield tables.flag(
                first,
                "copied members",
                f"training seed {first['training_seed']}: in {len(found)} of {len(each)} snapshots "
                f"as many as {found['copied_members'].max():.0f} of {first['members']} members "
                "equal another one: they are no draws of their own, and calibration cannot be "
                "judged",
            )


def _members_that_are_the_truth(tables: Tables) -> Iterator[Flag]:
    for group in tables.runs_of("rfne_closest", "rfne_member"):
        each, first = _by_snapshot(group), group.iloc[0].to_dict()
        if "rfne_closest" not in each:
            continue
        others = (each["rfne_member"] * first["members"] - each["rfne_closest"]) / (
            first["members"] - 1
        )
        found = (each["rfne_closest"] < COPY) & (others >= COPY)
        if found.any():
            yield tables.flag(
                first,
                "member is the truth",
                f"training seed {first['training_seed']}: in {found.sum()} of {len(each)} "
                f"snapshots a member has an error of {each['rfne_closest'].min():.2g} where the "
                f"others have {others[found].mean():.2g}: it must have seen the truth, and "
                "calibration cannot be judged",
            )


def _by_snapshot(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each snapshot, a column for each score."""
    whole = rows[rows["detail"] == ""]
    return whole.set_index([*SNAPSHOT, "score"])["value"].unstack("score")


@dataclass(frozen=True, kw_only=True)
class _Ensemble:
    """What the tables say of a method on a case. first: a row of it. trajectories: their number.

    values, low, high: by score and detail, of all Reynolds numbers. noise: by the score that tells
    it, how far members alone move a snapshot's `pull_mean` (`pull_mean_member`), ln(`pull_ratio`)
    (`pull_noise`) and ln(`error_contrast`) (`contrast_noise`).
    """

    first: Mapping[Any, Any]
    trajectories: int
    values: Mapping[tuple[str, str], float]
    low: Mapping[tuple[str, str], float]
    high: Mapping[tuple[str, str], float]
    noise: Mapping[str, float]

    def value(self, score: str, detail: str = "") -> float:
        """NaN where the ensemble does not have it, which no comparison holds for."""
        return self.values.get((score, detail), float("nan"))

    def numbers(self, score: str, detail: str) -> dict[str, Any]:
        """Of a flag about this score."""
        ends = {"value": self.values, "low": self.low, "high": self.high}
        own = {name: float(end.get((score, detail), np.nan)) for name, end in ends.items()}
        return {"score": score, "detail": detail, "reynolds": ALL} | own

    def differs(self, score: str, expected: float, detail: str = "") -> bool:
        """Whether its interval, where it has one, leaves out what is expected."""
        low, high = (ends.get((score, detail), float("nan")) for ends in (self.low, self.high))
        return not low <= expected <= high

    def chance(self, noise: str) -> float:
        """How far off a score may be by chance; trajectories are independent of one another."""
        return NOISE * self.noise.get(noise, 0.0) / np.sqrt(self.trajectories)

    @property
    def members(self) -> int:
        return int(self.first["members"])

    @property
    def right_on_average(self) -> bool:
        return CALIBRATED[0] <= self.value("spread_skill") <= CALIBRATED[1]


@dataclass(frozen=True, kw_only=True)
class _Departure:
    """A way in which an ensemble is not calibrated, and the score that tells it."""

    kind: Kind
    score: str
    detail: str = ""
    told: str


def miscalibrated(tables: Tables) -> Iterator[Flag]:
    """For information: ensembles of draws that are not calibrated, in what way, and where."""
    broken = {
        (flag.case, flag.method) for check in (copies, broken_ensembles) for flag in check(tables)
    }
    for group in tables.pooled():
        first = group.iloc[0].to_dict()
        if first["members"] > 1 and (first["case"], first["method"]) not in broken:
            ensemble = _ensemble(group, tables)
            for it in _departures(ensemble):
                numbers = ensemble.numbers(it.score, it.detail)
                yield tables.flag(first, it.kind, f"{it.kind}: {it.told}", **numbers)


def _ensemble(group: pd.DataFrame, tables: Tables) -> _Ensemble:
    first = group.iloc[0].to_dict()
    places = list(zip(group["score"], group["detail"], strict=True))
    rows = tables.rows[
        (tables.rows["case"] == first["case"]) & (tables.rows["method"] == first["method"])
    ]
    noise = rows[rows["score"].isin(("pull_mean_member", "pull_noise", "contrast_noise"))]
    squares = noise["value"].pow(2).groupby(noise["score"]).mean()
    return _Ensemble(
        first=first,
        trajectories=int(first["trajectories"]),
        values=dict(zip(places, group["value"], strict=True)),
        low=dict(zip(places, group["low"], strict=True)),
        high=dict(zip(places, group["high"], strict=True)),
        noise=np.sqrt(squares).to_dict(),
    )


def _departures(ensemble: _Ensemble) -> Iterator[_Departure]:
    where = list(_in_places(ensemble))
    misplaced = any(it.kind == "spread in the wrong places" for it in where)
    # What is right on average, and drawn in the wrong places, has wide pulls for no other reason.
    if not (misplaced and ensemble.right_on_average):
        yield from _width(ensemble)
    yield from _bias(ensemble)
    yield from where
    if not where:
        # Errors that gather where the ensemble does not expect them are surprises, too.
        yield from _tails(ensemble)


def _width(ensemble: _Ensemble) -> Iterator[_Departure]:
    ratio = ensemble.value("pull_ratio")
    by_chance = not abs(np.log(ratio)) > ensemble.chance("pull_noise")
    if not np.isfinite(ratio) or by_chance or not ensemble.differs("pull_ratio", 1.0):
        return
    told = f"pull ratio {ratio:.3g}, calibrated: {CALIBRATED[0]:g} to {CALIBRATED[1]:g}"
    if ratio > CALIBRATED[1]:
        yield _Departure(
            kind="overconfident",
            score="pull_ratio",
            told=f"the truth lies {ratio:.3g} times as far from the ensemble's mean as its spread "
            f"says, so its intervals are too narrow ({told})",
        )
    elif ratio < CALIBRATED[0]:
        yield _Departure(
            kind="underconfident",
            score="pull_ratio",
            told=f"the truth lies only {ratio:.3g} times as far from the ensemble's mean as its "
            f"spread says, so its intervals are wider than need be ({told})",
        )


def _bias(ensemble: _Ensemble) -> Iterator[_Departure]:
    mean, ratio = ensemble.value("pull_mean"), ensemble.value("pull_ratio")
    # A mean over a field whose errors hang together is not 0; members tell how far it may be, as
    # far as their spread is right.
    beyond = max(BIASED, ensemble.chance("pull_mean_member") * max(1.0, ratio))
    if abs(mean) > beyond and ensemble.differs("pull_mean", 0.0):
        side = "above" if mean > 0 else "below"
        yield _Departure(
            kind="biased",
            score="pull_mean",
            told=f"the truth lies {abs(mean):.2g} standard deviations of the ensemble {side} its "
            f"mean, over all points and snapshots (pull mean; without a bias within {beyond:.2g} "
            "of 0)",
        )


def _in_places(ensemble: _Ensemble) -> Iterator[_Departure]:
    contrast, whole = ensemble.value("error_contrast"), ensemble.value("spread_skill")
    beyond = max(UNEVEN, np.exp(ensemble.chance("contrast_noise")))
    if contrast > beyond and ensemble.differs("error_contrast", 1.0):
        right = ensemble.right_on_average
        result = (
            "intervals are too wide where errors are small and too narrow where they are large"
            if right
            else "no one factor on its spread would mend it"
        )
        yield _Departure(
            kind="flat in space",
            score="error_contrast",
            told=f"{'right on average, but ' if right else ''}errors differ {contrast:.3g} times "
            "as much from place to place as members do (error contrast; 1 if perfect): "
            f"{result}",
        )
    fifths = {fifth: ensemble.value("spread_skill_fifth", fifth) for fifth in FIFTHS}
    factor = max(FIFTH_OFF, np.exp(ensemble.chance("pull_noise")))
    off = [
        fifth
        for fifth, ratio in fifths.items()
        if not np.isnan(ratio)
        and not whole / factor <= ratio <= whole * factor
        and ensemble.differs("spread_skill_fifth", whole, fifth)
    ]
    if off:
        yield _Departure(
            kind="spread in the wrong places",
            score="spread_skill_fifth",
            detail=off[0],
            told=f"spread / skill is {fifths[FIFTHS[0]]:.2g} in the fifth of points where the "
            f"ensemble says it is surest, {fifths[FIFTHS[-1]]:.2g} in that where it says it is "
            f"least sure, and {whole:.2g} over all",
        )


def _tails(ensemble: _Ensemble) -> Iterator[_Departure]:
    share, width = ensemble.value("pull_tail"), ensemble.value("pull_iqr_ratio")
    # Of few independent places, one decides what is in the tails.
    few = np.exp(ensemble.chance("pull_noise")) > MOST_CHANCE
    if few or not (np.isfinite(share) and width > 0):
        return
    expected = tail_ref(ensemble.members, width=width, centre=ensemble.value("pull_mean"))
    most = TAILS * expected + TAILS_AND
    if share > most and ensemble.differs("pull_tail", expected):
        yield _Departure(
            kind="heavy tails",
            score="pull_tail",
            told=f"{share:.2%} of the points lie more than 5 standard deviations from the mean, "
            f"where {expected:.2%} would if errors were Gaussian: surprises are far more frequent "
            "than the ensemble says",
        )
