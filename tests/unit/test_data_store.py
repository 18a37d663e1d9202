"""Writing and reading trajectory files."""

import multiprocessing
import pickle
import time as clock

import h5py
import numpy as np
import pytest

from flexbench.data.store import Trajectory, write_trajectory
from flexbench.errors import FlexbenchError

GRID = 24
TIME = 0.5 + 0.1 * np.arange(7)


@pytest.fixture
def fields():
    noise = np.random.default_rng(0).standard_normal((len(TIME), GRID, GRID))
    return noise.astype(np.float32)


def write(path, snapshots, **changes):
    arguments = {"time": TIME, "grid": GRID, "reynolds": 500, "seed": 3, "attributes": {}}
    write_trajectory(path, snapshots, **(arguments | changes))
    return path


def test_what_is_written_is_read(tmp_path, fields):
    path = write(tmp_path / "a.h5", iter(fields), attributes={"code": "ab", "n": 2, "x": 0.5})
    with Trajectory(path) as trajectory:
        assert trajectory.path == path
        assert (trajectory.reynolds, trajectory.seed, trajectory.grid) == (500.0, 3, GRID)
        assert trajectory.shape == fields.shape
        assert trajectory.attributes["code"] == "ab"
        assert trajectory.attributes["n"] == 2
        assert trajectory.attributes["x"] == 0.5
        np.testing.assert_array_equal(trajectory.time, TIME)
        np.testing.assert_array_equal(trajectory.whole(), fields)
        np.testing.assert_array_equal(trajectory.snapshot(4), fields[4])
        assert trajectory.interval == pytest.approx(0.1)


def test_walls_are_kept(tmp_path, fields):
    mask = (np.random.default_rng(1).random((GRID, GRID)) < 0.3).astype(np.uint8)
    mean_flow = np.random.default_rng(2).standard_normal((len(TIME), 2))
    walls = {"boundary": "free_slip", "mask": mask, "mean_flow": mean_flow}
    path = write(tmp_path / "a.h5", fields, **walls)
    trajectory = pickle.loads(pickle.dumps(Trajectory(path)))  # noqa: S301  (our own bytes)
    assert trajectory.boundary == "free_slip"
    np.testing.assert_array_equal(trajectory.mask, mask)
    np.testing.assert_array_equal(trajectory.mean_flow, mean_flow)
    np.testing.assert_array_equal(trajectory.whole(), fields)
    assert write(tmp_path / "b.h5", fields, **walls).read_bytes() == path.read_bytes()
    plain = Trajectory(write(tmp_path / "c.h5", fields))
    assert (plain.boundary, plain.mask, plain.mean_flow) == ("periodic", None, None)
    assert "boundary" not in plain.attributes


def test_walls_that_do_not_fit_are_refused(tmp_path, fields):
    path = tmp_path / "a.h5"
    with pytest.raises(FlexbenchError, match="'mask' is missing; a flow of boundary 'no_slip'"):
        write(path, fields, boundary="no_slip")
    with pytest.raises(FlexbenchError, match="'boundary' is 'wall'; allowed: periodic"):
        write(path, fields, boundary="wall")
    with pytest.raises(FlexbenchError, match="'boundary' is set by the format"):
        write(path, fields, attributes={"boundary": "no_slip"})
    assert not path.exists()


def test_layout_on_disk(tmp_path):
    grid = 160
    path = write(tmp_path / "a.h5", np.zeros((7, grid, grid), np.float32), grid=grid)
    with h5py.File(path) as file:
        assert file["w"].chunks == (1, 128, 128)
        assert file["w"].dtype == np.dtype("<f4")
        assert file["w"].compression is None
        assert file["time"].dtype == np.dtype("<f8")


