"""Fitting the posterior: how large errors are where, and how they hang together.

The variance is log-linear in the features. A gamma likelihood weighs relative errors, so that quiet
places count as much as loud ones. How large it is on a whole domain is then fitted apart, by the
domain's own features. The spectrum is that of the errors; its slope follows the age of the flow.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flexbench.posterior.features import DOMAIN, Features, Span
from flexbench.posterior.model import ErrorModel
from flexbench.posterior.noise import SHELLS, cross_spectrum, margin, modes
from flexbench.seeding import generator

ROUNDS = 50
# A step of the logarithm of the variance that is too large to trust.
LARGEST_STEP = 1.0
# What holds the coefficients of features, in units of their own deviation, to 0; where few domains
# have to tell, it matters.
RIDGE, LEVEL_RIDGE = 1e-3, 5e-2
# Of the errors' own mean square, what the noise of a domain has at least.
LEAST_LACK = 0.02
# Points of a field that the variance is fitted to, evenly spaced, at most.
POINTS = 2**14
# Power that a spectrum has at least, of its mean; and what a mean is held above, where a network
# makes no errors at all.
LEAST_POWER = 1e-6
LEAST_MEAN = 1e-12
# Rounds in which the spectrum is held against that of noise that is drawn, and the largest change
# of a shell in one of them.
REFINEMENTS = 4
LARGEST_FACTOR = 10.0
# Shells that share a tilt, the steepest one, and the fewest snapshots that tell it.
BAND, STEEPEST, FEWEST = 8, 1.0, 5


@dataclass(frozen=True, kw_only=True)
class Errors:
    """What a network said of one snapshot at one time.

    x0_hat: (n,C,H,W) of n members. errors: of each, truth - x0_hat.
    """

    features: Features
    x0_hat: Tensor
    errors: Tensor


# What is fitted. Of ``product(a, b)`` of errors, bilinear, such as a cross spectrum, it makes
# what has the wanted variance as its expectation.
Squares = Callable[[Tensor, Callable[[Tensor, Tensor], Tensor]], Tensor]


def own(errors: Tensor, product: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Of the errors (n,...) of each member."""
    return product(errors, errors)


