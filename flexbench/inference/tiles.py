"""Whole domains from a network that sees patches: overlapping tiles, blended at every step.

The reverse diffusion runs on the whole domain. Wherever it asks for the network's output, the
network is run on overlapping tiles of x_t, and their outputs are averaged with smooth weights that
sum to one at every point. So neighbouring tiles agree after each step, where tiles that are drawn
apart and stitched together drift apart. At one x_t, x0_hat and eps_hat are the same affine
functions of the velocity in every tile: blending either of them would give the same field.

Letters as elsewhere; n tiles along one axis, p the patch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise, product
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flexbench.diffusion import Draw
from flexbench.errors import FlexbenchError
from flexbench.methods import Method, chunks, evaluating
from flexbench.spec import Network

if TYPE_CHECKING:
    from flexbench.tasks.base import Example, Task

# What features of conditions may take before they are encoded anew at each call.
ENCODED_BYTES = 1 << 29


def tile_starts(
    size: int, *, patch: int, overlap: int, periodic: bool = True, align: int = 1
) -> list[int]:
    """First points of the fewest tiles that cover `size` points, neighbours sharing `overlap`.

    They are spread evenly, so some share more where the size asks for it. periodic: the last
    tiles reach over the end and share points with the first ones; otherwise all lie inside.
    align: tiles start at multiples of it, as the patches did that the network learnt from; size
    and patch have to be such multiples. Raises FlexbenchError when the overlap leaves no room for
    that below the patch, or the patch exceeds the size.
    """
    if not 0 <= overlap <= patch - align:
        raise FlexbenchError(
            f"sample.overlap: found {overlap}, allowed: 0 to {patch - align}, below the patch "
            f"({patch})"
        )
    if patch > size:
        raise FlexbenchError(f"patch {patch} is larger than the field ({size})")
    stride = (patch - overlap) // align
    if periodic:
        count = math.ceil(size // align / stride)
        return [place * (size // align) // count * align for place in range(count)]
    room = (size - patch) // align
    steps = math.ceil(room / stride)
    return [place * room // max(steps, 1) * align for place in range(steps + 1)]


def tile_weights(starts: Sequence[int], size: int, *, patch: int, periodic: bool = True) -> Tensor:
    """Weights (n, p) of the tiles along one axis, float64; at every point they sum to one.

    Each tile's weight rises like sin^2 over the points that it shares with a neighbour, so it is
    smallest at the tile's edge, where the network knows least; at an edge of a domain that is
    not periodic it stays high.
    """
    ends = [*starts, starts[0] + size] if periodic else starts
    widest = max((after - before for before, after in pairwise(ends)), default=0)
    ramp = min(patch - widest, patch // 2)
    rise = torch.ones(patch, dtype=torch.float64)
    places = torch.arange(ramp, dtype=torch.float64)
    rise[:ramp] = torch.sin(math.pi / 2 * (places + 0.5) / max(ramp, 1)).square()
    windows = (rise * rise.flip(0)).repeat(len(starts), 1)
    if not periodic:
        flat = torch.ones_like(rise)
        windows[0] = flat if len(starts) == 1 else rise.flip(0)
        windows[-1] = flat if len(starts) == 1 else rise
    points = (torch.tensor(starts)[:, None] + torch.arange(patch)) % size
    total = torch.zeros(size, dtype=torch.float64)
    total.index_add_(0, points.flatten(), windows.flatten())
    return windows / total[points]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One tile of a domain: rows (p, 1), columns (p,), and its weight (p, p), float32."""

    rows: Tensor
    columns: Tensor
    weight: Tensor

    def cut(self, fields: Tensor) -> Tensor:
        """(..., H, W) -> (..., p, p)."""
        return fields[..., self.rows, self.columns]

    def add(self, outputs: Tensor, domain: Tensor) -> None:
        """Add the weighted outputs (..., p, p) to their place in a domain (..., H, W)."""
        domain[..., self.rows, self.columns] += self.weight * outputs


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """Overlapping tiles of a domain. Raises FlexbenchError as `tile_starts` does."""

    height: int
    width: int
    patch: int
    overlap: int
    periodic: bool = True
    align: int = 1

    @cached_property
    def tiles(self) -> list[Tile]:
        """All tiles, row by row."""
        return [
            Tile(rows=rows[:, None], columns=columns, weight=(down[:, None] * across).float())
            for (rows, down), (columns, across) in product(
                self._along(self.height), self._along(self.width)
            )
        ]

    def _along(self, size: int) -> list[tuple[Tensor, Tensor]]:
        """Points (p,) and weights (p,) of the tiles along one axis."""
        starts = tile_starts(
            size,
            patch=self.patch,
            overlap=self.overlap,
            periodic=self.periodic,
            align=self.align,
        )
        weights = tile_weights(starts, size, patch=self.patch, periodic=self.periodic)
        points = (torch.tensor(starts)[:, None] + torch.arange(self.patch)) % size
        return list(zip(points, weights, strict=True))


