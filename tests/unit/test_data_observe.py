"""Velocities of a trajectory file against flows whose velocity is known."""

import subprocess
import sys

import numpy as np
import pytest

from flexbench.data.observe import open_trajectory
from flexbench.data.store import write_trajectory
from flexbench.errors import FlexbenchError

GRID = 32
TIME = np.array([0.0, 0.1, 0.2])
AMPLITUDES = (1.0, 2.0, 4.0)
Y, X = 2 * np.pi / GRID * np.mgrid[0:GRID, 0:GRID]
# psi = sin(2 x) cos(3 y) / 13 has lap psi = -13 psi, so that w = -lap psi = sin(2 x) cos(3 y).
VORTICITY = np.sin(2 * X) * np.cos(3 * Y)
VELOCITY = {
    "u": -3 / 13 * np.sin(2 * X) * np.sin(3 * Y),  # psi_y
    "v": -2 / 13 * np.cos(2 * X) * np.cos(3 * Y),  # -psi_x
}


def write(path, **parts):
    fields = [(a * VORTICITY).astype(np.float32) for a in AMPLITUDES]
    known = {"time": TIME, "grid": GRID, "reynolds": 500.0, "seed": 3, "attributes": {}}
    write_trajectory(path, fields, **(known | parts))
    return path


@pytest.mark.parametrize("component", ["u", "v"])
def test_a_velocity_is_that_of_the_stream_function(tmp_path, component):
    path = write(tmp_path / "a.h5")
    with open_trajectory(path, component) as trajectory:
        for index, amplitude in enumerate(AMPLITUDES):
            expected = amplitude * VELOCITY[component]
            np.testing.assert_allclose(trajectory.snapshot(index), expected, atol=1e-6)


@pytest.mark.parametrize("component", ["u", "v"])
def test_a_mean_flow_is_added(tmp_path, component):
    mean = np.array([[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]])
    mask = np.zeros((GRID, GRID), dtype=np.uint8)
    path = write(tmp_path / "a.h5", mean_flow=mean, mask=mask, boundary="no_slip")
    sign = {"u": 1, "v": -1}[component]
    with open_trajectory(path, component) as trajectory:
        found = trajectory.read(1, count=2, stride=1, y=0, x=0, height=GRID, width=GRID)
    expected = np.stack([a * VELOCITY[component] + sign * (k + 2) for k, a in enumerate((2, 4))])
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_a_rectangle_wraps_and_strides_as_that_of_the_vorticity_does(tmp_path):
    path = write(tmp_path / "a.h5")
    place = {"count": 2, "stride": 2, "y": -5, "x": GRID - 3, "height": 9, "width": 7}
    with open_trajectory(path, "u") as trajectory:
        found = trajectory.read(0, **place)
    rows, columns = np.arange(-5, 4) % GRID, np.arange(GRID - 3, GRID + 4) % GRID
    whole = VELOCITY["u"][np.ix_(rows, columns)]
    np.testing.assert_allclose(found, np.stack([whole, 4 * whole]), atol=1e-6)


def test_vorticity_is_the_file_itself(tmp_path):
    path = write(tmp_path / "a.h5")
    with open_trajectory(path) as trajectory:
        np.testing.assert_array_equal(trajectory.snapshot(0), VORTICITY.astype(np.float32))


def test_a_domain_that_is_not_periodic_has_no_velocity(tmp_path):
    path = write(tmp_path / "a.h5", attributes={"periodic": 0})
    with pytest.raises(FlexbenchError, match=r"a\.h5: not periodic, .* velocity u; allowed: w"):
        open_trajectory(path, "u")


def test_scoring_does_not_wait_for_torch():
    code = "import sys, flexbench.steps.score as _; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
