"""Leaks between splits."""

import shutil

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flexbench.data.dummy import write_dummy
from flexbench.data.splits import check_leaks
from flexbench.data.store import Trajectory, write_trajectory
from flexbench.errors import FlexbenchError


def make(path, *, seed, start=0.5, reynolds=500):
    write_dummy(path, grid=16, times=start + np.arange(3) * 0.1, reynolds=reynolds, seed=seed)
    return path


def test_separate_runs_pass(tmp_path):
    one, two = make(tmp_path / "a.h5", seed=0), make(tmp_path / "b.h5", seed=1)
    three = make(tmp_path / "c.h5", seed=0, reynolds=600)
    check_leaks({"train": [one, one], "validation": [two], "test": [three]})


@pytest.mark.parametrize("start", [0.6, 7.0])
def test_one_run_in_two_splits_is_a_leak(tmp_path, start):
    one, other = make(tmp_path / "a.h5", seed=0), make(tmp_path / "b.h5", seed=0, start=start)
    with pytest.raises(FlexbenchError, match="leak between train and test") as caught:
        check_leaks({"train": [one], "test": [other]})
    for part in (str(one), str(other), "Re 500, seed 0", "times 0.5 to 0.7", f"and {start:g} to"):
        assert part in str(caught.value)


def test_one_initial_field_under_two_reynolds_numbers_is_a_leak(tmp_path):
    one = make(tmp_path / "a.h5", seed=0, start=0.0)
    other = make(tmp_path / "b.h5", seed=0, start=0.0, reynolds=600)
    with pytest.raises(FlexbenchError, match=r"the same snapshot \(numbers 0 and 0\)"):
        check_leaks({"train": [one], "test": [other]})


def test_a_copy_under_another_seed_is_a_leak(tmp_path):
    one, other = make(tmp_path / "a.h5", seed=0), tmp_path / "b.h5"
    shutil.copy(one, other)
    with h5py.File(other, "r+") as file:
        file.attrs["seed"] = 9
    with pytest.raises(FlexbenchError, match=r"a\.h5 and .*b\.h5 hold the same snapshot"):
        check_leaks({"train": [one], "validation": [], "test": [other]})


def test_an_evaluation_may_share_the_test_runs_but_not_the_learnt_ones(tmp_path):
    learnt, test = make(tmp_path / "a.h5", seed=0), make(tmp_path / "b.h5", seed=1)
    splits = {"train": [learnt], "test": [test]}
    check_leaks(splits | {"walls": [test]})
    with pytest.raises(FlexbenchError, match="leak between train and walls"):
        check_leaks(splits | {"walls": [learnt]})


def store(path, fields, *, seed=42, first=100.0):
    """A file of these fields (T, N, N)."""
    fields = np.asarray(fields, dtype=np.float32)
    write_trajectory(
        path,
        iter(fields),
        time=first + np.arange(len(fields)),
        grid=fields.shape[-1],
        reynolds=777.0,
        seed=seed,
        attributes={},
    )
    return path


def restored(source, path, *, first, chunks=None, alter=lambda fields: fields):
    """The snapshots of a file from `first` on, stored anew under other labels."""
    with Trajectory(source) as trajectory:
        fields = alter(trajectory.whole()[first:])
    store(path, fields)
    if chunks:
        with h5py.File(path, "r+") as file:
            del file["w"]
            file.create_dataset("w", data=fields, chunks=chunks, compression="gzip", shuffle=True)
    return path


@pytest.mark.parametrize("chunks", [None, (1, 3, 5)])
@pytest.mark.parametrize("first", [0, 2])
def test_a_copy_stored_anew_is_a_leak(tmp_path, chunks, first):
    one = make(tmp_path / "a.h5", seed=0)
    other = restored(one, tmp_path / "b.h5", first=first, chunks=chunks)
    for splits in ({"train": [one], "test": [other]}, {"test": [other], "validation": [one]}):
        with pytest.raises(FlexbenchError, match="hold the same snapshot") as caught:
            check_leaks(splits)
        assert str(one) in str(caught.value)
        assert str(other) in str(caught.value)


ALTERED = {
    "mirrored": lambda w: -w[:, ::-1],
    "turned": lambda w: w.transpose(0, 2, 1),
    "moved": lambda w: np.roll(w, (5, -3), axis=(1, 2)),
    "all three": lambda w: np.roll(w.transpose(0, 2, 1)[:, :, ::-1], 7, axis=1),
    "other units": lambda w: w * np.float32(0.01),
    "Kelvin": lambda w: w + np.float32(273.15),
    "other sign and units": lambda w: 3 - 7 * w,
}


