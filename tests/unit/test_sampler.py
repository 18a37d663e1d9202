"""Samplers on Gaussian data, where the exact velocity and every sampler's result are known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flexbench.config.sections import FITTED
from flexbench.diffusion import SAMPLERS, CosineSchedule, Draw, sample
from flexbench.errors import FlexbenchError
from flexbench.seeding import generator

SCHEDULE = CosineSchedule(1.0)
UNFITTED = sorted(set(SAMPLERS) - set(FITTED))
DETERMINISTIC = ("ddim", "heun", "dpmpp_2m")


def gaussian_velocity(std, mean=0.0, schedule=SCHEDULE):
    """E[v | x_t] for data N(mean, std^2)."""

    def velocity(x, t):
        alpha, sigma = (a[:, None] for a in schedule.alpha_sigma(t.double()))
        gain = alpha * sigma * (1 - std**2) / (alpha**2 * std**2 + sigma**2)
        return (gain * (x - alpha * mean) - sigma * mean).to(x.dtype)

    return velocity


def spread_ratio(std, *, sampler, steps, schedule=SCHEDULE):
    """Ensemble std / true std: the velocity is linear, so one member of noise 1 tells it."""
    one = torch.ones(1, 1, dtype=torch.float64)
    velocity = gaussian_velocity(std, schedule=schedule)
    drawn = sample(velocity, one, schedule=schedule, draw=Draw(sampler=sampler, steps=steps))
    return float(drawn) / std


@pytest.mark.parametrize("std", [0.01, 0.1, 0.5, 1.0, 2.0])
def test_two_ddim_steps_spread_by_the_closed_form(std):
    assert spread_ratio(std, sampler="ddim", steps=2) == pytest.approx(std / (1 + std**2), abs=1e-4)


@settings(max_examples=200, deadline=None)
@given(std=st.floats(1e-3, 2), steps=st.integers(1, 20))
def test_ddim_spread_never_exceeds_its_bound(std, steps):
    bound = math.cos(math.pi / (2 * steps)) ** steps + 1e-4
    assert spread_ratio(std, sampler="ddim", steps=steps) <= bound


@settings(max_examples=200, deadline=None)
@given(std=st.floats(1e-3, 1e3), steps=st.integers(1, 20), shift=st.sampled_from([0.5, 1.0, 16.0]))
def test_ddim_spread_against_the_product_of_cosines(std, steps, shift):
    """With p = atan2(sigma, alpha std), a step multiplies x by (std_u / std_t) cos(p_t - p_u).

    std_t is that of x_t. So the ratio is a product of cosines of angles whose sum is p(1), and
    as log cos is concave, equal angles bound it: exactly, for the schedule's finite ends too.
    """
    schedule = CosineSchedule(shift)
    t = torch.arange(steps, 0, -1, dtype=torch.float64) / steps
    alpha, sigma = schedule.alpha_sigma(t)
    angles = torch.cat([torch.atan2(sigma, alpha * std), torch.zeros(1, dtype=torch.float64)])
    start = math.hypot(float(alpha[0]) * std, float(sigma[0]))
    ratio = spread_ratio(std, sampler="ddim", steps=steps, schedule=schedule)
    product = float(torch.cos(angles[:-1] - angles[1:]).prod()) / start
    assert ratio == pytest.approx(product, rel=1e-8, abs=1e-12)
    assert ratio <= math.cos(float(angles[0]) / steps) ** steps / start * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 20])
def test_ddim_bound_is_attained_at_unit_std(steps):
    bound = math.cos(math.pi / (2 * steps)) ** steps
    assert spread_ratio(1.0, sampler="ddim", steps=steps) == pytest.approx(bound, abs=1.1e-4)


@pytest.mark.parametrize("schedule", [CosineSchedule(1.0), CosineSchedule(4.0)])
@pytest.mark.parametrize(("sampler", "order"), [("ddim", 1.0), ("heun", 2.0), ("dpmpp_2m", 1.5)])
def test_order_of_convergence(sampler, order, schedule):
    errors = [
        abs(spread_ratio(0.5, sampler=sampler, steps=n, schedule=schedule) - 1) for n in (256, 512)
    ]
    assert math.log2(errors[0] / errors[1]) > order - 0.1


def test_higher_order_is_closer_at_equal_calls():
    ddim = abs(spread_ratio(0.5, sampler="ddim", steps=31) - 1)
    heun = abs(spread_ratio(0.5, sampler="heun", steps=16) - 1)
    assert Draw(sampler="heun", steps=16).calls == Draw(sampler="ddim", steps=31).calls == 31
    assert heun < ddim / 2
    assert abs(spread_ratio(0.5, sampler="dpmpp_2m", steps=31) - 1) < ddim / 2


@pytest.mark.parametrize("sampler", UNFITTED)
@pytest.mark.parametrize("steps", [1, 2, 3, 8])
@pytest.mark.parametrize("shift", [1.0, 16.0])
def test_one_point_of_data_is_hit_exactly(sampler, steps, shift):
    """If x0 is certain, every sampler returns it, in float32 and whatever N."""
    schedule = CosineSchedule(shift)
    truth = torch.tensor([[1.5, -0.25]])

    def velocity(x, t):
        alpha, sigma = (a[:, None] for a in schedule.alpha_sigma(t.double()))
        return ((alpha * x - truth) / sigma).to(x.dtype)

    stream = generator(0, "noise")
    noise = torch.randn(5, 2, generator=stream)
    drawn = sample(
        velocity,
        noise,
        schedule=schedule,
        draw=Draw(
            sampler=sampler,
            steps=steps,
            noise=lambda step: torch.randn(5, 2, generator=stream),
        ),
    )
    assert drawn.dtype == torch.float32
    torch.testing.assert_close(drawn, truth.expand(5, 2), rtol=0, atol=3e-6)


def ddpm_variance(std, steps):
    """Variance of the ancestral chain's output, from Bayes' rule step by step.

    q(x_u | x_t, x0) is the product of the Gaussians q(x_t | x_u) and q(x_u | x0), in x_u.
    """
    variance = 1.0
    for k in range(steps, 0, -1):
        now, after = (torch.tensor([j / steps], dtype=torch.float64) for j in (k, k - 1))
        (a_t, s_t), (a_u, s_u) = (map(float, SCHEDULE.alpha_sigma(t)) for t in (now, after))
        x0_gain = a_t * std**2 / (a_t**2 * std**2 + s_t**2)
        if k == 1:
            return x0_gain**2 * variance
        forward = a_t / a_u
        forward_variance = s_t**2 - forward**2 * s_u**2
        precision = forward**2 / forward_variance + 1 / s_u**2
        gain = (forward / forward_variance + a_u / s_u**2 * x0_gain) / precision
        variance = gain**2 * variance + 1 / precision
    raise AssertionError


@pytest.mark.parametrize("std", [0.2, 0.5, 2.0])
@pytest.mark.parametrize("steps", [2, 3, 8])
def test_ddpm_variance(std, steps):
    """Linear in (x_1, z_0, z_1, ...): unit impulses give the exact variance, without sampling."""
    rows = steps  # x_1 and one noise per step but the last
    inputs = torch.eye(rows, dtype=torch.float64)
    drawn = sample(
        gaussian_velocity(std),
        inputs[:, :1],
        schedule=SCHEDULE,
        draw=Draw(sampler="ddpm", steps=steps, noise=lambda step: inputs[:, step + 1 : step + 2]),
    )
    assert float(drawn.square().sum()) == pytest.approx(ddpm_variance(std, steps), rel=1e-9)


def test_ddpm_is_calibrated_in_the_limit():
    assert ddpm_variance(0.5, 400) == pytest.approx(0.25, rel=0.02)


def test_ddpm_ensemble_has_the_mean_and_spread():
    stream = generator(5, "ddpm")
    noise = torch.randn(40_000, 1, generator=stream)
    drawn = sample(
        gaussian_velocity(0.5, mean=2.0),
        noise,
        schedule=SCHEDULE,
        draw=Draw(
            sampler="ddpm", steps=8, noise=lambda step: torch.randn(noise.shape, generator=stream)
        ),
    )
    assert float(drawn.mean()) == pytest.approx(2.0, abs=0.015)
    assert float(drawn.var()) == pytest.approx(ddpm_variance(0.5, 8), rel=0.03)


@pytest.mark.parametrize("sampler", UNFITTED)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_calls_are_what_is_called(sampler, steps):
    times = []

    def velocity(x, t):
        times.append(t.tolist())
        return torch.zeros_like(x)

    noise = torch.ones(3, 1, 2, 2)
    draw = Draw(sampler=sampler, steps=steps, noise=lambda step: torch.zeros_like(noise))
    drawn = sample(velocity, noise, schedule=SCHEDULE, draw=draw)
    assert drawn.shape == noise.shape
    assert len(times) == draw.calls
    grid = {k / steps for k in range(1, steps + 1)}
    assert {t for row in times for t in row} == {torch.tensor(t).item() for t in grid}
    assert all(len(row) == 3 for row in times)


def test_noise_is_asked_for_once_per_step_but_the_last():
    asked = []

    def noise(step):
        asked.append(step)
        return torch.zeros(1, 1)

    draw = Draw(sampler="ddpm", steps=4, noise=noise)
    sample(gaussian_velocity(1.0), torch.ones(1, 1), schedule=SCHEDULE, draw=draw)
    assert asked == [0, 1, 2]


def test_dpmpp_with_two_steps_is_ddim():
    pair = [spread_ratio(0.3, sampler=name, steps=2) for name in ("ddim", "dpmpp_2m")]
    assert pair[0] == pytest.approx(pair[1], rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"sampler": "euler"},
            r"sample.sampler: found 'euler', allowed: calibrated, ddim, ddpm, dpmpp_2m, heun",
        ),
        ({"steps": 0}, r"sample.steps: found 0, must be at least 1"),
        ({"batch": 0}, r"sample.batch: found 0, must be at least 1"),
        ({"sampler": "ddpm"}, r"sampler 'ddpm' adds noise at each step: give it `noise`"),
    ],
)
def test_bad_input_is_told(options, message):
    options = {"steps": 2, "sampler": "ddim"} | options
    with pytest.raises(FlexbenchError, match=message):
        sample(gaussian_velocity(1.0), torch.ones(1, 1), schedule=SCHEDULE, draw=Draw(**options))
