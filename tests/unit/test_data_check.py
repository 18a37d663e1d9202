"""The checker of trajectory files, and the dummy files it is tried on."""

import h5py
import numpy as np
import pytest

from flexbench.data.check import check_trajectory, main
from flexbench.data.dummy import DRIFT, RMS, dummy_snapshots, write_dummy
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError

TIMES = np.arange(4) * 0.1


@pytest.fixture
def path(tmp_path):
    write_dummy(tmp_path / "re500_seed1.h5", grid=16, times=TIMES, reynolds=500, seed=1)
    return tmp_path / "re500_seed1.h5"


def replace(file, name, data, **options):
    del file[name]
    file.create_dataset(name, data=data, **options)


def spoil_time(file):
    file["time"][2] = file["time"][1]


def with_walls(file, *, mask=True, mean_flow=True):
    """Make the file one of a channel."""
    file.attrs["boundary"] = "no_slip"
    if mask:
        file["mask"] = np.repeat(np.arange(16)[:, None] < 2, 16, axis=1).astype(np.uint8)
    if mean_flow:
        file["mean_flow"] = np.zeros((4, 2))


def spoil_walls(change):
    def spoil(file):
        with_walls(file)
        change(file)

    return spoil


def spoil_value(file):
    file["w"][3, 2, 2] = np.nan


# What is done to a valid file, and what the checker has to say about it.
SPOILERS = {
    "attribute 'seed' is missing": lambda f: f.attrs.__delitem__("seed"),
    "attribute 'seed' is float 1.0; allowed: int": lambda f: f.attrs.__setitem__("seed", 1.0),
    "attribute 'reynolds' is str 'x'; allowed: float": lambda f: f.attrs.__setitem__(
        "reynolds", "x"
    ),
    "attribute 'reynolds' is -1.0": lambda f: f.attrs.__setitem__("reynolds", -1.0),
    "attribute 'format' is 'other'": lambda f: f.attrs.__setitem__("format", "other"),
    "attribute 'format_version' is 2": lambda f: f.attrs.__setitem__("format_version", 2),
    "attribute 'more' is ndarray": lambda f: f.attrs.__setitem__("more", [1, 2]),
    "dataset 'w' is missing": lambda f: f.__delitem__("w"),
    "dataset 'time' is missing": lambda f: f.__delitem__("time"),
    "dataset 'w' has shape (16, 16); allowed: rank 3": lambda f: replace(f, "w", f["w"][0]),
    "dataset 'w' has shape (3, 16, 16); allowed: (4, 16, 16)": lambda f: replace(
        f, "w", f["w"][:3]
    ),
    "dataset 'w' is float64": lambda f: replace(f, "w", f["w"][()].astype(np.float64)),
    "dataset 'time' is float32": lambda f: replace(f, "time", f["time"][()].astype(np.float32)),
    "dataset 'time' does not grow": spoil_time,
    "snapshot 3 holds a value that is not finite": spoil_value,
    "attribute 'boundary' is 'wall'; allowed: periodic, free_slip, no_slip": lambda f: (
        f.attrs.__setitem__("boundary", "wall")
    ),
    "dataset 'mask' is missing; a flow of boundary 'no_slip' needs it": lambda f: with_walls(
        f, mask=False
    ),
    "dataset 'mask' is float64 of shape (16, 16); allowed: uint8": spoil_walls(
        lambda f: replace(f, "mask", f["mask"][()].astype(float))
    ),
    "dataset 'mask' holds [0, 2]; allowed: 0 (flow) and 1": spoil_walls(
        lambda f: replace(f, "mask", 2 * f["mask"][()])
    ),
    "dataset 'mask' holds [1]; allowed: 0 (flow) and 1": spoil_walls(
        lambda f: replace(f, "mask", np.ones((16, 16), np.uint8))
    ),
    "dataset 'mean_flow' is float64 of shape (3, 2); allowed: float64 of shape (4, 2)": spoil_walls(
        lambda f: replace(f, "mean_flow", np.zeros((3, 2)))
    ),
    "dataset 'mean_flow' holds a value that is not finite": spoil_walls(
        lambda f: replace(f, "mean_flow", np.full((4, 2), np.nan))
    ),
    "dataset 'w' has chunks (4, 16, 16)": lambda f: replace(f, "w", f["w"][()], chunks=(4, 16, 16)),
    "compression gzip": lambda f: replace(
        f, "w", f["w"][()], chunks=(1, 16, 16), compression="gzip"
    ),
}


def test_a_dummy_file_is_valid(path):
    assert check_trajectory(path) == []
    assert main([str(path)]) == 0


def test_a_file_with_walls_is_valid(path):
    with h5py.File(path, "r+") as file:
        with_walls(file)
    assert check_trajectory(path) == []
    assert Trajectory(path).boundary == "no_slip"


@pytest.mark.parametrize("says", SPOILERS)
def test_each_fault_is_found(path, says, capsys):
    with h5py.File(path, "r+") as file:
        SPOILERS[says](file)
    problems = check_trajectory(path)
    assert len(problems) == 1
    assert says in problems[0]
    assert main([str(path)]) == 1
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("says", [s for s in SPOILERS if "chunks" not in s and "gzip" not in s])
def test_readers_refuse_what_the_checker_finds(path, says):
    with h5py.File(path, "r+") as file:
        SPOILERS[says](file)
    with pytest.raises(FlexbenchError) as caught:
        Trajectory(path).whole()
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_unreadable_files_raise(path):
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FlexbenchError, match="truncated"):
        check_trajectory(path)
    assert main([str(path)]) == 1


def test_dummy_solves_its_equation():
    """Time derivative by central differences against the equation's terms by spectral ones."""
    grid, reynolds, step = 32, 50.0, 1e-3
    before, now, after = (
        w.astype(np.float64)
        for w in dummy_snapshots(
            grid=grid, times=np.array([0.3 - step, 0.3, 0.3 + step]), reynolds=reynolds, seed=2
        )
    )
    k = np.fft.fftfreq(grid, 1 / grid)
    spectrum = np.fft.fft2(now)
    wx = np.fft.ifft2(1j * k[None, :] * spectrum).real
    wy = np.fft.ifft2(1j * k[:, None] * spectrum).real
    laplacian = np.fft.ifft2(-(k[None, :] ** 2 + k[:, None] ** 2) * spectrum).real
    expected = laplacian / reynolds - DRIFT[0] * wx - DRIFT[1] * wy
    rate = (after - before) / (2 * step)
    assert np.abs(rate - expected).max() < 1e-3 * np.abs(expected).max()


def test_dummy_has_its_rms_and_its_seed():
    options = {"grid": 16, "times": np.array([0.0]), "reynolds": 100.0}
    one, same, other = (next(dummy_snapshots(seed=s, **options)) for s in (1, 1, 2))
    assert one.std() == pytest.approx(RMS, rel=1e-5)
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1
