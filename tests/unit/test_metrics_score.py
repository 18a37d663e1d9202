"""Scoring files: what is read, what is written, and what is refused."""

import dataclasses

import h5py
import numpy as np
import pandas as pd
import pytest

from flexbench import BENCHMARK_VERSION
from flexbench.data.observe import open_trajectory
from flexbench.data.samples import Labels, Snapshot, write_samples
from flexbench.data.store import write_trajectory
from flexbench.errors import FlexbenchError
from flexbench.metrics import spectral
from flexbench.metrics.score import score_samples
from flexbench.metrics.snapshot_scores import score_snapshot
from flexbench.metrics.tables import SNAPSHOT_SCORES, SPECTRA

GRID, MEMBERS = 16, 6
LABELS = Labels(
    case="superres_x4",
    method="flex",
    mode="denoiser",
    training_seed=3,
    sampler="ddim",
    steps=2,
    parameters=1234,
    flops=5e6,
    calls=2,
)


class Files:
    """Two trajectories of three snapshots, and samples of two snapshots of each."""

    def __init__(self, folder):
        random = np.random.default_rng(0)
        self.truth, self.trajectories, self.snapshots = {}, {}, []
        for seed in (100, 101):
            stem = f"re500_seed{seed}"
            self.truth[stem] = random.normal(size=(3, GRID, GRID)).astype(np.float32)
            self.trajectories[stem] = folder / f"{stem}.h5"
            write_trajectory(
                self.trajectories[stem],
                self.truth[stem],
                time=np.array([0.5, 0.6, 0.7]),
                grid=GRID,
                reynolds=500.0,
                seed=seed,
                attributes={},
            )
            self.snapshots += [
                Snapshot(trajectory=stem, reynolds=500.0, seed=seed, index=i, time=0.5 + i / 10)
                for i in (1, 2)
            ]
        self.ensembles = [
            (self.truth[s.trajectory][s.index] + random.normal(size=(MEMBERS, GRID, GRID)))
            .astype(np.float32)
            .reshape(MEMBERS, 1, GRID, GRID)
            for s in self.snapshots
        ]
        self.samples = folder / "samples.h5"

    def write(self, ensembles=None, **labels):
        ensembles = self.ensembles if ensembles is None else ensembles
        write_samples(
            self.samples,
            ensembles,
            snapshots=self.snapshots,
            shape=ensembles[0].shape,
            labels=dataclasses.replace(LABELS, **labels),
        )
        return self

    def score(self, **changes):
        arguments = {"case": "superres_x4", "tier": "smoke", "bands": 3} | changes
        return score_samples(self.samples, self.trajectories, **arguments)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path).write()


def test_rows_are_the_scores_of_each_snapshot(files):
    scored = files.score()
    assert tuple(scored.scores.columns) == SNAPSHOT_SCORES.columns
    for snapshot, ensemble in zip(files.snapshots, files.ensembles, strict=True):
        truth = files.truth[snapshot.trajectory][snapshot.index]
        expected, _ = score_snapshot(ensemble[:, 0], truth, bands=3)
        rows = scored.scores[
            (scored.scores["trajectory"] == snapshot.trajectory)
            & (scored.scores["index"] == snapshot.index)
        ]
        found = dict(
            zip(zip(rows["score"], rows["detail"], strict=True), rows["value"], strict=True)
        )
        assert found == expected
        assert set(rows["time"]) == {snapshot.time}
        assert set(rows["seed"]) == {snapshot.seed}
    for name, value in {
        "benchmark_version": str(BENCHMARK_VERSION),
        "tier": "smoke",
        "case": "superres_x4",
        "method": "flex",
        "mode": "denoiser",
        "training_seed": 3,
        "members": MEMBERS,
        "parameters": 1234,
        "flops": 5e6,
        "calls": 2,
    }.items():
        assert set(scored.scores[name]) == {value}


def test_spectra_have_a_row_per_snapshot_and_wavenumber(files):
    spectra = files.score().spectra
    assert tuple(spectra.columns) == SPECTRA.columns
    assert len(spectra) == 4 * GRID // 2
    assert not spectra.duplicated(["trajectory", "index", "k"]).any()
    assert (spectra["spread"] > 0).all()