def lacking(errors: Tensor, product: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """What the spread of two members (2,...) lacks of the error of a large ensemble's mean; of a
    single one (1,...), all of it."""
    if len(errors) == 1:
        return product(errors, errors)
    first, second = errors[:1], errors[1:]
    return product(first, second) - product(first - second, first - second) / 2


def fit_errors(found: Sequence[Errors], *, t: float, squares: Squares) -> ErrorModel:
    """The errors at one time, of all snapshots together.

    squares: what their means over domains and their spectrum are of. How they vary from point to
    point is taken from the errors' own squares in any case: what a spread lacks may be nothing in
    places, and has no logarithm there.
    """
    rows, wanted = [], []
    for it in found:
        step = max(1, math.ceil(math.sqrt(it.errors[0].numel() / POINTS)))
        power = own(it.errors.double(), torch.mul)
        features = it.features.stacked(it.x0_hat)
        rows.append(features[..., ::step, ::step].flatten(1))
        wanted.append(power[..., ::step, ::step].flatten())
    coefficients = fit_variance(torch.cat(rows, dim=1).T.double(), torch.cat(wanted))
    amplitudes = torch.stack([it.features.amplitude(it.x0_hat).mean().double() for it in found])
    model = ErrorModel(
        t=t,
        coefficients=coefficients.cpu(),
        spectrum=_flat(),
        tilt=_flat() * 0,
        span=(float(amplitudes.min()), float(amplitudes.max())),
    )
    model = _levelled(model, found, squares)
    count = sum((modes(*it.errors.shape[-2:]) for it in found), _flat() * 0)
    wanted_of = torch.stack([_spectrum(it, squares, it.errors) for it in found])
    spectrum = _curve(sum((_spectrum(it, own, it.errors) for it in found), _flat() * 0), count)
    model = replace(model, spectrum=spectrum, tilt=_tilt(wanted_of, amplitudes.cpu(), model.span))
    # The spectrum has no part in how large errors are where.
    deviations = [model.deviation(it.features, it.x0_hat) for it in found]
    asked = wanted_of.sum(dim=0)
    for number in range(REFINEMENTS):
        model = _refined(model, found, deviations, asked, number=number, count=count)
    if any(it.features.known for it in found):
        model = _made_up(model, found, deviations)
    return model


def _tilt(spectra: Tensor, amplitudes: Tensor, span: Span) -> Tensor:
    """How the shape of spectra (S, SHELLS + 1) goes with amplitude (S,), by bands of shells."""
    shares = spectra[:, 1:].reshape(len(spectra), -1, BAND).sum(dim=2)
    there = shares.sum(dim=1) > LEAST_LACK * spectra.shape[1]
    if int(there.sum()) < FEWEST:
        return _flat() * 0
    shares = shares[there] / shares[there].sum(dim=1, keepdim=True)
    away = amplitudes[there] - sum(span) / 2
    design = torch.stack([torch.ones_like(away), away], dim=1)
    slopes = [
        float(fit_variance(design, own_share, ridge=LEVEL_RIDGE)[1]) if own_share.any() else 0.0
        for own_share in shares.T
    ]
    bounded = torch.tensor(slopes, dtype=torch.float64).clamp(-STEEPEST, STEEPEST)
    return torch.cat([bounded[:1], bounded.repeat_interleave(BAND)])


def _levelled(model: ErrorModel, found: Sequence[Errors], squares: Squares) -> ErrorModel:
    """With the mean variances of domains that are asked for, as far as a domain's features tell.

    Then once more of all of them together, as spread and skill are held against each other.
    """
    domains, asked, given = [], [], []
    for it in found:
        own_mean = own(it.errors.double(), torch.mul).mean()
        wanted = squares(it.errors.double(), torch.mul).mean()
        domains.append(it.features.domain(it.x0_hat).mean(dim=1).double())
        asked.append(torch.maximum(wanted, LEAST_LACK * own_mean).clamp(min=LEAST_MEAN))
        deviation = model.deviation(it.features, it.x0_hat).double()
        given.append(deviation.square().mean().clamp(min=LEAST_MEAN))
    rows, wanted, had = torch.stack(domains), torch.stack(asked), torch.stack(given)
    change = fit_variance(rows, wanted / had, ridge=LEVEL_RIDGE)
    levels = had * torch.exp(rows @ change)
    change[0] += torch.log(wanted.sum() / levels.sum())
    coefficients = model.coefficients.clone()
    coefficients[DOMAIN] += change.cpu()
    return replace(model, coefficients=coefficients)


def _refined(
    model: ErrorModel,
    found: Sequence[Errors],
    deviations: Sequence[Tensor],
    asked: Tensor,
    *,
    number: int,
    count: Tensor,
) -> ErrorModel:
    """With a spectrum that gives the one asked for after the amplitude has spread it over others.

    number: of the round, for the noise that is drawn.
    """
    given = _flat() * 0
    for place, (it, deviation) in enumerate(zip(found, deviations, strict=True)):
        given += _spectrum(it, own, _noise(model, it, deviation, number, place))
    drawn = _curve(given, count)
    factor = (_curve(asked, count) / drawn).clamp(1 / LARGEST_FACTOR, LARGEST_FACTOR)
    # Scales that are known take no noise, however much there is.
    factor = torch.where(drawn > LEAST_POWER * drawn.mean(), factor, 1.0)
    return replace(model, spectrum=_bounded(model.spectrum * factor))


def _made_up(
    model: ErrorModel, found: Sequence[Errors], deviations: Sequence[Tensor]
) -> ErrorModel:
    """With as much more noise as what is known takes away."""
    asked = given = 0.0
    for place, (it, deviation) in enumerate(zip(found, deviations, strict=True)):
        asked += float(deviation.double().square().mean())
        given += float(_noise(model, it, deviation, REFINEMENTS, place).double().square().mean())
    coefficients = model.coefficients.clone()
    coefficients[0] += math.log(max(asked, LEAST_MEAN) / max(given, LEAST_MEAN))
    return replace(model, coefficients=coefficients)


def _noise(model: ErrorModel, it: Errors, deviation: Tensor, number: int, place: int) -> Tensor:
    """What a model draws for a snapshot; the white noise is that of a number and a place."""
    around = margin(periodic=it.features.periodic)
    members, channels, height, width = it.errors.shape
    stream = generator("calibration", "spectrum", number, place)
    shape = (members, channels, height + 2 * around, width + 2 * around)
    white = torch.randn(shape, generator=stream).to(it.errors.device)
    return model.loud(deviation, it.features, it.x0_hat, white)


def _spectrum(it: Errors, squares: Squares, errors: Tensor) -> Tensor:
    """In units of the mean square of the snapshot's errors, so that loud ones do not decide alone.

    Where a snapshot has too much spread already, it asks for none, and takes none from others.
    """

    def cross(first: Tensor, second: Tensor) -> Tensor:
        return cross_spectrum(first, second, periodic=it.features.periodic)

    mean = it.errors.double().square().mean().clamp(min=LEAST_MEAN)
    return (squares(errors, cross).clamp(min=0) / mean).cpu()


def _flat() -> Tensor:
    return torch.ones(SHELLS + 1, dtype=torch.float64)


def _curve(power: Tensor, count: Tensor) -> Tensor:
    """Power by frequency (SHELLS + 1,) from its sums and the numbers of modes; gaps are filled."""
    there = count > 0
    places = torch.arange(SHELLS + 1)
    power = torch.where(there, power / count.clamp(min=1), 0.0)
    # On small grids some shells have no mode: the nearest one that has speaks for it.
    nearest = (places[:, None] - places[there]).abs().argmin(dim=1)
    power = power[there][nearest]
    return _bounded(power)


def _bounded(power: Tensor) -> Tensor:
    mean = max(float(power.clamp(min=0).mean()), LEAST_MEAN)
    return power.clamp(min=LEAST_POWER * mean)


def fit_variance(features: Tensor, squares: Tensor, *, ridge: float = RIDGE) -> Tensor:
    """Coefficients (F,) of log variance = features @ coefficients, float64.

    features: (P, F), the first of them ones. squares: (P,), with the variance as their expectation.
    ridge: what holds the coefficients of features, in units of their own deviation, to 0.
    Features that do not vary get 0.
    """
    level = squares.mean().clamp(min=1e-30)
    mean, std = features.mean(dim=0), features.std(dim=0, correction=0)
    varies = std > 1e-6 * (1 + mean.abs())
    mean, std = torch.where(varies, mean, 0.0), torch.where(varies, std, 1.0)
    scaled = torch.where(varies, (features - mean) / std, 0.0)
    scaled[:, 0] = 1.0
    # Nothing holds the constant back.
    held = ridge * torch.ones_like(mean)
    held[0] = 0.0
    curvature = scaled.T @ scaled / len(scaled) + torch.diag(held)
    found = torch.zeros_like(mean)
    for _ in range(ROUNDS):
        ratio = squares / level * torch.exp(-scaled @ found)
        slope = scaled.T @ (ratio - 1) / len(scaled) - held * found
        step = torch.linalg.solve(curvature, slope)
        largest = (scaled @ step).abs().max()
        found = found + step * (LARGEST_STEP / max(float(largest), LARGEST_STEP))
        if largest < 1e-4:
            break
    coefficients = torch.where(varies, found / std, 0.0)
    coefficients[0] = found[0] + torch.log(level) - (coefficients * mean)[1:].sum()
    return coefficients
