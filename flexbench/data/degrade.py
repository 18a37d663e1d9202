"""Degradations for super-resolution: from a field to its low-resolution version and back.

Every operator here is linear, acts on (B, C, H, W), and treats the field as periodic. All but the
spectral ones are local: on a patch cut out with `halo` points around it they give, inside, the
same bits as on the whole domain, because only the outer `halo` points feel the wrong neighbours.

Of a field that is not periodic, the value at the edge stands for what a kernel would need beyond
it: of the field itself where it is degraded, of the low-resolution samples where these are
up-sampled, so that nothing is known that the samples do not tell. There are no spectral operators.

Where low-resolution sample j sits, in high-resolution points, decides how to interpolate it:

    strided, spectral     factor * j                       `offset` 0
    block_mean, bicubic   factor * j + (factor - 1) / 2    the centre of its block

`alignment="official"` places strided samples at the centre of their block nevertheless, as
half-pixel-centred image resizing does: the result is shifted by (factor - 1) / 2 points. It is
there to compare with numbers obtained that way.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor

from flexbench.config.tasks.superres import SuperResolutionSettings
from flexbench.errors import FlexbenchError

# Keys' cubic convolution kernel: -1/2 is his third-order choice (IEEE TASSP 29, 1981); torch's
# `interpolate` uses -3/4, and so does the official protocol.
KEYS = -0.5
KEYS_TORCH = -0.75

# Reach of a kernel to either side of the patch, in low-resolution cells.
_REACH_DOWN = {"block_mean": 0.0, "strided": 0.0, "bicubic": 1.5}
_REACH_UP = {"bilinear": 1.0, "bicubic": 2.0}


@dataclass(frozen=True)
class Degradation:
    """A degradation with the up-sampling that goes with it.

    Raises FlexbenchError for combinations that have no meaning.
    """

    factor: int
    degradation: str
    upsampling: str
    alignment: str = "aligned"
    periodic: bool = True

    def __post_init__(self) -> None:
        if not self.periodic and "spectral" in (self.degradation, self.upsampling):
            raise FlexbenchError(
                f"degradation '{self.degradation}' with upsampling '{self.upsampling}' on a field "
                "that is not periodic; allowed: all but 'spectral', which needs a periodic one"
            )
        official = self.alignment == "official"
        if official and (self.degradation != "strided" or self.upsampling == "spectral"):
            raise FlexbenchError(
                f"alignment 'official' with degradation '{self.degradation}' and upsampling "
                f"'{self.upsampling}'; allowed: 'strided' with 'bicubic' or 'bilinear'"
            )

    @classmethod
    def of(cls, settings: SuperResolutionSettings, *, periodic: bool = True) -> "Degradation":
        """The degradation that a task's settings ask for, of fields that are periodic or not."""
        return cls(
            factor=settings.factor,
            degradation=settings.degradation,
            upsampling=settings.upsampling,
            alignment=settings.alignment,
            periodic=periodic,
        )

    @property
    def offset(self) -> float:
        """Where sample 0 is taken to sit, in high-resolution points."""
        centred = self.degradation in ("block_mean", "bicubic") or self.alignment == "official"
        return (self.factor - 1) / 2 if centred else 0.0

    @property
    def halo(self) -> int | None:
        """Points around a patch that its result depends on, a multiple of the factor.

        None: the whole periodic domain is needed.
        """
        if "spectral" in (self.degradation, self.upsampling):
            return None
        cells = _REACH_DOWN[self.degradation] + _REACH_UP[self.upsampling]
        return self.factor * math.ceil(cells)

    def down(self, field: Tensor) -> Tensor:
        """The low-resolution version (B, C, H / factor, W / factor) of field (B, C, H, W)."""
        height, width = field.shape[-2:]
        if height % self.factor or width % self.factor:
            raise FlexbenchError(
                f"factor {self.factor} does not divide the field ({height} x {width})"
            )
        if self.degradation == "strided":
            return field[..., :: self.factor, :: self.factor].contiguous()
        if self.degradation == "spectral":
            return _per_axis(field, lambda x, dim: _truncate(x, dim, factor=self.factor))
        taps = _block_taps if self.degradation == "block_mean" else _antialias_taps
        return self._local(field, taps)

    def up(self, low: Tensor) -> Tensor:
        """Interpolation (B, C, h * factor, w * factor) of low-resolution samples (B, C, h, w)."""
        if self.upsampling == "spectral":
            return _per_axis(
                low, lambda x, dim: _extend(x, dim, factor=self.factor, offset=self.offset)
            )
        taps = _linear_taps if self.upsampling == "bilinear" else _cubic_taps
        if taps is _cubic_taps and self.alignment == "official":
            taps = _cubic_taps_torch
        return self._local(low, taps, offset=self.offset)

    def _local(self, field: Tensor, taps: "Taps", *, offset: float = 0.0) -> Tensor:
        gather = partial(
            _gather, taps=taps, factor=self.factor, offset=offset, periodic=self.periodic
        )
        return _per_axis(field, gather)


