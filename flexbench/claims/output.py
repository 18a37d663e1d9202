"""The ledger for people and for machines: a plain table, Markdown, JSON. Every word is computed."""

import json
import math
from typing import Any

from flexbench.claims.ledger import Decision, Entry, Ledger
from flexbench.claims.registry import DrawnSettings, MeasuredPart
from flexbench.claims.verdict import CANNOT_TELL, MOST_SEEDS
from flexbench.regression.output import markdown_table, plain_table

CLAIM_HEADS = ("claim", "verdict", "Holm", "comparisons", "what it would take")
PART_HEADS = (
    *("claim", "comparison", "verdict", "Holm", "effect, %", "95 % interval", "counts"),
    *("seeds", "flows", "could see, %", "what it would take"),
)
_EXPLAINED = (
    "Effects are 100 times the logarithm of a ratio of scores, or of a measured quantity of fields "
    "over that of residuals: about percent, positive as claimed; against a score of 1, positive is "
    "above it. Intervals hold the noise of training seeds and of test flows, or of the units that "
    "are measured. Holm: the verdict where all comparisons are to be right together in 95 of 100 "
    "ledgers. Could see: the effect that such a design finds in four of five cases."
)


def ledger_text(ledger: Ledger) -> str:
    """For a terminal: every claim, then the comparisons that were run."""
    run = [_part_row(entry, it) for entry in ledger.entries for it in entry.decisions if it.found]
    claims = [_claim_row(entry) for entry in ledger.entries]
    lines = [plain_table(CLAIM_HEADS, claims, words=range(5)), ""]
    if run:
        lines += [plain_table(PART_HEADS, run, words=(0, 1, 2, 3, 10)), "", _EXPLAINED]
    return "\n".join([*lines, *_basis(ledger)])


def ledger_markdown(ledger: Ledger) -> str:
    """A page: every claim in words, then every comparison."""
    lines = ["# Claims", "", *(f"{line}  " for line in _basis(ledger)), ""]
    lines += [markdown_table(CLAIM_HEADS, [_claim_row(entry) for entry in ledger.entries]), ""]
    lines += [_EXPLAINED, ""]
    for entry in ledger.entries:
        lines += [f"## {entry.name}: {entry.claim.statement}", "", f"Scope: {entry.claim.scope}."]
        if entry.claim.lacking:
            lines += ["", f"Not measured: {entry.claim.lacking}."]
        if entry.decisions:
            rows = [_part_row(entry, it) for it in entry.decisions]
            lines += ["", markdown_table(PART_HEADS, rows)]
        lines.append("")
    return "\n".join(lines)


def ledger_json(ledger: Ledger) -> str:
    """All numbers; null where one is not known. Ends with a line break."""
    values = {
        "source": ledger.source,
        "pairing": ledger.pairing,
        "scope": ledger.scope,
        "registered": f"{_registered(ledger)}.",
        "claims": {entry.name: _entry_values(entry) for entry in ledger.entries},
    }
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def _basis(ledger: Ledger) -> list[str]:
    return [
        f"Claims of {ledger.source}. {_registered(ledger)}.",
        f"Paired: {ledger.pairing}.",
        f"Scope: {ledger.scope}.",
    ]


def _registered(ledger: Ledger) -> str:
    """Which claims stood as they do before the samples that they are judged by."""
    names: dict[str, list[str]] = {}
    for entry in ledger.entries:
        if entry.registration:
            names.setdefault(entry.registration, []).append(entry.name)
    if len(names) < 2:
        return f"All that is judged was {next(iter(names), 'not run yet')}"
    return "; ".join(f"{told.capitalize()}: {', '.join(own)}" for told, own in names.items())


def _claim_row(entry: Entry) -> tuple[str, ...]:
    verdicts = [it.verdict for it in entry.decisions]
    counts = [f"{verdicts.count(it)} {it}" for it in dict.fromkeys(verdicts)]
    return (entry.name, entry.verdict, entry.adjusted, ", ".join(counts) or "-", _takes(entry))


