"""Whether ensembles are right: by sampler, and where the sign of what is wrong changes."""

from collections.abc import Iterator, Mapping
from typing import Literal

from flexbench.findings.evidence import Evidence, Ratio
from flexbench.findings.names import listed
from flexbench.findings.results import Sentence
from flexbench.findings.words import between
from flexbench.metrics.calibration import CALIBRATED
from flexbench.metrics.tables import ALL

PULL, BY_BAND = "pull_ratio", "spread_skill"

# What a pull ratio says of an ensemble's intervals; "" where it says nothing.
Width = Literal["too narrow", "too wide", "right", ""]


def width(pull: Ratio | None) -> Width:
    """Of a pull ratio: too narrow is overconfident. Its interval has to leave out 1."""
    if pull is None:
        return ""
    if CALIBRATED[0] <= pull.value <= CALIBRATED[1]:
        return "right"
    if pull.has_interval and pull.low <= 1 <= pull.high:
        return ""
    return "too narrow" if pull.value > 1 else "too wide"


def side(ratio: Ratio, *, narrow_above: bool) -> Width:
    """On which side of 1 an interval lies, however near; "" where it holds 1, or there is none.

    narrow_above: above 1 is too narrow, as of pull ratios; of spread over skill below is.
    """
    if not ratio.has_interval or ratio.low <= 1 <= ratio.high:
        return ""
    return "too narrow" if (ratio.low > 1) == narrow_above else "too wide"


# A way to sample, (sampler, steps); and the pull ratios of ensembles, by (case, method).
Way = tuple[str, int]
Pulls = Mapping[tuple[str, str], Ratio]


def uncertainty(evidence: Evidence) -> Iterator[Sentence]:
    """A sentence on the test split's flows: by sampler, then where the sign changes."""
    ways = _ways(evidence)
    told = [_of_ways(evidence, *it) for it in _alike(evidence, ways)]
    if not told:
        return
    changes = [
        text
        for cases in ways.values()
        for case in cases
        for method in evidence.learned(case)
        if (text := _change(evidence, case, method))
    ]
    if changes:
        more = f" It changes in {len(changes) - 1} more." if len(changes) > 1 else ""
        told.append(f"The sign changes {changes[0]}.{more}")
    yield Sentence(about="uncertainty", text=f"Uncertainty. {' '.join(told)}")


def _ways(evidence: Evidence) -> dict[Way, list[str]]:
    """Cases on the test split's own flows, one lead ahead, by how they are sampled."""
    found: dict[Way, list[str]] = {}
    for name in evidence.cases:
        case = evidence.graph.case(name)
        if not (case.is_shifted or case.is_rollout or case.sample.overlap):
            found.setdefault((case.sample.sampler, case.sample.steps), []).append(name)
    return found


def _alike(
    evidence: Evidence, ways: Mapping[Way, list[str]]
) -> Iterator[tuple[list[Way], dict[tuple[str, str], Ratio]]]:
    """Ways with their ensembles; those of which all that is said is the same stand together."""
    found: dict[object, tuple[list[Way], dict[tuple[str, str], Ratio]]] = {}
    for way, cases in ways.items():
        pulls = {
            (case, method): pull
            for case in cases
            for method in evidence.learned(case)
            if (pull := evidence.score(case, method, PULL))
        }
        if pulls:
            widths = {width(pull) for pull in pulls.values()}
            together, own = found.setdefault(widths.pop() if len(widths) == 1 else way, ([], {}))
            together.append(way)
            own.update(pulls)
    yield from found.values()


def _named(ways: list[Way]) -> str:
    """ "DDIM in one, 4 and 16 steps and DDPM in 16 steps"."""
    steps: dict[str, list[int]] = {}
    for sampler, count in ways:
        steps.setdefault(sampler, []).append(count)
    told = []
    for sampler, counts in steps.items():
        name = "the calibrated sampler" if sampler == "calibrated" else sampler.upper()
        numbers = listed(["one" if it == 1 else str(it) for it in sorted(counts)])
        told.append(f"{name} in {numbers} {'step' if counts == [1] else 'steps'}")
    return listed(told)


