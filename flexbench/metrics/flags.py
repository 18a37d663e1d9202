"""Guards against nonsense: what must not be in a table of scores without being said.

A flag is a defect, or a note, which tells what a reader would want to know. What compares scores
fires on paired intervals: a tie is no defect.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from flexbench.config import TaskSettings
from flexbench.data.schema import RESOLVED
from flexbench.metrics.comparisons import FORMULA, ratio_rows
from flexbench.metrics.definitions import definition_of
from flexbench.metrics.energy_flags import energy_grows
from flexbench.metrics.ensemble_flags import broken_ensembles, copies, miscalibrated
from flexbench.metrics.flag_types import Flag, Matched, Tables, snapshots
from flexbench.metrics.formula_flags import worse_in_a_band, worse_than_formula
from flexbench.metrics.group_scores import Resampling
from flexbench.metrics.rows import gather, rows_of_score
from flexbench.metrics.tables import ALL, RED_FLAGS, SNAPSHOT
from flexbench.sizing.sizes import SAME_SIZE

# Errors near the edges of tiles, over those elsewhere: above it, edges show in pictures.
SEAMLESS = 1.1
# Whether a shell has energy to be scored is the truth's affair; a spread that is flat has no slope.
_MAY_BE_ABSENT = ("spectrum_error", "reliability_slope")


def red_flags(scores: pd.DataFrame, frames: Iterable[pd.DataFrame], **given: Any) -> pd.DataFrame:
    """The table of all flags, arguments as `find_flags` takes them; empty where there are none."""
    return RED_FLAGS.of(flag.row for flag in find_flags(scores, frames, **given))


def find_flags(
    scores: pd.DataFrame,
    frames: Iterable[pd.DataFrame],
    *,
    tasks: Mapping[str, TaskSettings],
    planned: Mapping[str, int],
    resolutions: Mapping[str, Mapping[str, float]],
    matched: Mapping[tuple[str, str], Matched],
    flow: str = "Re",
    decaying: bool = True,
    bootstrap: int = 2000,
    confidence: float = 0.95,
) -> list[Flag]:
    """All flags, check by check.

    scores: from `aggregate`. frames: the score files it was made of. tasks: the settings of each
    task. planned: snapshots that every method was to be scored on, by case (per training seed).
    resolutions: by case, k_max eta of its trajectories, where it is known, by their names.
    matched: by case and method, how large a network is beside FLEX, where that is known.
    flow: what the column `reynolds` is called in messages. decaying: flows lose energy by
    themselves, as all simulated ones do. bootstrap, confidence: of paired intervals.

    To be worse than a formula is a defect on the flows that a method was trained for; elsewhere it
    is a finding, which the matrix shows.
    """
    tables = Tables(
        scores=scores,
        rows=gather(frames),
        tasks=tasks,
        planned=planned,
        resolutions=resolutions,
        matched=matched,
        flow=flow,
        how=Resampling(resamples=bootstrap, confidence=confidence, seed=0),
        decaying=decaying,
    )
    checks: tuple[Callable[[Tables], Iterator[Flag]], ...] = (
        _not_finite,
        _missing_snapshots,
        worse_than_formula,
        _harder_but_better,
        _of_another_size,
        copies,
        broken_ensembles,
        energy_grows,
        worse_in_a_band,
        miscalibrated,
        _seams,
        _unresolved,
    )
    return [flag for check in checks for flag in check(tables)]


def _not_finite(tables: Tables) -> Iterator[Flag]:
    """NaN or infinity in any score of any snapshot."""
    for _, run in tables.rows.groupby(["case", "method", "training_seed"], sort=False):
        group = run[~np.isfinite(run["value"].astype(float))]
        if group.empty:
            continue
        first = group.iloc[0].to_dict()
        names = ", ".join(dict.fromkeys(group["score"]))
        if set(group["score"]) == set(run["score"]):
            names = "all scores"
        yield tables.flag(
            first,
            "not finite",
            f"training seed {first['training_seed']}: not finite in {snapshots(group)} of the "
            f"snapshots: {names}",
        )


def _missing_snapshots(tables: Tables) -> Iterator[Flag]:
    """A run, or one of its scores, with fewer snapshots than planned."""
    for _, run in tables.rows.groupby(["case", "method", "training_seed"], sort=False):
        first = run.iloc[0].to_dict()
        scored = run.drop_duplicates(["score", *SNAPSHOT]).groupby("score", sort=False).size()
        short = {
            str(score): int(count)
            for score, count in scored.items()
            if _of_all_snapshots(str(score)) and count < tables.planned[first["case"]]
        }
        if short:
            every = set(short.values()) == {snapshots(run)} and len(short) > 1
            which = "all scores" if every else ", ".join(short)
            yield tables.flag(
                first,
                "missing snapshots",
                f"training seed {first['training_seed']}: {min(short.values())} of "
                f"{tables.planned[first['case']]} planned snapshots have {which}",
            )


def _of_all_snapshots(score: str) -> bool:
    """Whether every snapshot has the score."""
    return score not in _MAY_BE_ABSENT and not definition_of(score).rollout


def _harder_but_better(tables: Tables) -> Iterator[Flag]:
    """A method with a smaller error on the harder of two tasks that differ in nothing else."""
    errors = rows_of_score(tables.rows, "rfne_mean")
    for easy, hard in harder_pairs(tables.tasks):
        for method, own in errors[errors["case"] == hard].groupby("method", sort=False):
            other = errors[(errors["case"] == easy) & (errors["method"] == method)]
            for row in ratio_rows(own, other, tables.how, score="rfne_mean")[:1]:
                if row["high"] < 1:
                    yield tables.flag(
                        row,
                        "harder but better",
                        f"rfne_mean is {row['value']:.3g} times that on the easier {easy}, "
                        f"{tables.interval(row)}",
                        score="rfne_mean",
                        against=easy,
                        **tables.numbers(row),
                    )


def harder_pairs(tasks: Mapping[str, TaskSettings]) -> list[tuple[str, str]]:
    """(easier, harder) names of tasks alike but for their difficulty, neighbours only."""
    chains: dict[str, list[tuple[float, str]]] = {}
    for name, settings in tasks.items():
        alike = settings.model_dump_json(exclude={settings.difficulty_key, "methods", "patch"})
        chains.setdefault(alike, []).append((settings.difficulty, name))
    pairs = []
    for chain in map(sorted, chains.values()):
        pairs += [(a[1], b[1]) for a, b in pairwise(chain) if a[0] < b[0]]
    return pairs


def _of_another_size(tables: Tables) -> Iterator[Flag]:
    """A rival that is not as large as FLEX, on the tasks that it was trained for."""
    for (case, method), group in tables.scores.groupby(["case", "method"], sort=False):
        own = tables.matched.get((str(case), str(method)))
        if own is not None and case in tables.tasks and abs(own.ratio - 1) > SAME_SIZE:
            yield tables.flag(
                group.iloc[0].to_dict(),
                "another size",
                f"has {own.ratio:.2f} times the {own.by} of FLEX; compared as equals are "
                f"{1 - SAME_SIZE:g} to {1 + SAME_SIZE:g}",
            )


def _seams(tables: Tables) -> Iterator[Flag]:
    """Predictions in which one sees where the tiles meet."""
    rows = tables.overall("seam_ratio")
    rows = rows[(rows["reynolds"] == ALL) & (rows["mode"] != FORMULA)]
    # NaN: without an interval the value alone decides.
    by_chance = (rows["low"] <= 1) & (rows["value"] > 1)
    for row in rows[(rows["value"] > SEAMLESS) & ~by_chance].to_dict("records"):
        message = f"seam ratio {row['value']:.3g}, above {SEAMLESS:g}: tiles show at their edges"
        yield tables.flag(row, "seams", message, score="seam_ratio", **tables.numbers(row))


def _unresolved(tables: Tables) -> Iterator[Flag]:
    """Flows whose smallest scales the solver's grid does not hold."""
    for case, group in tables.scores.groupby("case", sort=False):
        known = tables.resolutions.get(str(case), {})
        coarse = sorted((value, name) for name, value in known.items() if value < RESOLVED)
        if coarse:
            worst, name = coarse[0]
            names = {name for _, name in coarse}
            own = tables.rows[(tables.rows["case"] == case) & tables.rows["trajectory"].isin(names)]
            yield tables.flag(
                group.iloc[0].to_dict() | {"method": ALL},
                "unresolved",
                f"k_max eta falls below {RESOLVED:g} in {len(coarse)} of {len(known)} trajectories "
                f"(smallest: {worst:.2f}, {name}): the grid does not resolve their smallest scales",
                detail=f"{len(coarse)} of {len(known)}",
                reynolds=", ".join(f"{re:g}" for re in sorted(own["reynolds"].unique())),
                value=worst,
            )
