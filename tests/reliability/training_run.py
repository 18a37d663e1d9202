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

from flexbench.config import (
    DiffusionSettings,
    ForecastSettings,
    SuperResolutionSettings,
    TrainSettings,
)
from flexbench.data.dummy import write_dummy
from flexbench.data.joint import JointSampler, JointWindows
from flexbench.data.normaliser import Normaliser
from flexbench.data.patches import PatchSampler, Windows
from flexbench.errors import FlexbenchError
from flexbench.methods import make_method
from flexbench.models import flex
from flexbench.tasks import JointTask, make_task
from flexbench.training import train
from flexbench.training.batches import PatchSource

PATCH = 16


class HeldUp:
    """A sampler whose every draw takes at least some time."""

    def __init__(self, sampler: PatchSource, seconds: float):
        self.sampler = sampler
        self.seconds = seconds

    def draw(self, indices: Sequence[int]) -> Windows | JointWindows:
        time.sleep(self.seconds)
        return self.sampler.draw(indices)


def run(folder: Path, changes: dict, step_seconds: float = 0.0) -> None:
    dropout, forgotten = changes.pop("network_dropout", 0.1), changes.pop("forgotten", False)
    kinds: list[SuperResolutionSettings | ForecastSettings] = [
        SuperResolutionSettings(patch=PATCH, factor=4)
    ]
    if changes.pop("joint", False):
        kinds.append(ForecastSettings(patch=PATCH))
    settings = TrainSettings.model_validate(
        {"steps": 40, "batch": 4, "warmup_steps": 3, "log_every": 5, "validate_every": 10}
        | {"validation_batches": 1, "learning_rate": 1e-3, "checkpoint_seconds": 0.2}
        | changes
    )
    scales = Normaliser(5.0, 1.0)
    tasks = {kind.kind: make_task(kind, normaliser=scales, interval=0.1) for kind in kinds}
    task = JointTask(tasks) if len(tasks) > 1 else tasks["superres"]
    samplers: dict[str, PatchSource] = {}
    for split, seed in (("train", 0), ("validation", 1)):
        path = folder.parent / f"{split}.h5"
        if not path.exists():
            write_dummy(path, grid=32, times=np.arange(3) * 0.1, reynolds=1000.0, seed=seed)
        own = {
            name: PatchSampler(
                [path],
                window=one.window,
                stride=one.stride,
                patch=PATCH,
                halo=one.halo,
                seed=0,
                stream=split,
            )
            for name, one in tasks.items()
        }
        samplers[split] = JointSampler(own) if len(own) > 1 else own["superres"]
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
