"""Whether a training that was stopped and resumed ends with the weights of one that was not."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from flexbench.config import SuperResolutionSettings, TrainSettings
from flexbench.data.dummy import write_dummy
from flexbench.data.normaliser import Normaliser
from flexbench.data.patches import PatchSampler, Windows
from flexbench.tasks import Task, make_task
from flexbench.training import load_checkpoint, train
from gpu_parts.networks import PATCHES, built
from gpu_parts.part import Bench, Case, Numbers, Part

ABOUT = (
    "FLEX trained on made-up waves by the suite's own loop. again: the same training twice, "
    "neither stopped: what differs there is the device's own order of sums. resumed: stopped by "
    "SIGTERM at the given step and started again. deterministic: under "
    "torch.use_deterministic_algorithms; cuBLAS has the workspace that this asks for in all cases. "
    "Difference is the largest one over the largest weight."
)

# Steps and batch.
FULL, TOY = (60, 8), (6, 2)

Weights = dict[str, Tensor]


class Stopping(PatchSampler):
    """Patches as ever; the process is told to stop when those of a step are drawn."""

    stop_at: int | None = None

    def draw(self, indices: Sequence[int]) -> Windows:
        if self.stop_at is not None and indices[0] >= self.stop_at:
            self.stop_at = None
            os.kill(os.getpid(), signal.SIGTERM)
        return super().draw(indices)


class Trainings:
    """Trainings of one configuration, on files in a folder of their own."""

    def __init__(self, bench: Bench, folder: Path):
        self.bench, self.folder = bench, folder
        self.size = "XXS" if bench.dry else "XS"
        self.patch = PATCHES[self.size]
        steps, batch = TOY if bench.dry else FULL
        self.settings = TrainSettings(steps=steps, batch=batch, warmup_steps=2)
        self.file = folder / "waves.h5"
        times = np.linspace(0, 0.3, 4)
        write_dummy(self.file, grid=4 * self.patch, times=times, reynolds=1000, seed=0)

    @lru_cache  # noqa: B019 - it lives as long as its part's process
    def uninterrupted(self, deterministic: bool) -> Weights:
        """Weights of a training that nothing stops."""
        return self._weights("whole", None, deterministic=deterministic)

    def again(self, deterministic: bool) -> Weights:
        return self._weights("again", None, deterministic=deterministic)

    def resumed(self, deterministic: bool) -> Weights:
        """Weights of a training that is stopped half way, and started again."""
        middle = self.settings.steps // 2 * self.settings.batch
        try:
            self._weights("resumed", middle, deterministic=deterministic)
        except SystemExit as stopped:
            if stopped.code != 128 + signal.SIGTERM:
                raise
        else:
            raise RuntimeError("the training was told to stop and did not")
        return self._weights("resumed", None, deterministic=deterministic)

    def _weights(self, name: str, stop_at: int | None, *, deterministic: bool) -> Weights:
        task = self._task()
        sampler = Stopping(
            [self.file],
            window=task.window,
            stride=task.stride,
            patch=self.patch,
            halo=task.halo,
            seed=0,
        )
        sampler.stop_at = stop_at
        folder = self.folder / f"{name}-{deterministic}"
        torch.use_deterministic_algorithms(deterministic)
        try:
            train(
                built("flex", self.size).method,
                sampler,
                task,
                settings=self.settings,
                seed=0,
                checkpoint_path=folder / "weights.safetensors",
                state_dir=folder / "state",
                log_path=folder / "log.jsonl",
                device=self.bench.backend.device,
            )
        finally:
            torch.use_deterministic_algorithms(False)
        return load_checkpoint(folder / "weights.safetensors")[0]

    def _task(self) -> Task:
        settings = SuperResolutionSettings(patch=self.patch)
        return make_task(settings, normaliser=Normaliser(5.0, 1.0))


def compared(found: Weights, wanted: Weights) -> Numbers:
    """Whether weights are equal to the bit, and by how much they differ."""
    largest = max(float(tensor.abs().max()) for tensor in wanted.values())
    gaps = [float((found[name] - tensor).abs().max()) for name, tensor in wanted.items()]
    equal = all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
    return {"equal bits": "yes" if equal else "NO", "difference": max(gaps) / largest}


def cases(bench: Bench) -> Iterator[Case]:
    # cuBLAS reads it when it starts, and adds in one order then.
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    with tempfile.TemporaryDirectory() as folder:
        trainings = Trainings(bench, Path(folder))
        middle = trainings.settings.steps // 2

        def against_whole(other: Callable[[bool], Weights], deterministic: bool) -> Numbers:
            return compared(other(deterministic), trainings.uninterrupted(deterministic))

        for deterministic in (False, True):
            for name, other in (("again", trainings.again), ("resumed", trainings.resumed)):
                how = "deterministic" if deterministic else "as the suite trains"
                where = f" at about step {middle}" if name == "resumed" else ""
                yield Case(
                    f"{name}{where}, {trainings.settings.steps} steps, {how}",
                    partial(against_whole, other, deterministic),
                )


PART = Part(
    name="resume",
    title="Stopped and resumed",
    about=ABOUT,
    columns={"equal bits": "", "difference": ".1e"},
    cases=cases,
    weight=2,
    least=5,
)
