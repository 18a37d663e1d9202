"""The posterior that sampler `calibrated` draws from, on problems whose answer is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from flexbench.diffusion import CosineSchedule, Draw, sample
from flexbench.diffusion.sampler import time_grid
from flexbench.metrics.snapshot_scores import score_snapshot
from flexbench.posterior.consistency import Consistency
from flexbench.posterior.features import NAMES, Features
from flexbench.posterior.fit import fit_variance
from flexbench.posterior.model import Calibration, ErrorModel
from flexbench.posterior.noise import MARGIN, SHELLS, cross_spectrum, modes, shaped
from flexbench.posterior.path import Known, fit_path
from flexbench.seeding import generator

GRID = 128


def white(*shape, name):
    return torch.randn(shape, generator=generator("test", name))


def features(base, *, periodic=True, reynolds=1000.0, known=None):
    re = torch.full((len(base), 1), reynolds / 40_000)
    return Features(base, re, periodic=periodic, known=known)


def power_law(slope):
    """A spectrum (SHELLS + 1,) that falls with frequency."""
    return (1 + torch.arange(SHELLS + 1)).double() ** -slope


# --- noise ---------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("shape", [(128, 128), (96, 160), (37, 50)])
def test_noise_has_its_spectrum_and_variance_one(slope, shape):
    drawn = shaped(white(400, 1, *shape, name="noise"), power_law(slope), periodic=True)
    assert drawn.square().mean() == pytest.approx(1, rel=0.05)
    found = cross_spectrum(drawn, drawn, periodic=True) / modes(*shape).clamp(min=1)
    there = (modes(*shape) > 8) & (torch.arange(SHELLS + 1) > 4)
    ratio = (found / power_law(slope))[there]
    assert (ratio / ratio.median() - 1).abs().max() < 0.15


def test_noise_of_a_domain_without_period_does_not_wrap_around():
    drawn = shaped(
        white(300, 1, 48 + 2 * MARGIN, 48 + 2 * MARGIN, name="open"), power_law(2.0), periodic=False
    )
    edges = torch.corrcoef(torch.stack([drawn[:, 0, :, 0].flatten(), drawn[:, 0, :, -1].flatten()]))
    closed = shaped(white(300, 1, 48, 48, name="closed"), power_law(2.0), periodic=True)
    wrapped = torch.corrcoef(
        torch.stack([closed[:, 0, :, 0].flatten(), closed[:, 0, :, -1].flatten()])
    )
    assert drawn.shape == (300, 1, 48, 48)
    assert abs(edges[0, 1]) < 0.1 < 0.5 < wrapped[0, 1]


# --- variance ------------------------------------------------------------------------------


def test_the_variance_is_found_from_squares_however_heavy_their_tails():
    draws = generator("test", "variance")
    columns = torch.randn((100_000, 3), generator=draws, dtype=torch.float64)
    design = torch.cat([torch.ones(len(columns), 1), columns * 2 + 1], dim=1)
    true = torch.tensor([0.3, 0.8, -0.5, 0.0], dtype=torch.float64)
    squares = torch.exp(design @ true) * torch.randn(len(design), generator=draws).double() ** 2
    assert torch.allclose(fit_variance(design, squares), true, atol=0.03)


def test_a_feature_that_does_not_vary_decides_nothing():
    design = torch.ones(1000, 3, dtype=torch.float64)
    design[:, 2] = torch.linspace(-1, 1, 1000)
    found = fit_variance(design, 4 * torch.exp(design[:, 2]))
    assert found.tolist() == pytest.approx([math.log(4), 0, 1], abs=0.01)


# --- toys: exact networks of known posteriors ----------------------------------------------


def exact_network(variance):
    """x0_hat of data that are N(0, variance), and the velocity that belongs to it."""

    def x0_hat(x, node):
        return variance * node.alpha * x / (variance * node.alpha**2 + node.sigma**2)

    return x0_hat


def drawn_by(models, known, x0_hat, *, members, name):
    nodes = time_grid(CosineSchedule(), len(models))

    def velocity(x, t):
        node = next(node for node in nodes if math.isclose(node.t, float(t[0]), abs_tol=1e-6))
        return (node.alpha * x - x0_hat(x, node)) / node.sigma

    calibration = Calibration(setting="test", weights="", models=models)
    shape = (members, *known.truth.shape[1:])
    draw = Draw(
        sampler="calibrated",
        steps=len(models),
        noise=lambda step: white(*shape, name=f"{name} step {step}"),
        posterior=calibration.posterior(known.features),
    )
    return sample(velocity, white(*shape, name=name), schedule=CosineSchedule(), draw=draw)


def fitted(snapshots, x0_hat, steps):
    return fit_path(
        snapshots,
        time_grid(CosineSchedule(), steps),
        ask=lambda number, x, node, name: x0_hat[number](x, node),
        noise=lambda number, name, around: white(
            2, *snapshots[number].truth.shape[1:], name=f"{number} {name}"
        ),
    ).models


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("shape", ["white", "red", "band"])
def test_a_gaussian_posterior_is_drawn_exactly_whatever_its_spectrum(steps, shape):
    shells, scale = torch.arange(SHELLS + 1).double(), 0.7
    spectrum = {
        "white": torch.ones_like(shells),
        "red": (1 + shells / 32) ** -6,
        "band": torch.exp(-((shells - 50) ** 2) / 50) + 1e-3,
    }[shape]
    # Of white noise that is one at a single point, the noise is the root of its spectrum.
    point = torch.zeros(1, 1, GRID, GRID)
    point[..., 0, 0] = 1.0
    power = scale**2 * torch.fft.rfft2(shaped(point, spectrum, periodic=True)).real.square()

    def posterior_mean(x, node):
        """Mode by mode, as the posterior of a homogeneous Gaussian field is."""
        gain = power * node.alpha / (power * node.alpha**2 + node.sigma**2)
        return torch.fft.irfft2(torch.fft.rfft2(x) * gain, s=(GRID, GRID))

    base = white(1, 1, GRID, GRID, name="base")
    truths = [
        scale * shaped(white(1, 1, GRID, GRID, name=f"truth {n}"), spectrum, periodic=True)
        for n in range(24)
    ]
    snapshots = [Known(truth, features(base)) for truth in truths]
    models = fitted(snapshots, [posterior_mean] * 24, steps)
    drawn = drawn_by(models, snapshots[0], posterior_mean, members=50, name="ensemble")
    assert drawn.std(dim=0).square().mean().sqrt() / scale == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_spread_follows_errors_that_differ_from_place_to_place(steps):
    """The amplitude goes with the gradient of the base, which the features know."""
    members, snapshots, networks, amplitudes = 16, [], [], []
    for number in range(10):
        base = shaped(white(1, 1, GRID, GRID, name=f"base {number}"), power_law(2.0), periodic=True)
        known = features(base)
        amplitude = torch.exp(0.5 * known.gradient[0])
        truth = amplitude * white(1, 1, GRID, GRID, name=f"truth {number}")
        snapshots.append(Known(truth, known))
        networks.append(exact_network(amplitude.square()))
        amplitudes.append(amplitude)
    models = fitted(snapshots[:4], networks[:4], steps)
    spread, skill = np.zeros(5), np.zeros(5)
    for number in range(4, 10):
        drawn = drawn_by(
            models, snapshots[number], networks[number], members=members, name=f"own {number}"
        )
        fifth = torch.bucketize(
            amplitudes[number].flatten(),
            torch.quantile(amplitudes[number], torch.tensor([0.2, 0.4, 0.6, 0.8])),
        )
        variance = drawn.var(dim=0).flatten()
        error = (drawn.mean(dim=0) - snapshots[number].truth[0]).square().flatten()
        for place in range(5):
            spread[place] += float(variance[fifth == place].sum())
            skill[place] += float(error[fifth == place].sum())
    ratio = np.sqrt((members + 1) / members * spread / skill)
    assert 6 * GRID**2 * members > 1e5
    assert ratio.min() > 0.95
    assert ratio.max() < 1.05


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("slope", [0.0, 2.0])
def test_noise_makes_up_for_what_is_known_of_a_field(steps, slope):
    """Means of blocks are known: no noise in them, and as much as there are errors elsewhere."""
    members, base = 16, white(1, 1, GRID, GRID, name="base")

    def block_means(field):
        return functional.interpolate(functional.avg_pool2d(field, 4), scale_factor=4)

    snapshots = []
    for number in range(12):
        raw = white(1, 1, GRID, GRID, name=f"held {number}")
        truth = shaped(raw, power_law(slope), periodic=True)
        known = Consistency(part=block_means, value=block_means(truth), exact=True)
        snapshots.append(Known(truth, features(base, known=known)))
    network = exact_network(1.0)
    models = fitted(snapshots[:8], [network] * 8, steps)
    spread = skill = 0.0
    for number in range(8, 12):
        drawn = drawn_by(models, snapshots[number], network, members=members, name=f"h {number}")
        error = drawn.mean(dim=0) - snapshots[number].truth[0]
        assert block_means(error[None]).abs().max() < 1e-5
        spread += float(drawn.var(dim=0).mean())
        skill += float(error.square().mean())
    assert ((members + 1) / members * spread / skill) ** 0.5 == pytest.approx(1, abs=0.03)


def test_later_leads_are_drawn_as_the_last_one_that_was_fitted():
    """Their last step alone is their own."""
    base, white_noise = white(1, 1, 32, 32, name="base"), white(2, 1, 32, 32, name="z")
    x0_hat = white(2, 1, 32, 32, name="said")
    models = tuple(replace(model(), t=t) for t in (1.0, 0.5))
    louder = replace(model(), coefficients=model().coefficients + 1)
    fit = Calibration(setting="test", weights="", models=models, later=(louder,))

    def last_step(lead):
        return fit.posterior(features(base), lead=lead)(1, x0_hat, white_noise)

    assert not torch.equal(last_step(1), last_step(2))
    assert torch.equal(last_step(2), last_step(7))
    first = [fit.posterior(features(base), lead=lead)(0, x0_hat, white_noise) for lead in (1, 2)]
    assert torch.equal(*first)


def test_a_network_without_errors_gets_no_noise():
    truths = [white(1, 1, 32, 32, name=f"known {n}") for n in range(2)]
    snapshots = [Known(truth, features(white(1, 1, 32, 32, name="base"))) for truth in truths]
    asked = [lambda x, node, truth=truth: truth.expand_as(x) for truth in truths]
    for model in fitted(snapshots, asked, 2):
        noise = model.noise(snapshots[0].features, truths[0], white(3, 1, 32, 32, name="z"))
        assert torch.isfinite(noise).all()
        assert noise.abs().max() < 1e-3


# --- the file ------------------------------------------------------------------------------


def model(t=1.0):
    return ErrorModel(
        t=t,
        coefficients=torch.linspace(-1, 1, len(NAMES)).double(),
        spectrum=power_law(1.0),
        tilt=power_law(0.5) - 0.5,
        span=(-1.0, 2.0),
    )


def test_a_calibration_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "fit.json"
    written = Calibration(
        setting="forecast-calibrated-2",
        weights="ab",
        models=(model(), model()),
        later=(model(),),
        holds=False,
    )
    written.write(path)
    read = Calibration.read(path, again="flexbench calibrate")
    assert read.as_json() == written.as_json()


def test_a_posterior_of_two_values_is_seen_to_be_wrong():
    """What is fitted is Gaussian: right in the mean, and told by the scores of the middle."""
    size, members = 64, 16
    base = white(1, 1, size, size, name="base")
    signs = [torch.sign(white(1, 1, size, size, name=f"signs {n}")) for n in range(6)]
    snapshots = [Known(sign, features(base)) for sign in signs]

    def x0_hat(x, node):
        """E[x0 | x_t] of x0 = -1 or 1."""
        return torch.tanh(node.alpha * x / node.sigma**2)

    models = fitted(snapshots[:4], [x0_hat] * 4, 1)
    drawn = drawn_by(models, snapshots[4], x0_hat, members=members, name="two values")
    truth = snapshots[4].truth[0, 0].double().numpy()
    scores, _ = score_snapshot(drawn[:, 0].numpy(), truth, bands=4)
    assert scores["spread_skill", ""] == pytest.approx(1, abs=0.05)
    assert scores["central_mass", ""] < 0.6
