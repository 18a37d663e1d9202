"""Is sampler `calibrated` calibrated? `python benchmarks/calibrated.py results/desk`.

For every case whose samples are calibrated: spread / skill over all and by band, pull ratio over
all and by Re, fifths of predicted spread, slope, tails. Where the tier's own sampler drew the same
method on the same flows, the ratios to it of CRPS (fair, so of any number of members) and of the
error of an infinitely large ensemble's mean, over the same snapshots; intervals are of a bootstrap
over trajectories (95 %). All is read from the score files and tables of a finished run.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from flexbench.config.reading import load_config
from flexbench.graph import Graph
from flexbench.metrics.tables import SCORES, SNAPSHOT_SCORES

RESAMPLES = 4000
SNAPSHOT = ["trajectory", "index", "lead"]
SHOWN = (
    *("spread_skill", "pull_ratio", "spread_skill_fifth", "reliability_slope"),
    *("error_contrast", "central_mass", "pull_tail_ratio"),
)


def snapshot_scores(graph: Graph, case: str, method: str) -> pd.DataFrame:
    """A row for each snapshot, a column for each score without a detail."""
    seed = graph.config.training_seeds[0]
    frame = SNAPSHOT_SCORES.read(graph.layout.scores(case, method, seed))
    whole = frame[frame["detail"].fillna("") == ""]
    return whole.pivot(index=SNAPSHOT, columns="score", values="value")


def limit_error(rows: pd.DataFrame, members: int) -> pd.Series:
    """RFNE of the mean, without what the spread of M members leaves in it."""
    left = rows["skill"] ** 2 - rows["spread"] ** 2 / members
    return np.sqrt(left.clip(lower=0)) / rows["truth_rms"]


def ratio(own: pd.Series, other: pd.Series) -> str:
    """Of the means over the same snapshots, with its interval."""
    means = pd.DataFrame({"own": own, "other": other}).dropna().groupby("trajectory").mean()
    draws = np.random.default_rng(0).integers(len(means), size=(RESAMPLES, len(means)))
    resampled = means.to_numpy()[draws].mean(axis=1)
    low, high = np.quantile(resampled[:, 0] / resampled[:, 1], [0.025, 0.975])
    value = means["own"].mean() / means["other"].mean()
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def show(own: pd.DataFrame) -> None:
    """The scores of one case and method."""

    def values(score: str, reynolds: str = "all") -> str:
        rows = own[(own["score"] == score) & (own["reynolds"].astype(str) == reynolds)]
        named = zip(rows["detail"].fillna(""), rows["value"], strict=True)
        return ", ".join(f"{detail} {value:.3f}".strip() for detail, value in named)

    for score in SHOWN:
        print(f"  {score}: {values(score)}")
    for reynolds in dict.fromkeys(own["reynolds"].astype(str)):
        if reynolds != "all":
            slope = values("reliability_slope", reynolds)
            print(f"  Re {reynolds}: pull ratio {values('pull_ratio', reynolds)}; slope {slope}")


def beside(graph: Graph, case: str, method: str) -> None:
    """The same method on the same flows, drawn by the sampler of the task itself."""
    plain = graph.case(case).task
    known = {job.method for job in graph.jobs_of(plain)}
    if method not in known or set(graph.tested(plain)) != set(graph.tested(case)):
        return
    own, other = (snapshot_scores(graph, name, method) for name in (case, plain))
    limits = [
        limit_error(rows, graph.case(name).sample.members)
        for rows, name in ((own, case), (other, plain))
    ]
    print(f"  CRPS over that of {plain}: {ratio(own['crps'], other['crps'])}")
    print(f"  RFNE of the mean, M to infinity: {limits[0].mean():.4f}, ratio {ratio(*limits)}")


def main() -> None:
    """Print it for the run in the folder that is named."""
    folder = Path(sys.argv[1]).resolve()
    config = load_config({"root": str(folder.parent)}, resolved=folder / "config.yaml")
    graph = Graph.of(config)
    table = SCORES.read(graph.layout.table("scores"))
    for case in graph.cases:
        for job in graph.jobs_of(case):
            if graph.calibrations(case, job.method, job.seed):
                print(f"\n{case}, {job.method}")
                show(table[(table["case"] == case) & (table["method"] == job.method)])
                beside(graph, case, job.method)


if __name__ == "__main__":
    main()