def test_writing_again_gives_the_same_bytes(tmp_path, fields):
    first = write(tmp_path / "a.h5", fields, attributes={"b": "x", "a": 1}).read_bytes()
    clock.sleep(1.1)  # HDF5 keeps times in seconds
    second = write(tmp_path / "b.h5", fields, attributes={"a": 1, "b": "x"}).read_bytes()
    assert first == second


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.__setitem__((2, 1, 1), np.nan), "snapshot 2 holds a value that is not finite"),
        (lambda f: f.__setitem__((0, 0, 0), np.inf), "snapshot 0 holds a value that is not finite"),
    ],
)
def test_values_that_are_not_finite_are_refused(tmp_path, fields, change, says):
    old = write(tmp_path / "a.h5", fields).read_bytes()
    change(fields)
    with pytest.raises(FlexbenchError, match=says):
        write(tmp_path / "a.h5", fields)
    assert (tmp_path / "a.h5").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_wrong_counts_shapes_types_and_attributes_are_refused(tmp_path, fields):
    path = tmp_path / "a.h5"
    with pytest.raises(FlexbenchError, match="6 snapshots for 7 times"):
        write(path, fields[:6])
    with pytest.raises(FlexbenchError, match="more snapshots than times"):
        write(path, np.concatenate([fields, fields]))
    with pytest.raises(FlexbenchError, match=r"snapshot 0 is float32 of shape \(24, 23\)"):
        write(path, fields[:, :, 1:])
    with pytest.raises(FlexbenchError, match="snapshot 0 is float64"):
        write(path, fields.astype(np.float64))
    with pytest.raises(FlexbenchError, match="'time' does not grow"):
        write(path, fields, time=TIME[::-1])
    with pytest.raises(FlexbenchError, match="'time' holds a value that is not finite"):
        write(path, fields, time=np.where(TIME > 1, np.nan, TIME))
    with pytest.raises(FlexbenchError, match="'seed' is set by the format"):
        write(path, fields, attributes={"seed": 4})
    with pytest.raises(FlexbenchError, match="'extra' is list; allowed: str, int, float"):
        write(path, fields, attributes={"extra": [1]})
    with pytest.raises(FlexbenchError, match="'reynolds' is -1"):
        write(path, fields, reynolds=-1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("y", [0, 5, -3, 20, 24, -50, 1000])
@pytest.mark.parametrize("x", [0, 23, -24])
@pytest.mark.parametrize("size", [(1, 1), (9, 13), (24, 24)])
def test_reads_wrap_around(tmp_path, fields, y, x, size):
    trajectory = Trajectory(write(tmp_path / "a.h5", fields))
    found = trajectory.read(1, count=3, stride=2, y=y, x=x, height=size[0], width=size[1])
    rolled = np.roll(fields, (-y, -x), axis=(1, 2))[1:7:2, : size[0], : size[1]]
    np.testing.assert_array_equal(found, rolled)


def test_reads_across_chunks(tmp_path):
    grid = 300  # 3 x 3 chunks, the last ones cut off
    fields = np.random.default_rng(1).standard_normal((2, grid, grid)).astype(np.float32)
    trajectory = Trajectory(write(tmp_path / "a.h5", fields, grid=grid, time=TIME[:2]))
    found = trajectory.read(0, count=2, stride=1, y=290, x=100, height=200, width=250)
    np.testing.assert_array_equal(found, np.roll(fields, (-290, -100), axis=(1, 2))[:, :200, :250])


def test_reads_outside_the_file_are_refused(tmp_path, fields):
    trajectory = Trajectory(write(tmp_path / "a.h5", fields))
    part = {"y": 0, "x": 0, "height": 4, "width": 4}
    with pytest.raises(FlexbenchError, match="asked for snapshots 5 to 7; allowed: 0 to 6"):
        trajectory.read(5, count=3, stride=1, **part)
    with pytest.raises(FlexbenchError, match="asked for snapshots -1"):
        trajectory.read(-1, count=1, stride=1, **part)
    with pytest.raises(FlexbenchError, match="asked for 25 x 4 points; allowed: up to 24 x 24"):
        trajectory.read(0, count=1, stride=1, **(part | {"height": 25}))


def test_survives_pickling_and_forks(tmp_path, fields):
    trajectory = Trajectory(write(tmp_path / "a.h5", fields))
    trajectory.snapshot(0)  # opened here: the handle must not be used elsewhere
    copy = pickle.loads(pickle.dumps(trajectory))  # noqa: S301  (our own bytes)
    np.testing.assert_array_equal(copy.snapshot(3), fields[3])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map(trajectory.snapshot, range(len(fields)))
    np.testing.assert_array_equal(np.stack(found), fields)
    np.testing.assert_array_equal(trajectory.snapshot(6), fields[6])
    trajectory.close()
    np.testing.assert_array_equal(trajectory.snapshot(6), fields[6])


def test_uneven_times_have_no_interval(tmp_path, fields):
    trajectory = Trajectory(write(tmp_path / "a.h5", fields, time=TIME**2))
    with pytest.raises(FlexbenchError, match="unevenly spaced"):
        _ = trajectory.interval


def test_unreadable_files_are_told_in_one_line(tmp_path, fields):
    whole = write(tmp_path / "a.h5", fields).read_bytes()
    cases = {"truncated": whole[: len(whole) // 2], "not a readable HDF5 file": b"text" * 99}
    for says, content in cases.items():
        path = tmp_path / "b.h5"
        path.write_bytes(content)
        with pytest.raises(FlexbenchError, match=says) as caught:
            Trajectory(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(FlexbenchError, match="no such trajectory file"):
        Trajectory(tmp_path / "c.h5")
