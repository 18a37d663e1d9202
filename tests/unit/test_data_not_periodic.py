"""Fields that are not periodic: nothing ever comes from beyond the domain's edges."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flexbench.config import ForecastSettings, SuperResolutionSettings
from flexbench.data.check import check_trajectory
from flexbench.data.degrade import Degradation
from flexbench.data.normaliser import Normaliser
from flexbench.data.patches import PatchSampler, full_windows
from flexbench.data.store import Trajectory, write_trajectory
from flexbench.errors import FlexbenchError
from flexbench.metrics import spectral
from flexbench.metrics.snapshot_scores import score_snapshot
from flexbench.tasks import make_task
from flexbench.tasks.statistics import compute_statistics

GRID = 48
LOCAL = [
    (degradation, upsampling)
    for degradation in ("strided", "block_mean", "bicubic")
    for upsampling in ("bilinear", "bicubic")
]


def write(path, fields, *, periodic=0, seed=0):
    write_trajectory(
        path,
        iter(np.asarray(fields, dtype=np.float32)),
        time=0.1 * np.arange(len(fields)),
        grid=fields.shape[-1],
        reynolds=100.0,
        seed=seed,
        attributes={"periodic": periodic},
    )
    return path


@pytest.fixture
def file(tmp_path):
    """Every point of every snapshot has a value of its own."""
    fields = np.random.default_rng(3).permutation(6 * GRID**2).reshape(6, GRID, GRID)
    return write(tmp_path / "a.h5", fields)


def superres(**changes):
    settings = SuperResolutionSettings(**({"factor": 4, "patch": 16} | changes))
    return make_task(settings, normaliser=Normaliser(1.0, 1.0), interval=0.1, periodic=False)


def sampler(path, task, *, patch=16, **changes):
    shape = {"window": task.window, "stride": task.stride, "halo": task.halo, "align": task.align}
    return PatchSampler([path], patch=patch, seed=1, **(shape | changes))


def test_the_file_says_so(file, tmp_path):
    assert check_trajectory(file) == []
    assert not Trajectory(file).periodic
    assert Trajectory(write(tmp_path / "b.h5", np.zeros((1, 8, 8)), periodic=1)).periodic
    with pytest.raises(FlexbenchError, match=r"attribute 'periodic' is 2; allowed: 0, 1"):
        write(tmp_path / "c.h5", np.zeros((1, 8, 8)), periodic=2)


@pytest.mark.parametrize(("y", "x"), [(-1, 0), (0, 33), (47, 0)])
def test_reading_never_wraps(file, y, x):
    with pytest.raises(FlexbenchError, match="as the field is not periodic"):
        Trajectory(file).read(0, count=1, stride=1, y=y, x=x, height=16, width=16)


@pytest.mark.parametrize("memory", [0, 1 << 30])
@pytest.mark.parametrize(("degradation", "upsampling"), LOCAL)
def test_patches_are_cut_out_of_the_whole_domains_example(file, degradation, upsampling, memory):
    """Also at the edges and corners, bit by bit: every place is drawn."""
    task = superres(degradation=degradation, upsampling=upsampling)
    source = sampler(file, task, memory_bytes=memory)
    indices = list(range(1000))
    example = task.example(source.draw(indices))
    whole = [
        task.example(full_windows(Trajectory(file), index, window=1, stride=1, halo=task.halo))
        for index in range(6)
    ]
    seen = set()
    for row, index in enumerate(indices):
        place = source.place(index)
        y, x = place.y, place.x
        seen.add((y, x))
        expected = whole[place.first]
        for name in ("truth", "base", "condition", "residual"):
            full = getattr(expected, name)[0, :, y : y + 16, x : x + 16]
            assert torch.equal(getattr(example, name)[row], full), (name, y, x)
        low = expected.inputs[0, :, y // 4 : y // 4 + 4, x // 4 : x // 4 + 4]
        assert torch.equal(example.inputs[row], low)
    assert seen == {(y, x) for y in range(0, 33, 4) for x in range(0, 33, 4)}


def test_forecast_patches_lie_inside(file):
    settings = ForecastSettings(patch=40, lead=0.2)
    task = make_task(settings, normaliser=Normaliser(1.0, 1.0), interval=0.1, periodic=False)
    source = sampler(file, task, patch=40)
    places = {(place.y, place.x) for place in map(source.place, range(1500))}
    assert places == {(y, x) for y in range(9) for x in range(9)}
    fields = Trajectory(file).whole()
    for index, truth in enumerate(task.example(source.draw(range(40))).truth):
        p = source.place(index)
        expected = fields[p.first + 4, p.y : p.y + 40, p.x : p.x + 40]
        assert np.array_equal(truth[0].numpy(), expected)


@pytest.mark.parametrize("upsampling", ["bilinear", "bicubic"])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_interpolation_is_torchs_at_the_edges_too(upsampling, factor):
    """Half-pixel-centred interpolation with the edge's value beyond it is what torch does."""
    field = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    pair = Degradation(factor, "strided", upsampling, "official", periodic=False)
    expected = F.interpolate(
        pair.down(field), scale_factor=factor, mode=upsampling, align_corners=False
    )
    torch.testing.assert_close(pair.up(pair.down(field)), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("degradation", "upsampling"), LOCAL)