def tiling_of(example: "Example", task: "Task", *, patch: int, overlap: int) -> Tiling:
    """The tiles of a whole-domain example.

    They reach over an edge of the domain if the task's fields are periodic, and start where its
    low-resolution points do, as training patches do.
    """
    height, width = example.base.shape[-2:]
    return Tiling(
        height=height,
        width=width,
        patch=patch,
        overlap=overlap,
        periodic=task.periodic,
        align=task.align,
    )


@dataclass
class Room:
    """Bytes that are left for features of conditions, of all tiled networks that share it."""

    left: int = field(default_factory=lambda: ENCODED_BYTES)

    def take(self, features: Sequence[Tensor]) -> bool:
        """Whether they fit; what does is taken from what is left."""
        size = sum(feature.nbytes for feature in features)
        fits = size <= self.left
        self.left -= size if fits else 0
        return fits


class TiledNetwork:
    """A network's output over domains, as the callable that a sampler asks: ``(x, t) -> (x like)``.

    network: a `spec.Network` of the tiling's patch. condition, re: (B,Cc,H,W) and (B,1), of
    all members (B = 1) or one of each. batch: tiles x members that it is run on at once.

    At a time `batch` tiles of x exist. A condition is encoded once, for all calls and members, as
    long as there is room for its features; on a large domain, which they exceed 50 to 400 times,
    those of the other tiles are encoded again at each call.
    """

    def __init__(
        self,
        network: Network,
        condition: Tensor,
        re: Tensor,
        *,
        tiling: Tiling,
        batch: int,
        room: Room | None = None,
    ):
        self.network, self.condition, self.re = network, condition, re
        self.batch = batch
        self.room = Room() if room is None else room
        self.tiles = [
            Tile(
                rows=tile.rows.to(condition.device),
                columns=tile.columns.to(condition.device),
                weight=tile.weight.to(condition.device),
            )
            for tile in tiling.tiles
        ]
        # By the ends of a chunk of tiles, and of its conditions.
        self._kept: dict[tuple[int, ...], list[Tensor]] = {}

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """x: (M,C,H,W); t: (M,), all equal."""
        blended = torch.zeros_like(x)
        for places, spans in chunks(len(self.tiles), len(x), self.batch):
            for members in spans:
                outputs = self._outputs(places, x, t, members)
                for tile, output in zip(self.tiles[places], outputs, strict=True):
                    tile.add(output, blended[members])
        return blended

    def _outputs(self, places: slice, x: Tensor, t: Tensor, members: slice) -> Tensor:
        """Outputs (tiles, members, C, p, p) of some tiles of some members."""
        tiles = self.tiles[places]
        noisy = torch.stack([tile.cut(x[members]) for tile in tiles])
        count = noisy.shape[1]
        own = members if len(self.condition) > 1 else slice(0, 1)
        re = self.re[own].repeat(len(tiles), 1)  # members within tiles, as in the condition
        encoded = self._encoded(places, own, re)
        if len(re) < len(tiles) * count:
            re = re.repeat_interleave(count, dim=0)
            encoded = [feature.repeat_interleave(count, dim=0) for feature in encoded]
        t = t[members].repeat(len(tiles))
        output = self.network.denoise(noisy.flatten(0, 1), t, re, encoded)
        return output.unflatten(0, noisy.shape[:2])

    def _encoded(self, places: slice, own: slice, re: Tensor) -> list[Tensor]:
        """Features of some conditions of some tiles."""
        key = places.start, places.stop, own.start, own.stop
        if key in self._kept:
            return self._kept[key]
        tiles = [tile.cut(self.condition[own]) for tile in self.tiles[places]]
        encoded = self.network.encode(torch.stack(tiles).flatten(0, 1), re)
        if self.room.take(encoded):
            self._kept[key] = encoded
        return encoded


def sample_domain(
    method: Method,
    condition: Tensor,
    re: Tensor,
    noise: Tensor,
    *,
    tiling: Tiling,
    draw: Draw,
) -> Tensor:
    """Draw normalised residuals (M,C,H,W) on a whole domain, tiles blended at every step.

    condition, re: as of `TiledNetwork`. noise: (M,C,H,W), as is that of the draw.
    The network runs in eval mode without gradients.
    """
    output = TiledNetwork(method.bare, condition, re, tiling=tiling, batch=draw.batch)
    with evaluating(method.network):
        return method.reverse(output, condition, noise, draw=draw)
