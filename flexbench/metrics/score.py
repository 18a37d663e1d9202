"""Score a samples file against the trajectories that it predicts.

One snapshot's ensemble (float32) is in memory at a time, and a few fields. Scores of a whole
rollout stand in the row of its last lead.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flexbench import BENCHMARK_VERSION
from flexbench.data.observe import open_trajectory
from flexbench.errors import FlexbenchError
from flexbench.metrics.rollout import Correlations, rollout_lengths, shown_leads
from flexbench.metrics.snapshot import Curves, Scores, score_flow, score_snapshot
from flexbench.spec import Observable

COLUMNS = (
    *("benchmark_version", "tier", "task", "method", "mode", "training_seed"),
    *("trajectory", "reynolds", "seed", "index", "time", "lead", "score", "detail", "value"),
    *("members", "parameters", "flops", "evaluations"),
)
SPECTRA_COLUMNS = (
    *("trajectory", "index", "lead", "reynolds", "k"),
    *("truth", "member_mean", "ensemble_mean", "error", "spread"),
)
# Labels of a samples file that every row of its scores repeats.
_LABELS = ("method", "mode", "training_seed", "parameters", "flops", "evaluations")
# Datasets of a samples file that say which snapshot a row predicts.
_SNAPSHOT = ("trajectory", "reynolds", "seed", "index", "time", "lead")

# A predicted snapshot's time may differ from that of its index by rounding only.
_SAME_TIME = 1e-6


class Scored(NamedTuple):
    """scores: columns COLUMNS. spectra: columns SPECTRA_COLUMNS, a row per snapshot and k, where
    the flow is everywhere (a spectrum across walls has no meaning).

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
    task_name: str,
    tier: str,
    bands: int,
    observable: Observable = "w",
    vorticity: bool = True,
) -> Scored:
    """All scores of a samples file, snapshot by snapshot.

    trajectory_paths: the file of each trajectory, by its stem. bands: wavenumber bands.
    observable: what is predicted of them. vorticity: whether the files hold one, or another field;
    of what is no vorticity of a periodic flow, scores of enstrophy and energy are left out, and
    spectra are of variance.
    Raises FlexbenchError where a file is missing or does not fit the other.
    """
    path = Path(samples_path)
    scores: list[dict[str, Any]] = []
    spectra: list[pd.DataFrame] = []
    with _open(path) as file:
        labels = _labels(path, file, task_name)
        prediction = _prediction(path, file)
        patch = int(file.attrs["patch"])
        version = str(BENCHMARK_VERSION)
        common = {"benchmark_version": version, "tier": tier, "task": task_name, **labels}
        common["members"] = prediction.shape[1]
        snapshots = _snapshots(path, file, count=prediction.shape[0])
        lengths = rollout_lengths([snapshot["lead"] for snapshot in snapshots], path=path)
        rollout = Correlations()
        for row, (snapshot, leads) in enumerate(zip(snapshots, lengths, strict=True)):
            truth = _truth(path, snapshot, trajectory_paths, observable)
            if truth.field.shape != prediction.shape[-2:]:
                raise FlexbenchError(
                    f"{path}: predictions are {prediction.shape[-2:]} fields, but trajectory "
                    f"{snapshot['trajectory']} holds {truth.field.shape} ones"
                )
            ensemble = prediction[row, :, 0]
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
    return Scored(
        pd.DataFrame(scores, columns=list(COLUMNS)),
        _one_table(spectra),
    )


def _one_table(spectra: list[pd.DataFrame]) -> pd.DataFrame:
    """All spectra, with columns SPECTRA_COLUMNS, also where no snapshot has any."""
    if not spectra:
        return pd.DataFrame(columns=list(SPECTRA_COLUMNS))
    return pd.concat(spectra, ignore_index=True)[list(SPECTRA_COLUMNS)]


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


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        raise FlexbenchError(f"{path}: no such samples file")
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise FlexbenchError(f"{path}: not a readable HDF5 file; draw it again") from error


def _labels(path: Path, file: h5py.File, task_name: str) -> dict[str, Any]:
    for name in ("task", *_LABELS, "patch"):
        if name not in file.attrs:
            raise FlexbenchError(f"{path}: attribute '{name}' is missing")
    if file.attrs["task"] != task_name:
        raise FlexbenchError(
            f"{path}: holds samples of task '{file.attrs['task']}', not of '{task_name}'"
        )
    labels = {name: file.attrs[name] for name in _LABELS}
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in labels.items()}


def _prediction(path: Path, file: h5py.File) -> h5py.Dataset:
    prediction = file.get("prediction")
    if not isinstance(prediction, h5py.Dataset):
        raise FlexbenchError(f"{path}: dataset 'prediction' is missing")
    shape = prediction.shape
    if len(shape) != 5 or min(shape) < 1 or shape[2] != 1:
        raise FlexbenchError(
            f"{path}: dataset 'prediction' has shape {shape}; allowed: (S, M, 1, H, W)"
        )
    return prediction


def _snapshots(path: Path, file: h5py.File, *, count: int) -> list[dict[str, Any]]:
    columns = {}
    for name in _SNAPSHOT:
        if not isinstance(file.get(name), h5py.Dataset) or len(file[name]) != count:
            raise FlexbenchError(f"{path}: dataset '{name}' is missing or does not hold {count}")
        values = file[name].asstr()[()] if name == "trajectory" else file[name][()]
        columns[name] = values.tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


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
