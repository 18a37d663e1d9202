"""What bfloat16 does to samples: `python benchmarks/precision.py results/desk`.

    python benchmarks/precision.py FOLDER [--methods flex unet ...] [--cases superres_x4 ...]

Ensembles of the test split are drawn by the networks of a finished run in float32 and in bfloat16
(`sample.precision`) from the same noise, in turn, in one process, on the run's own threads; where
the sampler needs a fit, each has its own. Printed for each case and method: processor time of
float32 over that of bfloat16; the ratio of errors (RFNE of the mean) and of CRPS, bfloat16 over
float32, with an interval of a bootstrap over trajectories (95 %); spread over skill and the
standard deviation of pulls in both; and how far the spectrum of a member is from what it is in
float32, at the wavenumber where it is farthest, and at which.

A processor without instructions for bfloat16 takes up to ten times as long in it. Nothing is
written into the folder.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from finished_run import copy_networks
from null_models import by_trajectory, over_flows

from flexbench.config import NetworkPrecision
from flexbench.config.reading import load_config
from flexbench.graph import Graph
from flexbench.metrics.score import Scored, score_samples
from flexbench.steps.calibrate import calibrate_step
from flexbench.steps.sample import sample_step

PRECISIONS: tuple[NetworkPrecision, ...] = get_args(NetworkPrecision)


def draw(graph: Graph, case: str, method: str, seed: int) -> tuple[float, Scored]:
    """Processor seconds of the samples, and what they score."""
    setting = graph.case(case).fit
    if setting is not None:
        calibrate_step(graph, fit=setting.name, method=method, seed=seed)
    begun = time.process_time()
    sample_step(graph, case=case, method=method, seed=seed)
    spent = time.process_time() - begun
    scored = score_samples(
        graph.layout.samples(case, method, seed),
        {path.stem: path for path in graph.tested(case)},
        case=case,
        tier=graph.config.tier,
        bands=graph.config.score.bands,
        observable=graph.case(case).settings.observable,
    )
    return spent, scored


def mean(scored: Scored, name: str) -> float:
    return float(by_trajectory(scored.scores, name).mean())


def compare(graphs: Sequence[Graph], case: str, method: str, seed: int) -> None:
    """One line. graphs: of each precision."""
    (slow, exact), (quick, rounded) = (draw(graph, case, method, seed) for graph in graphs)
    told = [f"{slow / quick:5.2f} times as fast"]
    for title, name in (("RFNE", "rfne_mean"), ("CRPS", "crps")):
        pair = [by_trajectory(it.scores, name).to_frame() for it in (rounded, exact)]
        ratio = mean(rounded, name) / mean(exact, name)
        low, high = over_flows(*pair)
        told.append(f"{title} {ratio:.4f} [{low:.4f}, {high:.4f}]")
    for title, name in (("spread/skill", "spread_skill"), ("pull", "pull_std")):
        told.append(f"{title} {mean(exact, name):.3f} -> {mean(rounded, name):.3f}")
    spectra = [it.spectra.groupby("k")["member_mean"].mean() for it in (rounded, exact)]
    changed = spectra[0] / spectra[1] - 1
    worst = changed.abs().idxmax()
    told.append(f"spectrum {changed[worst]:+.1%} at k = {worst}")
    print(f"  {case:24} {method:6} {', '.join(told)}", flush=True)


def main() -> None:
    """Print it for the run in the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--methods", nargs="+", help="networks; all that the run has")
    parser.add_argument("--cases", nargs="+", help="all of the test split's flows")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    with tempfile.TemporaryDirectory() as root:
        graphs = []
        for precision in PRECISIONS:
            here = Path(root) / precision
            copy_networks(folder, here)
            changes = {"root": str(here), "sample": {"precision": precision}}
            graphs.append(Graph.of(load_config(changes, resolved=folder / "config.yaml")))
        graph = graphs[0]
        own = [case for case in graph.cases if not graph.case(case).settings.reynolds]
        for case in arguments.cases or own:
            for job in graph.jobs_of(case):
                wanted = arguments.methods is None or job.method in arguments.methods
                if wanted and graph.is_trained(job.method):
                    compare(graphs, case, job.method, job.seed)


if __name__ == "__main__":
    main()