@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize("name", ALTERED)
def test_a_copy_that_is_altered_as_a_whole_is_a_leak(tmp_path, name, first):
    one = make(tmp_path / "a.h5", seed=0)
    other = restored(one, tmp_path / "b.h5", first=first, alter=ALTERED[name])
    what = "the same values, mirrored, turned or moved"
    if name in ("other units", "Kelvin", "other sign and units"):
        what = "the same snapshot in other units or rounded"
    for splits in ({"train": [one], "test": [other]}, {"test": [other], "validation": [one]}):
        with pytest.raises(FlexbenchError, match=rf"hold {what} \(numbers") as caught:
            check_leaks(splits)
        assert str(one) in str(caught.value)
        assert str(other) in str(caught.value)


def packed(fields, *, step):
    """As integers of 16 bits with scale_factor and add_offset hold it, and are read again."""
    middle = (fields.min() + fields.max()) / 2
    return np.round((fields - middle) / step).astype(np.int16) * step + middle


def test_a_moment_of_a_run_has_its_own_neighbours(tmp_path):
    """Sources that follow, or fall between, each other in a slow flow are no copies."""
    slow = tmp_path / "slow.h5"
    write_dummy(slow, grid=32, times=np.arange(40) * 1e-3, reynolds=500, seed=0)
    with Trajectory(slow) as trajectory:
        fields = trajectory.whole()
    closeness = np.corrcoef(fields[19].ravel(), fields[22].ravel())[0, 1]
    assert 0.99995 < closeness < 1
    one, other = tmp_path / "a.h5", tmp_path / "b.h5"
    for early, late in ((fields[:20], fields[22:]), (fields[::2], fields[1::2])):
        store(one, early, seed=1)
        store(other, late, seed=2)
        check_leaks({"train": [one], "test": [other]})
    store(one, fields[:20], first=0)
    store(other, fields[22:], first=22)
    check_leaks({"train": [one], "test": [other]}, gap=2)
    store(other, fields[10:].astype(np.float16), seed=2)
    with pytest.raises(FlexbenchError, match="in other units or rounded"):
        check_leaks({"train": [one], "test": [other]})


ROUNDED = {
    "float16": lambda w: w.astype(np.float16),
    "float16 of other sign and units": lambda w: (-0.01 * w).astype(np.float16),
    "packed by 0.001": lambda w: packed(w, step=0.001),
    "packed by its range, Kelvin": lambda w: 273.15 + packed(w, step=np.ptp(w) / 65534),
    "Kelvin": lambda w: w + np.float32(273.15),
}


@pytest.mark.parametrize("grid", [24, 128])
@pytest.mark.parametrize("name", ROUNDED)
def test_a_rounded_copy_of_one_snapshot_among_others_is_a_leak(tmp_path, name, grid):
    one, other = tmp_path / "a.h5", tmp_path / "b.h5"
    times = 0.5 + np.arange(6) * 0.1
    write_dummy(one, grid=grid, times=times, reynolds=500, seed=0)
    write_dummy(other, grid=grid, times=times, reynolds=500, seed=1)
    with Trajectory(one) as copied, Trajectory(other) as trajectory:
        fields = trajectory.whole()
        check_leaks({"train": [one], "test": [other]})
        fields[4] = copied.snapshot(2)
    store(other, ROUNDED[name](fields))
    told = r"a\.h5 and .*b\.h5 hold the same snapshot in other units or rounded \(numbers 2 and 4\)"
    with pytest.raises(FlexbenchError, match=told):
        check_leaks({"train": [one], "test": [other]})


def test_one_still_scene_under_other_noise_is_no_copy(tmp_path):
    noise = np.random.default_rng(0).standard_normal((2, 5, 32, 32))
    fields = waves(0, size=32) + 0.01 * noise
    paths = [store(tmp_path / f"{seed}.h5", w, seed=seed) for seed, w in enumerate(fields)]
    check_leaks({"train": paths[:1], "test": paths[1:]})


def test_nearly_the_same_history_is_no_copy(tmp_path):
    """One initial field, a little later, at two Reynolds numbers."""
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path, reynolds in zip(paths, (500, 510), strict=True):
        write_dummy(path, grid=64, times=[0.5, 1.0], reynolds=reynolds, seed=0)
    check_leaks({"train": paths[:1], "test": paths[1:]})


