"""Degradations and up-samplings against torch, SciPy, and plain formulas."""

import itertools

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F

from flexbench.data.degrade import Degradation
from flexbench.errors import FlexbenchError

FACTORS = (2, 4, 8, 16)
LOCAL = list(itertools.product(("block_mean", "strided", "bicubic"), ("bicubic", "bilinear")))


def noise(size, batch=2):
    return torch.randn(batch, 1, size, size, generator=torch.Generator().manual_seed(0))


def waves(size):
    """Smooth and periodic: wavenumbers up to 3."""
    angle = 2 * torch.pi * torch.arange(size, dtype=torch.float64) / size
    y, x = angle[:, None], angle[None, :]
    return (torch.sin(2 * x + y) + torch.cos(3 * y - x) + 0.5)[None, None]


def resize(field, factor, **options):
    """torch's half-pixel-centred resizing, made periodic by surroundings that are cut off."""
    pad = 16
    wide = F.pad(field, (pad,) * 4, mode="circular")
    out = F.interpolate(wide, scale_factor=factor, mode="bicubic", align_corners=False, **options)
    cut = round(pad * factor)
    return out[..., cut:-cut, cut:-cut]


@pytest.mark.parametrize("factor", FACTORS)
def test_block_mean_is_average_pooling(factor):
    field = noise(64)
    low = Degradation(factor, "block_mean", "bicubic").down(field)
    torch.testing.assert_close(low, F.avg_pool2d(field, factor))