def test_what_lies_at_one_edge_never_shows_at_the_other(degradation, upsampling):
    pair = Degradation(4, degradation, upsampling, periodic=False)
    field = torch.zeros(1, 1, 32, 32)
    field[..., 0] = 1.0
    assert pair.up(pair.down(field))[..., 16:].abs().max() == 0
    wrapped = Degradation(4, degradation, upsampling)
    if degradation != "strided" or upsampling == "bicubic":
        assert wrapped.up(wrapped.down(field))[..., 16:].abs().max() > 0
    constant = torch.full((1, 1, 32, 32), 2.5)
    torch.testing.assert_close(pair.up(pair.down(constant)), constant)


def test_the_base_is_known_from_the_low_resolution_samples_alone(file):
    task = superres()
    example = task.example(full_windows(Trajectory(file), 2, window=1, stride=1, halo=task.halo))
    assert torch.equal(task.degradation.up(example.inputs), example.base)


@pytest.mark.parametrize("changes", [{"degradation": "spectral"}, {"upsampling": "spectral"}])
def test_spectral_operators_are_refused(file, changes):
    with pytest.raises(FlexbenchError, match="needs a periodic one"):
        superres(**changes)
    with pytest.raises(FlexbenchError, match="needs a periodic one"):
        compute_statistics(SuperResolutionSettings(**changes), [file])


def test_periodic_and_other_files_do_not_mix(file, tmp_path):
    other = write(tmp_path / "b.h5", np.ones((6, GRID, GRID)), periodic=1)
    with pytest.raises(FlexbenchError, match=r"b\.h5: the field is periodic; allowed: not"):
        PatchSampler([file, other], window=1, stride=1, patch=16, halo=0, seed=0)
    with pytest.raises(FlexbenchError, match="periodic = False; these have periodic = True"):
        superres().example(full_windows(Trajectory(other), 0, window=1, stride=1, halo=0))


def test_a_ramp_has_no_spectrum_of_its_own_jump():
    """A ramp jumps at the edge of a periodic domain, which fills all shells; under the window,
    what is left beyond the first few is round-off of the window's own fast decay."""
    y, x = np.meshgrid(np.arange(64.0), np.arange(64.0), indexing="ij")
    ramp = x + y
    high = spectral.Band(12, 32)
    loud = spectral.radial_spectrum(spectral.transform(ramp))
    quiet = spectral.radial_spectrum(spectral.transform(ramp, periodic=False))
    share = [high.of(one.power).sum() / np.var(ramp) for one in (loud, quiet)]
    assert share[0] > 1e-3
    assert share[1] < 1e-6


def test_the_window_keeps_the_mean_square_of_a_homogeneous_field():
    noise = np.random.default_rng(0).standard_normal((64, 256, 256)).mean(axis=0) + 7.0
    windowed = spectral.radial_spectrum(spectral.transform(noise, periodic=False))
    assert windowed.power.sum() == pytest.approx(np.var(noise), rel=0.02)


def test_scores_by_wavenumber_are_windowed(tmp_path):
    """A wrong mean and a wrong slope are errors of large scale, not of small ones."""
    y, x = np.meshgrid(np.arange(64.0), np.arange(64.0), indexing="ij")
    truth = np.sin(0.7 * x) + np.cos(0.9 * y)
    ensemble = (truth + 0.05 * x)[None]
    scored, _ = score_snapshot(ensemble, truth, bands=4, periodic=False)
    jumping, _ = score_snapshot(ensemble, truth, bands=4)
    band = "k=14-32"
    assert scored["skill", band] < 1e-3 * scored["skill", ""]
    assert jumping["skill", band] > 20 * scored["skill", band]
    assert scored["rfne_mean", ""] == jumping["rfne_mean", ""]
    of_flows = {"enstrophy_error", "energy_error"}
    assert of_flows & {name for name, _ in jumping} == of_flows
    assert not of_flows & {name for name, _ in scored}
