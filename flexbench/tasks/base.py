"""What all tasks share: the example, its tiles, the residual, and the way back to a field."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from flexbench.config.tasks.base import TaskBase
from flexbench.data.normaliser import Normaliser
from flexbench.data.patches import Windows
from flexbench.errors import FlexbenchError
from flexbench.spec import REYNOLDS_SCALE


@dataclass(frozen=True)
class Example:
    """A batch of one task, all tensors float32 with the batch first.

    condition: (B, Cc, H, W) what the network is told, normalised.
    re: (B, 1) Re / 40000.
    residual: (B, C, H, W) normalised: what the network has to produce, truth - base or the truth.
    base: (B, C, H, W) the field the residual is added to, physical.
    truth: (B, C, H, W) physical.
    inputs: (B, Ci, h, w) what the task starts from, physical: the low-resolution field (h and w
        are H and W over the factor) or the past snapshots, oldest first (h = H, w = W).
    """

    condition: Tensor
    re: Tensor
    residual: Tensor
    base: Tensor
    truth: Tensor
    inputs: Tensor

    def to(self, device: torch.device | str) -> "Example":
        """The same example on a device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def corner(self, patch: int) -> "Example":
        """The first patch x patch points, in `inputs` the low-resolution ones that cover them."""
        return self._map(lambda tensor: self._cut(tensor, patch, corner=True))

    def patches(self, corners: Tensor, patch: int) -> "Example":
        """Of each row the patch x patch points from its row and column of `corners` (B, 2) on."""
        height = self.truth.shape[-2]

        def cut(tensor: Tensor) -> Tensor:
            if tensor.ndim == 2:
                return tensor
            scale = height // tensor.shape[-2]
            side = patch // scale
            places = [(y // scale, x // scale) for y, x in corners.tolist()]
            rows = zip(tensor, places, strict=True)
            return torch.stack([row[:, y : y + side, x : x + side] for row, (y, x) in rows])

        return self._map(cut)

    def tile(self, patch: int) -> "Example":
        """Cut into patch x patch tiles that do not overlap: batch B * rows * columns.

        Tiles follow one another row by row within each snapshot; `untile` puts them together.
        `inputs` is cut along with the rest, in tiles of patch / factor points. Raises
        FlexbenchError when patch does not divide the field, or the factor the patch.
        """
        return self._map(lambda tensor: self._cut(tensor, patch, corner=False))

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Example":
        return Example(**{field.name: change(getattr(self, field.name)) for field in fields(self)})

    def _cut(self, tensor: Tensor, patch: int, *, corner: bool) -> Tensor:
        height, width = self.truth.shape[-2:]
        if tensor.ndim == 2:
            tiles = 1 if corner else (height // patch) * (width // patch)
            return tensor.repeat_interleave(tiles, dim=0)
        scale = height // tensor.shape[-2]
        if patch % scale or patch > height or (not corner and (height % patch or width % patch)):
            raise FlexbenchError(
                f"patch {patch} does not fit a field of {height} x {width} whose inputs have "
                f"1/{scale} of its resolution"
            )
        side = patch // scale
        return tensor[..., :side, :side] if corner else _tiles(tensor, side)


def _tiles(tensor: Tensor, side: int) -> Tensor:
    """(B, C, H, W) -> (B * rows * columns, C, side, side)."""
    batch, channels, height, width = tensor.shape
    rows, columns = height // side, width // side
    split = tensor.reshape(batch, channels, rows, side, columns, side)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, side, side)


def untile(tiles: Tensor, *, rows: int, columns: int) -> Tensor:
    """Put tiles (B * rows * columns, ..., p, p) together: (B, ..., rows * p, columns * p).

    The inverse of `Example.tile`; dimensions between (channels, members) stay as they are.
    """
    count, *middle, height, width = tiles.shape
    if count % (rows * columns):
        raise FlexbenchError(f"{count} tiles do not make up fields of {rows} x {columns} tiles")
    batch, channels = count // (rows * columns), int(torch.Size(middle).numel())
    split = tiles.reshape(batch, rows, columns, channels, height, width)
    joined = split.permute(0, 3, 1, 4, 2, 5)
    return joined.reshape(batch, *middle, rows * height, columns * width)


class Physical(NamedTuple):
    """What a task makes of a window, all of it in physical units.

    condition, base, truth, inputs: as in `Example`, but for the scale of the condition.
    """

    condition: Tensor
    base: Tensor
    truth: Tensor
    inputs: Tensor


@dataclass(frozen=True)
class KnownPart:
    """The part of a target that a task can tell without any network.

    of: the orthogonal projection of fields (..., H, W) onto that part of them. field: (B, C, H, W),
    physical; its part is the target's. exact: whether it is so by construction. If not, it is as
    good as a formula is, and validation has to tell whether a network knows better.
    """

    of: Callable[[Tensor], Tensor]
    field: Tensor
    exact: bool


class Task(ABC):
    """A task: from windows of snapshots to examples, and from residuals back to fields.

    settings: of its kind. spec: what a network has to know. window: snapshots in a window. stride:
    stored snapshots between two of them. ahead: snapshots of a window that follow the target.
    periodic: whether fields are; of others `prepare` takes what lies inside the domain, and cuts
    nothing off. align: patches of fields that are not periodic start at multiples of it.
    """

    def __init__(
        self,
        settings: TaskBase,
        *,
        normaliser: Normaliser,
        interval: float = 1.0,
        periodic: bool = True,
    ):
        """interval: time between two stored snapshots; FlexbenchError where it does not fit."""
        self.settings, self.normaliser, self.periodic = settings, normaliser, periodic
        self.spec = settings.problem(periodic=periodic)
        self.window, self.align = settings.window, settings.align
        self.stride = settings.stride(interval)
        self.ahead = settings.window - 1 - settings.target

    @property
    def halo(self) -> int | None:
        """Points around a patch that `physical` needs; None when it needs the whole domain."""
        return 0

    @property
    def kind(self) -> str:
        return self.settings.kind

    @property
    def margin(self) -> int:
        """Points that `physical` cuts off on each side."""
        return (self.halo or 0) if self.periodic else 0

    @abstractmethod
    def physical(self, fields: Tensor) -> Physical:
        """Condition, base and truth of windows (B, window, H + 2 margin, W + 2 margin), physical,
        oldest snapshot first: the one place that says what the residual of a kind is of.
        """

    def prepare(self, fields: Tensor, reynolds: Tensor) -> Example:
        """The example of windows.

        fields: (B, window, H + 2 margin, W + 2 margin), physical, oldest first. reynolds: (B,).
        Raises FlexbenchError when the shape does not fit the task.
        """
        self._check(fields)
        condition, base, truth, inputs = self.physical(fields)
        return Example(
            condition=condition / self.normaliser.field_std,
            re=reynolds[:, None].to(truth.dtype) / REYNOLDS_SCALE,
            residual=self.residual_of(truth, base),
            base=base,
            truth=truth,
            inputs=inputs,
        )

    def example(self, windows: Windows) -> Example:
        """The example of what a PatchSampler drew, or of `full_windows`.

        Unlike `prepare` it cuts the patches out of whole domains, where the task needs those.
        """
        if windows.periodic != self.periodic:
            raise FlexbenchError(
                f"the task was made for fields with periodic = {self.periodic}; "
                f"these have periodic = {windows.periodic}"
            )
        example = self.prepare(windows.fields, windows.reynolds)
        if windows.patch is None:
            return example
        if windows.corners is None:
            return example.corner(windows.patch)
        return example.patches(windows.corners, windows.patch)

    def known_part(self, example: Example, *, patch: int) -> KnownPart | None:
        """Of a whole-domain example; None where nothing is known.

        patch: points per side that a network sees at once.
        """
        return None

    def residual_of(self, field: Tensor, base: Tensor) -> Tensor:
        """What a network has to produce for a physical field (B, C, H, W), normalised."""
        wanted = field - base if self.settings.residual else field
        return wanted / self.normaliser.residual_std

    def reconstruct(self, residual: Tensor, base: Tensor) -> Tensor:
        """The physical field of a normalised residual.

        residual: (B, C, H, W), or (B, M, C, H, W) for an ensemble over base (B, C, H, W).
        """
        if residual.ndim == base.ndim + 1:
            base = base.unsqueeze(1)
        generated = residual * self.normaliser.residual_std
        return base + generated if self.settings.residual else generated

    def _check(self, fields: Tensor) -> None:
        halo = self.margin
        if fields.ndim != 4 or fields.shape[1] != self.window or min(fields.shape[-2:]) <= 2 * halo:
            raise FlexbenchError(
                f"fields of shape {tuple(fields.shape)}; allowed: (B, {self.window}, "
                f"H + {2 * halo}, W + {2 * halo})"
            )
