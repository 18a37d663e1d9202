"""Ensembles whose calibration is known: perfect ones, and each with one fault."""

import numpy as np

GRID = 64
_K = np.hypot(
    *np.meshgrid(np.fft.fftfreq(GRID, 1 / GRID), np.fft.rfftfreq(GRID, 1 / GRID), indexing="ij")
)
# How far the spread varies in space: standard deviation of its logarithm.
UNEVEN = 0.6


def smooth(random, count, *, scale):
    """Independent fields (count, GRID, GRID) of unit variance, smooth below wavenumber `scale`."""
    white = random.normal(size=(count, GRID, GRID))
    fields = np.fft.irfft2(np.fft.rfft2(white) * np.exp(-((_K / scale) ** 2) / 2), s=(GRID, GRID))
    return fields / np.sqrt(np.mean(fields**2, axis=(1, 2), keepdims=True))


def ensemble_with(fault, *, members, seed=0, scale=None):
    """(M, GRID, GRID), (GRID, GRID).

    fault: one of those below, or "" for none, "even" for none and a spread that is flat, "levels"
    for none where truth and members each lie high or low as a whole.
    scale: of the errors in space; None: independent from point to point.
    """
    random = np.random.default_rng([seed, members, scale or 0])
    centre = 5 * smooth(random, 1, scale=6)[0]
    uneven = np.exp(UNEVEN * smooth(random, 1, scale=4)[0])
    uneven /= np.sqrt(np.mean(uneven**2))
    shape = (members + 1, GRID, GRID)
    draws = random.normal(size=shape) if scale is None else smooth(random, shape[0], scale=scale)
    truth_std = members_std = np.ones_like(uneven) if fault == "even" else uneven
    match fault:
        case "too narrow":
            members_std = 0.5 * uneven
        case "too wide":
            members_std = 2 * uneven
        case "flat":
            members_std = np.ones_like(uneven)
        case "elsewhere":
            members_std = uneven.T[::-1]
        case "levels":
            draws += 2 * random.normal(size=(members + 1, 1, 1))
        case "heavy tails":
            # Of unit variance, point by point: smooth fields with heavy tails are uneven in space.
            draws[0] = random.standard_t(4, size=(GRID, GRID)) / np.sqrt(2)
    truth = centre + truth_std * draws[0]
    ensemble = centre + members_std * draws[1:]
    match fault:
        case "biased":
            ensemble += uneven
        case "one copied":
            ensemble[1] = ensemble[0]
        case "half copied":
            ensemble[members // 2 :] = ensemble[: members // 2]
        case "collapsed":
            ensemble[:] = ensemble[0]
        case "one is the truth":
            ensemble[3] = truth
        case "all are the truth":
            ensemble[:] = truth
        case "not finite":
            ensemble[2, 7, 7] = np.nan
    return ensemble.astype(np.float32), truth.astype(np.float32)