def _of_ways(evidence: Evidence, ways: list[Way], pulls: Pulls) -> str:
    name = _named(ways)
    widths = {place: width(pull) for place, pull in pulls.items()}
    values = [pull.value for pull in pulls.values()]
    known = set(widths.values())
    if known == {"right"}:
        return (
            f"With {name} ensembles are right on average (pull ratio {between(values, '{:.2f}')})."
        )
    if known == {"too narrow"}:
        return (
            f"With {name} {_all(pulls)} overconfident: the truth lies "
            f"{between(values)} times as far from their mean as they say "
            f"({_worst(evidence, pulls)})."
        )
    if known == {"too wide"}:
        return (
            f"With {name} {_all(pulls)} underconfident: the truth lies only "
            f"{between(values)} times as far from their mean as they say."
        )
    words = {"too narrow": "overconfident", "too wide": "underconfident", "right": "right"}
    counts = []
    for kind, word in (words | {"": "undecided"}).items():
        count = list(widths.values()).count(kind)  # type: ignore[arg-type]
        counts += [f"{count} {'is' if count == 1 else 'are'} {word}"] if count else []
    return (
        f"With {name}, of {len(pulls)} ensembles {listed(counts)} on average (pull ratio "
        f"{between(values)}; above 1 is overconfident)."
    )


def _all(pulls: Pulls) -> str:
    many = {1: "the one ensemble is", 2: "both ensembles are"}
    return many.get(len(pulls), f"all {len(pulls)} ensembles are")


def _worst(evidence: Evidence, pulls: Pulls) -> str:
    case, method = max(pulls, key=lambda place: pulls[place].value)
    return f"most for {evidence.method(method)}, {evidence.case(case)}"


def _change(evidence: Evidence, case: str, method: str) -> str:
    """Where an ensemble is too narrow and where too wide, by Re or else by scale; "" nowhere."""
    of_re = {
        f"{evidence.flow} {reynolds}": (ratio, side(ratio, narrow_above=True))
        for reynolds in evidence.rows(case, method, PULL)["reynolds"].unique()
        if reynolds != ALL and (ratio := evidence.score(case, method, PULL, reynolds=reynolds))
    }
    of_scale = {
        band: (ratio, side(ratio, narrow_above=False))
        for band in evidence.rows(case, method, BY_BAND)["detail"].unique()
        if band and (ratio := evidence.score(case, method, BY_BAND, detail=band))
    }
    tables = (
        (f"with {evidence.flow}", of_re, "pull ratio"),
        ("with scale", of_scale, "spread / error"),
    )
    for what, table, score in tables:
        found = {it: _farthest(table, it) for it in ("too narrow", "too wide")}
        if all(found.values()):
            places = [
                f"{kind} at {place} ({score} {table[place][0].value:.2f})"
                for kind, place in found.items()
            ]
            return f"{what} ({evidence.method(method)}, {evidence.case(case)}): {listed(places)}"
    return ""


def _farthest(table: Mapping[str, tuple[Ratio, Width]], kind: str) -> str:
    """The place that is off the most on one side of 1."""
    places = [place for place, (_, own) in table.items() if own == kind]
    return max(places, key=lambda place: abs(table[place][0].value - 1)) if places else ""


def other_flows_calibrated(evidence: Evidence, cases: list[str]) -> list[str]:
    """On flows unlike those of training: the narrowest and the widest of the ensembles."""
    pulls = {
        (case, method, reynolds): pull
        for case in cases
        for method in evidence.learned(case)
        for reynolds in evidence.rows(case, method, PULL)["reynolds"].unique()
        if reynolds != ALL and (pull := evidence.score(case, method, PULL, reynolds=reynolds))
    }
    if not pulls:
        return []
    off = {place: width(pull) for place, pull in pulls.items()}
    wrong = [place for place, kind in off.items() if kind.startswith("too")]
    if not wrong:
        return ["Where it can be told, its ensembles stay right on average."]
    ends = []
    for kind, pick in (("too narrow", max), ("too wide", min)):
        places = [place for place in wrong if off[place] == kind]
        if places:
            case, method, reynolds = pick(places, key=lambda place: pulls[place].value)
            where = f"{evidence.case(case)} at {evidence.flow} {reynolds}"
            pull = pulls[case, method, reynolds]
            ends.append(f"{kind} most of all in {where} (pull ratio {pull.value:.2f})")
    return [f"Ensembles there are {listed(ends)}."]
