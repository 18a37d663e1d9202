"""Does `calibrated` beat DDIM that is only inflated? `python benchmarks/inflated.py FOLDER`.

The simplest repair of an ensemble that spreads too little: at every wavenumber the members'
deviations from their mean are multiplied by one factor, fitted on validation snapshots so that
spread equals error there. It knows nothing of where errors are. FOLDER holds a finished run whose
FLEX was sampled by both samplers, such as one of workflow/config/frontier.yaml. Printed for each
task: the CRPS (fair) of the inflated ensembles over that of DDIM's, that of `calibrated` over
theirs, over the same test snapshots, with intervals of a bootstrap over trajectories (95 %), and
their spread over skill. Validation is sampled anew, which takes as many calls of the network as
three quarters of the test split; nothing is written into the folder.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from calibrated import show
from null_models import OURS, by_trajectory, crps_of, over_flows
from numpy.typing import NDArray

from flexbench.config.reading import load_config
from flexbench.data.observe import open_trajectory
from flexbench.data.samples import Samples, write_samples
from flexbench.device import prepare_device
from flexbench.graph import Graph
from flexbench.inference.checkpoint import trained_for
from flexbench.inference.predictors import NetworkPredictor
from flexbench.inference.rollout import rollouts_of
from flexbench.metrics.aggregate import aggregate
from flexbench.metrics.score import score_samples
from flexbench.metrics.spectral import radial_spectrum, transform
from flexbench.tasks.loading import load_task

Fields = NDArray[np.float64]


def power(fields: Fields) -> Fields:
    """Mean squares by ring, summed over fields (..., N, N)."""
    size = fields.shape[-1]
    found = [radial_spectrum(transform(it)).power for it in fields.reshape(-1, size, size)]
    return np.sum(found, axis=0)


def factors(pairs: Iterator[tuple[Fields, Fields]]) -> Fields:
    """By ring, from (members, truth): error over spread, as an ensemble of M members has them."""
    error = spread = np.zeros(1)
    for members, truth in pairs:
        mean, count = members.mean(axis=0), len(members)
        error = error + power(mean - truth)
        spread = spread + power(members - mean) / (count - 1) * (1 + 1 / count)
    return np.sqrt(error / np.maximum(spread, 1e-12 * spread.max()))


def inflated(members: Fields, factor: Fields) -> Fields:
    """Members (M, N, N) with their deviations multiplied, ring by ring."""
    mean, size = members.mean(axis=0), members.shape[-1]
    ring = np.hypot(np.fft.fftfreq(size, 1 / size)[:, None], np.arange(size // 2 + 1))
    modes = np.fft.rfft2(members - mean) * factor[np.rint(ring).astype(int)]
    return mean + np.fft.irfft2(modes, s=members.shape[-2:])


def validation(graph: Graph, task: str, seed: int) -> Iterator[tuple[Fields, Fields]]:
    """Members and truth of snapshots that no score is of, by the tier's own sampler."""
    config, case = graph.config, graph.case(task)
    device = prepare_device(config)
    trained = trained_for(graph, case=task, method=OURS[1], seed=seed, device=device)
    predictor = NetworkPredictor(trained.method, settings=case.sample, seed=seed, device=device)
    problem = load_task(graph, task)
    for path in graph.trajectories("validation"):
        trajectory = open_trajectory(path, case.settings.observable)
        for rollout in rollouts_of(
            problem, trajectory, count=config.calibration.snapshots, leads=1
        ):
            example = rollout.example(problem, 1, None)
            members = predictor.predict(example, problem, rollout.targets[0])
            truth = problem.reconstruct(example.residual, example.base)
            yield members[:, 0].double().cpu().numpy(), truth[0, 0].double().numpy()


def scored(graph: Graph, task: str, seed: int, factor: Fields) -> pd.DataFrame:
    """Scores of each test snapshot, of the tier's own samples once they are inflated."""
    settings = graph.case(task).settings
    with (
        Samples(graph.layout.samples(task, OURS[1], seed)) as samples,
        tempfile.TemporaryDirectory() as folder,
    ):
        path = Path(folder) / "inflated.h5"
        ensembles = (samples.ensemble(row)[:, 0] for row in range(len(samples)))
        write_samples(
            path,
            (
                inflated(it.astype(np.float64), factor).astype(np.float32)[:, None]
                for it in ensembles
            ),
            snapshots=samples.snapshots,
            shape=samples.shape[1:],
            labels=samples.labels,
        )
        return score_samples(
            path,
            {it.stem: it for it in graph.tested(task)},
            case=task,
            tier=graph.config.tier,
            bands=graph.config.score.bands,
            observable=settings.observable,
        ).scores


def compare(graph: Graph, task: str, seed: int) -> None:
    """One task's lines."""
    factor, score = factors(validation(graph, task, seed)), graph.config.score
    rows = scored(graph, task, seed, factor)
    print(f"\n{task}: inflated {factor.min():.2f} to {factor.max():.2f} times, seed {seed}")
    show(aggregate([rows], bootstrap=score.bootstrap, confidence=score.confidence))
    whole = by_trajectory(rows, "crps").to_frame(seed)
    other, ours = (crps_of(graph, case, OURS[1])[[seed]] for case in (task, f"{task}.{OURS[0]}"))
    for title, upper, lower in (
        ("inflated over DDIM", whole, other),
        ("calibrated over inflated", ours, whole),
    ):
        ratio = upper.to_numpy().mean() / lower.to_numpy().mean()
        low, high = over_flows(upper, lower)
        print(f"  CRPS, {title}: {ratio:.3f} [{low:.3f}, {high:.3f}]")


def main(arguments: Sequence[str]) -> None:
    """Print it for the run in the folder that is named."""
    folder = Path(arguments[0]).resolve()
    config = load_config({"root": str(folder.parent)}, resolved=folder / "config.yaml")
    graph = Graph.of(config)
    torch.set_num_threads(config.threads)
    for task in graph.tasks:
        compare(graph, task, config.training_seeds[0])


if __name__ == "__main__":
    main(sys.argv[1:])
