"""From paired effects to a verdict: holds, fails, equivalent, or can't tell.

An effect is a logarithm of a ratio of scores, turned so that what is claimed is positive; there is
one for each training seed and test trajectory that both arms share. Its interval is that of
`metrics.bootstrap`, the one behind every table: training seeds and trajectories (within each Re)
are drawn, and their error is multiplied by Student's t. A t over the seeds' means alone would take
the test flows for all the flows that there are; percentiles of three to six seeds would be far too
narrow. Degrees of freedom are Satterthwaite's, but no more than those of the seeds: three that
agree by chance would pass the noise on to the many flows, and 6 % of studies without any effect had
a verdict. What is decided is linear in the effects, so one matrix product resamples thousands of
studies at once: the tests judge synthetic studies by these very functions.

All that a kind of statement has to say is its class: which intervals decide it (at most one
verdict each), and how far an estimate lies from what would make it undecided. That distance over
the standard error is the t statistic behind the p value, so p < alpha if and only if the interval
of confidence 1 - alpha decides.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import special

from flexbench.metrics.bootstrap import Factor, estimate

Array = NDArray[np.float64]
Verdict = Literal["holds", "fails", "equivalent", "can't tell"]
HOLDS, FAILS, EQUIVALENT, CANNOT_TELL = get_args(Verdict)

ALPHA = 0.05
POWER = 0.8

# The error that is bootstrapped is then known to 1 %.
RESAMPLES = 4000
# With fewer there is no interval that holds the noise of training.
FEWEST_SEEDS = 3
# A design with more is not worth its name.
MOST_SEEDS = 1000


class Statement(Protocol):
    """A kind of statement about effects; what is not decided is "can't tell".

    Its one field is the number that it needs, by the name that the registry has for it.
    """

    def __str__(self) -> str:
        """Which effects it speaks of, in hundredths."""

    def decided(self, low: Array, value: Array, high: Array) -> Mapping[Verdict, NDArray[np.bool_]]:
        """Where an interval decides; low <= value <= high, all of one shape."""

    def distance(self, value: Array) -> Array:
        """How far an estimate lies from the nearest place where no interval about it decides."""


@dataclass(frozen=True, kw_only=True)
class Superiority:
    """The effect is positive, and delta or more: smaller ones do not count (delta >= 0)."""

    delta: float

    def __str__(self) -> str:
        return f">={100 * self.delta:g}"

    def decided(self, low: Array, value: Array, high: Array) -> Mapping[Verdict, NDArray[np.bool_]]:
        return {HOLDS: (low > 0) & (value >= self.delta), FAILS: high < self.delta}

    def distance(self, value: Array) -> Array:
        return np.where(value >= self.delta, value, self.delta - value)


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """The effect lies within +-margin: as good, and no better either (margin > 0)."""

    margin: float

    def __str__(self) -> str:
        return f"within +-{100 * self.margin:g}"

    def decided(self, low: Array, value: Array, high: Array) -> Mapping[Verdict, NDArray[np.bool_]]:
        inside = (low > -self.margin) & (high < self.margin)
        return {EQUIVALENT: inside, FAILS: (high < -self.margin) | (low > self.margin)}

    def distance(self, value: Array) -> Array:
        return np.abs(self.margin - np.abs(value))


@dataclass(frozen=True, kw_only=True)
class NonInferiority:
    """The effect is no worse than -margin (margin > 0); equivalent where it is no better either."""

    margin: float

    def __str__(self) -> str:
        return f">-{100 * self.margin:g}"

    def decided(self, low: Array, value: Array, high: Array) -> Mapping[Verdict, NDArray[np.bool_]]:
        no_worse, no_better = low > -self.margin, high < self.margin
        return {
            HOLDS: no_worse & ~no_better,
            EQUIVALENT: no_worse & no_better,
            FAILS: high < -self.margin,
        }

    def distance(self, value: Array) -> Array:
        return np.abs(value + self.margin)


# Every kind, by its name in the registry.
KINDS: Mapping[str, type[Superiority | Equivalence | NonInferiority]] = {
    "superiority": Superiority,
    "equivalence": Equivalence,
    "non_inferiority": NonInferiority,
}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What K studies of one design found.

    value, error, freedom (K,): mean effect, its standard error with both kinds of noise, degrees of
    freedom; error is NaN where there is no interval. seed_std (K,): standard deviation over seeds
    of the mean over trajectories. flow_error (K,): standard error that would be left of any number
    of seeds. seeds: S. flow_freedom: degrees of freedom of trajectories within their Re.
    """

    value: Array
    error: Array
    freedom: Array
    seed_std: Array
    flow_error: Array
    seeds: int
    flow_freedom: int

    def interval(self, alpha: float = ALPHA) -> tuple[Array, Array]:
        """Low and high of the interval of confidence 1 - alpha, (K,) each."""
        half = special.stdtrit(self.freedom, 1 - alpha / 2) * self.error
        return self.value - half, self.value + half

    @property
    def smallest_visible(self) -> Array:
        """The effect that such a design sees (power 80 %, alpha 5 %), (K,)."""
        return smallest_shift(self.freedom) * self.error


