"""Draw and score as minFLEX's notebook does, and beside it as this suite does.

The notebook draws M members of each patch, puts the patches together, and takes the *last member*
for its prediction, not the mean: its RFNE is a member's, and its pull is (member - truth) / s, with
s the standard deviation (ddof 1) of all members, that one among them. A perfect ensemble's pull is
then wider than that of its mean.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.progress import track
from torch import Tensor

from flexbench.diffusion import Draw
from flexbench.errors import FlexbenchError
from flexbench.metrics.calibration import sigma_ref
from flexbench.published.box import Box
from flexbench.published.imported import Imported
from flexbench.seeding import generator
from flexbench.tasks.base import Example

# Snapshots at the end of a file that minFLEX's training leaves out.
HELD_OUT = 20


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """first, count: which snapshots. steps: N of DDIM. members: M. seed: of the noise.

    The defaults are the notebook's, all but the seed.
    """

    first: int = 0
    count: int = 1
    steps: int = 3
    members: int = 5
    seed: int = 0

    @property
    def snapshots(self) -> range:
        return range(self.first, self.first + self.count)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Norms and pulls are over all points of all snapshots together.

    interpolated: RFNE of the up-sampled field. rfne_member, pull_mean_member, pull_width_member:
    of each member. rfne, pull_mean, pull_width: of the ensemble mean. Pulls are prediction less
    truth, over the members' standard deviation. collapsed: share of the points where all members
    agree, which have no pull. trained: snapshots that the authors' training saw.
    """

    interpolated: float
    rfne_member: tuple[float, ...]
    pull_mean_member: tuple[float, ...]
    pull_width_member: tuple[float, ...]
    rfne: float
    pull_mean: float
    pull_width: float
    collapsed: float
    trained: int


def sigma_ref_member(members: int) -> float:
    """The pull's width where the prediction is one of the members of a perfect Gaussian ensemble.

    (x_i - y) / s = (mean - y) / s + (x_i - mean) / s. The first part has the variance
    `sigma_ref`^2; the squares of the second add up to M - 1 over the members, so that its mean
    square is (M - 1) / M; and they are uncorrelated. Infinite for M <= 3.
    """
    return math.hypot(sigma_ref(members), math.sqrt((members - 1) / members))


def score_published(imported: Imported, box: Box, protocol: Protocol, *, batch: int) -> Scores:
    """Raises FlexbenchError for snapshots that the file has not, for fields that are zero
    everywhere, and for predictions that are not finite."""
    chosen = protocol.snapshots
    if chosen.stop > box.snapshots:
        raise FlexbenchError(
            f"{box.source.path}: snapshots {chosen.start} to {chosen.stop - 1} are asked for; it "
            f"holds {box.snapshots}, from 0 on"
        )
    sums = _Sums(protocol.members)
    shown = sys.stderr.isatty()
    for index in track(chosen, description="snapshots", disable=not shown):
        patches = box.patches(index)
        drawn, base = _drawn(imported, patches, protocol, index=index, batch=batch)
        if not torch.isfinite(drawn).all():
            raise FlexbenchError(
                f"{box.source.path}: snapshot {index}: the predictions are not finite; do the "
                "scales of the sidecar fit?"
            )
        sums.add(patches, drawn, base)
    if sums.truth == 0:
        raise FlexbenchError(
            f"{box.source.path}: the fields are zero everywhere: no error is relative to them"
        )
    trained = len(range(chosen.start, min(chosen.stop, max(box.snapshots - HELD_OUT, 0))))
    return sums.scores(trained)


def _drawn(
    imported: Imported, patches: Tensor, protocol: Protocol, *, index: int, batch: int
) -> tuple[Tensor, Tensor]:
    """Members (B, M, 1, p, p) and the up-sampled field (B, 1, p, p), both in the data's units."""
    task, sidecar = imported.task, imported.sidecar
    mean = sidecar.scales.mean
    reynolds = torch.full((len(patches),), sidecar.reynolds)
    example: Example = task.prepare(patches - mean, reynolds)
    device = next(imported.method.network.parameters()).device
    noise = torch.stack(
        [
            torch.randn(
                patches.shape, generator=generator(protocol.seed, "published", index, member)
            )
            for member in range(protocol.members)
        ],
        dim=1,
    )
    residual = imported.method.sample(
        example.to(device),
        noise.to(device),
        draw=Draw(sampler="ddim", steps=protocol.steps, batch=batch),
    )
    members = task.reconstruct(residual.cpu(), example.base)
    return members + mean, example.base + mean


class _Sums:
    """What the scores are made of, added up snapshot by snapshot, in double precision."""

    def __init__(self, members: int):
        self.members = members
        self.truth = self.interpolated = self.error = 0.0
        self.error_member = torch.zeros(members, dtype=torch.float64)
        self.points = self.pulls = 0
        self.pull, self.pull_square = (torch.zeros(members + 1, dtype=torch.float64) for _ in "12")

    def add(self, truth: Tensor, drawn: Tensor, base: Tensor) -> None:
        """truth, base: (B, 1, p, p); drawn: (B, M, 1, p, p)."""
        y = truth.double().flatten()
        x = drawn.double().movedim(1, 0).flatten(1)  # (M, points)
        mean, spread = x.mean(dim=0), x.std(dim=0, correction=1)
        self.truth += float(y.square().sum())
        self.interpolated += float((base.double().flatten() - y).square().sum())
        self.error += float((mean - y).square().sum())
        self.error_member += (x - y).square().sum(dim=1)
        valid = spread > 0
        self.points += y.numel()
        self.pulls += int(valid.sum())
        predictions = torch.cat([x, mean[None]])[:, valid]
        pull = (predictions - y[valid]) / spread[valid]
        self.pull += pull.sum(dim=1)
        self.pull_square += pull.square().sum(dim=1)

    def scores(self, trained: int) -> Scores:
        centre = self.pull / self.pulls
        width = (self.pull_square / self.pulls - centre.square()).clamp(min=0).sqrt()
        return Scores(
            interpolated=math.sqrt(self.interpolated / self.truth),
            rfne_member=_numbers((self.error_member / self.truth).sqrt()),
            pull_mean_member=_numbers(centre[:-1]),
            pull_width_member=_numbers(width[:-1]),
            rfne=math.sqrt(self.error / self.truth),
            pull_mean=float(centre[-1]),
            pull_width=float(width[-1]),
            collapsed=1 - self.pulls / self.points,
            trained=trained,
        )


def _numbers(values: Tensor) -> tuple[float, ...]:
    return tuple(values.tolist())


def mean_of(values: Sequence[float]) -> float:
    return sum(values) / len(values)
