"""The schedule against 50-digit arithmetic and against golden rows of the paper's code."""

import json
import math
from decimal import Decimal, getcontext
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flexbench.diffusion import CosineSchedule
from flexbench.diffusion.parametrization import (
    FROM_VELOCITY,
    noised,
    velocity,
)

ROWS = json.loads((Path(__file__).parents[1] / "data" / "schedule_rows.json").read_text())


@pytest.mark.parametrize("shift", [1.0, 16.0])
def test_rows_of_the_papers_code(shift):
    rows = torch.tensor(ROWS[f"shift{shift:g}"], dtype=torch.float64)
    t, logsnr, alpha, sigma = rows
    schedule = CosineSchedule(shift)
    # Theirs are float32 all through: at t = 1 that costs 1e-3 in log-SNR.
    torch.testing.assert_close(schedule.logsnr(t), logsnr, rtol=0, atol=2e-3)
    torch.testing.assert_close(schedule.logsnr(t[:-1]), logsnr[:-1], rtol=3e-6, atol=3e-6)
    found = schedule.alpha_sigma(t)
    torch.testing.assert_close(found[0], alpha, rtol=1e-3, atol=2e-7)
    torch.testing.assert_close(found[1], sigma, rtol=1e-5, atol=2e-7)


@pytest.mark.parametrize("shift", [0.1, 1.0, 4.0, 16.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ends_are_exact_and_not_clamped(shift, dtype):
    schedule = CosineSchedule(shift)
    ends = schedule.logsnr(torch.tensor([0.0, 1.0], dtype=dtype))
    wanted = torch.tensor([20.0, -20.0], dtype=dtype) - 2 * math.log(shift)
    torch.testing.assert_close(ends, wanted, rtol=3e-7 if dtype == torch.float32 else 1e-14, atol=0)
    alpha, sigma = schedule.alpha_sigma(torch.tensor([0.0, 1.0], dtype=dtype))
    small = torch.tensor([sigma[0] / alpha[0], alpha[1] / sigma[1]], dtype=dtype)
    wanted = torch.tensor([math.exp(-10) * shift, math.exp(-10) / shift], dtype=dtype)
    torch.testing.assert_close(
        small, wanted, rtol=3e-7 if dtype == torch.float32 else 1e-14, atol=0
    )


def _logsnr_decimal(t: float, shift: float) -> float:
    """-2 log(s tan(a t + b)) in 50 digits, tan and atan from their series."""
    getcontext().prec = 50

    def atan(x: Decimal) -> Decimal:
        return sum((-1) ** k * x ** (2 * k + 1) / (2 * k + 1) for k in range(12))

    def sin(x: Decimal) -> Decimal:
        return sum((-1) ** k * x ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(30))

    half_pi = Decimal("1.5707963267948966192313216916397514420985846996875529")
    b = atan(Decimal(-10).exp())
    a = half_pi - b - b  # atan(y) + atan(1/y) = pi/2
    angle = a * Decimal(t) + b
    return float(-2 * (Decimal(shift) * sin(angle) / sin(half_pi - angle)).ln())


@settings(max_examples=60, deadline=None)
@given(
    t=st.floats(0, 1, width=32)
    | st.floats(0, 2**-13, width=32)
    | st.floats(1 - 2**-10, 1, width=32),
    shift=st.sampled_from([0.25, 1.0, 16.0]),
)
def test_float32_keeps_its_digits_everywhere(t, shift):
    schedule = CosineSchedule(shift)
    wanted = _logsnr_decimal(t, shift)
    time = torch.tensor(t, dtype=torch.float32)
    assert float(schedule.logsnr(time)) == pytest.approx(wanted, rel=2e-7, abs=1e-12)
    alpha, sigma = schedule.alpha_sigma(time)
    assert float(alpha) == pytest.approx((1 + math.exp(-wanted)) ** -0.5, rel=2e-7)
    assert float(sigma) == pytest.approx((1 + math.exp(wanted)) ** -0.5, rel=2e-7)


def test_angle_is_the_polar_angle():
    t = torch.linspace(0, 1, 33, dtype=torch.float64)
    for shift in (1.0, 16.0):
        schedule = CosineSchedule(shift)
        alpha, sigma = schedule.alpha_sigma(t)
        torch.testing.assert_close(torch.cos(schedule.angle(t)), alpha)
        torch.testing.assert_close(torch.sin(schedule.angle(t)), sigma)


@settings(max_examples=50, deadline=None)
@given(
    x0=st.floats(-5, 5), eps=st.floats(-5, 5), t=st.floats(0.001, 0.999), shift=st.floats(0.1, 16)
)
def test_conversions_invert(x0, eps, t, shift):
    alpha, sigma = CosineSchedule(shift).alpha_sigma(torch.tensor(t, dtype=torch.float64))
    x0, eps = (torch.tensor(v, dtype=torch.float64) for v in (x0, eps))
    x_t, v = noised(x0, eps, alpha, sigma), velocity(x0, eps, alpha, sigma)
    for to, wanted in (("x", x0), ("eps", eps), ("v", v)):
        found = FROM_VELOCITY[to](x_t, v, alpha, sigma)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    back = (alpha * x_t - x0) / sigma  # the inverses divide, so not near the ends
    torch.testing.assert_close(back, v, rtol=0, atol=1e-9)
    torch.testing.assert_close((eps - sigma * x_t) / alpha, v, rtol=0, atol=1e-9)
