"""A small real training as a process of its own, for the tests that kill it or share it.

    python training_run.py FOLDER '{"steps": 40, ...}' [STEP_SECONDS]

FOLDER gets trajectories (once), state, log and checkpoint. STEP_SECONDS holds every batch up, so
that a test can hit a running training.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from flexbench.config import DiffusionSettings, SuperResolutionSettings, TrainSettings
from flexbench.data.dummy import write_dummy
from flexbench.data.patches import PatchSampler, Windows
from flexbench.data.stats import Normaliser
from flexbench.errors import FlexbenchError
from flexbench.methods import make_method
from flexbench.models import flex
from flexbench.tasks import make_task
from flexbench.training import train


class HeldUp:
    """A sampler whose every draw takes at least some time."""

    def __init__(self, sampler: PatchSampler, seconds: float):
        self.sampler = sampler
        self.seconds = seconds

    def draw(self, indices: Sequence[int]) -> Windows:
        time.sleep(self.seconds)
        return self.sampler.draw(indices)


def run(folder: Path, changes: dict, step_seconds: float = 0.0) -> None:
    dropout, forgotten = changes.pop("network_dropout", 0.1), changes.pop("forgotten", False)
    settings = TrainSettings.model_validate(
        {"steps": 40, "batch": 4, "warmup_steps": 3, "log_every": 5, "validate_every": 10}
        | {"validation_batches": 1, "learning_rate": 1e-3, "checkpoint_seconds": 0.2}
        | changes
    )
    chosen = SuperResolutionSettings(patch=16, factor=4)
    task = make_task(chosen, normaliser=Normaliser(5.0, 1.0), interval=0.1)
    samplers = {}
    for split, seed in (("train", 0), ("validation", 1)):
        path = folder.parent / f"{split}.h5"
        if not path.exists():
            write_dummy(path, grid=32, times=np.arange(3) * 0.1, reynolds=1000.0, seed=seed)
        samplers[split] = PatchSampler(
            [path],
            window=task.window,
            stride=task.stride,
            patch=chosen.patch,
            halo=task.halo,
            seed=0,
            stream=split,
        )
    torch.manual_seed(0)
    network = flex.build(task.spec, size="XXS", dropout=dropout)
    if forgotten:
        network.forgotten = torch.nn.Linear(2, 2)
    method = make_method(network, problem=task.spec, settings=DiffusionSettings(), mode="denoiser")
    train(
        method,
        HeldUp(samplers["train"], step_seconds),
        task,
        settings=settings,
        seed=0,
        checkpoint_path=folder / "final.safetensors",
        state_dir=folder / "state",
        log_path=folder / "log.jsonl",
        validation=samplers["validation"],
        metadata={"network": "flex"},
    )


if __name__ == "__main__":
    arguments = sys.argv[1:]
    try:
        run(Path(arguments[0]), json.loads(arguments[1]), *map(float, arguments[2:]))
    except FlexbenchError as error:
        sys.exit(str(error))
