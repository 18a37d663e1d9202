"""Does diffusion beat its null models? `python benchmarks/null_models.py results/frontier`.

The folder holds a run of workflow/config/frontier.yaml. For each task, FLEX as sampler `calibrated`
draws it is held against every other way to draw an ensemble of the same flows: other samplers,
other numbers of steps, networks that are asked once. Printed is the ratio of their CRPS (fair, so
of any number of members) over the same snapshots: below 1, FLEX is better.

Two noises are told apart. Flows: bootstrap over trajectories, of scores in the mean over training
seeds. Seeds: Welch's t interval of the logarithms of each seed's score. Where weights are the same,
flows decide alone; networks of other weights need three training seeds each. A verdict is given
where every interval that counts (95 %) leaves 1 out.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from flexbench.config.reading import load_config
from flexbench.graph import Graph
from flexbench.metrics.tables import SNAPSHOT_SCORES
from flexbench.report.catalogue import like_cases

RESAMPLES = 4000
FEWEST_SEEDS = 3
OURS = ("calibrated", "flex")


def by_trajectory(rows: pd.DataFrame, score: str) -> pd.Series:
    """One score of whole fields, in the mean over each trajectory's snapshots."""
    own = rows[(rows["score"] == score) & (rows["detail"].fillna("") == "")]
    return own.groupby("trajectory")["value"].mean()


def crps_of(graph: Graph, case: str, method: str) -> pd.DataFrame:
    """CRPS of each trajectory (rows) and training seed (columns) whose scores there are."""
    found = {}
    for seed in graph.config.training_seeds:
        path = graph.layout.scores(case, method, seed)
        if path.is_file():
            found[seed] = by_trajectory(SNAPSHOT_SCORES.read(path), "crps")
    return pd.DataFrame(found)


def over_flows(own: pd.DataFrame, other: pd.DataFrame) -> tuple[float, float]:
    """Ends of the interval of the ratio, trajectories resampled."""
    means = np.stack([own.mean(axis=1), other.loc[own.index].mean(axis=1)])
    draws = np.random.default_rng(0).integers(means.shape[1], size=(RESAMPLES, means.shape[1]))
    drawn = means[:, draws].mean(axis=2)
    low, high = np.quantile(drawn[0] / drawn[1], [0.025, 0.975])
    return float(low), float(high)


def over_seeds(own: pd.DataFrame, other: pd.DataFrame) -> tuple[float, float] | None:
    """Ends of the interval of the ratio of two sets of training seeds; None of too few."""
    if min(own.shape[1], other.shape[1]) < FEWEST_SEEDS:
        return None
    logs = [np.log(frame.mean(axis=0)) for frame in (own, other)]
    interval = stats.ttest_ind(*logs, equal_var=False).confidence_interval(0.95)
    return float(np.exp(interval.low)), float(np.exp(interval.high))


def verdict(intervals: list[tuple[float, float] | None]) -> str:
    if None in intervals:
        return f"can't tell: fewer than {FEWEST_SEEDS} training seeds"
    known = [interval for interval in intervals if interval]
    if all(high < 1 for _, high in known):
        return "FLEX is better"
    if all(low > 1 for low, _ in known):
        return "FLEX is worse"
    return "can't tell"


def compare(graph: Graph, task: str) -> None:
    """One task's table."""
    case, method = f"{task}.{OURS[0]}", OURS[1]
    own = crps_of(graph, case, method)
    if own.empty:
        print(f"\n{task}: no scores of {method} in {case}")
        return
    print(f"\n{task}: {method} in {case}, CRPS {own.to_numpy().mean():.4f}, {own.shape[1]} seeds")
    for name in like_cases(graph.config, task):
        for other_method in graph.config.methods_of(name):
            other = crps_of(graph, name, other_method)
            if (name, other_method) == (case, method) or other.empty:
                continue
            same = other_method == method
            shared = [seed for seed in own if seed in other] if same else list(own)
            if not shared:
                continue  # not scored yet with these weights
            ours = own[shared]
            theirs = other[shared] if same else other
            flows = over_flows(ours, theirs)
            seeds = None if same else over_seeds(ours, theirs)
            ratio = ours.to_numpy().mean() / theirs.to_numpy().mean()
            trained = not graph.is_formula(other_method)
            counted = [flows] if same or not trained else [flows, seeds]
            told = f"; seeds [{seeds[0]:.3f}, {seeds[1]:.3f}]" if seeds else ""
            print(
                f"  over {other_method} in {name} ({theirs.shape[1]} seeds): {ratio:.3f}, "
                f"flows [{flows[0]:.3f}, {flows[1]:.3f}]{told}: {verdict(counted)}"
            )


def main() -> None:
    """Print it for the run in the folder that is named."""
    folder = Path(sys.argv[1]).resolve()
    config = load_config({"root": str(folder.parent)}, resolved=folder / "config.yaml")
    graph = Graph.of(config)
    for task in graph.tasks:
        compare(graph, task)


if __name__ == "__main__":
    main()