@pytest.mark.parametrize("factor", FACTORS)
def test_strided_takes_every_factor_th_point(factor):
    field = noise(64)
    low = Degradation(factor, "strided", "bicubic").down(field)
    assert torch.equal(low, field[..., ::factor, ::factor])


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_bicubic_is_antialiased_resizing(factor):
    field = noise(64)
    low = Degradation(factor, "bicubic", "bicubic").down(field)
    wide = F.pad(field, (32,) * 4, mode="circular")
    torch_low = F.interpolate(wide, scale_factor=1 / factor, mode="bicubic", antialias=True)
    cut = 32 // factor
    torch.testing.assert_close(low, torch_low[..., cut:-cut, cut:-cut], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("factor", FACTORS)
def test_official_is_half_pixel_centred_resizing(factor):
    low = noise(16)
    up = Degradation(factor, "strided", "bicubic", "official").up(low)
    torch.testing.assert_close(up, resize(low, factor), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("factor", FACTORS)
def test_bilinear_is_periodic_linear_interpolation(factor):
    low = noise(8)
    up = Degradation(factor, "strided", "bilinear").up(low)[0, 0].numpy()
    points = np.arange(9.0)
    line = np.append(low[0, 0, 3].numpy(), low[0, 0, 3, 0])
    np.testing.assert_allclose(
        up[3 * factor], np.interp(np.arange(8 * factor) / factor, points, line), atol=1e-6
    )


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("points", [8, 12])
def test_spectral_up_is_trigonometric_interpolation(factor, points):
    low = noise(points).double()
    up = Degradation(factor, "strided", "spectral").up(low).numpy()
    peer = low.numpy()
    for axis in (-2, -1):
        peer = scipy.signal.resample(peer, points * factor, axis=axis)
    np.testing.assert_allclose(up, peer, atol=1e-12)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("degradation", ["strided", "spectral"])
def test_spectral_up_restores_band_limited_fields(factor, degradation):
    field = waves(64)
    pair = Degradation(factor, degradation, "spectral")
    torch.testing.assert_close(pair.up(pair.down(field)), field, atol=1e-12, rtol=0)


def test_spectral_cut_off_drops_what_the_coarse_grid_cannot_hold():
    x = 2 * torch.pi * torch.arange(64, dtype=torch.float64) / 64
    kept, dropped = torch.cos(7 * x), torch.cos(8 * x) + torch.sin(20 * x)
    pair = Degradation(4, "spectral", "spectral")  # 16 points: wavenumbers below 8
    field = (kept + dropped).expand(1, 1, 64, 64).contiguous()
    torch.testing.assert_close(
        pair.up(pair.down(field)), kept.expand(1, 1, 64, 64), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("upsampling", ["bicubic", "spectral"])
@pytest.mark.parametrize("degradation", ["block_mean", "bicubic", "strided", "spectral"])
def test_aligned_up_sampling_does_not_shift(degradation, upsampling):
    """The phase of a long wave survives: a shift of a tenth of a point would show."""
    size, factor = 128, 4
    x = 2 * torch.pi * torch.arange(size, dtype=torch.float64) / size
    field = torch.sin(x).expand(1, 1, size, size)
    pair = Degradation(factor, degradation, upsampling)
    mode = torch.fft.rfft(pair.up(pair.down(field.contiguous()))[0, 0, 0])[1]
    shift = (torch.angle(mode) + torch.pi / 2) * size / (2 * torch.pi)
    assert abs(float(shift)) < 1e-10


def test_official_shifts_by_half_a_block():
    size, factor = 128, 4
    x = 2 * torch.pi * torch.arange(size, dtype=torch.float64) / size
    pair = Degradation(factor, "strided", "bicubic", "official")
    mode = torch.fft.rfft(pair.up(pair.down(torch.sin(x).expand(1, 1, size, size)))[0, 0, 0])[1]
    shift = -(torch.angle(mode) + torch.pi / 2) * size / (2 * torch.pi)
    assert float(shift) == pytest.approx((factor - 1) / 2, abs=1e-6)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("upsampling", ["bicubic", "bilinear", "spectral"])
def test_interpolation_goes_through_the_samples(factor, upsampling):
    field = noise(64)
    pair = Degradation(factor, "strided", upsampling)
    up = pair.up(pair.down(field))
    torch.testing.assert_close(
        up[..., ::factor, ::factor], field[..., ::factor, ::factor], atol=2e-6, rtol=0
    )


def patch_result(pair, field, *, y, x, patch, halo):
    rolled = field.roll((halo - y, halo - x), (-2, -1))
    cut = rolled[..., : patch + 2 * halo, : patch + 2 * halo]
    return pair.up(pair.down(cut))[..., halo : halo + patch, halo : halo + patch]


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(("degradation", "upsampling"), LOCAL)
def test_a_patch_with_its_halo_gives_the_bits_of_the_whole(factor, degradation, upsampling):
    pair = Degradation(factor, degradation, upsampling)
    patch, field = 2 * factor, noise(16 * factor)
    whole = pair.up(pair.down(field))
    for y, x in ((0, 0), (3 * factor, 15 * factor)):
        found = patch_result(pair, field, y=y, x=x, patch=patch, halo=pair.halo)
        rows = torch.arange(y, y + patch) % field.shape[-2]
        columns = torch.arange(x, x + patch) % field.shape[-1]
        assert torch.equal(found, whole[..., rows, :][..., columns])


@pytest.mark.parametrize(("degradation", "upsampling"), LOCAL)
def test_a_smaller_halo_would_not_do(degradation, upsampling):
    pair = Degradation(4, degradation, upsampling)
    field = noise(64)
    short = patch_result(pair, field, y=16, x=16, patch=16, halo=pair.halo - 4)
    assert not torch.equal(short, pair.up(pair.down(field))[..., 16:32, 16:32])


def test_official_on_a_patch():
    pair = Degradation(4, "strided", "bicubic", "official")
    field = noise(64)
    found = patch_result(pair, field, y=16, x=40, patch=16, halo=pair.halo)
    assert torch.equal(found, pair.up(pair.down(field))[..., 16:32, 40:56])


def test_spectral_ones_need_the_whole_domain():
    assert Degradation(4, "spectral", "bicubic").halo is None
    assert Degradation(4, "strided", "spectral").halo is None


def test_misfits_are_refused():
    with pytest.raises(FlexbenchError, match="alignment 'official' with degradation 'block_mean'"):
        Degradation(4, "block_mean", "bicubic", "official")
    with pytest.raises(FlexbenchError, match="allowed: 'strided' with 'bicubic' or 'bilinear'"):
        Degradation(4, "strided", "spectral", "official")
    with pytest.raises(FlexbenchError, match=r"factor 16 does not divide the field \(24 x 24\)"):
        Degradation(16, "strided", "bicubic").down(noise(24))