def _per_axis(field: Tensor, operate: Callable[[Tensor, int], Tensor]) -> Tensor:
    return operate(operate(field, -2), -1)


# Taps: from (points, factor, offset) the indices and weights (outputs, taps), float64, of a
# weighted sum along one axis; indices may lie beyond its ends.
Taps = Callable[[int, int, float], tuple[Tensor, Tensor]]


def _cubic(distance: Tensor, a: float) -> Tensor:
    """Keys' kernel of the distance to a sample, in sample spacings."""
    d = distance.abs()
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


def _cells(points: int, factor: int, offset: float) -> tuple[Tensor, Tensor]:
    """Of every high-resolution point, the sample before it and the distance past that one."""
    position = (torch.arange(points * factor, dtype=torch.float64) - offset) / factor
    before = position.floor()
    return before.long()[:, None], (position - before)[:, None]


def _linear_taps(points: int, factor: int, offset: float) -> tuple[Tensor, Tensor]:
    before, past = _cells(points, factor, offset)
    steps = torch.arange(0, 2)
    return before + steps, 1 - (past - steps).abs()


def _cubic_taps(points: int, factor: int, offset: float) -> tuple[Tensor, Tensor]:
    before, past = _cells(points, factor, offset)
    steps = torch.arange(-1, 3)
    return before + steps, _cubic(past - steps, KEYS)


def _cubic_taps_torch(points: int, factor: int, offset: float) -> tuple[Tensor, Tensor]:
    before, past = _cells(points, factor, offset)
    steps = torch.arange(-1, 3)
    return before + steps, _cubic(past - steps, KEYS_TORCH)


def _block_taps(points: int, factor: int, offset: float) -> tuple[Tensor, Tensor]:
    indices = torch.arange(points).view(-1, factor)
    return indices, torch.full(indices.shape, 1 / factor, dtype=torch.float64)


def _antialias_taps(points: int, factor: int, offset: float) -> tuple[Tensor, Tensor]:
    """Keys' kernel stretched by the factor, so that it also removes what would alias."""
    first = torch.arange(0, points, factor)[:, None]
    steps = torch.arange(-3 * factor // 2, 5 * factor // 2)
    weights = _cubic((steps - (factor - 1) / 2) / factor, KEYS).double() / factor
    return first + steps, weights.expand(len(first), -1)


@lru_cache(maxsize=64)
def _tap_columns(
    taps: Taps,
    points: int,
    factor: int,
    offset: float,
    periodic: bool,
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    indices, weights = taps(points, factor, offset)
    indices = indices % points if periodic else indices.clamp(0, points - 1)
    return indices.T.contiguous().to(device), weights.T.contiguous().to(device, dtype)


def _gather(
    x: Tensor, dim: int, *, taps: Taps, factor: int, offset: float, periodic: bool
) -> Tensor:
    """Weighted sums along `dim`, one tap after the other: the same bits at any position."""
    columns, weights = _tap_columns(taps, x.shape[dim], factor, offset, periodic, x.dtype, x.device)
    shape = (-1, 1) if dim == -2 else (-1,)
    total = x.new_zeros(())
    for indices, weight in zip(columns, weights, strict=True):
        total = total + x.index_select(dim, indices) * weight.view(shape)
    return total


def _truncate(x: Tensor, dim: int, *, factor: int) -> Tensor:
    """Keep the wavenumbers below points / factor / 2 (that one itself is dropped), and sample."""
    points = x.shape[dim] // factor
    modes = torch.fft.rfft(x, dim=dim).narrow(dim, 0, points // 2 + 1).clone()
    if points % 2 == 0:
        modes.select(dim, points // 2).zero_()
    return torch.fft.irfft(modes, n=points, dim=dim) / factor


def _extend(x: Tensor, dim: int, *, factor: int, offset: float) -> Tensor:
    """Trigonometric interpolation of samples that sit at factor * j + offset."""
    points = x.shape[dim]
    modes = torch.fft.rfft(x, dim=dim)
    if points % 2 == 0:
        # The highest wavenumber stands for two, +points/2 and -points/2, once there are more.
        modes.select(dim, points // 2).mul_(0.5)
    if offset:
        k = torch.arange(modes.shape[dim], dtype=torch.float64, device=x.device)
        shift = torch.exp(-2j * math.pi * k * offset / (points * factor)).to(modes.dtype)
        modes = modes * (shift[:, None] if dim == -2 else shift)
    return torch.fft.irfft(modes, n=points * factor, dim=dim) * factor
