"""The training loss against loops written out, and against its analytic minimiser."""

import math

import pytest
import torch

from flexbench.diffusion import CosineSchedule, diffusion_loss
from flexbench.diffusion.loss import Timed, spread_times
from flexbench.errors import FlexbenchError
from flexbench.seeding import generator

SCHEDULE = CosineSchedule(1.0)


def _call(velocity, x0, **options):
    options = {"schedule": SCHEDULE, "generator": generator(0, "loss")} | options
    return diffusion_loss(velocity, x0, **options)


def _pointwise(norm, misfit):
    if norm == "l1":
        return abs(misfit)
    if norm == "mse":
        return misfit * misfit
    return 0.5 * misfit**2 if abs(misfit) < 1 else abs(misfit) - 0.5


def _weight(weighting, target, logsnr):
    if weighting == "none" or target == "x":
        return 1.0
    if target == "eps":
        return 1 / (1 + math.exp(logsnr + 1))
    return 1 / (math.e - (math.e - 1) / (1 + math.exp(logsnr)))


@pytest.mark.parametrize("shift", [1.0, 16.0])
@pytest.mark.parametrize("target", ["v", "eps", "x"])
@pytest.mark.parametrize("norm", ["l1", "mse", "huber"])
@pytest.mark.parametrize("weighting", ["none", "sigmoid"])
def test_against_scalar_loops(shift, target, norm, weighting):
    x0 = torch.randn(3, 2, 2, 2, generator=generator(1, "x0"))
    stream = generator(0, "loss")
    t = torch.rand(3, generator=stream)
    eps = torch.randn(x0.shape, generator=stream)

    def network(x_t, time):
        return 0.3 * x_t - time.view(-1, 1, 1, 1)

    total = 0.0
    for b in range(3):
        logsnr = -2 * math.log(shift * math.tan(_angle(t[b].item())))
        alpha, sigma = (1 + math.exp(-logsnr)) ** -0.5, (1 + math.exp(logsnr)) ** -0.5
        for data, noise in zip(x0[b].flatten().tolist(), eps[b].flatten().tolist(), strict=True):
            x_t = alpha * data + sigma * noise
            v = 0.3 * x_t - t[b].item()
            found = {"v": v, "eps": sigma * x_t + alpha * v, "x": alpha * x_t - sigma * v}[target]
            wanted = {"v": alpha * noise - sigma * data, "eps": noise, "x": data}[target]
            total += _weight(weighting, target, logsnr) * _pointwise(norm, found - wanted)
    loss = _call(
        network,
        x0,
        schedule=CosineSchedule(shift),
        target=target,
        norm=norm,
        weighting=weighting,
        generator=generator(0, "loss"),
    )
    assert loss.shape == ()
    assert float(loss) == pytest.approx(total / x0.numel(), rel=2e-5)


def _angle(t):
    b = math.atan(math.exp(-10))
    return (math.atan(math.exp(10)) - b) * t + b


