"""Trajectory files: what they hold, and the same bytes after kill -9."""

import json
import logging
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from flexbench.config import SolverSettings
from flexbench.data import generate
from flexbench.data.check import check_trajectory
from flexbench.data.generate import generate_trajectory
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError
from flexbench.solver.simulate import Simulation
from flexbench.solver.times import snapshot_times

SMALL = SolverSettings(grid=64, peak_wavenumber=5, t_start=0.2, t_end=0.5, interval=0.1)

WORKER = """
import json, sys
from pathlib import Path
from flexbench.config import SolverSettings
from flexbench.data.generate import generate_trajectory
settings, path, state = sys.argv[1:]
summary = generate_trajectory(
    SolverSettings.model_validate_json(settings), reynolds=300, seed=4, path=Path(path),
    state_dir=Path(state), attributes={"code_digest": "0"},
)
print(json.dumps(summary))
"""


def generate_small(folder, settings=SMALL, *, name="a.h5", seed=0, **options):
    return generate_trajectory(
        settings,
        reynolds=200,
        seed=seed,
        path=folder / name,
        state_dir=folder / "state",
        **options,
    )


def worker(settings, folder, name):
    """The command of a process that generates `name`, with its state below `folder`."""
    arguments = [settings.model_dump_json(), str(folder / name), str(folder / f"{name}.state")]
    return [sys.executable, "-c", WORKER, *arguments]


def test_file_holds_the_run(tmp_path):
    summary = generate_small(tmp_path, attributes={"code_digest": "abc"})
    simulation = Simulation(SMALL, reynolds=200, seed=0)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["w"].shape == (4, 64, 64)
        assert np.array_equal(file["time"][()], snapshot_times(SMALL))
        for index, moment in enumerate(file["time"]):
            simulation.advance_to(float(moment))
            assert np.array_equal(file["w"][index], simulation.vorticity().numpy())
        assert file.attrs["reynolds"] == 200
        assert file.attrs["code_digest"] == "abc"
        assert "2/3" in file.attrs["scheme"]
    assert summary["steps"] == simulation.steps
    assert summary["energy"][1] == pytest.approx(simulation.measure()["energy"])
    assert summary["energy"][0] > summary["energy"][1]
    json.dumps(summary, allow_nan=False)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("boundary", ["free_slip", "no_slip"])
def test_file_of_a_channel(tmp_path, boundary):
    summary = generate_small(tmp_path, boundary=boundary)
    simulation = Simulation(SMALL, reynolds=200, seed=0, boundary=boundary)
    assert check_trajectory(tmp_path / "a.h5") == []
    with Trajectory(tmp_path / "a.h5") as trajectory:
        assert trajectory.boundary == boundary
        np.testing.assert_array_equal(trajectory.mask, simulation.equation.mask)
        for index, moment in enumerate(trajectory.time):
            simulation.advance_to(float(moment))
            measures = simulation.measure()
            mean = [measures["mean_u"], measures["mean_v"]]
            assert trajectory.mean_flow[index].tolist() == mean
            assert np.array_equal(trajectory.snapshot(index), simulation.vorticity().numpy())
        assert trajectory.attributes["k_max_eta"] == summary["k_max_eta"]
    layer = SMALL.grid / (2 * np.pi) * np.sqrt(0.1 * 2 * np.pi / SMALL.grid / 200)
    assert summary.get("layer_points") == (pytest.approx(layer) if boundary == "no_slip" else None)
    whole = (tmp_path / "a.h5").read_bytes()
    eager = SMALL.model_copy(update={"checkpoint_seconds": 1e-9})
    generate_small(tmp_path, eager, name="b.h5", boundary=boundary)
    assert (tmp_path / "b.h5").read_bytes() == whole


def test_state_of_another_boundary_is_discarded(tmp_path, monkeypatch, caplog):
    interrupt(monkeypatch, tmp_path)
    assert generate_small(tmp_path, boundary="free_slip")["resumed_at_step"] == 0
    assert "discarded" in caplog.text


def test_a_grid_too_coarse_is_told(tmp_path, caplog):
    assert generate_small(tmp_path)["k_max_eta"] < 1
    assert "Re 200, seed 0: k_max eta falls to 0.8" in caplog.text
    caplog.clear()
    settings = SMALL.model_copy(update={"grid": 128})
    assert generate_small(tmp_path, settings)["k_max_eta"] > 1
    assert caplog.text == ""


def test_first_snapshot_may_be_the_initial_field(tmp_path):
    settings = SMALL.model_copy(update={"t_start": 0.0, "precision": "float64"})
    generate_small(tmp_path, settings)
    with h5py.File(tmp_path / "a.h5") as file:
        start = Simulation(settings, reynolds=200, seed=0).vorticity().float().numpy()
        assert np.array_equal(file["w"][0], start)