@pytest.mark.parametrize("changes", [{"vorticity": False}, {"observable": "u"}])
def test_what_is_no_vorticity_has_variance_and_no_energy(files, changes):
    scored, flow = files.score(**changes), files.score()
    left_out = set(flow.scores["score"]) - set(scored.scores["score"])
    assert left_out == {"enstrophy_error", "energy_error"}
    first = files.snapshots[0]
    with open_trajectory(
        files.trajectories[first.trajectory], changes.get("observable", "w")
    ) as own:
        truth = own.snapshot(first.index).astype(float)
    power = spectral.radial_spectrum(spectral.transform(truth)).power
    np.testing.assert_allclose(
        scored.spectra["truth"][: GRID // 2], power[1 : GRID // 2 + 1], rtol=1e-5
    )


def test_a_mean_is_no_variance(files):
    """A field of absolute temperatures is scored by wavenumber like its anomalies."""
    files.write([ensemble + 280 for ensemble in files.ensembles])
    for stem, path in files.trajectories.items():
        write_trajectory(
            path,
            files.truth[stem] + 280,
            time=np.array([0.5, 0.6, 0.7]),
            grid=GRID,
            reynolds=500.0,
            seed=files.snapshots[0].seed,
            attributes={},
        )
    moved = files.score(vorticity=False).scores
    bands = moved[moved["score"] == "spectrum_error"]
    assert len(bands) == 3 * len(files.snapshots)
    assert (bands["value"] < 3).all()


def test_a_score_file_comes_back_as_it_was(files, tmp_path):
    scores = files.score().scores
    path = tmp_path / "scores.csv"
    path.write_text(scores.to_csv(index=False))
    pd.testing.assert_frame_equal(SNAPSHOT_SCORES.read(path), scores, check_dtype=False, rtol=1e-15)


def test_samples_of_a_single_member(files):
    files.write([ensemble[:1] for ensemble in files.ensembles])
    scored = files.score()
    assert set(scored.scores["members"]) == {1}
    assert scored.spectra["spread"].isna().all()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.samples.unlink(), "no such samples file"),
        (lambda f: f.samples.write_bytes(b"not HDF5"), "not a readable HDF5 file"),
        (lambda f: f.write(case="forecast"), "case 'forecast', not of 'superres_x4'"),
        (lambda f: f.trajectories.pop("re500_seed101"), "'re500_seed101'; known: re500_seed100"),
        (
            lambda f: f.write([np.concatenate([e, e], axis=1) for e in f.ensembles]),
            r"has shape \(4, 6, 2, 16, 16\); allowed: \(S, M, 1, H, W\)",
        ),
        (lambda f: f.write([e[..., :8, :8] for e in f.ensembles]), r"are \(8, 8\) fields"),
    ],
)
def test_files_that_do_not_fit_are_refused(files, spoil, message):
    spoil(files)
    with pytest.raises(FlexbenchError, match=message):
        files.score()


@pytest.mark.parametrize("change", [{"index": 7}, {"index": -1}, {"time": 0.65}])
def test_a_snapshot_that_the_trajectory_does_not_hold(files, change):
    files.snapshots[0] = dataclasses.replace(files.snapshots[0], **change)
    files.write()
    with pytest.raises(FlexbenchError, match="does not hold"):
        files.score()


@pytest.mark.parametrize("name", ["prediction", "index"])
def test_a_missing_dataset_is_named(files, name):
    with h5py.File(files.samples, "r+") as file:
        del file[name]
    with pytest.raises(FlexbenchError, match=f"'{name}' is missing"):
        files.score()


def test_a_missing_attribute_is_named(files):
    with h5py.File(files.samples, "r+") as file:
        del file.attrs["flops"]
    with pytest.raises(FlexbenchError, match="attribute 'flops' is missing"):
        files.score()


@pytest.mark.parametrize(("name", "value"), [("format_version", 99), ("format", "theirs")])
def test_another_format_is_refused(files, name, value):
    with h5py.File(files.samples, "r+") as file:
        file.attrs[name] = value
    with pytest.raises(FlexbenchError, match=f"samples.h5: format is .*{value}.*; allowed: "):
        files.score()


def test_what_is_not_periodic_is_scored_so(files):
    """Nothing wraps: spectra are windowed, and no seam closes the domain."""
    for path in files.trajectories.values():
        with h5py.File(path, "r+") as file:
            file.attrs["periodic"] = 0
    scored = files.score().scores
    snapshot, ensemble = files.snapshots[0], files.ensembles[0][:, 0]
    truth = files.truth[snapshot.trajectory][snapshot.index]
    expected, _ = score_snapshot(ensemble, truth, bands=3, periodic=False)
    own = scored[scored["trajectory"] == snapshot.trajectory]
    own = own[own["index"] == snapshot.index]
    assert dict(zip(zip(own["score"], own["detail"], strict=True), own["value"], strict=True)) == (
        expected
    )
    wrapped, _ = score_snapshot(ensemble, truth, bands=3, periodic=True)
    assert expected != wrapped


def test_a_rollout_between_walls_is_correlated_in_the_flow_alone(tmp_path):
    """A prediction that is the truth in the flow stays so, whatever it says of the walls."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(4, GRID, GRID)).astype(np.float32)
    mask = np.zeros((GRID, GRID), np.uint8)
    mask[:4] = 1
    truth[:, mask == 1] = 0.0
    path = tmp_path / "no_slip_re500_seed0.h5"
    write_trajectory(
        path,
        truth,
        time=0.5 + 0.1 * np.arange(4),
        grid=GRID,
        reynolds=500.0,
        seed=0,
        attributes={},
        boundary="no_slip",
        mask=mask,
        mean_flow=np.zeros((4, 2)),
    )
    places = [
        Snapshot(trajectory=path.stem, reynolds=500.0, seed=0, index=i, time=0.5 + i / 10, lead=i)
        for i in (1, 2, 3)
    ]
    members = truth[1:, None, None] + 0.01 * random.normal(size=(3, MEMBERS, 1, GRID, GRID))
    members[..., mask == 1] = 30 * random.normal(size=(3, MEMBERS, 1, 4 * GRID))
    write_samples(
        tmp_path / "samples.h5",
        list(members.astype(np.float32)),
        snapshots=places,
        shape=(MEMBERS, 1, GRID, GRID),
        labels=dataclasses.replace(LABELS, feedback="member"),
    )
    scored = score_samples(
        tmp_path / "samples.h5", {path.stem: path}, case=LABELS.case, tier="desk", bands=3
    ).scores
    values = scored.set_index("score")["value"]
    assert values["correlation_censored"] == 1.0
    assert values["correlation_time"] == pytest.approx(0.3)