def test_sigmoid_weight_limits():
    """1/e at infinite SNR and 1 at none, for v; sigmoid(-1) at equal shares, for eps."""
    from flexbench.diffusion.loss import SIGMOID_WEIGHTS

    found = SIGMOID_WEIGHTS["v"](torch.tensor([-200.0, 200.0], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([1.0, math.exp(-1)], dtype=torch.float64))
    half = SIGMOID_WEIGHTS["eps"](torch.tensor(0.0, dtype=torch.float64))
    assert float(half) == pytest.approx(1 / (1 + math.e))


def test_optimal_velocity_has_the_least_mse():
    """On N(0, s^2) data the posterior-mean velocity reaches the analytic irreducible error."""
    s = 0.5
    x0 = s * torch.randn(200_000, 1, dtype=torch.float64, generator=generator(3, "data"))

    def slope(t, factor=1.0):
        alpha, sigma = SCHEDULE.alpha_sigma(t[:, None].double())
        return factor * alpha * sigma * (1 - s * s) / (alpha**2 * s * s + sigma**2)

    best = _call(lambda x, t: slope(t) * x, x0, norm="mse")
    # E Var(v | x_t) = s^2 / (alpha^2 s^2 + sigma^2), averaged over t: the mean over a quarter
    # turn of s^2 / (s^2 cos^2 + sin^2) is s.
    assert float(best) == pytest.approx(s, rel=0.02)
    for factor in (0.8, 1.2):
        assert _call(lambda x, t, f=factor: slope(t, f) * x, x0, norm="mse") > best


def test_same_stream_same_loss_and_gradient_flows():
    weight = torch.tensor(0.2, requires_grad=True)
    x0 = torch.ones(4, 1, 2, 2)
    losses = [_call(lambda x, t: weight * x, x0) for _ in range(2)]
    assert losses[0] == losses[1]
    losses[0].backward()
    assert weight.grad.abs() > 0


def test_a_stream_per_row_makes_rows_independent_of_their_batch():
    """The mean over rows is that of single-row losses, whatever the batch is cut into."""
    x0 = torch.randn(4, 1, 3, 3, generator=generator(1, "x0"))

    def loss(rows):
        streams = [generator(7, "row", row) for row in rows]
        return _call(lambda x, t: 0.1 * x, x0[rows], generator=streams)

    single = torch.stack([loss([row]) for row in range(4)])
    assert len(set(single.tolist())) == 4
    torch.testing.assert_close(loss([0, 1, 2, 3]), single.mean())
    torch.testing.assert_close(loss([2, 3]), single[2:].mean())
    with pytest.raises(ValueError, match="1 streams for 4 rows"):
        _call(lambda x, t: x, x0, generator=[generator(7, "row", 0)])


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("target", "diffusion.target"),
        ("norm", "diffusion.loss"),
        ("weighting", "diffusion.weighting"),
    ],
)
def test_unknown_names_are_told(option, key):
    with pytest.raises(FlexbenchError, match=rf"{key}: found 'nonsense', allowed: "):
        _call(lambda x, t: x, torch.ones(1, 1), **{option: "nonsense"})


@pytest.mark.parametrize("count", [1, 4, 8, 24])
def test_spread_times_hold_one_in_each_part(count):
    for number in range(50):
        start = float(torch.rand((), generator=generator(number, "start")))
        times = spread_times(start, range(count), count=count)
        assert times.dtype == torch.float32
        assert times.min() >= 0
        assert times.max() < 1
        apart = torch.sort(times).values.diff()
        torch.testing.assert_close(apart, torch.full((count - 1,), 1 / count))
        parts = [spread_times(start, [row], count=count) for row in range(count)]
        assert torch.equal(torch.cat(parts), times)


def test_each_spread_time_is_uniform():
    """Of one row over many steps: the empirical distribution within Kolmogorov's 1 % limit."""
    starts = torch.rand(4000, generator=generator(5, "starts")).tolist()
    for row in (0, 3):
        times = torch.cat([spread_times(start, [row], count=4) for start in starts])
        steps = torch.arange(1, len(times) + 1) / len(times)
        assert (torch.sort(times).values - steps).abs().max() < 1.63 / math.sqrt(len(times))


def test_times_that_are_given_are_taken_and_the_noise_stays():
    x0 = torch.randn(4, 1, 3, 3, generator=generator(1, "x0"))
    seen = []

    def network(x_t, t):
        seen.append((x_t, t))
        return 0.1 * x_t

    def streams():
        return [generator(7, "row", row) for row in range(4)]

    own = torch.cat([torch.rand(1, generator=stream) for stream in streams()])
    drawn = _call(network, x0, generator=streams())
    assert torch.equal(seen[0][1], own)
    assert _call(network, x0, generator=Timed(streams(), own)) == drawn
    torch.testing.assert_close(seen[1][0], seen[0][0], rtol=0, atol=0)
    other = torch.tensor([0.1, 0.35, 0.6, 0.85])
    _call(network, x0, generator=Timed(streams(), other))
    assert torch.equal(seen[2][1], other)
