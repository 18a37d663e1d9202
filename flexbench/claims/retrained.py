"""The same training once more, with other kernels or threads: do its scores, and any verdict, move?

Rounding alone makes another network of the same seed. That is noise of training like a seed's, if
what it changes is no larger than what seeds do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flexbench.claims.effects import effects_of
from flexbench.claims.ledger import Ledger, Scores
from flexbench.graph import Graph
from flexbench.paths import Layout
from flexbench.regression.output import plain_table

# Of both the lower is the better.
COMPARED = ("rfne_mean", "crps")
_HEADS = ("case", "method", "seed", "score", "moved by, %", "seeds' std, %", "of seeds")


@dataclass(frozen=True, kw_only=True)
class Move:
    """One training done once more.

    change: mean logarithm of its score over that of the run, over the shared test flows. noise:
    standard deviation over the run's training seeds of the mean logarithm; NaN of fewer than two.
    """

    case: str
    method: str
    seed: int
    score: str
    change: float
    noise: float
    seeds: int


def moves(graph: Graph, instead: Layout) -> Iterator[Move]:
    """Of every file of scores in `instead` that the run has, too."""
    ours, theirs = Scores(graph), Scores(graph, instead=instead)
    for job in graph.jobs:
        if not instead.scores(job.case, job.method, job.seed).is_file():
            continue
        whole, other = ours.of(job.case, job.method), theirs.of(job.case, job.method)
        for score in COMPARED:
            own, again = (rows[rows["training_seed"] == job.seed] for rows in (whole, other))
            found = effects_of(own, again, score=score, direction="lower")
            levels = effects_of(whole, None, score=score, direction="lower")
            if found is None or levels is None:
                continue
            means = levels.values.mean(axis=1)
            yield Move(
                case=job.case,
                method=job.method,
                seed=job.seed,
                score=score,
                change=float(found.values.mean()),
                noise=float(means.std(ddof=1)) if len(means) > 1 else np.nan,
                seeds=len(means),
            )


def moves_text(found: list[Move], before: Ledger, after: Ledger) -> str:
    """For a terminal: what moved, against the noise of seeds; and each verdict that is another."""
    rows = [
        (
            *(it.case, it.method, str(it.seed), it.score),
            *(f"{100 * it.change:+.2f}", f"{100 * it.noise:.2f}", str(it.seeds)),
        )
        for it in found
    ]
    inside = sum(abs(it.change) < 2 * it.noise for it in found)
    lines = [
        plain_table(_HEADS, rows, words=(0, 1, 3)),
        f"\n{inside} of {len(found)} moved by less than two standard deviations of the seeds.",
    ]
    pairs = zip(before.entries, after.entries, strict=True)
    flipped = [(one, other) for one, other in pairs if one.verdict != other.verdict]
    lines += [f"Claim {a.name}: {a.verdict} becomes {b.verdict}." for a, b in flipped]
    return "\n".join(lines if flipped else [*lines, "No verdict of a claim is another."])
