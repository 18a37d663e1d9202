"""Flags in plain sentences: one for each kind and method, which lists the cases."""

import dataclasses
import math
from collections.abc import Callable, Sequence

from flexbench.findings.evidence import Evidence, Ratio
from flexbench.findings.names import listed
from flexbench.findings.results import Alert
from flexbench.findings.words import between, plain
from flexbench.metrics.flag_types import DEFECTS, NOTES, Flag, Kind
from flexbench.metrics.tables import ALL

# Flags of one kind and method, their method's name, and where they are, in words -> a sentence.
_Worded = Callable[[Sequence[Flag], str, str], str]


def warnings(evidence: Evidence, *, defects: bool) -> list[Alert]:
    """Of defects, or of notes, kind by kind."""
    groups: dict[tuple[Kind, str], list[Flag]] = {}
    for flag in evidence.flags:
        if flag.is_defect == defects:
            groups.setdefault((flag.kind, flag.method), []).append(flag)
    kinds = DEFECTS if defects else NOTES
    in_order = sorted(groups.items(), key=lambda group: kinds.index(group[0][0]))
    return [_alert(evidence, kind, method, own) for (kind, method), own in in_order]


def _alert(evidence: Evidence, kind: Kind, method: str, flags: list[Flag]) -> Alert:
    cases = [case for case in evidence.graph.cases if case in {flag.case for flag in flags}]
    where = evidence.listed(cases)
    name = "" if method == ALL else evidence.method(method)
    text = _WORDS[kind]([_named(evidence, flag) for flag in flags], name, where)
    return Alert(kind=kind, method=method, cases=cases, text=text[:1].upper() + text[1:])


def _named(evidence: Evidence, flag: Flag) -> Flag:
    """The flag with names for people in place of keys."""
    return dataclasses.replace(
        flag,
        case=evidence.case(flag.case),
        against=evidence.method(flag.against),
        reynolds="" if flag.reynolds in ("", ALL) else f"{evidence.flow} {flag.reynolds}",
    )


def _values(flags: Sequence[Flag], form: str = "{:.2g}") -> str:
    return between([flag.value for flag in flags], form)


def _beside_formula(flags: Sequence[Flag], name: str, *, verdict: str, noise: str) -> str:
    """Each of them: by another score, at another Re. noise: what is said where an interval is."""
    told = []
    for flag in flags:
        place = ", ".join(filter(None, (flag.case, flag.reynolds, _SCORES.get(flag.score, ""))))
        ratio = plain(Ratio(value=flag.value, low=flag.low, high=flag.high))
        why = noise if not math.isnan(flag.low) else "; too few flows for an interval"
        told.append(f"{flag.against} ({place}: {ratio} times its error{why})")
    return f"{name} is {verdict} than {listed(told)}."


_SCORES = {"crps": "by CRPS"}


def _in_bands(flags: Sequence[Flag], name: str, where: str) -> str:
    bands = [
        f"{flag.detail} ({flag.case}: {flag.value:.2g} times as far off as {flag.against}, "
        f"{flag.low:.2g} to {flag.high:.2g})"
        for flag in flags
    ]
    word = "band" if len(bands) == 1 else "bands"
    return f"{name}'s spectrum is worse than a formula's in the {word} {listed(bands)}."


def _energy(flags: Sequence[Flag], name: str, does: str, beyond: str) -> str:
    told = [
        f"{100 * flag.value:.2g} % above the truth's ({100 * flag.low:.2g} to "
        f"{100 * flag.high:.2g}) {flag.detail} in {flag.case}"
        for flag in flags
    ]
    return f"{name}'s rollouts {does}: {listed(told)}{beyond}."


def _unresolved(flags: Sequence[Flag], name: str, where: str) -> str:
    worst = min(flag.value for flag in flags)
    return (
        f"the grid does not resolve the smallest scales of some test flows (k_max eta down to "
        f"{worst:.2f}, 1 is enough): {where}."
    )


_WORDS: dict[Kind, _Worded] = {
    "not finite": lambda flags, name, where: (
        f"{name} has scores that are no numbers in {where}: do not use what is averaged over them."
    ),
    "missing snapshots": lambda flags, name, where: (
        f"{name} was scored on fewer snapshots than planned in {where}."
    ),
    "worse than formula": lambda flags, name, where: _beside_formula(
        flags, name, verdict="worse", noise=""
    ),
    "no better than formula": lambda flags, name, where: _beside_formula(
        flags, name, verdict="no better", noise="; within the noise"
    ),
    "harder but better": lambda flags, name, where: (
        f"{name} has a smaller error on a harder task than on an easier one: {where}."
    ),
    "another size": lambda flags, name, where: (
        f"{name} is not as large as FLEX, so that the two are not compared as equals: {where}."
    ),
    "copy of the truth": lambda flags, name, where: (
        f"{name}'s predictions are the truth, which it must have seen: {where}."
    ),
    "collapsed ensemble": lambda flags, name, where: (
        f"{name}'s members agree with one another at many points of {where}: no ensemble."
    ),
    "copied members": lambda flags, name, where: (
        f"{name} has members that are copies of others in {where}: its calibration means nothing."
    ),
    "member is the truth": lambda flags, name, where: (
        f"{name} has a member that is the truth, which it must have seen: {where}."
    ),
    "energy grows": lambda flags, name, where: _energy(
        flags, name, "gain energy", ", and more than at the start, which no such flow has"
    ),
    "energy above the truth": lambda flags, name, where: _energy(
        flags, name, "have too much energy", ""
    ),
    "worse in a band": _in_bands,
    "overconfident": lambda flags, name, where: (
        f"{name} is overconfident: the truth lies {_values(flags)} times as far from its mean as "
        f"it says, in {where}."
    ),
    "underconfident": lambda flags, name, where: (
        f"{name} is underconfident: the truth lies only {_values(flags)} times as far from its "
        f"mean as it says, in {where}."
    ),
    "biased": lambda flags, name, where: (
        f"{name} is biased: the truth lies {_values(flags)} standard deviations off its mean, in "
        f"{where}."
    ),
    "flat in space": lambda flags, name, where: (
        f"{name}'s spread is too even: errors differ {_values(flags)} times as much from place to "
        f"place as its members do, in {where}."
    ),
    "spread in the wrong places": lambda flags, name, where: (
        f"{name} spreads where it does not err, and errs where it does not spread: {where}."
    ),
    "heavy tails": lambda flags, name, where: (
        f"{name} is surprised too often: {_values([*flags], '{:.2%}')} of the points lie more than "
        f"5 standard deviations away, in {where}."
    ),
    "seams": lambda flags, name, where: (
        f"one sees where {name}'s tiles meet: errors there are {_values(flags)} times those "
        f"elsewhere, in {where}."
    ),
    "unresolved": _unresolved,
}