def weigh(
    effects: Array,
    *,
    strata: Sequence[int],
    resamples: int = RESAMPLES,
    identity: tuple[str | int, ...] = (),
) -> Evidence:
    """The evidence of effects (K, S, T), of S paired training seeds and T trajectories.

    strata: how many trajectories each Re has, in their order. identity: names the draws, which
    depend on nothing else: with the two arms swapped all signs turn, and nothing more. A NaN among
    a study's effects leaves it without value and interval.
    """
    studies, seeds, flows = effects.shape
    factors = {
        "seeds": Factor(strata=(seeds,), identity=(*identity, "claims", "seeds")),
        "flows": Factor(strata=tuple(strata), identity=(*identity, "claims", "flows")),
    }
    flat = effects.reshape(studies, seeds * flows)

    def mean(weights: Mapping[str, Array]) -> Array:
        both = weights["seeds"][:, :, None] * weights["flows"][:, None, :]
        return flat @ both.reshape(len(both), seeds * flows).T / (seeds * flows)

    found = estimate(
        mean,
        factors,
        main="seeds",
        resamples=resamples,
        confidence=1 - ALPHA,
        positive=np.zeros(studies, dtype=bool),
    )
    # Where a Re has one trajectory, `estimate` would hold all of them fixed: half of the noise.
    if seeds < FEWEST_SEEDS or not factors["flows"].freedom:
        unknown = np.full(studies, np.nan)
        spreads = dict.fromkeys(("error", "freedom", "seed_std", "flow_error"), unknown)
    else:
        spreads = {
            "error": found.error,
            "freedom": np.minimum(found.freedom, seeds - 1),
            "seed_std": effects.mean(axis=2).std(axis=1, ddof=1),
            "flow_error": _flow_error(effects.mean(axis=1), strata),
        }
    return Evidence(
        value=found.value, **spreads, seeds=seeds, flow_freedom=factors["flows"].freedom
    )


def weigh_units(effects: Array, *, strata: Sequence[int]) -> Evidence:
    """The evidence of effects (K, U) of units of one kind, drawn within strata: Student's t.

    Seeds of trainings that no test flow has a part in, or trajectories that nothing is trained on.
    A NaN among a study's effects, or a stratum of one, leaves it without an interval.
    """
    units, freedom = effects.shape[1], sum(count - 1 for count in strata)
    single = min(strata) < 2
    error = np.full(len(effects), np.nan) if single else _flow_error(effects, strata)
    return Evidence(
        value=effects.mean(axis=1),
        error=error,
        freedom=np.full(len(effects), np.nan if single else float(freedom)),
        seed_std=error * np.sqrt(units),
        # Units are all that there is.
        flow_error=np.zeros(len(effects)),
        seeds=units,
        flow_freedom=freedom,
    )


