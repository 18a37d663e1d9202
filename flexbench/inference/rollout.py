"""Rollouts: a forecast becomes its own past, lead by lead.

The first lead is predicted from the true past. After that each member's own prediction is what it
knows (feedback "member"), so that members drift apart as flows do; or the ensemble mean is what
all members know (feedback "mean"), the protocol of the authors' code, whose members differ by
their last step alone. A single prediction is a rollout of one lead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from flexbench.data.observe import open_trajectory
from flexbench.data.patches import Windows, full_windows
from flexbench.data.samples import Snapshot
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError
from flexbench.spec import Observable
from flexbench.tasks.base import Example, Task

Feedback = Literal["member", "mean"]
FEEDBACKS: tuple[Feedback, ...] = ("member", "mean")


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Which snapshots are predicted, to be scored.

    trajectories: files, all of one grid. snapshots: starts in each file. leads: snapshots that
    follow one another from each of them. observable: what of the files is predicted. feedback:
    what a rollout's members know of the leads before.
    """

    trajectories: Sequence[Path]
    snapshots: int
    observable: Observable = "w"
    leads: int = 1
    feedback: Feedback = "member"

    def __post_init__(self) -> None:
        if self.feedback not in FEEDBACKS:
            raise FlexbenchError(
                f"feedback: found '{self.feedback}', allowed: {', '.join(FEEDBACKS)}"
            )


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """The targets of leads 1, 2, … from one start, and the file that they stand in."""

    trajectory: Trajectory
    targets: tuple[Snapshot, ...]

    def example(self, task: Task, lead: int, past: Tensor | None) -> Example:
        """What a lead is predicted from.

        past: (B, K, H, W), physical, oldest first, B = 1 or one of each member; None: the true
        one, which is that of lead 1.
        """
        index = self.targets[lead - 1].index
        if past is None:
            return _whole_example(task, self.trajectory, index)
        truth = torch.from_numpy(self.trajectory.snapshot(index))  # (H, W)
        fields = torch.cat([past, truth.expand(len(past), 1, -1, -1)], dim=1)
        reynolds = torch.full((len(past),), self.trajectory.reynolds, dtype=torch.float32)
        periodic = self.trajectory.periodic
        return task.example(Windows(fields=fields, reynolds=reynolds, periodic=periodic))


def _whole_example(task: Task, trajectory: Trajectory, index: int) -> Example:
    """The whole-domain example (B = 1) whose target is snapshot `index` of a trajectory."""
    end = index + task.ahead * task.stride
    windows = full_windows(trajectory, end, window=task.window, stride=task.stride, halo=task.halo)
    return task.example(windows)


def feed_back(past: Tensor, prediction: Tensor, feedback: Feedback) -> Tensor:
    """The past of the next lead: (M, K, H, W), or (1, K, H, W) where all members share it.

    past: (1 or M, K, H, W). prediction: members (M, 1, H, W). Both physical.
    """
    if feedback == "mean":
        prediction = prediction.mean(dim=0, keepdim=True)
    kept = past[:, 1:].expand(len(prediction), -1, -1, -1)
    return torch.cat([kept, prediction], dim=1)


def plan_rollouts(task: Task, targets: Targets) -> list[Rollout]:
    """One rollout from each start in each file.

    Raises FlexbenchError where there is no file, where one is too short, where grids differ, or
    where the task has no past that a prediction could become.
    """
    leads = targets.leads
    if leads > 1 and not task.settings.rolls_out:
        raise FlexbenchError(f"leads: found {leads}, allowed for {task.kind}: 1 (it has no past)")
    rollouts: list[Rollout] = []
    for path in targets.trajectories:
        trajectory = open_trajectory(path, targets.observable)
        grid = rollouts[0].trajectory.grid if rollouts else trajectory.grid
        if trajectory.grid != grid:
            raise FlexbenchError(
                f"{path}: grid is {trajectory.grid}, allowed: {grid}, as in "
                f"{targets.trajectories[0]}"
            )
        rollouts += rollouts_of(task, trajectory, count=targets.snapshots, leads=leads)
    if not rollouts:
        raise FlexbenchError("no trajectory files to draw samples of")
    return rollouts


def rollouts_of(task: Task, trajectory: Trajectory, *, count: int, leads: int) -> list[Rollout]:
    """From `count` starts spread over one file; FlexbenchError if it has room for fewer."""
    ends = scored_indices(
        trajectory, count=count, window=task.window, stride=task.stride, leads=leads
    )
    rollouts = []
    for end in ends:
        first = end - task.ahead * task.stride
        targets = (
            _target(trajectory, index=first + (lead - 1) * task.stride, lead=lead)
            for lead in range(1, leads + 1)
        )
        rollouts.append(Rollout(trajectory=trajectory, targets=tuple(targets)))
    return rollouts


def scored_indices(
    trajectory: Trajectory, *, count: int, window: int, stride: int, leads: int = 1
) -> list[int]:
    """Ends of the first lead's windows: `count` of them, spread evenly over the file.

    Where the target is a window's last snapshot, these are the targets. They are the middles of
    `count` equal parts of the file. Errors change several times over as a flow decays, so they
    stand at the same times in every trajectory: Reynolds numbers, boundaries and observables are
    compared at one age of the flow, and trajectories differ by their flows alone. All `leads` of a
    rollout lie in the file. Raises FlexbenchError if the file has room for fewer.
    """
    first, beyond = (window - 1) * stride, (leads - 1) * stride
    times = trajectory.shape[0]
    possible = times - first - beyond
    if possible < count:
        room = max(possible, 0)
        reason = f"only {room} of {times} snapshots can be targets"
        if leads > 1:
            reason = (
                f"only {room} rollouts of {leads} leads fit: one takes {first + beyond + 1} "
                f"snapshots, and the file has {times}"
            )
        raise FlexbenchError(f"{trajectory.path}: sample.snapshots is {count}, but {reason}")
    return [first + (2 * part + 1) * possible // (2 * count) for part in range(count)]


def _target(trajectory: Trajectory, *, index: int, lead: int) -> Snapshot:
    return Snapshot(
        trajectory=trajectory.path.stem,
        reynolds=float(trajectory.reynolds),
        seed=int(trajectory.seed),
        index=index,
        time=float(trajectory.time[index]),
        lead=lead,
    )
