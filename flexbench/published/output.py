"""What was found beside what was published, for people and for machines. Every word is computed."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flexbench import __version__
from flexbench.metrics.calibration import sigma_ref
from flexbench.nested import differences
from flexbench.provenance import file_digest
from flexbench.published.score import (
    HELD_OUT,
    Protocol,
    Scores,
    mean_of,
    sigma_ref_member,
)
from flexbench.published.sidecar import Sidecar, departures
from flexbench.regression.output import plain_table

CLAIM = "0"
# Of minFLEX's notebook, all of one member: its RFNE, and mean and width of its pulls.
PUBLISHED_RFNE = 0.01236
PUBLISHED_PULL_MEAN = -0.60
PUBLISHED_PULL_WIDTH = 1.73

HEADS = ("score", "here", "members from, to", "published", "a perfect ensemble")


def published_text(scores: Scores, protocol: Protocol, *, sidecar: Sidecar) -> str:
    """For a terminal: the table, then what it says."""
    members = protocol.members
    rows = [
        _row("RFNE of a member, %", _percents(scores.rfne_member), 100 * PUBLISHED_RFNE, "-"),
        _row(
            "pull width of a member",
            scores.pull_width_member,
            PUBLISHED_PULL_WIDTH,
            _shown(sigma_ref_member(members)),
        ),
        _row("pull mean of a member", scores.pull_mean_member, PUBLISHED_PULL_MEAN, "0"),
        _row("RFNE of the ensemble mean, %", _percents([scores.rfne]), None, "-"),
        _row(
            "pull width of the ensemble mean", [scores.pull_width], None, _shown(sigma_ref(members))
        ),
        _row("RFNE of the up-sampled field, %", _percents([scores.interpolated]), None, "-"),
    ]
    return "\n".join([plain_table(HEADS, rows), "", *_sentences(scores, protocol, sidecar)])


def published_json(
    scores: Scores, protocol: Protocol, *, sidecar: Sidecar, checkpoint: Path, data: Path
) -> str:
    """All numbers, and what they are of; null where one is not finite. Ends with a line break."""
    values = {
        "claim": CLAIM,
        "version": __version__,
        "checkpoint": {"file": checkpoint.name, "sha256": file_digest(checkpoint)},
        "data": {"file": data.name, "sha256": file_digest(data)},
        "sidecar": sidecar.model_dump(mode="json", exclude_unset=True),
        "protocol": {
            "first_snapshot": protocol.first,
            "snapshots": protocol.count,
            "snapshots_trained_on": scores.trained,
            "sampler": "ddim",
            "steps": protocol.steps,
            "members": protocol.members,
            "seed": protocol.seed,
            "differs_from_published": _departures(protocol, sidecar),
        },
        "published": {
            "rfne_member": PUBLISHED_RFNE,
            "pull_mean_member": PUBLISHED_PULL_MEAN,
            "pull_width_member": PUBLISHED_PULL_WIDTH,
        },
        "perfect": {
            "pull_width_member": _number(sigma_ref_member(protocol.members)),
            "pull_width": _number(sigma_ref(protocol.members)),
        },
        "found": {
            "rfne_member": _number(mean_of(scores.rfne_member)),
            "pull_width_member": _number(mean_of(scores.pull_width_member)),
            "pull_mean_member": _number(mean_of(scores.pull_mean_member)),
            "rfne_of_each_member": [_number(it) for it in scores.rfne_member],
            "pull_width_of_each_member": [_number(it) for it in scores.pull_width_member],
            "rfne": _number(scores.rfne),
            "pull_mean": _number(scores.pull_mean),
            "pull_width": _number(scores.pull_width),
            "rfne_interpolated": _number(scores.interpolated),
            "collapsed": _number(scores.collapsed),
        },
    }
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def _sentences(scores: Scores, protocol: Protocol, sidecar: Sidecar) -> list[str]:
    rfne, width = mean_of(scores.rfne_member), mean_of(scores.pull_width_member)
    lines = [
        f"The RFNE of a member is {_against(rfne, PUBLISHED_RFNE)} the published one, its pull "
        f"width {_against(width, PUBLISHED_PULL_WIDTH)} the published one.",
        f"Pulls of {protocol.members} members are wide even if nothing is wrong; those of the mean "
        f"are {_shown(scores.pull_width / sigma_ref(protocol.members))} times as wide as a perfect "
        "ensemble's.",
        _where(scores, protocol),
    ]
    if unlike := _departures(protocol, sidecar):
        told = ", ".join(f"{name} ({usual} there)" for name, usual in unlike.items())
        lines.append(f"Not as published, but with another: {told}.")
    if scores.collapsed:
        lines.append(
            f"All members agree at {100 * scores.collapsed:.3g} % of the points: they have no pull."
        )
    return lines


def _departures(protocol: Protocol, sidecar: Sidecar) -> dict[str, Any]:
    """What is done otherwise than in the notebook, and how it is there; the noise is its own."""
    usual = asdict(Protocol(seed=protocol.seed))
    unlike = [*differences(usual, asdict(protocol)), *departures(sidecar)]
    return {it.place: it.before for it in unlike}


def _where(scores: Scores, protocol: Protocol) -> str:
    chosen = protocol.snapshots
    which = f"snapshot {chosen.start}"
    if len(chosen) > 1:
        which = f"snapshots {chosen.start} to {chosen.stop - 1}"
    return (
        f"Scored on {which}; the authors' training saw {scores.trained} of {protocol.count}, as it "
        f"leaves out the last {HELD_OUT} of a file."
    )


def _against(found: float, published: float) -> str:
    return f"{_shown(found / published)} times"


def _row(
    name: str, values: Sequence[float], published: float | None, perfect: str
) -> tuple[str, ...]:
    spread = f"{_shown(min(values))}, {_shown(max(values))}" if len(values) > 1 else "-"
    told = "-" if published is None else _shown(published)
    return (name, _shown(mean_of(values)), spread, told, perfect)


def _percents(values: Sequence[float]) -> list[float]:
    return [100 * value for value in values]


def _shown(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "-"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
