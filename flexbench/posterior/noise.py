"""Gaussian noise with a radial spectrum, made of white noise; and the spectrum of given fields.

A spectrum is a curve over frequency, in cycles per point, so that it holds on domains of any size
with the same distance between points. On a periodic domain noise is as periodic. On another one it
is cut out of a larger one, so that opposite edges know nothing of one another.
"""

import math

import torch
from torch import Tensor

# Points around a domain that is not periodic: what is further apart is taken as independent.
MARGIN = 32
# Intervals of the curve, from frequency 0 to that of the corner of the square of modes.
SHELLS = 128
_CORNER = math.sqrt(0.5)


def margin(*, periodic: bool) -> int:
    """Points of white noise that are needed on each side of a domain."""
    return 0 if periodic else MARGIN


def shaped(white: Tensor, spectrum: Tensor, *, periodic: bool) -> Tensor:
    """Noise (...,H,W) of variance 1 from white noise (...,H + 2 margin,W + 2 margin).

    spectrum: (SHELLS + 1,), the power at evenly spaced frequencies, linear in between; or one for
    each member, (M,SHELLS + 1) of white (M,C,...).
    """
    height, width = white.shape[-2:]
    power = _on_modes(spectrum.to(white), height, width)
    # A domain has its own modes: whatever they are, the variance is 1.
    power = power / _mean(power, width)
    if power.ndim > 2:
        power = power[:, None]
    drawn = torch.fft.irfft2(torch.fft.rfft2(white) * power.sqrt(), s=(height, width))
    cut = margin(periodic=periodic)
    return drawn[..., cut : height - cut, cut : width - cut]


def cross_spectrum(first: Tensor, second: Tensor, *, periodic: bool) -> Tensor:
    """The power (SHELLS + 1,) of first x second, (...,H,W), summed over the modes of each shell.

    float64; it may be negative where both are not the same. What is not periodic is seen through
    Hann's window.
    """
    height, width = first.shape[-2:]
    if not periodic:
        window = torch.outer(*(_hann(size, first) for size in (height, width)))
        first, second = first * window, second * window
    product = torch.fft.rfft2(first.double()) * torch.fft.rfft2(second.double()).conj()
    power = product.real.reshape(-1, *product.shape[-2:]).mean(dim=0) / (height * width)
    return _by_shell(power, width)


def modes(height: int, width: int) -> Tensor:
    """How many modes each shell (SHELLS + 1,) of a domain has, float64."""
    return _by_shell(torch.ones(height, width // 2 + 1, dtype=torch.float64), width)


def _by_shell(power: Tensor, width: int) -> Tensor:
    """Sums of power (H, W // 2 + 1) over the modes that are nearest to each shell."""
    frequency = _frequency(len(power), width, power.device)
    place = (frequency / _CORNER * SHELLS).round().long().flatten()
    twice = _weights(width, power.device).expand_as(power).flatten()
    found = torch.zeros(SHELLS + 1, dtype=power.dtype, device=power.device)
    return found.index_add_(0, place, power.flatten() * twice)


def _on_modes(spectrum: Tensor, height: int, width: int) -> Tensor:
    """The curve at every mode (...,H, W // 2 + 1)."""
    place = _frequency(height, width, spectrum.device) / _CORNER * SHELLS
    low = place.floor().long().clamp(max=SHELLS - 1)
    share = (place - low).to(spectrum.dtype)
    return torch.lerp(spectrum[..., low], spectrum[..., low + 1], share)


def _frequency(height: int, width: int, device: torch.device) -> Tensor:
    down = torch.fft.fftfreq(height, device=device, dtype=torch.float64)[:, None]
    across = torch.fft.rfftfreq(width, device=device, dtype=torch.float64)
    return torch.hypot(down, across)


def _weights(width: int, device: torch.device) -> Tensor:
    """2 for columns that stand for their mirror, too, as a real transform leaves those out."""
    column = torch.arange(width // 2 + 1, device=device)
    return torch.where((column > 0) & (2 * column != width), 2.0, 1.0).double()


def _mean(power: Tensor, width: int) -> Tensor:
    twice = _weights(width, power.device).to(power.dtype).expand_as(power)
    return (power * twice).sum((-2, -1), keepdim=True) / twice.sum((-2, -1), keepdim=True)


def _hann(size: int, like: Tensor) -> Tensor:
    places = torch.arange(size, device=like.device, dtype=like.dtype)
    window = torch.sin(math.pi * (places + 0.5) / size).square()
    return window / window.square().mean().sqrt()