def _flow_error(effects: Array, strata: Sequence[int]) -> Array:
    """Standard error (K,) of means over trajectories, drawn within each Re; effects (K, T)."""
    parts = np.split(effects, np.cumsum(strata)[:-1], axis=1)
    squares = [part.shape[1] * part.var(axis=1, ddof=1) for part in parts]
    error: Array = np.sqrt(np.sum(squares, axis=0)) / effects.shape[1]
    return error


def judge(
    statement: Statement, evidence: Evidence, *, seeds: int, alpha: float = ALPHA
) -> list[Verdict]:
    """The verdict of each of K studies; of fewer seeds than were registered: can't tell."""
    verdicts: list[Verdict] = [CANNOT_TELL] * len(evidence.value)
    if evidence.seeds < seeds:
        return verdicts
    low, high = evidence.interval(alpha)
    for verdict, where in statement.decided(low, evidence.value, high).items():
        for place in np.flatnonzero(where & np.isfinite(evidence.error)):
            verdicts[place] = verdict
    return verdicts


def p_values(statement: Statement, evidence: Evidence) -> Array:
    """The smallest alpha at which each study is decided, (K,); NaN without an interval."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = statement.distance(evidence.value) / evidence.error
    two_sided: Array = 2 * special.stdtr(evidence.freedom, -found)
    return two_sided


def smallest_shift(freedom: Array, *, alpha: float = ALPHA, power: float = POWER) -> Array:
    """The shift, in standard errors, that a two-sided t test finds with this power, on its side.

    freedom: degrees of freedom, of any shape; NaN where they are. Over the root of n the shift is
    in standard deviations of a paired difference of n seeds (freedom n - 1).
    """
    limit = special.stdtrit(freedom, 1 - alpha / 2)
    return np.asarray(special.nctdtrinc(freedom, 1 - power, limit), dtype=np.float64)


def seeds_to_decide(statement: Statement, evidence: Evidence, *, seeds: int) -> list[int | None]:
    """How many seeds would decide each study if its estimate were the truth, with power 80 %.

    At least the registered number; None where MOST_SEEDS would not do, because the test flows alone
    leave too much noise, or nothing is known of it.
    """
    counts = np.arange(max(seeds, FEWEST_SEEDS), MOST_SEEDS + 1)
    own = evidence.seed_std[:, None] ** 2 / counts
    rest = evidence.flow_error[:, None] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = (own + rest) ** 2 / (own**2 / (counts - 1) + rest**2 / evidence.flow_freedom)
        freedom = np.minimum(freedom, counts - 1)
        visible = smallest_shift(freedom) * np.sqrt(own + rest)
    enough = visible <= statement.distance(evidence.value)[:, None]
    return [int(counts[row.argmax()]) if row.any() else None for row in enough]


def conjunction(parts: Iterable[Verdict]) -> Verdict:
    """The verdict of a claim that needs every one of its parts."""
    found = set(parts) or {CANNOT_TELL}
    return next(it for it in (FAILS, CANNOT_TELL, HOLDS, EQUIVALENT) if it in found)


def holm(p: Array, *, alpha: float = ALPHA) -> Array:
    """The alpha that each of m tests may use (Holm 1979), (m,): 0 for what is not decided.

    All verdicts of a ledger at these levels are right together with probability 1 - alpha. What has
    no p value was not tested: it cannot be decided wrongly, and is not counted.
    """
    levels = np.zeros(len(p))
    tested = np.flatnonzero(np.isfinite(p))
    for rank, place in enumerate(tested[np.argsort(p[tested], kind="stable")]):
        level = alpha / (len(tested) - rank)
        if p[place] >= level:
            break
        levels[place] = level
    return levels
