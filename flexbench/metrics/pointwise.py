"""Deterministic scores of one field against the truth, point by point.

Fields are (H, W), float64, in the units of the truth.
"""

import math

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]

# Gaussian window of the structural similarity, in points; it is cut at 3.5 sigma.
SSIM_SIGMA = 1.5
SSIM_WINDOW = 11


def rms(field: Field) -> float:
    """Root of the mean square over all points."""
    return float(np.sqrt(np.mean(np.square(field))))


def rfne(error: Field, truth: Field) -> float:
    """Relative Frobenius-norm error ||p - y|| / ||y|| of the error p - y."""
    return _ratio(float(np.linalg.norm(error)), float(np.linalg.norm(truth)))


def pearson(prediction: Field, truth: Field) -> float:
    """Correlation over the points; NaN where either field is constant."""
    p, y = prediction - prediction.mean(), truth - truth.mean()
    return _ratio(float(np.vdot(p, y)), float(np.linalg.norm(p) * np.linalg.norm(y)))


def psnr(error: Field, truth: Field) -> float:
    """Peak signal-to-noise ratio in dB; the peak is the truth's range. Infinite without error."""
    mean_square = float(np.mean(np.square(error)))
    if mean_square == 0:
        return float("inf")
    peak = _range(truth)
    return 20 * math.log10(peak) - 10 * math.log10(mean_square) if peak > 0 else float("nan")


def ssim(prediction: Field, truth: Field) -> float:
    """Mean structural similarity (Wang et al. 2004): their Gaussian window, biased moments.

    The dynamic range is the truth's range; a border of half a window (5 points) is left out.
    """
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            truth,
            prediction,
            data_range=_range(truth),
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
        )
    )


def max_error(error: Field) -> float:
    """Largest absolute error."""
    return float(np.abs(error).max())


def _range(truth: Field) -> float:
    return float(truth.max() - truth.min())


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else float("nan")
