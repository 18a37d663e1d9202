"""Rolling out an ensemble of FLEX: `python benchmarks/rollout.py`.

    python benchmarks/rollout.py [--size XS] [--grid 256] [--patch 64] [--members 8] [--leads 30]
                                 [--steps 2] [--threads 2]

Every member keeps its own state, so each lead costs as many encodings as members. Printed: wall
seconds per lead, and the process's largest resident memory up to lead 5, up to the last lead, and
after the samples file is written. Memory must not depend on the number of leads. The fields are
random and the network is untrained: neither changes what is done to them.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from flexbench.config import DiffusionSettings, ForecastSettings, SampleSettings
from flexbench.data.dummy import write_dummy
from flexbench.data.normaliser import Normaliser
from flexbench.data.samples import Snapshot
from flexbench.inference.ensemble import NetworkPredictor, describe, draw_samples
from flexbench.inference.rollout import Targets
from flexbench.methods import make_method
from flexbench.models.flex import build
from flexbench.tasks import Example, Task, make_task

EARLY = 5  # the lead whose memory the last one's is held against


class Watched(NetworkPredictor):
    """The predictor that notes time and memory after each lead."""

    def predict(self, example: Example, task: Task, snapshot: Snapshot) -> Tensor:
        drawn = super().predict(example, task, snapshot)
        self.seen = [*getattr(self, "seen", []), (time.perf_counter(), peak_mib())]
        return drawn


def peak_mib() -> float:
    """The largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def predictor_of(task: Task, *, size: str, members: int, steps: int) -> Watched:
    network = build(task.spec, size=size)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    method = make_method(network, problem=task.spec, settings=DiffusionSettings(), mode="denoiser")
    settings = SampleSettings(members=members, steps=steps)
    return Watched(method, settings=settings, seed=0, device="cpu")


def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One rollout in a folder of its own: the figures that are printed."""
    settings = ForecastSettings(patch=arguments.patch)
    task = make_task(settings, normaliser=Normaliser(10.0, 2.0), interval=settings.lead)
    path = folder / "re500_seed1.h5"
    times = settings.lead * np.arange(arguments.leads + task.window - 1)
    write_dummy(path, grid=arguments.grid, times=times, reynolds=500.0, seed=1)
    predictor = predictor_of(
        task, size=arguments.size, members=arguments.members, steps=arguments.steps
    )
    targets = Targets(trajectories=[path], snapshots=1, leads=arguments.leads)
    start = time.perf_counter()
    draw_samples(
        predictor,
        task=task,
        targets=targets,
        labels=describe(predictor, targets, case="forecast", method="flex", training_seed=0),
        path=folder / "seed0.h5",
        state_dir=folder / "state",
        identity="benchmark",
    )
    whole = time.perf_counter() - start
    leads, early = len(predictor.seen), min(EARLY, len(predictor.seen))
    return {
        "seconds per lead": whole / leads,
        f"peak MiB up to lead {early}": predictor.seen[early - 1][1],
        f"peak MiB up to lead {leads}": predictor.seen[-1][1],
        "peak MiB with the file written": peak_mib(),
    }


def main() -> None:
    """Roll out once and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="XS")
    defaults = {"grid": 256, "patch": 64, "members": 8, "leads": 30, "steps": 2, "threads": 2}
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    console = Console()
    console.print(
        f"FLEX {arguments.size}, {arguments.grid}² in patches of {arguments.patch}², "
        f"M = {arguments.members}, N = {arguments.steps}, {arguments.leads} leads, "
        f"{arguments.threads} threads"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, value in run(arguments, Path(folder)).items():
            console.print(f"{name:32} {value:8.1f}")


if __name__ == "__main__":
    main()
