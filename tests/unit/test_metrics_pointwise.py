"""Deterministic scores against loops over points."""

import math

import numpy as np
import pytest

from flexbench.metrics import pointwise


@pytest.fixture
def fields():
    random = np.random.default_rng(1)
    truth = 8 * random.normal(size=(16, 16))
    return truth + random.normal(size=(16, 16)), truth


def test_rfne_and_max_error(fields):
    prediction, truth = fields
    above = below = largest = 0.0
    for p, y in zip(prediction.ravel(), truth.ravel(), strict=True):
        above += (p - y) ** 2
        below += y**2
        largest = max(largest, abs(p - y))
    assert pointwise.rfne(prediction - truth, truth) == pytest.approx(math.sqrt(above / below))
    assert pointwise.max_error(prediction - truth) == largest
    assert pointwise.rms(truth) == pytest.approx(math.sqrt(below / truth.size))


def test_pearson(fields):
    prediction, truth = fields
    expected = np.corrcoef(prediction.ravel(), truth.ravel())[0, 1]
    assert pointwise.pearson(prediction, truth) == pytest.approx(expected, rel=1e-12)
    assert pointwise.pearson(-3 * truth + 2, truth) == pytest.approx(-1)
    assert math.isnan(pointwise.pearson(np.full_like(truth, 2.0), truth))


def test_psnr_takes_the_range_of_the_truth(fields):
    prediction, truth = fields
    mean_square = np.mean((prediction - truth) ** 2)
    expected = 10 * np.log10((truth.max() - truth.min()) ** 2 / mean_square)
    assert pointwise.psnr(prediction - truth, truth) == pytest.approx(expected)
    assert pointwise.psnr(np.zeros_like(truth), truth) == math.inf
    # A tenth of the error is 20 dB.
    gained = pointwise.psnr((prediction - truth) / 10, truth) - expected
    assert gained == pytest.approx(20)


def brute_force_ssim(prediction, truth):
    """The formula of Wang et al. at every point whose 11 x 11 window lies inside the field."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    peak = truth.max() - truth.min()
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    values = []
    for i in range(5, len(truth) - 5):
        for j in range(5, len(truth) - 5):
            x = prediction[i - 5 : i + 6, j - 5 : j + 6]
            y = truth[i - 5 : i + 6, j - 5 : j + 6]
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
            vxy = (window * (x - mx) * (y - my)).sum()
            likeness = (2 * mx * my + c1) * (2 * vxy + c2)
            values.append(likeness / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return np.mean(values)


def test_ssim_is_the_published_formula(fields):
    # Far enough from the truth for every term to count.
    prediction, truth = 3 * fields[0][::-1] + 2 * fields[1] + 5, fields[1]
    assert pointwise.ssim(prediction, truth) == pytest.approx(
        brute_force_ssim(prediction, truth), rel=1e-9
    )
    assert pointwise.ssim(truth, truth) == pytest.approx(1)
