"""The samples file: what is written is read back, and a damaged file is told in one line."""

import h5py
import numpy as np
import pytest

from flexbench.data.samples import Labels, Samples, Snapshot, write_samples
from flexbench.errors import FlexbenchError

LABELS = Labels(
    case="superres_x4",
    method="flex",
    mode="denoiser",
    training_seed=3,
    sampler="ddim",
    steps=2,
    parameters=1234,
    flops=5.5e9,
    calls=2,
)
SNAPSHOTS = [
    Snapshot(trajectory="re500_seed7", reynolds=500.0, seed=7, index=3, time=0.8),
    Snapshot(trajectory="re2000_seed9", reynolds=2000.0, seed=9, index=12, time=1.7),
]
FIELDS = np.random.default_rng(0).standard_normal((2, 3, 1, 8, 8)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "samples" / "seed3.h5"
    write_samples(path, iter(FIELDS), snapshots=SNAPSHOTS, shape=FIELDS.shape[1:], labels=LABELS)
    return path


def test_round_trip(path):
    with Samples(path) as samples:
        assert samples.labels == LABELS
        assert samples.snapshots == SNAPSHOTS
        assert samples.shape == FIELDS.shape
        assert len(samples) == 2
        assert np.array_equal(samples.ensemble(1), FIELDS[1])
        assert np.array_equal(samples.member(0, 2), FIELDS[0, 2])
        assert samples.member(0, 2).dtype == np.float32


def test_layout_as_documented(path):
    with h5py.File(path) as file:
        assert set(file) == {
            "prediction",
            "trajectory",
            "reynolds",
            "seed",
            "index",
            "time",
            "lead",
        }
        assert file["prediction"].dtype == np.float32
        assert file["prediction"].chunks == (1, 1, 1, 8, 8)
        assert file["trajectory"].asstr()[:].tolist() == ["re500_seed7", "re2000_seed9"]
        assert file["index"][:].tolist() == [3, 12]
        assert file.attrs["calls"] == 2


def test_same_arguments_same_bytes(path, tmp_path):
    again = tmp_path / "again.h5"
    write_samples(again, iter(FIELDS), snapshots=SNAPSHOTS, shape=FIELDS.shape[1:], labels=LABELS)
    assert path.read_bytes() == again.read_bytes()


def test_failed_write_leaves_nothing(tmp_path):
    def broken():
        yield FIELDS[0]
        raise RuntimeError("power cut")

    path = tmp_path / "seed0.h5"
    with pytest.raises(RuntimeError):
        write_samples(path, broken(), snapshots=SNAPSHOTS, shape=FIELDS.shape[1:], labels=LABELS)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="shorter"):
        write_samples(
            path, iter(FIELDS[:1]), snapshots=SNAPSHOTS, shape=FIELDS.shape[1:], labels=LABELS
        )
    assert list(tmp_path.iterdir()) == []


def _without(name):
    def change(file):
        del file[name]

    return change


def _without_attribute(name):
    def change(file):
        del file.attrs[name]

    return change


def _short_column(file):
    del file["time"]
    file["time"] = np.zeros(1)


def _flat_prediction(file):
    del file["prediction"]
    file["prediction"] = np.zeros((2, 3))


def _other_version(file):
    file.attrs["format_version"] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("prediction"), "dataset 'prediction' is missing"),
        (_without("index"), "dataset 'index' is missing"),
        (_without_attribute("sampler"), "attribute 'sampler' is missing"),
        (_without_attribute("format"), "attribute 'format' is missing"),
        (_other_version, "format is 'flexbench-samples' version 1; allowed: .* version 2"),
        (_short_column, "datasets differ in length"),
        (_flat_prediction, r"has shape \(2, 3\); allowed: \(2, M, C, H, W\)"),
    ],
)
def test_damage_is_told(path, change, message):
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(FlexbenchError, match=message) as caught:
        Samples(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_truncated(path, tmp_path):
    with pytest.raises(FlexbenchError, match=r"none\.h5: no such samples file"):
        Samples(tmp_path / "none.h5")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(FlexbenchError, match="not a readable HDF5 file"):
        Samples(path)
