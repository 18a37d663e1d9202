"""Who draws the ensemble of one snapshot: a network on the tiles of a domain, or a formula.

Every number is decided by identity: the noise of a member depends on (seed, trajectory, snapshot,
member, lead) alone, so methods share it, and batches do not change it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from flexbench import user_code
from flexbench.config import SampleSettings
from flexbench.data.samples import Snapshot
from flexbench.diffusion import Draw
from flexbench.errors import FlexbenchError
from flexbench.inference.segments import tensors_digest
from flexbench.inference.tiles import sample_domain, tiling_of
from flexbench.methods import Method
from flexbench.posterior.consistency import Consistency
from flexbench.posterior.features import Features
from flexbench.posterior.model import Calibration
from flexbench.posterior.noise import margin
from flexbench.seeding import generator
from flexbench.tasks.base import Example, Task, untile

# Of a change that is told from the past and not exactly known, what goes on at the next lead:
# trends slow down. On desk's training and validation flows a straight line has 1.34 times the
# truth's enstrophy in waves longer than a patch after six leads, and this 1.07 times; its error is
# 0.78 times as large then, and 1.03 times after one lead (`benchmarks/trend.py`).
TREND = 0.9

# One field of all members that a blended domain is drawn for at once; samplers hold a few such.
DOMAIN_BYTES = 1 << 28

# Names of a member's random streams.
INITIAL_NOISE, STEP_NOISE = "initial noise", "step noise"

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
    def calls(self) -> int: ...

    @property
    def patch(self) -> int | None: ...

    @property
    def overlap(self) -> int: ...

    def identity(self) -> dict[str, Any]:
        """JSON-like: all that decides its numbers, given the example."""
        ...

    def predict(self, example: Example, task: Task, snapshot: Snapshot) -> Tensor:
        """Members (M,C,H,W), physical, of the whole-domain example of a snapshot.

        The example has B = 1, a condition that all members share, or B = M, one of each member.
        """
        ...


class NetworkPredictor:
    """A method on the tiles of a domain, under one noise field over the domain per member.

    settings: members, sampler, steps, batch, overlap: without one, tiles are drawn apart and
    stitched; with one, they are blended at every step. seed: of the noise. device: where the
    network is. calibration: of samplers that need it; their noise knows the whole domain, so the
    network is asked for all of it at every step.
    """

    def __init__(
        self,
        method: Method,
        *,
        settings: SampleSettings,
        seed: int,
        device: torch.device | str,
        calibration: Calibration | None = None,
    ):
        self.method, self.settings, self.seed, self.device = method, settings, seed, device
        self.calibration = calibration
        self.draw = Draw(sampler=settings.sampler, steps=settings.steps, batch=settings.batch)
        self.overlap = settings.overlap
        self.mode = method.mode
        self.patch: int | None = method.problem.patch
        draws = method.stochastic or calibration is not None
        self.members = settings.members if draws else 1
        self.sampler = settings.sampler if method.diffuses or calibration else "none"
        self.steps = settings.steps if method.diffuses else 0
        self.calls = method.calls(self.draw)

    def identity(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "seed": self.seed,
            "settings": self.settings.model_dump(),
            "diffusion": self.method.settings.model_dump(),
            "problem": asdict(self.method.problem),
            "weights": tensors_digest(self.method.network.state_dict()),
            "calibration": self.calibration.as_json() if self.calibration else None,
        }

    def predict(self, example: Example, task: Task, snapshot: Snapshot) -> Tensor:
        """Members (M,C,H,W), as `Predictor.predict`; FlexbenchError on another number of rows."""
        conditions, *field_shape = example.base.shape  # B, then (C, H, W)
        if conditions not in (1, self.members):
            raise FlexbenchError(
                f"{snapshot.trajectory}, snapshot {snapshot.index}: {conditions} conditions, "
                f"allowed: 1 for all members, or {self.members}, one for each"
            )

        known = self._known(example, task)
        around = margin(periodic=task.periodic) if self.calibration else 0

        def noise(members: Sequence[int], kind: str, *name: int) -> Tensor:
            """(M,C,H,W), one field over the domain per member; drawn on the CPU."""
            own = around if kind == STEP_NOISE else 0
            channels, height, width = field_shape
            shape = (channels, height + 2 * own, width + 2 * own)
            target = (self.seed, kind, snapshot.trajectory, snapshot.index)
            ahead = ("lead", snapshot.lead) if snapshot.lead > 1 else ()
            streams = (generator(*target, member, *name, *ahead) for member in members)
            return torch.stack([torch.randn(shape, generator=stream) for stream in streams])

        if self.overlap or self.calibration:
            residual = self._whole(example, noise, task, known, lead=snapshot.lead)
        else:
            residual = self._stitched(example, noise)
        if known:
            residual = known.hold(residual)
        return task.reconstruct(residual, example.base.to(self.device))

    def _known(self, example: Example, task: Task) -> Consistency | None:
        """What members are held to: what is known exactly, or on validation better."""
        if not self.settings.consistent:
            return None
        patch = self.method.problem.patch
        known = consistency_of(example, task, patch=patch, device=self.device)
        if known is None or not (self.calibration.holds if self.calibration else known.exact):
            return None
        return known

    def _whole(
        self,
        example: Example,
        noise: Noise,
        task: Task,
        known: Consistency | None,
        *,
        lead: int,
    ) -> Tensor:
        """Residuals (M,C,H,W) on the whole domain, some members at a time."""
        tiling = tiling_of(example, task, patch=self.method.problem.patch, overlap=self.overlap)
        together = max(1, DOMAIN_BYTES // (example.base[0].nbytes))
        drawn = []
        for first in range(0, self.members, together):
            group = range(first, min(first + together, self.members))
            rows = slice(group.start, group.stop) if len(example.base) > 1 else slice(0, 1)

            def step_noise(step: int, group: range = group) -> Tensor:
                return noise(group, STEP_NOISE, step).to(self.device)

            posterior = None
            if self.calibration:
                features = features_of(example, task, known, rows=rows, device=self.device)
                posterior = self.calibration.posterior(features, lead=lead)
            residual = sample_domain(
                self.method,
                example.condition[rows].to(self.device),
                example.re[rows].to(self.device),
                noise(group, INITIAL_NOISE).to(self.device),
                tiling=tiling,
                draw=replace(self.draw, noise=step_noise, posterior=posterior),
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

        def step_noise(step: int) -> Tensor:
            return cut(noise(range(self.members), STEP_NOISE, step))

        residual = self.method.sample(
            example.tile(patch).to(self.device),
            cut(noise(range(self.members), INITIAL_NOISE)),
            draw=replace(self.draw, noise=step_noise),
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
    calls: int = field(default=0, init=False)
    patch: int | None = field(default=None, init=False)
    overlap: int = field(default=0, init=False)

    def identity(self) -> dict[str, Any]:
        return {"mode": self.mode, "options": dict(self.options)}

    def predict(self, example: Example, task: Task, snapshot: Snapshot) -> Tensor:
        with torch.no_grad():
            found = user_code.call(self.formula, example, task, **self.options)
        user_code.require_like(self.formula, found, example.base)
        return found


def consistency_of(
    example: Example, task: Task, *, patch: int, device: torch.device | str
) -> Consistency | None:
    """What is known of the target of a whole-domain example, as a network would say it."""
    known = task.known_part(example, patch=patch)
    if known is None:
        return None
    field = known.field if known.exact else torch.lerp(example.base, known.field, TREND)
    value = known.of(task.residual_of(field, example.base))
    return Consistency(part=known.of, value=value.to(device), exact=known.exact)


def features_of(
    example: Example,
    task: Task,
    known: Consistency | None,
    *,
    rows: slice,
    device: torch.device | str,
) -> Features:
    """What tells how large errors are in some rows of a whole-domain example."""
    base = example.base[rows].to(device) / task.normaliser.field_std
    held = known and replace(known, value=known.value[rows])
    return Features(base, example.re[rows].to(device), periodic=task.periodic, known=held)


def cut_members(fields: Tensor, patch: int) -> Tensor:
    """Members (M,C,H,W) of one domain as tiles (B,M,C,p,p), in the order of `Example.tile`."""
    members, channels, height, width = fields.shape
    split = fields.reshape(members, channels, height // patch, patch, width // patch, patch)
    return split.permute(2, 4, 0, 1, 3, 5).reshape(-1, members, channels, patch, patch)
