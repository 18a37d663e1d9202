"""Ensembles of the scored snapshots of a case's trajectories, into one file of samples.

Every number is decided by identity: the noise of a member depends on (seed, trajectory, snapshot,
member, lead) alone, so methods share it, and neither batches nor interruptions change it. Finished
snapshots are kept as segments in a state folder: a killed run draws only what is missing, and a
rollout holds no lead but its last in memory.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from flexbench.config import SampleSettings
from flexbench.data.samples import Labels, Snapshot, write_samples
from flexbench.errors import FlexbenchError
from flexbench.inference.rollout import Feedback, Rollout, feed_back, plan_rollouts
from flexbench.inference.segments import Segments, tensors_digest
from flexbench.inference.tiles import Tiling, sample_domain
from flexbench.inference.timing import Stopwatch
from flexbench.methods import Method
from flexbench.seeding import generator
from flexbench.spec import Observable
from flexbench.tasks.base import Example, Task, untile

# One field of all members that a blended domain is drawn for at once; samplers hold a few such.
DOMAIN_BYTES = 1 << 28

# ``noise(members, kind, *step)``: standard normal (M,C,H,W) over the domain.
Noise = Callable[..., Tensor]


class Predictor(Protocol):
    """Whatever draws the ensemble of one whole snapshot.

    Tiles, blended or not, are the predictor's own affair; `draw_samples` sees whole domains.
    patch: points per side of what it sees at once; None: whole domains, of any size. overlap:
    points that two tiles share; without any, the domain must be a multiple of the patch.
    """

    @property
    def mode(self) -> str: ...

    @property
    def sampler(self) -> str: ...

    @property
    def steps(self) -> int: ...

    @property
    def members(self) -> int: ...

    @property
    def evaluations(self) -> int: ...

    @property
    def patch(self) -> int | None: ...

    @property
    def overlap(self) -> int: ...

    def identity(self) -> dict[str, Any]:
        """JSON-like: all that decides its numbers, given the example."""
        ...

    def predict(self, example: Example, task: Task, snapshot: Snapshot, *, lead: int = 1) -> Tensor:
        """Members (M,C,H,W), physical, of the whole-domain example of a snapshot.

        The example has B = 1, a condition that all members share, or B = M, one of each member.
        lead: how many leads ahead of the last known snapshot the prediction is; 1 is the next.
        """
        ...


class NetworkPredictor:
    """A method on the tiles of a domain, under one noise field over the domain per member.

    settings: members, sampler, steps, batch, overlap: without one, tiles are drawn apart and
    stitched; with one, they are blended at every step. seed: of the noise. device: where the
    network is.
    """

    def __init__(
        self, method: Method, *, settings: SampleSettings, seed: int, device: torch.device | str
    ):
        self.method, self.settings, self.seed, self.device = method, settings, seed, device
        self.overlap = settings.overlap
        self.mode = method.mode
        self.patch: int | None = method.problem.patch
        self.members = settings.members if method.stochastic else 1
        self.sampler = settings.sampler if method.stochastic else "none"
        self.steps = settings.steps if method.stochastic else 0
        self.evaluations = method.evaluations(sampler=settings.sampler, steps=settings.steps)

    def identity(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "seed": self.seed,
            "settings": self.settings.model_dump(),
            "diffusion": self.method.settings.model_dump(),
            "problem": asdict(self.method.problem),
            "weights": tensors_digest(self.method.network.state_dict()),
        }

    def predict(self, example: Example, task: Task, snapshot: Snapshot, *, lead: int = 1) -> Tensor:
        """Members (M,C,H,W), as `Predictor.predict`; FlexbenchError on another number of rows."""
        conditions, *field_shape = example.base.shape  # B, then (C, H, W)
        if conditions not in (1, self.members):
            raise FlexbenchError(
                f"{snapshot.trajectory}, snapshot {snapshot.index}: {conditions} conditions, "
                f"allowed: 1 for all members, or {self.members}, one for each"
            )

        def noise(members: Sequence[int], kind: str, *name: int) -> Tensor:
            """(M,C,H,W), one field over the domain per member; drawn on the CPU."""
            target = (self.seed, kind, snapshot.trajectory, snapshot.index)
            ahead = ("lead", lead) if lead > 1 else ()
            streams = (generator(*target, member, *name, *ahead) for member in members)
            return torch.stack([torch.randn(field_shape, generator=stream) for stream in streams])

        if self.overlap:
            residual = self._blended(example, noise, task)
        else:
            residual = self._stitched(example, noise)
        return task.reconstruct(residual, example.base.to(self.device))

    def _blended(self, example: Example, noise: Noise, task: Task) -> Tensor:
        """Residuals (M,C,H,W) on the whole domain, some members at a time.

        Tiles reach over an edge of the domain if the task's fields are periodic, and start where
        its low-resolution points do, as training patches do.
        """
        height, width = example.base.shape[-2:]
        tiling = Tiling(
            height=height,
            width=width,
            patch=self.method.problem.patch,
            overlap=self.overlap,
            periodic=task.periodic,
            align=task.align,
        )
        together = max(1, DOMAIN_BYTES // (example.base[0].nbytes))
        drawn = []
        for first in range(0, self.members, together):
            group = range(first, min(first + together, self.members))
            rows = slice(group.start, group.stop) if len(example.base) > 1 else slice(0, 1)
            residual = sample_domain(
                self.method,
                example.condition[rows].to(self.device),
                example.re[rows].to(self.device),
                tiling=tiling,
                settings=self.settings,
                noise_fn=lambda *name, group=group: noise(group, *name).to(self.device),
            )
            drawn.append(residual)
        return torch.cat(drawn)

    def _stitched(self, example: Example, noise: Noise) -> Tensor:
        """Residuals (M,C,H,W) on tiles that know nothing of one another."""
        patch, conditions = self.method.problem.patch, len(example.base)
        height, width = example.base.shape[-2:]

        def cut(fields: Tensor) -> Tensor:
            """Members (M,C,H,W) as (B * tiles, M / B, C, p, p), in the order of `Example.tile`."""
            parts = fields.unflatten(0, (conditions, -1))
            tiles = torch.cat([cut_members(members, patch) for members in parts])
            return tiles.to(self.device)

        residual = self.method.sample(
            example.tile(patch).to(self.device),
            cut(noise(range(self.members), "initial noise")),
            sampler=self.settings.sampler,
            steps=self.settings.steps,
            batch=self.settings.batch,
            noise_fn=lambda step: cut(noise(range(self.members), "step noise", step)),
        )
        whole = untile(residual, rows=height // patch, columns=width // patch)
        return whole.flatten(0, 1)  # (B, M / B, C, H, W) -> (M, C, H, W)


@dataclass(frozen=True)
class FormulaPredictor:
    """A formula on whole domains: ``formula(example, task, **options) -> (B,C,H,W)``, physical."""

    formula: Callable[..., Tensor]
    options: Mapping[str, Any] = field(default_factory=dict)
    mode: str = field(default="formula", init=False)
    sampler: str = field(default="none", init=False)
    steps: int = field(default=0, init=False)
    members: int = field(default=1, init=False)
    evaluations: int = field(default=0, init=False)
    patch: int | None = field(default=None, init=False)
    overlap: int = field(default=0, init=False)

    def identity(self) -> dict[str, Any]:
        return {"mode": self.mode, "options": dict(self.options)}

    def predict(self, example: Example, task: Task, snapshot: Snapshot, *, lead: int = 1) -> Tensor:
        with torch.no_grad():
            return self.formula(example, task, **self.options)


def draw_samples(
    predictor: Predictor,
    *,
    task: Task,
    trajectories: Sequence[Path],
    snapshots: int,
    path: Path,
    state_dir: Path,
    identity: str,
    task_name: str,
    method_name: str,
    training_seed: int,
    parameters: int = 0,
    flops: float = 0.0,
    observable: Observable = "w",
    leads: int = 1,
    feedback: Feedback = "member",
    progress: bool = False,
    stopwatch: Stopwatch | None = None,
) -> None:
    """Draw the ensembles of a split and write the samples file `path`, atomically.

    trajectories: files of the split, all of one grid. snapshots: scored ones per file, each the
        first of `leads` that follow one another. observable: what of the files is predicted.
    feedback: what a rollout's members know of the leads before (see `rollout`).
    state_dir: a folder for this file alone; holds the finished snapshots, is gone at the end.
    identity: stands for the code. If it, the predictor's own identity or the snapshots changed
        since an earlier run, its segments are thrown away; where an example changed (its data,
        its task, its normalisation), that snapshot is drawn again.
    stopwatch: times the snapshots that this call draws.
    The other arguments are labels of the file (see `samples.Labels`).

    The same call after a kill at any moment gives the same bytes. Predictions that are not finite
    are kept, with a warning. Raises FlexbenchError where the files do not fit the task, the patch,
    or one another.
    """
    rollouts = plan_rollouts(
        task,
        trajectories,
        snapshots=snapshots,
        leads=leads,
        feedback=feedback,
        observable=observable,
    )
    shape = _shape(predictor, task, rollouts[0])
    targets = [snapshot for rollout in rollouts for snapshot in rollout.targets]
    everything = {
        "identity": identity,
        "predictor": predictor.identity(),
        "feedback": feedback,
        "periodic": task.periodic,
        "snapshots": [asdict(snapshot) for snapshot in targets],
    }
    segments = Segments(state_dir, identity=everything)
    names: list[str] = []
    for rollout in track(rollouts, description=f"{task_name} {method_name}", disable=not progress):
        past = None
        for snapshot in rollout.targets:
            example = rollout.example(task, snapshot.lead, past)
            name = f"snapshot_{len(names):05d}_{tensors_digest(vars(example))[:16]}"
            if name not in segments:
                with stopwatch.snapshot() if stopwatch else nullcontext():
                    prediction = _predict(predictor, task, snapshot, example, shape)
                segments.write(name, prediction)
            names.append(name)
            # Read, even if just drawn: what a killed run goes on from is what this one does.
            if snapshot.lead < leads:
                past = feed_back(example.inputs, torch.from_numpy(segments.load(name)), feedback)
    labels = Labels(
        case=task_name,
        method=method_name,
        mode=predictor.mode,
        training_seed=training_seed,
        sampler=predictor.sampler,
        steps=predictor.steps,
        parameters=parameters,
        flops=flops,
        calls=predictor.evaluations,
        feedback=feedback if leads > 1 else "none",
        patch=predictor.patch or 0,
        overlap=predictor.overlap,
    )
    write_samples(
        path,
        segments.read(names),
        snapshots=targets,
        shape=shape,
        labels=labels,
    )
    segments.remove()


def cut_members(fields: Tensor, patch: int) -> Tensor:
    """Members (M,C,H,W) of one domain as tiles (B,M,C,p,p), in the order of `Example.tile`."""
    members, channels, height, width = fields.shape
    split = fields.reshape(members, channels, height // patch, patch, width // patch, patch)
    return split.permute(2, 4, 0, 1, 3, 5).reshape(-1, members, channels, patch, patch)


def _shape(predictor: Predictor, task: Task, rollout: Rollout) -> tuple[int, int, int, int]:
    """(M, C, H, W) of every prediction; FlexbenchError where no tiles make up the field."""
    grid, patch = rollout.trajectory.grid, predictor.patch
    if patch is not None and predictor.overlap and patch > grid:
        raise FlexbenchError(
            f"{rollout.trajectory.path}: grid is {grid}, allowed: the network's patch ({patch}) "
            "or more"
        )
    if patch is not None and grid % patch and not predictor.overlap:
        raise FlexbenchError(
            f"{rollout.trajectory.path}: grid is {grid}, allowed: a multiple of the network's "
            f"patch ({patch}), or with a sample.overlap any other from {patch} on"
        )
    return (predictor.members, task.spec.field_channels, grid, grid)


def _predict(
    predictor: Predictor,
    task: Task,
    snapshot: Snapshot,
    example: Example,
    shape: tuple[int, int, int, int],
) -> NDArray[np.float32]:
    """The ensemble of one snapshot, checked."""
    drawn = predictor.predict(example, task, snapshot, lead=snapshot.lead)
    prediction = drawn.to(device="cpu", dtype=torch.float32).numpy()
    if prediction.shape != shape:
        raise FlexbenchError(
            f"{snapshot.trajectory}, snapshot {snapshot.index}: the prediction has shape "
            f"{prediction.shape}, allowed: {shape}"
        )
    wrong = prediction.size - int(np.isfinite(prediction).sum())
    if wrong:
        warnings.warn(
            f"{snapshot.trajectory}, snapshot {snapshot.index}: {wrong} of {prediction.size} "
            "predicted values are not finite",
            stacklevel=2,
        )
    return prediction