def test_different_seeds_are_no_copies(tmp_path):
    paths = []
    for seed in range(4):
        paths.append(tmp_path / f"{seed}.h5")
        write_dummy(paths[-1], grid=32, times=np.arange(100) * 0.3, reynolds=500, seed=seed)
    check_leaks({"train": paths[:2], "validation": paths[2:3], "test": paths[3:]})


def waves(*phases, size=16):
    """Fields whose middle row is the same, and rises evenly."""
    y, x = np.mgrid[:size, :size]
    return np.stack([x + np.sin(y + phase) * (y != size // 2) for phase in phases])


TWO_LEVELS = np.zeros((1, 16, 16)), np.zeros((1, 16, 16))
TWO_LEVELS[0][0, 2:5, 3:6] = TWO_LEVELS[1][0, 1, 2:11] = 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(waves(0, 1), waves(2, 3), id="rows that are the same"),
        pytest.param(*TWO_LEVELS, id="as many points of one level"),
        pytest.param(300 + 1e-5 * waves(0, 1), 300 + 1e-5 * waves(2, 3), id="rounding alone"),
        pytest.param(waves(0, 1), 3 * waves(2, 3), id="the same in other units"),
    ],
)
def test_what_looks_alike_and_is_not_is_no_copy(tmp_path, one, other):
    paths = [store(tmp_path / f"{seed}.h5", w, seed=seed) for seed, w in enumerate((one, other))]
    check_leaks({"train": paths[:1], "test": paths[1:]})


def test_a_flow_that_fades_is_no_copy_of_itself(tmp_path):
    """Of one run in two splits, a snapshot that is a multiple of another is another time."""
    fields = np.exp(-np.arange(8))[:, None, None] * waves(0)
    early, late = store(tmp_path / "a.h5", fields[:3]), tmp_path / "b.h5"
    store(late, fields[5:], first=105.0)
    check_leaks({"train": [early], "test": [late]}, gap=1.0)
    store(late, fields[5:], seed=7)
    with pytest.raises(FlexbenchError, match="in other units"):
        check_leaks({"train": [early], "test": [late]}, gap=1.0)


def test_fields_of_one_value_are_no_copies(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        fields = [np.zeros((16, 16), np.float32), np.full((16, 16), seed + 1.0, np.float32)]
        write_trajectory(
            tmp_path / f"{name}.h5",
            fields,
            time=np.arange(2.0),
            grid=16,
            reynolds=100.0,
            seed=seed,
            attributes={},
        )
    check_leaks({"train": [tmp_path / "a.h5"], "test": [tmp_path / "b.h5"]})


def test_where_the_probe_is_quiet_the_whole_field_counts(tmp_path):
    """Walls and coasts: a row of zeros is common to flows that differ elsewhere."""
    paths = []
    for seed in (0, 1, 0):
        field = np.zeros((16, 16), np.float32)
        field[:4] = np.random.default_rng(seed).standard_normal((4, 16))
        paths.append(tmp_path / f"{len(paths)}.h5")
        write_trajectory(
            paths[-1],
            [field],
            time=np.zeros(1),
            grid=16,
            reynolds=100.0,
            seed=len(paths),
            attributes={},
        )
    check_leaks({"train": paths[:1], "test": paths[1:2]})
    with pytest.raises(FlexbenchError, match="hold the same snapshot"):
        check_leaks({"train": paths[:1], "test": paths[2:]})


# One run of 40 snapshots, cut in two: leaks exactly where the windows touch, or lie too close.
@given(
    first=st.integers(0, 30),
    length=st.integers(1, 10),
    other=st.integers(0, 30),
    width=st.integers(1, 10),
    gap=st.integers(0, 6),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_windows_of_one_run_leak_where_they_lie_too_close(
    tmp_path, first, length, other, width, gap
):
    paths = []
    for name, start, count in (("a", first, length), ("b", other, width)):
        paths.append(tmp_path / f"{name}.h5")
        times = 0.1 * np.arange(start, start + count)
        write_dummy(paths[-1], grid=8, times=times, reynolds=500, seed=3)
    free = max(other - (first + length - 1), first - (other + width - 1))
    splits = {"train": paths[:1], "test": paths[1:]}
    if free >= max(gap, 1):
        check_leaks(splits, gap=gap * 0.1)
    else:
        with pytest.raises(FlexbenchError, match="apart, less than" if free > 0 else "overlapping"):
            check_leaks(splits, gap=gap * 0.1)
    with pytest.raises(FlexbenchError, match="leak between train and test"):
        check_leaks(splits)
