"""Who is ahead on a case, and whether that is sure: every word of winning comes from here."""

from dataclasses import dataclass
from typing import Literal

from flexbench.findings.evidence import Evidence, Ratio

# Of two trainings that differ in their seed alone, 19 of 20 pairs lie within this. Errors of the
# twelve in workflow/reference/gate.json have standard deviations of 0.9 % (super-resolution) and
# 2.3 % (forecasts), 1.8 % together; a difference of two has 2.5 %, and 1.96 times that is 5 %.
CHANCE = 0.05

# Of one side against another: "may be chance" where the interval is clear of 1, and a gap so small
# may come from having trained each network once.
Verdict = Literal["better", "worse", "undecided", "may be chance", "untested"]


def verdict(ratio: Ratio | None, *, trainings: int) -> Verdict:
    """What a paired ratio of errors, own over the other's, says of the own side.

    trainings: of the side that has fewer of them, formulas aside, which have none.
    """
    if ratio is None or not ratio.has_interval:
        return "untested"
    if ratio.low <= 1 <= ratio.high:
        return "undecided"
    if trainings == 1 and abs(ratio.value - 1) < CHANCE:
        return "may be chance"
    return "better" if ratio.high < 1 else "worse"


@dataclass(frozen=True, kw_only=True)
class Rival:
    """Another network: its score over the best one's, and what that says of it."""

    method: str
    ratio: Ratio | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The networks of a case by one score. rivals: all but the best, by their scores."""

    best: str
    rivals: tuple[Rival, ...]

    @property
    def wins(self) -> bool:
        """Whether the best one is sure to be ahead of every other."""
        return bool(self.rivals) and all(it.verdict == "worse" for it in self.rivals)

    @property
    def level(self) -> list[Rival]:
        """Rivals that it is not sure to be ahead of."""
        return [it for it in self.rivals if it.verdict != "worse"]


def standing(evidence: Evidence, case: str, score: str) -> Standing | None:
    """The networks of a case; None without any."""
    learned = [it for it in evidence.learned(case) if evidence.score(case, it, score)]
    best = evidence.best(case, learned, score)
    if best is None:
        return None
    values = {it: found.value for it in learned if (found := evidence.score(case, it, score))}
    rivals = []
    for method in sorted(set(learned) - {best}, key=lambda it: (values[it], it)):
        ratio = evidence.to_best(case, method, best, score)
        trainings = min(evidence.trainings(case, it) for it in (best, method))
        rivals.append(
            Rival(method=method, ratio=ratio, verdict=verdict(ratio, trainings=trainings))
        )
    return Standing(best=best, rivals=tuple(rivals))
