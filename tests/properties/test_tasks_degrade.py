"""Laws that every degradation and up-sampling obeys, on random fields."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flexbench.config import SuperResolutionSettings
from flexbench.data.degrade import Degradation
from flexbench.data.normaliser import Normaliser
from flexbench.tasks import make_task

PAIRS = st.builds(
    Degradation,
    factor=st.sampled_from([2, 4, 8, 16]),
    degradation=st.sampled_from(["block_mean", "strided", "bicubic", "spectral"]),
    upsampling=st.sampled_from(["bicubic", "bilinear", "spectral"]),
) | st.builds(
    Degradation,
    factor=st.sampled_from([2, 4, 8, 16]),
    degradation=st.just("strided"),
    upsampling=st.sampled_from(["bicubic", "bilinear"]),
    alignment=st.just("official"),
)
SEEDS = st.integers(0, 2**32)
CELLS = st.integers(1, 5)
TOLERANCE = {"atol": 1e-10, "rtol": 0}
quick = settings(max_examples=60, deadline=None)


def noise(seed, height, width, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 1, height, width, generator=generator, dtype=torch.float64).to(dtype)


def both(pair, field):
    low = pair.down(field)
    return low, pair.up(low)


@quick
@given(PAIRS, CELLS, CELLS, st.floats(-100, 100))
def test_constants_are_preserved(pair, rows, columns, value):
    shape = (1, 1, rows * pair.factor, columns * pair.factor)
    for result in both(pair, torch.full(shape, value, dtype=torch.float64)):
        torch.testing.assert_close(result, torch.full_like(result, value), **TOLERANCE)


@quick
@given(PAIRS, SEEDS, CELLS, CELLS, st.floats(-3, 3))
def test_linear(pair, seed, rows, columns, weight):
    size = (rows * pair.factor, columns * pair.factor)
    one, two = noise(seed, *size), noise(seed + 1, *size)
    for mixed, of_one, of_two in zip(
        both(pair, one + weight * two), both(pair, one), both(pair, two), strict=True
    ):
        torch.testing.assert_close(mixed, of_one + weight * of_two, **TOLERANCE)


@quick
@given(PAIRS, SEEDS, st.integers(2, 5), st.integers(-6, 6), st.integers(-6, 6))
def test_shifts_by_whole_cells_commute(pair, seed, cells, rows, columns):
    field = noise(seed, cells * pair.factor, cells * pair.factor)
    fine = (rows * pair.factor, columns * pair.factor)
    low, up = both(pair, field)
    low_shifted, up_shifted = both(pair, field.roll(fine, (-2, -1)))
    torch.testing.assert_close(low_shifted, low.roll((rows, columns), (-2, -1)), **TOLERANCE)
    torch.testing.assert_close(up_shifted, up.roll(fine, (-2, -1)), **TOLERANCE)


@quick
@given(PAIRS, SEEDS, CELLS)
def test_transposing_commutes(pair, seed, cells):
    field = noise(seed, cells * pair.factor, 2 * cells * pair.factor)
    for result, other in zip(both(pair, field), both(pair, field.mT.contiguous()), strict=True):
        torch.testing.assert_close(result.mT, other, **TOLERANCE)


@quick
@given(PAIRS, SEEDS, CELLS)
def test_means_are_preserved(pair, seed, cells):
    """By all but strided sampling; interpolation keeps the mean of its samples."""
    field = noise(seed, cells * pair.factor, cells * pair.factor)
    low, up = both(pair, field)
    torch.testing.assert_close(up.mean(), low.mean(), **TOLERANCE)
    if pair.degradation != "strided":
        torch.testing.assert_close(low.mean(), field.mean(), **TOLERANCE)


@quick
@given(SEEDS, st.sampled_from([2, 4, 8, 16]), st.integers(2, 7))
def test_spectral_degradation_is_a_projection(seed, factor, cells):
    pair = Degradation(factor, "spectral", "spectral")
    field = noise(seed, cells * factor, cells * factor)
    _, once = both(pair, field)
    _, twice = both(pair, once)
    torch.testing.assert_close(twice, once, **TOLERANCE)
    # What was cut off is orthogonal to what was kept.
    assert abs(float((once * (field - once)).sum())) < 1e-8 * float((field**2).sum())


@quick
@given(
    SEEDS,
    st.sampled_from([2, 4, 8, 16]),
    st.sampled_from(["block_mean", "strided", "bicubic", "spectral"]),
    st.floats(0.01, 100),
    st.floats(0.01, 100),
)
def test_superres_round_trip(seed, factor, degradation, field_std, residual_std):
    task = make_task(
        SuperResolutionSettings(factor=factor, degradation=degradation),
        normaliser=Normaliser(field_std, residual_std),
        interval=0.1,
    )
    size = 32 + 2 * (task.halo or 0)
    fields = noise(seed, size, size, torch.float32)
    example = task.prepare(fields, torch.tensor([500.0]))
    back = task.reconstruct(example.residual, example.base)
    torch.testing.assert_close(back, example.truth, atol=2e-6, rtol=0)
