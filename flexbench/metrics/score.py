"""Score a samples file against the trajectories that it predicts.

One snapshot's ensemble (float32) is in memory at a time, and a few fields. Scores of a whole
rollout stand in the row of its last lead.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flexbench import BENCHMARK_VERSION
from flexbench.data.observe import open_trajectory
from flexbench.data.samples import Samples
from flexbench.errors import FlexbenchError
from flexbench.metrics.rollout import Correlations, rollout_lengths, shown_leads
from flexbench.metrics.snapshot_scores import Curves, Scores, score_flow, score_snapshot
from flexbench.metrics.tables import SNAPSHOT_SCORES, SPECTRA
from flexbench.spec import Observable

# Labels of a samples file that every row of its scores repeats.
_LABELS = ("method", "mode", "training_seed", "parameters", "flops")

# A predicted snapshot's time may differ from that of its index by rounding only.
_SAME_TIME = 1e-6


class Scored(NamedTuple):
    """scores: a row per snapshot, score and detail. spectra: a row per snapshot and k, where the
    flow is everywhere (a spectrum across walls has no meaning). Both as `tables` has them.

    Of a rollout, spectra stand for its first, middle and last lead alone.
    """

    scores: pd.DataFrame
    spectra: pd.DataFrame


class Truth(NamedTuple):
    """A snapshot (H, W), whether it is periodic, and its mask (H, W; None: no walls)."""

    field: NDArray[np.float32]
    periodic: bool
    mask: NDArray[np.uint8] | None

    @property
    def flow(self) -> Any:
        """Index of the points that belong to the flow."""
        return slice(None) if self.mask is None else self.mask == 0


def score_samples(
    samples_path: Path | str,
    trajectory_paths: Mapping[str, Path],
    *,
    case: str,
    tier: str,
    bands: int,
    observable: Observable = "w",
    vorticity: bool = True,
) -> Scored:
    """All scores of a samples file, snapshot by snapshot.

    case: whose samples these are. trajectory_paths: the file of each trajectory, by its stem.
    bands: wavenumber bands. observable: what is predicted of them. vorticity: whether the files
    hold one, or another field; of what is no vorticity of a periodic flow, scores of enstrophy and
    energy are left out, and spectra are of variance.
    Raises FlexbenchError where a file is missing, not in its format, or does not fit the other.
    """
    path = Path(samples_path)
    scores: list[dict[str, Any]] = []
    spectra: list[pd.DataFrame] = []
    with Samples(path) as samples:
        _check(samples, case)
        labels = {name: getattr(samples.labels, name) for name in _LABELS}
        patch = samples.labels.patch
        version = str(BENCHMARK_VERSION)
        common = {"benchmark_version": version, "tier": tier, "case": case, **labels}
        common |= {"members": samples.shape[1], "calls": samples.labels.calls}
        snapshots = [asdict(snapshot) for snapshot in samples.snapshots]
        lengths = rollout_lengths([snapshot["lead"] for snapshot in snapshots], path=path)
        rollout = Correlations()
        for row, (snapshot, leads) in enumerate(zip(snapshots, lengths, strict=True)):
            truth = _truth(path, snapshot, trajectory_paths, observable)
            if truth.field.shape != samples.shape[-2:]:
                raise FlexbenchError(
                    f"{path}: predictions are {samples.shape[-2:]} fields, but trajectory "
                    f"{snapshot['trajectory']} holds {truth.field.shape} ones"
                )
            ensemble = samples.ensemble(row)[:, 0]
            values, curves = _score(
                ensemble, truth, bands=bands, patch=patch, vorticity=vorticity and observable == "w"
            )
            if leads > 1:
                flow = truth.flow
                values |= rollout.add(
                    ensemble[..., flow], truth.field[flow], time=snapshot["time"], leads=leads
                )
            for (score, detail), value in values.items():
                one = {"score": score, "detail": detail, "value": value}
                scores.append(common | snapshot | one)
            if curves is not None and snapshot["lead"] in shown_leads(leads):
                names = {name: snapshot[name] for name in ("trajectory", "index", "lead")}
                names["reynolds"] = snapshot["reynolds"]
                spectra.append(curves.table().assign(**names))
    return Scored(SNAPSHOT_SCORES.of(scores), _one_table(spectra))


def _one_table(spectra: list[pd.DataFrame]) -> pd.DataFrame:
    """All spectra; the columns are there even where no snapshot has any."""
    if not spectra:
        return SPECTRA.of([])
    return pd.concat(spectra, ignore_index=True)[list(SPECTRA.columns)]


def _score(
    ensemble: NDArray[np.floating], truth: Truth, *, bands: int, patch: int, vorticity: bool
) -> tuple[Scores, Curves | None]:
    """Scores of an ensemble (M, H, W), and its spectra where the flow is everywhere."""
    if truth.mask is not None:
        return score_flow(ensemble, truth.field, mask=truth.mask), None
    return score_snapshot(
        ensemble,
        truth.field,
        bands=bands,
        patch=patch,
        periodic=truth.periodic,
        vorticity=vorticity,
    )


def _check(samples: Samples, case: str) -> None:
    """FlexbenchError where the samples are none of the case's, or none that can be scored."""
    if samples.labels.case != case:
        raise FlexbenchError(
            f"{samples.path}: holds samples of case '{samples.labels.case}', not of '{case}'"
        )
    if min(samples.shape) < 1 or samples.shape[2] != 1:
        raise FlexbenchError(
            f"{samples.path}: dataset 'prediction' has shape {samples.shape}; "
            "allowed: (S, M, 1, H, W)"
        )


def _truth(
    path: Path,
    snapshot: Mapping[str, Any],
    trajectory_paths: Mapping[str, Path],
    observable: Observable,
) -> Truth:
    """The snapshot that a row predicts."""
    stem, index = snapshot["trajectory"], snapshot["index"]
    if stem not in trajectory_paths:
        known = ", ".join(trajectory_paths)
        raise FlexbenchError(f"{path}: predicts trajectory '{stem}'; known: {known}")
    with open_trajectory(trajectory_paths[stem], observable) as trajectory:
        times = trajectory.time
        if not 0 <= index < len(times) or abs(times[index] - snapshot["time"]) > _SAME_TIME:
            raise FlexbenchError(
                f"{path}: predicts snapshot {index} at time {snapshot['time']:g}, which "
                f"{trajectory.path} does not hold"
            )
        return Truth(trajectory.snapshot(index), trajectory.periodic, trajectory.mask)
