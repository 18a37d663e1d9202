"""Both tasks: from windows to examples and back, tiles, and what is refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from flexbench.config import ForecastSettings, SuperResolutionSettings
from flexbench.data.dummy import write_dummy
from flexbench.data.normaliser import Normaliser
from flexbench.data.patches import PatchSampler, full_windows
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError
from flexbench.spec import ProblemSpec
from flexbench.tasks import Example, make_task, untile

NORMALISER = Normaliser(field_std=5.0, residual_std=1.25)
GRID = 64
DEGRADATIONS = ("block_mean", "strided", "bicubic", "spectral")


def superres(**settings):
    return make_task(SuperResolutionSettings(**settings), normaliser=NORMALISER, interval=0.1)


def forecast(**settings):
    return make_task(ForecastSettings(**settings), normaliser=NORMALISER, interval=0.1)


ALL = {
    f"{degradation}-x{factor}": (superres, {"factor": factor, "degradation": degradation})
    for degradation in DEGRADATIONS
    for factor in (2, 4, 8, 16)
} | {
    "spectral-up": (superres, {"upsampling": "spectral"}),
    "official": (superres, {"degradation": "strided", "alignment": "official"}),
    "forecast": (forecast, {"lead": 0.2}),
}


@pytest.fixture(params=ALL)
def task(request):
    make, settings = ALL[request.param]
    return make(patch=32, **settings)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "re800_seed0.h5"
    write_dummy(path, grid=GRID, times=np.arange(6) * 0.1, reynolds=800, seed=0)
    return path


def whole(task, path, index=5):
    with Trajectory(path) as trajectory:
        windows = full_windows(
            trajectory, index, window=task.window, stride=task.stride, halo=task.halo
        )
    return task.example(windows)


def test_round_trip_and_shapes(task, path):
    example = whole(task, path)
    truth = torch.from_numpy(Trajectory(path).snapshot(5))[None, None]
    assert torch.equal(example.truth, truth)
    assert example.condition.shape == (1, task.spec.condition_channels, GRID, GRID)
    assert example.residual.shape == example.base.shape == (1, task.spec.field_channels, GRID, GRID)
    assert example.re.tolist() == [[pytest.approx(800 / 40_000)]]
    scale = example.truth.abs().max()
    back = task.reconstruct(example.residual, example.base)
    assert (back - truth).abs().max() < 1e-6 * scale
    members = example.residual[:, None] + torch.tensor([0.0, 1.0]).view(1, 2, 1, 1, 1)
    fields = task.reconstruct(members, example.base)
    assert fields.shape == (1, 2, 1, GRID, GRID)
    assert (fields[:, 0] - truth).abs().max() < 1e-6 * scale
    assert (fields[:, 1] - truth - 1.25).abs().max() < 1e-6 * scale


def test_drawn_patches_are_cut_from_the_whole_domain(task, path):
    """Patches from a sampler against the whole-domain example of the rolled field."""
    source = PatchSampler(
        [path], window=task.window, stride=task.stride, patch=32, halo=task.halo, seed=0
    )
    drawn = task.example(source.draw(range(6)))
    assert drawn.truth.shape == (6, 1, 32, 32)
    fields = torch.from_numpy(Trajectory(path).whole())
    for index in range(6):
        place = source.place(index)
        last = place.first + (task.window - 1) * task.stride
        window = fields[None, place.first : last + 1 : task.stride]
        rolled = window.roll((-place.y, -place.x), (-2, -1))
        padded = F.pad(rolled, (task.halo or 0,) * 4, mode="circular")
        expected = task.prepare(padded, torch.tensor([800.0])).corner(32)
        for name in ("condition", "re", "residual", "base", "truth", "inputs"):
            torch.testing.assert_close(
                getattr(drawn, name)[index : index + 1], getattr(expected, name), atol=1e-5, rtol=0
            )


def test_superres_condition_is_the_interpolated_inputs(path):
    example = whole(superres(factor=4, degradation="block_mean"), path)
    truth = torch.from_numpy(Trajectory(path).snapshot(5))[None, None]
    torch.testing.assert_close(example.inputs, F.avg_pool2d(truth, 4))
    torch.testing.assert_close(example.condition * 5.0, example.base)
    torch.testing.assert_close(example.residual * 1.25, truth - example.base)
    spec = superres(factor=4, patch=32).spec
    assert spec == ProblemSpec(task="superres", condition_channels=1, patch=32)


def test_forecast_knows_the_past_only(path):
    task = forecast(lead=0.2, patch=32)
    assert (task.window, task.stride, task.halo, task.kind) == (3, 2, 0, "forecast")
    assert task.spec == ProblemSpec(task="forecast", condition_channels=2, patch=32)
    example = whole(task, path)
    fields = torch.from_numpy(Trajectory(path).whole())
    assert torch.equal(example.inputs, fields[None, [1, 3]])
    torch.testing.assert_close(example.condition, fields[None, [1, 3]] / 5.0)
    assert torch.equal(example.base, fields[None, [3]])
    torch.testing.assert_close(example.residual, (fields[None, [5]] - fields[None, [3]]) / 1.25)


def test_tiles_and_back(task, path):
    fields = torch.from_numpy(Trajectory(path).whole())
    halo = task.halo or 0
    two = torch.stack([fields[: task.window], fields[-task.window :]])
    example = task.prepare(F.pad(two, (halo,) * 4, mode="circular"), torch.tensor([800.0, 400.0]))
    tiles = example.tile(32)
    assert tiles.condition.shape == (8, task.spec.condition_channels, 32, 32)
    assert torch.equal(tiles.truth[1], example.truth[0, :, :32, 32:])
    assert torch.equal(tiles.truth[4 + 2], example.truth[1, :, 32:, :32])
    assert tiles.re.flatten().tolist() == pytest.approx([0.02] * 4 + [0.01] * 4)
    for name in ("condition", "residual", "base", "truth", "inputs"):
        assert torch.equal(untile(getattr(tiles, name), rows=2, columns=2), getattr(example, name))


def test_untile_keeps_members_apart():
    fields = torch.arange(2 * 3 * 1 * 8 * 12.0).view(2, 3, 1, 8, 12)
    cut = [fields[b, :, :, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4]
           for b in range(2) for r in range(2) for c in range(3)]  # fmt: skip
    assert torch.equal(untile(torch.stack(cut), rows=2, columns=3), fields)
    with pytest.raises(FlexbenchError, match="12 tiles do not make up fields of 5 x 1 tiles"):
        untile(torch.stack(cut), rows=5, columns=1)


def test_to_moves_every_tensor(path):
    moved = whole(forecast(), path).to("meta")
    assert isinstance(moved, Example)
    assert {tensor.device.type for tensor in vars(moved).values()} == {"meta"}


def test_misfits_are_refused(path):
    with pytest.raises(FlexbenchError, match=r"lead 0\.25 is not a whole multiple"):
        forecast(lead=0.25)
    with pytest.raises(ValidationError, match="alignment: 'official'"):
        superres(degradation="spectral", alignment="official")
    with pytest.raises(FlexbenchError, match=r"fields of shape \(1, 2, 8, 8\); allowed: \(B, 3"):
        forecast().prepare(torch.zeros(1, 2, 8, 8), torch.ones(1))
    with pytest.raises(FlexbenchError, match=r"allowed: \(B, 1, H \+ 32, W \+ 32\)"):
        superres(factor=8).prepare(torch.zeros(1, 1, 16, 16), torch.ones(1))
    example = whole(superres(factor=8), path)
    for patch in (24, 4, 128):
        with pytest.raises(FlexbenchError, match=f"patch {patch} does not fit a field of 64 x 64"):
            example.tile(patch)
