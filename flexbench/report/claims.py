"""What a run says of the paper, as the page shows it: the ledger of `tables/claims.json`."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flexbench.claims.verdict import CANNOT_TELL, EQUIVALENT, FAILS, HOLDS
from flexbench.errors import FlexbenchError
from flexbench.report.tables import Cell, Head, Row, Table

# Of each verdict: what it is to a reader, in the words of the page, and its style.
_VERDICTS = {
    HOLDS: ("holds", "holds"),
    EQUIVALENT: ("as good, within the margin", "holds"),
    FAILS: ("does not hold", "fails"),
    CANNOT_TELL: ("can't tell", "open"),
}
_HEADS = (
    ("verdict", ""),
    ("effect, %", "100 times the logarithm of a ratio of scores; positive as claimed"),
    ("95 % interval", "of the noise of training seeds and of test flows together"),
    ("counts", "what the claim asks of the effect"),
    ("could see, %", "the effect that this design finds in four of five cases"),
    ("seeds", "training seeds"),
    ("flows", "test trajectories"),
)


@dataclass(frozen=True, kw_only=True)
class ClaimView:
    """One claim. verdict: in words. kind: its style. takes: what would decide it, or ""."""

    name: str
    statement: str
    scope: str
    verdict: str
    kind: str
    takes: str
    compared: Table | None


@dataclass(frozen=True, kw_only=True)
class ClaimsView:
    """sentence: what was found, in one. basis: what all verdicts are true of."""

    sentence: str
    source: str
    basis: list[str]
    claims: list[ClaimView]


def claims_view(path: Path, anchors: Mapping[str, str]) -> ClaimsView | None:
    """The ledger of a run; None where the run could judge none of the claims.

    anchors: of the cases on the page, which comparisons lead to. FlexbenchError where the file is
    missing or no ledger.
    """
    try:
        ledger = json.loads(path.read_text(encoding="utf-8"))
        entries: dict[str, dict[str, Any]] = ledger["claims"]
        if not any(it["low"] is not None for own in entries.values() for it in own["comparisons"]):
            return None
        return ClaimsView(
            sentence=_sentence(entries),
            source=ledger["source"],
            basis=[ledger["registered"], f"Paired: {ledger['pairing']}.", f"{ledger['scope']}."],
            claims=[_claim(name, own, anchors) for name, own in entries.items()],
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise FlexbenchError(f"{path}: no ledger of claims ({error})") from None


def _sentence(entries: Mapping[str, dict[str, Any]]) -> str:
    counts = Counter(_VERDICTS[own["verdict"]][1] for own in entries.values())
    told = [
        f"{counts[kind]} {words}"
        for kind, words in (("holds", "hold"), ("fails", "do not"), ("open", "stay open"))
    ]
    return f"Of {len(entries)} statements {told[0]} in this run, {told[1]}, and {told[2]}."


def _claim(name: str, entry: Mapping[str, Any], anchors: Mapping[str, str]) -> ClaimView:
    verdict, kind = _VERDICTS[entry["verdict"]]
    judged = [it for it in entry["comparisons"] if it["low"] is not None]
    table = Table(corner="comparison", heads=[Head(text=text, hint=hint) for text, hint in _HEADS])
    table.rows = [_row(it, anchors) for it in judged]
    return ClaimView(
        name=name,
        statement=entry["statement"],
        scope=entry["scope"],
        verdict=verdict,
        kind=kind,
        takes=entry["takes"],
        compared=table if judged else None,
    )


def _row(it: Mapping[str, Any], anchors: Mapping[str, str]) -> Row:
    words, kind = _VERDICTS[it["verdict"]]
    anchor = anchors.get(it["case"] or "", "")
    interval = f"{100 * it['low']:+.1f} to {100 * it['high']:+.1f}"
    cells = [
        Cell(text=words, kind=f"verdict {kind}"),
        Cell(text=f"{100 * it['effect']:+.1f}", anchor=anchor),
        Cell(text=interval),
        Cell(text=it["counts"]),
        Cell(text=f"{100 * it['smallest_visible']:.1f}"),
        # Of a measured quantity, one of the two has no part in it.
        *(Cell(text=str(it[key] or "-")) for key in ("training_seeds", "trajectories")),
    ]
    return Row(name=it["comparison"], cells=cells)
