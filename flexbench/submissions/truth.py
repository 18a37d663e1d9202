"""Predictions that are the truth, or nearer to it than a prediction comes: told before any score.

Whoever has this code can simulate the flows that are asked about, so that the truth is no secret.
A copy of it with noise on top is not found here; the red flags look for more.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexbench.data.observe import open_trajectory
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.submissions.answer import Answer

# Relative error below which a field is a copy: half precision, a factor near 1 and a solver of the
# same equations from the same inputs all stay below it, and no trained network has come near.
COPY = 1e-3
# And below which it is doubted, and said so.
DOUBTED = 1e-2


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """The field of an answer that is nearest to its truth.

    error: of the field, relative to the truth (RFNE). what: "member 3", or "the mean".
    """

    row: int
    what: str
    error: float


def nearest_to_truth(graph: Graph, answer: Answer) -> Nearest:
    """Of all members and of the mean of each snapshot; FlexbenchError where it is a copy."""
    case = answer.request.case
    paths = {path.stem: path for path in graph.tested(case)}
    observable = graph.case(case).settings.observable
    found: list[Nearest] = []
    for row, snapshot in enumerate(answer.request.snapshots):
        with open_trajectory(paths[snapshot.trajectory], observable) as trajectory:
            truth = trajectory.snapshot(snapshot.index).astype(np.float64)
        found += _errors(row, answer.ensemble(row)[:, 0], truth)
    nearest = min(found, key=lambda it: it.error)
    if nearest.error < COPY:
        snapshot = answer.request.snapshots[nearest.row]
        raise FlexbenchError(
            f"{answer.path}: prediction: {nearest.what} of row {nearest.row} "
            f"({snapshot.trajectory}, snapshot {snapshot.index}) is the truth, to a relative error "
            f"of {nearest.error:.1e}; allowed: predictions, whose error is above {COPY:g}"
        )
    return nearest


def _errors(
    row: int, ensemble: NDArray[np.float32], truth: NDArray[np.float64]
) -> Iterable[Nearest]:
    """Of each member of (M, H, W), and of their mean, to (H, W)."""
    size = float(np.sqrt(np.mean(truth**2))) or 1.0
    fields: dict[str, NDArray[np.floating]] = {
        f"member {number}": field for number, field in enumerate(ensemble)
    }
    fields["the mean"] = ensemble.mean(axis=0, dtype=np.float64)
    for what, field in fields.items():
        error = float(np.sqrt(np.mean((field - truth) ** 2))) / size
        yield Nearest(row=row, what=what, error=error)
