"""Ensembles of the scored snapshots of a case's trajectories, into one file of samples.

Finished snapshots are kept as segments in a state folder: a killed run draws only what is missing,
and a rollout holds no lead but its last in memory. Neither changes a number: all randomness is
found by identity (see `predictors`).
"""

import warnings
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from flexbench.data.samples import Labels, Snapshot, write_samples
from flexbench.errors import FlexbenchError
from flexbench.inference.predictors import Predictor
from flexbench.inference.rollout import Rollout, Targets, feed_back, plan_rollouts
from flexbench.inference.segments import Segments, tensors_digest
from flexbench.inference.timing import Stopwatch
from flexbench.tasks.base import Example, Task


def describe(
    predictor: Predictor,
    targets: Targets,
    *,
    case: str,
    method: str,
    training_seed: int,
    parameters: int = 0,
    flops: float = 0.0,
) -> Labels:
    """What the file of samples says of them."""
    return Labels(
        case=case,
        method=method,
        mode=predictor.mode,
        training_seed=training_seed,
        sampler=predictor.sampler,
        steps=predictor.steps,
        parameters=parameters,
        flops=flops,
        calls=predictor.calls,
        feedback=targets.feedback if targets.leads > 1 else "none",
        patch=predictor.patch or 0,
        overlap=predictor.overlap,
    )


def draw_samples(
    predictor: Predictor,
    *,
    task: Task,
    targets: Targets,
    labels: Labels,
    path: Path,
    state_dir: Path,
    identity: str,
    progress: bool = False,
    stopwatch: Stopwatch | None = None,
) -> None:
    """Draw the ensembles of a case and write the samples file `path`, atomically.

    labels: of the file, from `describe`.
    state_dir: a folder for this file alone; holds the finished snapshots, is gone at the end.
    identity: stands for the code. If it, the predictor's own identity or the snapshots changed
        since an earlier run, its segments are thrown away; where an example changed (its data,
        its task, its normalisation), that snapshot is drawn again.
    stopwatch: times the snapshots that this call draws.

    The same call after a kill at any moment gives the same bytes. Predictions that are not finite
    are kept, with a warning. Raises FlexbenchError where the files do not fit the task, the patch,
    or one another.
    """
    rollouts = plan_rollouts(task, targets)
    shape = _shape(predictor, task, rollouts[0])
    snapshots = [snapshot for rollout in rollouts for snapshot in rollout.targets]
    everything = {
        "identity": identity,
        "predictor": predictor.identity(),
        "feedback": targets.feedback,
        "periodic": task.periodic,
        "snapshots": [asdict(snapshot) for snapshot in snapshots],
    }
    segments = Segments(state_dir, identity=everything)
    names: list[str] = []
    title = f"{labels.case} {labels.method}"
    for rollout in track(rollouts, description=title, disable=not progress):
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
            if snapshot.lead < targets.leads:
                drawn = torch.from_numpy(segments.load(name))
                past = feed_back(example.inputs, drawn, targets.feedback)
    write_samples(path, segments.read(names), snapshots=snapshots, shape=shape, labels=labels)
    segments.remove()


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
    drawn = predictor.predict(example, task, snapshot)
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
