"""An ensemble of a whole large domain, as `flexbench sample` draws it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch

from flexbench.config import SampleSettings, SuperResolutionSettings
from flexbench.data.normaliser import Normaliser
from flexbench.data.patches import Windows
from flexbench.data.samples import Snapshot
from flexbench.inference.predictors import NetworkPredictor
from flexbench.inference.tiles import tile_starts
from flexbench.tasks import make_task
from gpu_parts.networks import PATCHES, built
from gpu_parts.part import Bench, Case, Numbers, Part

ABOUT = (
    "Super-resolution of one random field by an untrained FLEX, through the suite's own prediction "
    "on tiles, in the suite's float32 (see part agreement): stitched tiles, or, with an overlap, "
    "blended at every step. Seconds hold all of it, the noise too, which is drawn on the CPU. Each "
    "case is measured once, after a few tiles that are not timed."
)

STEPS = 2


@dataclass(frozen=True)
class Scene:
    """A domain of so many points per side, and how it is sampled."""

    size: str
    grid: int
    members: int
    overlap: int
    batch: int


SCENES = (
    Scene("XS", 2048, 32, 0, 2048),
    Scene("XS", 2048, 32, 16, 2048),
    Scene("S", 2048, 32, 0, 128),
    Scene("S", 2048, 32, 16, 128),
)
TOYS = (Scene("XXS", 32, 2, 0, 8), Scene("XXS", 32, 2, 4, 8))


def measured(bench: Bench, scene: Scene) -> Numbers:
    backend = bench.backend
    made = built("flex", scene.size)
    made.network.to(backend.device)
    task = make_task(
        SuperResolutionSettings(factor=4, patch=made.problem.patch), normaliser=Normaliser(1.0, 1.0)
    )
    settings = SampleSettings(
        members=scene.members, steps=STEPS, overlap=scene.overlap, batch=scene.batch
    )
    predictor = NetworkPredictor(made.method, settings=settings, seed=0, device=backend.device)

    def drawn(grid: int) -> torch.Tensor:
        side = grid + 2 * task.margin
        fields = torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(0))
        windows = Windows(fields=fields, reynolds=torch.tensor([1000.0]))
        snapshot = Snapshot(trajectory="none", reynolds=1000.0, seed=0, index=0, time=0.0)
        return predictor.predict(task.example(windows), task, snapshot).cpu()

    drawn(2 * made.problem.patch)
    backend.forget_peak()
    start = time.perf_counter()
    found = drawn(scene.grid)
    seconds = time.perf_counter() - start
    if not found.isfinite().all():
        raise ValueError("predictions are not finite")
    starts = tile_starts(
        scene.grid, patch=made.problem.patch, overlap=scene.overlap, align=task.align
    )
    return {
        "M": scene.members,
        "N": STEPS,
        "tiles": len(starts) ** 2,
        "s": seconds,
        "s per member": seconds / scene.members,
        "peak GiB": backend.peak_bytes() / 2**30,
    }


def cases(bench: Bench) -> Iterator[Case]:
    for scene in TOYS if bench.dry else SCENES:
        how = f"overlap {scene.overlap}" if scene.overlap else "stitched"
        name = f"flex {scene.size} ({PATCHES[scene.size]}²) on {scene.grid}², {how}"
        yield Case(name, partial(measured, bench, scene))


PART = Part(
    name="ensemble",
    title="An ensemble of a large domain",
    about=ABOUT,
    columns={
        "M": "d",
        "N": "d",
        "tiles": "d",
        "s": ".2f",
        "s per member": ".3f",
        "peak GiB": ".2f",
    },
    cases=cases,
    weight=4,
    least=3,
)