def test_bytes_do_not_depend_on_restart_points(tmp_path, monkeypatch):
    generate_small(tmp_path, name="a.h5")
    generate_small(tmp_path, SMALL.model_copy(update={"checkpoint_seconds": 1e-9}), name="b.h5")
    monkeypatch.setattr(generate, "PENDING_BYTES", 2 * 64 * 64 * 4)
    generate_small(tmp_path, name="c.h5")
    first = (tmp_path / "a.h5").read_bytes()
    assert (tmp_path / "b.h5").read_bytes() == first
    assert (tmp_path / "c.h5").read_bytes() == first
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.h5", "b.h5", "c.h5"]


def test_same_bytes_after_kill_9(tmp_path):
    # 125 steps between two snapshots: most restart points lie between them.
    settings = SolverSettings(
        grid=64, peak_wavenumber=5, t_start=0.1, t_end=0.5, interval=0.1, dt=8e-4,
        checkpoint_seconds=1e-9,
    )  # fmt: skip
    state = tmp_path / "killed.h5.state"
    process = subprocess.Popen(worker(settings, tmp_path, "killed.h5"))
    try:
        deadline = time.monotonic() + 60
        while not list(state.glob("segment_*.npy")):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.001)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert (state / "state.npz").is_file()
    assert not (tmp_path / "killed.h5").exists()
    # What a kill in the middle of a write leaves behind.
    (state / ".state.npz.host-1.tmp").write_bytes(b"half")
    (state / "segment_999999.npy").write_bytes(b"undeclared")
    summaries = {}
    for name in ("killed.h5", "whole.h5"):
        run = subprocess.run(
            worker(settings, tmp_path, name), capture_output=True, text=True, check=True
        )
        summaries[name] = json.loads(run.stdout)
        assert "discarded" not in run.stderr
    assert 0 < summaries["killed.h5"]["resumed_at_step"] < summaries["killed.h5"]["steps"]
    assert summaries["whole.h5"]["resumed_at_step"] == 0
    assert (tmp_path / "killed.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert not state.exists()


class Interrupted(Exception):
    pass


def interrupt(monkeypatch, folder, settings=SMALL, **options):
    """Start a run and stop it on the way to its third snapshot; its state stays."""
    settings = settings.model_copy(update={"checkpoint_seconds": 1e-9})

    def advance_leg(self, moment, advance=Simulation.advance_leg):
        if self.time >= 0.3:
            raise Interrupted
        advance(self, moment)

    with monkeypatch.context() as patch:
        patch.setattr(Simulation, "advance_leg", advance_leg)
        with pytest.raises(Interrupted):
            generate_small(folder, settings, **options)
    assert (folder / "state" / "state.npz").is_file()


@pytest.mark.parametrize(
    "change",
    [{"cfl": 0.5}, {"precision": "float64"}, {"t_end": 0.6}, {"peak_wavenumber": 6.0}],
    ids=lambda change: next(iter(change)),
)
def test_state_of_other_settings_is_discarded(tmp_path, monkeypatch, caplog, change):
    interrupt(monkeypatch, tmp_path)
    with caplog.at_level(logging.WARNING):
        summary = generate_small(tmp_path, SMALL.model_copy(update=change))
    assert summary["resumed_at_step"] == 0
    assert "other settings" in caplog.text
    generate_small(tmp_path, SMALL.model_copy(update=change), name="clean.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "clean.h5").read_bytes()


def test_state_of_another_seed_or_code_is_discarded(tmp_path, monkeypatch, caplog):
    interrupt(monkeypatch, tmp_path)
    assert generate_small(tmp_path, seed=1)["resumed_at_step"] == 0
    interrupt(monkeypatch, tmp_path, attributes={"code_digest": "1"})
    assert generate_small(tmp_path, attributes={"code_digest": "2"})["resumed_at_step"] == 0
    assert caplog.text.count("discarded") == 2


def test_own_state_is_used(tmp_path, monkeypatch, caplog):
    interrupt(monkeypatch, tmp_path)
    assert generate_small(tmp_path)["resumed_at_step"] > 0
    assert "discarded" not in caplog.text


def test_damaged_state_is_discarded(tmp_path, monkeypatch, caplog):
    interrupt(monkeypatch, tmp_path)
    path = tmp_path / "state" / "state.npz"
    path.write_bytes(path.read_bytes()[:500])
    assert generate_small(tmp_path)["resumed_at_step"] == 0
    assert "unreadable" in caplog.text


def test_files_of_others_survive_in_the_state_folder(tmp_path, monkeypatch):
    interrupt(monkeypatch, tmp_path)
    (tmp_path / "state" / "notes.txt").write_text("mine")
    generate_small(tmp_path)
    assert [file.name for file in (tmp_path / "state").iterdir()] == ["notes.txt"]


def test_blow_up_leaves_no_file(tmp_path):
    settings = SMALL.model_copy(update={"dt": 0.5, "t_end": 60.2, "interval": 20.0})
    with pytest.raises(FlexbenchError, match=r"Re 200, seed 0 blew up.*solver\.dt below 0\.5"):
        generate_small(tmp_path, settings)
    assert not (tmp_path / "a.h5").exists()


def test_progress_goes_to_standard_error(tmp_path, capsys):
    generate_small(tmp_path, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Re 200, seed 0" in captured.err
    assert "steps/s" in captured.err
