"""Guards against nonsense: what must not be in a table of scores without being said.

A flag is a defect, except `INFORMATION`, which tells what a reader would want to know.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pandas as pd

from flexbench.config import TaskSettings
from flexbench.data.schema import RESOLVED
from flexbench.metrics.comparisons import COMPARED, FORMULA
from flexbench.metrics.definitions import definition_of
from flexbench.metrics.ensemble_flags import broken_ensembles, copies, miscalibrated
from flexbench.metrics.flag_types import INFORMATION, Flag, Matched, Tables, snapshots
from flexbench.metrics.rows import gather
from flexbench.metrics.tables import ALL, RED_FLAGS, SNAPSHOT
from flexbench.sizing.sizes import SAME_SIZE

# Errors near the edges of tiles, over those elsewhere: above it, edges show in pictures.
SEAMLESS = 1.1
# Whether a shell has energy to be scored is the truth's affair; a spread that is flat has no slope.
_MAY_BE_ABSENT = ("spectrum_error", "reliability_slope")


def red_flags(
    scores: pd.DataFrame,
    frames: Iterable[pd.DataFrame],
    *,
    tasks: Mapping[str, TaskSettings],
    planned: Mapping[str, int],
    resolutions: Mapping[str, Mapping[str, float]],
    matched: Mapping[tuple[str, str], Matched],
    flow: str = "Re",
) -> pd.DataFrame:
    """All flags; empty where nothing is wrong.

    scores: from `aggregate`. frames: the score files it was made of. tasks: the settings of each
    task. planned: snapshots that every method was to be scored on, by case (per training seed).
    resolutions: by case, k_max eta of its trajectories, where it is known, by their names.
    matched: by case and method, how large a network is beside FLEX, where that is known.
    flow: what the column `reynolds` is called in messages.

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
    )
    checks: tuple[Callable[[Tables], Iterator[Flag]], ...] = (
        _not_finite,
        _missing_snapshots,
        _worse_than_formula,
        _harder_but_better,
        _of_another_size,
        copies,
        broken_ensembles,
        miscalibrated,
        _seams,
        _unresolved,
    )
    return RED_FLAGS.of(asdict(flag) for check in checks for flag in check(tables))


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


def _worse_than_formula(tables: Tables) -> Iterator[Flag]:
    """A learned method whose score is worse than the best formula's of its case."""
    for score in COMPARED:
        for case, group in tables.overall(score).groupby("case", sort=False):
            if case not in tables.tasks:
                continue
            formulas = group[group["mode"] == FORMULA].dropna(subset=["value"])
            for _, own in group[group["mode"] != FORMULA].groupby("method", sort=False):
                worse = _where_worse(own, formulas, flow=tables.flow)
                if worse:
                    first = own.iloc[0].to_dict()
                    yield tables.flag(first, "worse than formula", f"{score}: {'; '.join(worse)}")


def _where_worse(own: pd.DataFrame, formulas: pd.DataFrame, *, flow: str) -> list[str]:
    """By Reynolds number, where the smallest of the formulas' scores is smaller."""
    worse = []
    for row in own.to_dict("records"):
        rivals = formulas[formulas["reynolds"] == row["reynolds"]]
        if len(rivals) and row["value"] > rivals["value"].min():
            best = rivals.loc[rivals["value"].idxmin()]
            every = "all Re" if flow == "Re" else f"all {flow}s"
            where = every if row["reynolds"] == ALL else f"{flow} {row['reynolds']}"
            worse.append(f"{where} {row['value']:.4g} > {best['value']:.4g} ({best['method']})")
    return worse


def _harder_but_better(tables: Tables) -> Iterator[Flag]:
    """A method with a smaller error on the harder of two tasks that differ in nothing else."""
    errors = tables.overall("rfne_mean")
    errors = errors[errors["reynolds"] == ALL]
    for easy, hard in harder_pairs(tables.tasks):
        both = errors[errors["case"] == easy].merge(
            errors[errors["case"] == hard], on=["tier", "method"], suffixes=("_easy", "")
        )
        for row in both[both["value"] < both["value_easy"]].to_dict("records"):
            yield tables.flag(
                row,
                "harder but better",
                f"rfne_mean {row['value']:.4g}, below {row['value_easy']:.4g} on the easier {easy}",
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
    """For information: predictions in which one sees where the tiles meet."""
    rows = tables.overall("seam_ratio")
    rows = rows[(rows["reynolds"] == ALL) & (rows["mode"] != FORMULA)]
    for row in rows[rows["value"] > SEAMLESS].to_dict("records"):
        message = f"seam ratio {row['value']:.3g}, above {SEAMLESS:g}: tiles show at their edges"
        yield tables.flag(row, INFORMATION, message)


def _unresolved(tables: Tables) -> Iterator[Flag]:
    """For information: flows whose smallest scales the solver's grid does not hold."""
    for case, group in tables.scores.groupby("case", sort=False):
        known = tables.resolutions.get(str(case), {})
        coarse = sorted((value, name) for name, value in known.items() if value < RESOLVED)
        if coarse:
            worst, name = coarse[0]
            yield tables.flag(
                group.iloc[0].to_dict() | {"method": ALL},
                INFORMATION,
                f"k_max eta falls below {RESOLVED:g} in {len(coarse)} of {len(known)} trajectories "
                f"(smallest: {worst:.2f}, {name}): the grid does not resolve their smallest scales",
            )
