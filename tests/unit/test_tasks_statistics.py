"""Statistics against NumPy over all fields at once."""

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flexbench.config import ForecastSettings, SuperResolutionSettings
from flexbench.data.dummy import write_dummy
from flexbench.data.normaliser import Normaliser
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError
from flexbench.tasks.statistics import compute_statistics

TIMES = 0.5 + np.arange(9) * 0.1


@pytest.fixture
def paths(tmp_path):
    made = []
    for reynolds, seed in ((20, 0), (20, 1), (500, 0)):
        made.append(tmp_path / f"re{reynolds}_seed{seed}.h5")
        write_dummy(made[-1], grid=32, times=TIMES, reynolds=reynolds, seed=seed)
    return made


def fields(paths):
    return np.stack([Trajectory(path).whole() for path in paths]).astype(np.float64)


def test_superres_statistics(paths):
    found = compute_statistics(
        SuperResolutionSettings(factor=4, degradation="strided", upsampling="bilinear"), paths
    )
    truth = fields(paths)
    # Bilinear by torch: corners aligned once the periodic neighbour is appended.
    low = F.pad(torch.from_numpy(truth[..., ::4, ::4]), (0, 1, 0, 1), mode="circular")
    up = F.interpolate(low, size=33, mode="bilinear", align_corners=True)[..., :-1, :-1].numpy()
    assert found["field_std"] == pytest.approx(truth.std(), rel=1e-6)
    assert found["residual_std"] == pytest.approx((truth - up).std(), rel=1e-5)
    assert found["by_reynolds"]["20"]["field_std"] == pytest.approx(truth[:2].std(), rel=1e-6)
    assert found["by_reynolds"]["500"]["measured_residual_std"] == pytest.approx(
        (truth - up)[2].std(), rel=1e-5
    )
    assert found["snapshots"] == 27
    assert found["trajectories"] == ["re20_seed0", "re20_seed1", "re500_seed0"]


def test_forecast_statistics_are_over_the_lead(paths):
    found = compute_statistics(ForecastSettings(lead=0.2), paths)
    truth = fields(paths)
    assert found["field_std"] == pytest.approx(truth[:, 4:].std(), rel=1e-6)
    residual = truth[:, 4:] - truth[:, 2:-2]
    assert found["residual_std"] == pytest.approx(residual.std(), rel=1e-6)
    assert found["residual_to_field"] == pytest.approx(residual.std() / truth[:, 4:].std())


def test_few_snapshots_are_spread_over_the_file(paths):
    found = compute_statistics(SuperResolutionSettings(), paths[:1], snapshots=3)
    assert found["snapshots"] == 3
    assert found["field_std"] == pytest.approx(fields(paths[:1])[:, [0, 4, 8]].std(), rel=1e-6)


def test_official_normalisation_scales_the_residual_like_the_field(paths):
    own = compute_statistics(SuperResolutionSettings(), paths)
    official = compute_statistics(SuperResolutionSettings(normalisation="official"), paths)
    assert official["residual_std"] == official["field_std"] == own["field_std"]
    assert official["measured_residual_std"] == own["residual_std"]
    assert own["residual_std"] < 0.6 * own["field_std"]


def test_means_are_reported(tmp_path, paths):
    with h5py.File(paths[0], "r+") as file:
        file["w"][()] = file["w"][()] + 100
    found = compute_statistics(SuperResolutionSettings(), paths[:1])
    truth = fields(paths[:1])
    assert found["field_mean"] == pytest.approx(truth.mean(), rel=1e-6)
    assert found["field_std"] == pytest.approx(truth.std(), rel=1e-5)
    assert found["residual_mean"] == pytest.approx(0, abs=1e-4)


def test_misfits_are_refused(paths):
    with pytest.raises(FlexbenchError, match="no training files"):
        compute_statistics(SuperResolutionSettings(), [])
    with pytest.raises(FlexbenchError, match=r"lead 0\.15 is not a whole multiple"):
        compute_statistics(ForecastSettings(lead=0.15), paths)
    with pytest.raises(FlexbenchError, match="9 snapshots; a window of 3 with stride 5 needs 11"):
        compute_statistics(ForecastSettings(lead=0.5), paths)
    with h5py.File(paths[2], "r+") as file:
        file["w"][8, 3, 3] = np.inf
    with pytest.raises(FlexbenchError, match=r"re500_seed0\.h5: snapshot 8 holds a value"):
        compute_statistics(SuperResolutionSettings(), paths)
    with h5py.File(paths[1], "r+") as file:
        file["w"][()] = np.zeros((9, 32, 32))
    with pytest.raises(FlexbenchError, match=r"field_std is 0\.0"):
        compute_statistics(SuperResolutionSettings(), paths[1:2])


def test_normaliser_comes_from_statistics(paths):
    found = compute_statistics(SuperResolutionSettings(), paths)
    assert Normaliser.of(found) == Normaliser(found["field_std"], found["residual_std"])
    with pytest.raises(FlexbenchError, match="key 'residual_std' is missing"):
        Normaliser.of({"field_std": 1.0})
    with pytest.raises(FlexbenchError, match="residual_std is nan"):
        Normaliser(1.0, float("nan"))