def _takes(entry: Entry) -> str:
    """What it would take to decide a claim: what is lacking, and of its comparisons the first."""
    if entry.verdict != CANNOT_TELL:
        return "-"
    asked = [_would_take(it) for it in entry.decisions if it.verdict == CANNOT_TELL]
    asked = list(dict.fromkeys(asked))
    more = f"; and {len(asked) - 1} more" if len(asked) > 1 else ""
    lacking = [f"needs {entry.claim.lacking}"] if entry.claim.lacking else []
    return "; ".join([*lacking, *(f"{it}{more}" for it in asked[:1])])


def _part_row(entry: Entry, it: Decision) -> tuple[str, ...]:
    known = math.isfinite(it.low)
    return (
        entry.name,
        _compared(it),
        it.verdict,
        it.adjusted,
        _percent(it.effect),
        f"{_percent(it.low)} to {_percent(it.high)}" if known else "-",
        str(it.part.settings.says.statement),
        *(str(count or "-") for count in (it.seeds, it.trajectories)),
        _percent(it.smallest_visible).lstrip("+"),
        _would_take(it) if it.verdict == CANNOT_TELL else "-",
    )


def _compared(it: Decision) -> str:
    """Both sides in words: by the run's own names where it has them."""
    part = it.part
    if isinstance(part, MeasuredPart):
        method = f"{part.settings.method} on " if part.settings.method else ""
        return f"{part.label}: {method}residuals of {part.task} against fields"
    settings = part.settings
    if it.sides is None:
        one = _drawn(settings.method, settings.drawn)
        other = _drawn(part.against, part.against_drawn)
        return f"{part.score} on {part.task}: {one} against {other}"
    own, rival = it.sides.own, it.sides.other
    one, other = _detailed(own.method, settings.drawn), part.against
    if rival is not None:
        elsewhere = f" on {rival.case}" if rival.case != own.case else ""
        other = _detailed(rival.method, part.against_drawn) + elsewhere
    return f"{part.score} on {own.case}: {one} against {other}"


def _detailed(method: str, drawn: DrawnSettings) -> str:
    return f"{method} ({drawn.detail})" if drawn.detail else method


def _drawn(method: str, drawn: DrawnSettings) -> str:
    said = drawn.model_dump(exclude_defaults=True)
    words = ", ".join(f"{key} {value}" for key, value in said.items())
    return f"{method} ({words})" if words else method


def _would_take(it: Decision) -> str:
    if it.open:
        return it.open
    if it.trajectories_needed is not None:
        return f"about {it.trajectories_needed} training trajectories, if this effect is the truth"
    if isinstance(it.part, MeasuredPart) and it.seeds_needed is None:
        return f"more than {MOST_SEEDS} {it.part.units}"
    if it.seeds_needed is None:
        return f"more test flows: {MOST_SEEDS} seeds would not decide"
    return f"about {it.seeds_needed} training seeds, if this effect is the truth"


def _percent(value: float) -> str:
    return f"{100 * value:+.2f}" if math.isfinite(value) else "-"


def _entry_values(entry: Entry) -> dict[str, Any]:
    return {
        "statement": entry.claim.statement,
        "scope": entry.claim.scope,
        "lacking": entry.claim.lacking,
        "registration": entry.registration,
        "verdict": entry.verdict,
        "verdict_holm": entry.adjusted,
        "takes": "" if entry.verdict != CANNOT_TELL else _takes(entry),
        "comparisons": [_decision_values(it) for it in entry.decisions],
    }


def _decision_values(it: Decision) -> dict[str, Any]:
    says = it.part.settings.says
    numbers = ("effect", "low", "high", "p", "smallest_visible")
    return {
        "comparison": _compared(it),
        "case": it.sides.own.case if it.sides else None,
        "kind": says.kind,
        "delta": says.delta,
        "margin": says.margin,
        "because": says.because,
        "counts": str(says.statement),
        "verdict": it.verdict,
        "verdict_holm": it.adjusted,
        **{key: _number(getattr(it, key)) for key in numbers},
        "training_seeds": it.seeds,
        "training_seeds_registered": it.part.settings.seeds,
        "trajectories": it.trajectories,
        "seeds_needed": it.seeds_needed,
        "trajectories_needed": it.trajectories_needed,
        "open": it.open or None,
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
