"""All scores and spectra of one snapshot's ensemble."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flexbench.metrics import calibration, physics, places, pointwise, seams, spectral, subsets
from flexbench.metrics.calibration import FIFTHS
from flexbench.metrics.definitions import DEFINITIONS, REGION_SCORES, in_order
from flexbench.metrics.probabilistic import EnsemblePoints, measure_points
from flexbench.metrics.score_types import Moment
from flexbench.metrics.walls import regions

# (score, detail) -> value
Scores = dict[tuple[str, str], float]


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Radial spectra of one snapshot and its ensemble (see `spectral.RadialSpectrum`).

    members: mean over members of their spectra. error: of ensemble mean - truth. spread: of the
    members' variance, ddof = 1 (error is (1 + 1/M) spread if perfect); None for M = 1.
    log_error: (K,) mean over members of `spectral.log_spectrum_error`. finite: False where the
    ensemble was not, so that only the truth's spectrum stands for anything. kinetic: whether the
    field is the vorticity of a periodic flow, which knows the kinetic energy of each scale.
    """

    grid: int
    finite: bool
    kinetic: bool
    truth: spectral.RadialSpectrum
    members: spectral.RadialSpectrum
    mean: spectral.RadialSpectrum
    error: spectral.RadialSpectrum
    spread: spectral.RadialSpectrum | None
    log_error: spectral.Shells

    def table(self) -> pd.DataFrame:
        """Spectra of kinetic energy, or else of variance, by k = 1 .. grid / 2.

        The spread is NaN for M = 1.
        """
        shells = spectral.Band(1, self.grid // 2)
        curves = {
            "truth": self.truth,
            "member_mean": self.members,
            "ensemble_mean": self.mean,
            "error": self.error,
        }
        table = pd.DataFrame({"k": np.arange(shells.first, shells.last + 1)})
        for name, curve in curves.items():
            table[name] = shells.of(curve.density(kinetic=self.kinetic))
        table["spread"] = np.nan
        if self.spread is not None:
            table["spread"] = shells.of(self.spread.density(kinetic=self.kinetic))
        if not self.finite:
            table[["member_mean", "ensemble_mean", "error", "spread"]] = np.nan
        return table


def score_snapshot(
    ensemble: NDArray[np.floating],
    truth: NDArray[np.floating],
    *,
    bands: int,
    patch: int = 0,
    periodic: bool = True,
    vorticity: bool = True,
) -> tuple[Scores, Curves]:
    """Scores and spectra of one ensemble (M, N, N) against the truth (N, N).

    patch: of the tiles that the ensemble was drawn in; 0: in none. periodic: whether the fields
    are; if not, whatever is scored by wavenumber is windowed. vorticity: whether the field is one;
    of another field, and of a vorticity that is not periodic, nobody knows the kinetic energy, so
    its spectra are of variance. Scores that do not apply (of a pull, a spread, a seam, an
    enstrophy, …) are absent. An ensemble with a value that is not finite has the same
    scores, all of them NaN.
    """
    exact: pointwise.Field = truth.astype(np.float64)
    finite = bool(np.isfinite(ensemble).all())
    if not finite:
        ensemble = np.nan_to_num(ensemble, nan=0.0, posinf=0.0, neginf=0.0)
    points = measure_points(ensemble, exact)
    scores = _mean_scores(points, exact)
    transform = partial(spectral.transform, periodic=periodic)
    kinetic = vorticity and periodic
    curves = _member_scores(
        scores, ensemble, points, exact, transform=transform, finite=finite, kinetic=kinetic
    )
    if kinetic:
        _flow_scores(scores, curves)
    if patch:
        near = seams.near_seams(exact.shape, patch, periodic=periodic)
        _seam_scores(scores, points, near)
    if points.members > 1:
        _ensemble_scores(scores, points)
        _place_scores(scores, ensemble, points, exact)
    _band_scores(scores, curves, spectral.wavenumber_bands(len(truth), bands))
    scores = _with_combined(scores, points.members)
    return {key: value if finite else float("nan") for key, value in scores.items()}, curves


def score_flow(
    ensemble: NDArray[np.floating], truth: NDArray[np.floating], *, mask: NDArray[np.integer]
) -> Scores:
    """Scores of one ensemble (M, N, N) against the truth (N, N) where mask (N, N) is 0.

    Over all such points, and near the walls and away from them (see `definitions`). Only points of
    the flow have to be finite; where one is not, all scores are NaN.
    """
    scores: Scores = {}
    for detail, where in regions(mask).items():
        found = _point_scores(ensemble[:, where], truth[where].astype(np.float64), whole=not detail)
        if detail:
            found = {name: value for name, value in found.items() if name[0] in REGION_SCORES}
        scores |= {(name, own or detail): value for (name, own), value in found.items()}
    scores = _with_combined(scores, len(ensemble))
    finite = bool(np.isfinite(ensemble[:, mask == 0]).all())
    return {key: value if finite else float("nan") for key, value in scores.items()}


def _point_scores(ensemble: NDArray[np.floating], truth: pointwise.Field, *, whole: bool) -> Scores:
    """Of scattered points: ensemble (M, P), truth (P,). whole: of all that there are."""
    ensemble = np.nan_to_num(ensemble, nan=0.0, posinf=0.0, neginf=0.0)[..., None]
    truth = truth[:, None]
    points = measure_points(ensemble, truth)
    scores = _mean_scores(points, truth)
    sorted_truth = np.sort(truth, axis=None)
    rfne, distance = [], []
    for member in ensemble.astype(np.float64):
        rfne.append(pointwise.rfne(member - truth, truth))
        distance.append(physics.sorted_distance(np.sort(member, axis=None), sorted_truth))
    _own_errors(scores, ensemble, rfne)
    scores["pdf_distance", ""] = float(np.mean(distance))
    if points.members > 1:
        _ensemble_scores(scores, points)
        if whole:
            _place_scores(scores, ensemble, points, truth)
    return scores


def _mean_scores(points: EnsemblePoints, truth: pointwise.Field) -> Scores:
    """Scores of the ensemble mean; SSIM of a field (N, N), not of scattered points (P, 1)."""
    error, mean = points.error, truth + points.error
    scores = {
        ("rfne_mean", ""): pointwise.rfne(error, truth),
        ("pearson", ""): pointwise.pearson(mean, truth),
        ("psnr", ""): pointwise.psnr(error, truth),
        ("max_error", ""): pointwise.max_error(error),
        ("crps", ""): points.crps,
        ("skill", ""): points.skill,
        ("truth_rms", ""): pointwise.rms(truth),
    }
    if min(truth.shape) >= pointwise.SSIM_WINDOW:
        scores["ssim", ""] = pointwise.ssim(mean, truth)
    return scores


def _member_scores(
    scores: Scores,
    ensemble: NDArray[np.floating],
    points: EnsemblePoints,
    truth: pointwise.Field,
    *,
    transform: Callable[[pointwise.Field], spectral.Spectrum],
    finite: bool,
    kinetic: bool,
) -> Curves:
    """Add the scores that are means over members, and return the spectra."""
    truth_sorted = np.sort(truth, axis=None)
    truth_hat, error_hat = transform(truth), transform(points.error)
    mean_hat = truth_hat + error_hat
    reference = spectral.radial_spectrum(truth_hat)
    rfne, distance, spectra, departures, log_errors = [], [], [], [], []
    for member in ensemble:
        field = member.astype(np.float64)
        rfne.append(pointwise.rfne(field - truth, truth))
        distance.append(physics.sorted_distance(np.sort(field, axis=None), truth_sorted))
        hat = transform(field)
        spectra.append(spectral.radial_spectrum(hat))
        departures.append(spectral.radial_spectrum(hat - mean_hat))
        log_errors.append(spectral.log_spectrum_error(spectra[-1], reference, kinetic=kinetic))
    _own_errors(scores, ensemble, rfne)
    scores["pdf_distance", ""] = float(np.mean(distance))
    spread = None
    if points.members > 1:
        unbiased = points.members / (points.members - 1)
        spread = spectral.mean_spectrum(departures).scaled(unbiased)
    return Curves(
        grid=len(truth),
        finite=finite,
        kinetic=kinetic,
        truth=reference,
        members=spectral.mean_spectrum(spectra),
        mean=spectral.radial_spectrum(mean_hat),
        error=spectral.radial_spectrum(error_hat),
        spread=spread,
        log_error=np.mean(log_errors, axis=0),
    )


def _own_errors(scores: Scores, ensemble: NDArray[np.floating], rfne: list[float]) -> None:
    """Add the error of members, and what tells whether they are draws at all. rfne: of each."""
    scores["rfne_member", ""] = float(np.mean(rfne))
    if len(rfne) < 2:
        return
    scores["rfne_closest", ""] = min(rfne)
    # Members that are equal have equal errors: few need to be looked at point by point.
    copies = [
        any(
            rfne[before] == rfne[own] and np.array_equal(ensemble[before], ensemble[own])
            for before in range(own)
        )
        for own in range(len(rfne))
    ]
    scores["copied_members", ""] = float(sum(copies))


def _flow_scores(scores: Scores, curves: Curves) -> None:
    """Add what only the vorticity of a periodic flow has."""
    members, truth = curves.members, curves.truth
    scores["enstrophy_error", ""] = physics.relative_error(
        members.total_enstrophy, truth.total_enstrophy
    )
    scores["energy_error", ""] = physics.relative_error(members.total_energy, truth.total_energy)


def _band_scores(scores: Scores, curves: Curves, bands: list[spectral.Band]) -> None:
    """Add the scores that have a wavenumber band as detail."""
    for band in bands:
        error = spectral.band_mean(curves.log_error, band)
        if error is not None:
            scores["spectrum_error", band.label] = error
        scores["skill", band.label] = spectral.band_rms(curves.error.power, band)
        if curves.spread is not None:
            scores["spread", band.label] = spectral.band_rms(curves.spread.power, band)


def _seam_scores(scores: Scores, points: EnsemblePoints, near: NDArray[np.bool_]) -> None:
    """Add the errors near the tiles' edges and elsewhere, where there are both."""
    if near.any() and not near.all():
        scores["seam_error", ""] = pointwise.rms(points.error[near])
        scores["inner_error", ""] = pointwise.rms(points.error[~near])


def _ensemble_scores(scores: Scores, points: EnsemblePoints) -> None:
    """Add the scores that need two members or more."""
    members = points.members
    scores["spread", ""] = points.spread
    scores["zero_spread", ""] = float(points.collapsed.mean())
    levels = calibration.nominal_levels(members)
    central = calibration.central_level(members)
    for level, share in zip(levels, calibration.coverages(points.deepest, members), strict=True):
        scores["coverage", f"{level:.4g}"] = share
        if level == central:
            scores["central_mass", ""] = share / level
    for rank, share in enumerate(points.ranks / points.ranks.sum()):
        scores["rank_hist", str(rank)] = float(share)
    pull = calibration.summarise_pull(points.pull, members)
    if pull is None:
        return
    scores["pull_iqr_ratio", ""] = pull.iqr_ratio
    if members >= calibration.PULL_MEMBERS:
        scores["pull_mean", ""] = pull.mean
        scores["pull_square", ""] = pull.square
        scores["pull_tail", ""] = pull.tail
    for centre, density in zip(calibration.PULL_CENTRES, pull.density, strict=True):
        scores["pull_hist", f"{centre:g}"] = float(density)


def _place_scores(
    scores: Scores,
    ensemble: NDArray[np.floating],
    points: EnsemblePoints,
    truth: pointwise.Field,
) -> None:
    """Add whether the spread is right place by place, and what fewer members would have said."""
    found = places.measure_places(ensemble, truth, points)
    if found is None:
        return
    if points.members >= calibration.PULL_MEMBERS:
        scores["pull_mean_member", ""] = found.mean_pull
        scores["pull_noise", ""] = found.pull_noise
    for name, each in (("fifth_spread", found.spread), ("fifth_skill", found.skill)):
        if each is not None:
            scores |= {(name, fifth): float(v) for fifth, v in zip(FIFTHS, each, strict=True)}
    if found.contrast is not None:
        scores["contrast_truth", ""] = found.contrast.truth
        scores["contrast_members", ""] = found.contrast.members
        scores["contrast_noise", ""] = found.contrast.noise
    for count, pull in subsets.pulls_of_first(ensemble, truth, points).items():
        scores["subset_mean", f"M={count}"] = pull.mean
        scores["subset_square", f"M={count}"] = pull.square


def _with_combined(scores: Scores, members: int) -> Scores:
    """With the scores that are formed from others, all in the order of the definitions.

    Raises FlexbenchError for a score that nobody defined.
    """
    in_order(score for score, _ in scores)
    found: Scores = {}
    for name, definition in DEFINITIONS.items():
        own = [detail for score, detail in scores if score == name]
        if definition.combine is None or name in definition.moments:
            found |= {(name, detail): scores[name, detail] for detail in own}
            continue
        first, *others = definition.moments
        details = [detail for score, detail in scores if score == first]
        for detail in [""] if definition.across and details else details:
            if definition.across or all((other, detail) in scores for other in others):
                moment = _powers_of(scores, detail)
                with np.errstate(divide="ignore", invalid="ignore"):
                    value = float(definition.combine(moment, members))
                if not (definition.partial and np.isnan(value)):
                    found[name, detail] = value
    return found


def _powers_of(scores: Scores, place: str) -> Moment:
    def moment(score: str, power: int, detail: str = "") -> np.float64:
        return np.float64(scores[score, place + detail]) ** power

    return moment
