"""Patches and windows against plain NumPy rolls of the same fields."""

import h5py
import numpy as np
import pytest
import torch

from flexbench.config.tasks.base import window_stride
from flexbench.data.dummy import dummy_snapshots, write_dummy
from flexbench.data.patches import PatchSampler, full_windows
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError

GRID = 16
TIMES = np.arange(6) * 0.1
RUNS = ((100.0, 0), (200.0, 1))


@pytest.fixture
def paths(tmp_path):
    made = []
    for reynolds, seed in RUNS:
        made.append(tmp_path / f"re{reynolds:g}_seed{seed}.h5")
        write_dummy(made[-1], grid=GRID, times=TIMES, reynolds=reynolds, seed=seed)
    return made


def sampler(paths, **changes):
    options = {"window": 3, "stride": 1, "patch": 8, "halo": 2, "seed": 5}
    return PatchSampler(paths, **(options | changes))


def expected(place, *, window, stride, patch, halo):
    """The patch by rolling and tiling the analytic fields."""
    reynolds, seed = RUNS[place.trajectory]
    options = {"grid": GRID, "times": TIMES, "reynolds": reynolds, "seed": seed}
    fields = np.stack(list(dummy_snapshots(**options)))
    span = fields[place.first : place.first + (window - 1) * stride + 1 : stride]
    wide = np.tile(np.roll(span, (halo - place.y, halo - place.x), axis=(1, 2)), (1, 6, 6))
    return wide[:, : patch + 2 * halo, : patch + 2 * halo]


@pytest.mark.parametrize("memory_bytes", [0, 1 << 20])
@pytest.mark.parametrize(
    ("window", "stride", "patch", "halo"),
    [(1, 1, 8, 0), (3, 2, 4, 2), (1, 1, 16, 8), (2, 3, 16, 0), (1, 1, 16, 32)],
)
def test_patches_are_what_they_say(paths, memory_bytes, window, stride, patch, halo):
    shape = {"window": window, "stride": stride, "patch": patch, "halo": halo}
    source = sampler(paths, memory_bytes=memory_bytes, **shape)
    drawn = source.draw(range(20))
    assert drawn.patch is None
    assert drawn.fields.dtype == drawn.reynolds.dtype == torch.float32
    for index in range(20):
        place = source.place(index)
        np.testing.assert_array_equal(drawn.fields[index].numpy(), expected(place, **shape))
        assert drawn.reynolds[index] == RUNS[place.trajectory][0]


def test_a_patch_depends_on_its_number_alone(paths):
    whole = sampler(paths).draw(range(12))
    again = sampler(paths, memory_bytes=0).draw([11, 3, 3, 0])
    assert torch.equal(again.fields, whole.fields[[11, 3, 3, 0]])
    assert torch.equal(again.reynolds, whole.reynolds[[11, 3, 3, 0]])


@pytest.mark.parametrize("change", [{"seed": 6}, {"stream": "validation"}])
def test_other_streams_are_other_patches(paths, change):
    one, other = sampler(paths), sampler(paths, **change)
    assert [one.place(i) for i in range(9)] != [other.place(i) for i in range(9)]


def test_all_places_are_equally_likely(paths):
    source = sampler(paths, window=3, stride=2)  # 2 first snapshots in each of 2 files
    count = 8000
    places = [source.place(i) for i in range(count)]
    for values, bins in (
        ([2 * p.trajectory + p.first for p in places], 4),
        ([p.y for p in places], GRID),
        ([p.x for p in places], GRID),
        ([(p.y // 4) * 4 + p.x // 4 for p in places], 16),
    ):
        found = np.bincount(values, minlength=bins)
        assert len(found) == bins
        chi_square = ((found - count / bins) ** 2 / (count / bins)).sum()
        assert chi_square < 45  # 15 degrees of freedom: exceeded once in ten thousand


def test_without_halo_limit_the_domain_is_rolled_to_the_patch(paths):
    source = sampler(paths, halo=None, window=1)
    drawn = source.draw([4])
    assert drawn.patch == 8
    assert drawn.fields.shape == (1, 1, GRID, GRID)
    place = source.place(4)
    whole = expected(place, window=1, stride=1, patch=GRID, halo=0)
    np.testing.assert_array_equal(drawn.fields[0].numpy(), whole)


@pytest.mark.parametrize("halo", [0, 3, 20, None])
def test_full_windows_end_at_their_target(paths, halo):
    with Trajectory(paths[1]) as trajectory:
        windows = full_windows(trajectory, 5, window=3, stride=2, halo=halo)
        pad = ((0, 0), (halo or 0,) * 2, (halo or 0,) * 2)
        wide = np.pad(trajectory.whole()[1:6:2], pad, mode="wrap")
    np.testing.assert_array_equal(windows.fields[0].numpy(), wide)
    assert windows.reynolds.tolist() == [200.0]
    assert windows.patch is None


def test_full_windows_stay_inside_the_file(paths):
    trajectory = Trajectory(paths[0])
    for index in (3, 6):
        with pytest.raises(FlexbenchError, match=f"snapshot {index}; allowed: 4 to 5"):
            full_windows(trajectory, index, window=3, stride=2, halo=0)


def test_misfits_are_refused(paths, tmp_path):
    with pytest.raises(FlexbenchError, match=r"patch 32 is larger than the field \(16\)"):
        sampler(paths, patch=32)
    with pytest.raises(FlexbenchError, match="6 snapshots; a window of 3 with stride 3 needs 7"):
        sampler(paths, stride=3)
    with pytest.raises(FlexbenchError, match="no trajectory files"):
        sampler([])
    write_dummy(tmp_path / "b.h5", grid=32, times=TIMES, reynolds=1, seed=0)
    with pytest.raises(FlexbenchError, match=r"b\.h5: grid 32; allowed: 16, as in .*re100"):
        sampler([*paths, tmp_path / "b.h5"])
    write_dummy(tmp_path / "c.h5", grid=16, times=TIMES**2, reynolds=1, seed=0)
    with pytest.raises(FlexbenchError, match=r"c\.h5: snapshots are unevenly spaced"):
        sampler([tmp_path / "c.h5"])
    assert sampler([tmp_path / "c.h5"], window=1).draw([0]).fields.shape == (1, 1, 12, 12)


@pytest.mark.parametrize("memory_bytes", [0, 1 << 20])
def test_a_value_that_is_not_finite_names_file_and_snapshot(paths, memory_bytes):
    with h5py.File(paths[1], "r+") as file:
        file["w"][4] = np.nan
    with pytest.raises(FlexbenchError, match=r"re200_seed1\.h5: snapshot 4 holds"):
        sampler(paths, memory_bytes=memory_bytes, window=2).draw(range(50))
    with pytest.raises(FlexbenchError, match=r"re200_seed1\.h5: snapshot 4 holds"):
        full_windows(Trajectory(paths[1]), 5, window=3, stride=1, halo=1)


def test_window_stride():
    assert window_stride(0.3, 0.1) == 3
    assert window_stride(0.1, 0.1) == 1
    for lead in (0.15, 0.05, 0.0501):
        with pytest.raises(FlexbenchError, match="is not a whole multiple of the interval"):
            window_stride(lead, 0.1)
