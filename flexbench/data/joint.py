"""Patches of several tasks that a network learns together: as many of each in every batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from flexbench.data.patches import PatchSampler, Windows


@dataclass(frozen=True)
class JointWindows:
    """The windows of each task, as many of one as of the other."""

    parts: Mapping[str, Windows]

    def to(self, device: torch.device) -> "JointWindows":
        return self._map(lambda windows: windows.to(device))

    def pinned(self) -> "JointWindows":
        return self._map(Windows.pinned)

    def _map(self, change: Callable[[Windows], Windows]) -> "JointWindows":
        return JointWindows({task: change(windows) for task, windows in self.parts.items()})


class JointSampler:
    """A patch sampler for each task: number i is, for each, the patch that it would see alone."""

    def __init__(self, samplers: Mapping[str, PatchSampler]):
        self.samplers = dict(samplers)

    def draw(self, indices: Sequence[int]) -> JointWindows:
        """The patches with these numbers, of every task."""
        return JointWindows({task: own.draw(indices) for task, own in self.samplers.items()})
