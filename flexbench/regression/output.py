"""Verdicts for people and for machines: a plain table, Markdown, JUnit XML."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Sequence

from flexbench.regression.gate import Explanation, Outcome, Verdict

HEADS = ("score", "run", "reference", "limit", "verdict")
WORDS = {"ok": "ok", "better": "better", "worse": "WORSE", "missing": "MISSING"}

# What XML 1.0 cannot hold, even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def plain_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, words: Collection[int] = (0,)
) -> str:
    """Columns of equal width, those of words to the left and the others to the right."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column in words else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as Markdown; what would end a cell is escaped."""
    lines = [
        heads,
        ["---", *["---:"] * (len(heads) - 1)],
        *([_cell(it) for it in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def outcome_text(outcome: Outcome) -> str:
    """For a terminal or a log."""
    lines = [plain_table(HEADS, [_row(verdict) for verdict in outcome.verdicts]), ""]
    lines += [f"red flag: {flag}" for flag in outcome.flags]
    lines += [f"note: {note}" for note in outcome.notes]
    lines += [_basis(outcome), _summary(outcome)]
    return "\n".join(lines)


def outcome_markdown(outcome: Outcome, *, found: Sequence[str] = ()) -> str:
    """For a comment on a pull request. found: what the run found, in sentences, told first."""
    word = "regression" if outcome.failures else "passed"
    lines = [f"### Regression gate: {word}", ""]
    lines += [line for sentence in found for line in (_cell(sentence), "")]
    lines += [markdown_table(HEADS, [_row(verdict) for verdict in outcome.verdicts]), ""]
    lines += [f"- **{_cell(failure)}**" for failure in outcome.failures]
    lines += [f"- {_cell(note)}" for note in outcome.notes]
    return "\n".join([*lines, "", _basis(outcome), ""])


def outcome_junit(outcome: Outcome) -> str:
    """JUnit XML: a test case per score, and one for red flags."""
    cases = [
        (verdict.name, verdict.message if verdict.failed else "") for verdict in outcome.verdicts
    ]
    cases.append(("red_flags", "\n".join(outcome.flags)))
    failures = sum(bool(message) for _, message in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "flexbench regress", **counts})
    for name, message in cases:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": "regression", "name": _legal(name), "time": "0"}
        )
        if message:
            told = _legal(message)
            failure = ElementTree.SubElement(case, "failure", {"message": told.splitlines()[0]})
            failure.text = told
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def explanation_text(explanation: Explanation) -> str:
    """What the gate detects, and how often it is wrong."""
    heads = ("score", "mean ± s", "limit", "caught 1 in 2", "caught 9 in 10")
    rows = [
        (it.name, f"{it.mean:.4g} ± {it.std:.2g}", f"{it.limit:.4g}", it.half, it.most)
        for it in explanation.powers
    ]
    kinds = dict.fromkeys((it.name.rpartition(".")[2], it.text) for it in explanation.powers)
    low, high = explanation.interval
    count = len(explanation.alarms)
    lines = [plain_table(heads, rows), ""]
    lines += [f"{kind}: {text}" for kind, text in kinds]
    lines += [
        "",
        f"False alarms by leave-one-out: {explanation.false} of {count} seeds fail in any score "
        f"against the limits of the other {count - 1};",
        f"the rate is {explanation.false / count:.1%}, its 95 % interval (Clopper-Pearson) "
        f"{low:.1%} to {high:.1%}; it is designed to be at most {explanation.alpha:.0%}.",
    ]
    lines += [
        f"seed {seed} fails in {', '.join(names)}"
        for seed, names in explanation.alarms.items()
        if names
    ]
    return "\n".join(lines)


def _row(verdict: Verdict) -> tuple[str, ...]:
    if verdict.std is None:
        numbers = [f"{it:.10g}" for it in (verdict.run, verdict.mean, verdict.limit)]
    else:
        spread = f"{verdict.mean:.4g} ± {verdict.std:.2g}"
        numbers = [f"{verdict.run:.4g}", spread, f"{verdict.limit:.4g}"]
    return (verdict.name, *numbers, WORDS[verdict.status])


def _basis(outcome: Outcome) -> str:
    own, reference = outcome.seeds
    root = f"sqrt(1/{own} + 1/{reference})"
    return (
        f"Smaller is better. Limit: mean + t s {root} of {reference} seeds, for {own} new; an "
        f"unchanged code passes all of them {1 - outcome.alpha:.0%} of the time."
    )


def _summary(outcome: Outcome) -> str:
    failures = outcome.failures
    return f"regression: {'; '.join(failures)}" if failures else "passed"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _legal(text: str) -> str:
    return _ILLEGAL.sub("�", text)
