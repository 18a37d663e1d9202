"""The script that compares two runs finds a changed bit in every kind of file, and only that."""

import importlib.util
import json
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from flexbench.metrics.definitions import DEFINITIONS
from flexbench.paths import checkout

SCRIPT = checkout() / "benchmarks" / "same_numbers.py"
SCALES = "data/statistics_sr.json"
FLOW = "data/re100_seed0.h5"
WEIGHTS = "checkpoints/sr/flex/seed0.safetensors"
SAMPLES = "samples/sr/flex/seed0.h5"
SCORES = "scores/sr/flex/seed0.csv"
SPECTRA = "scores/sr/flex/seed0.spectra.csv"
COST, FLAGS, MATRIX = "tables/cost.csv", "tables/red_flags.csv", "tables/matrix.csv"
HEADLINE = "tables/headline.json"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("same_numbers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_run(folder, *, newer):
    """A small results folder, with the words of the older or of the newer code."""
    case, calls = ("case", "calls") if newer else ("task", "evaluations")
    formula = "formula" if newer else "trivial"
    write_text(
        folder / SCALES, json.dumps({"field_std": 0.1 + 0.2, "by_reynolds": {"100": [1.5, 2]}})
    )
    write_text(folder / HEADLINE, json.dumps({"sr": {"flex": {"crps": 0.25}}}))
    added = "sr,reliability_slope,0.5,2\n" if newer else ""
    scores = f"{added}sr,crps,0.30000000000000004,2\n"
    write_text(folder / SCORES, f"{case},score,value,{calls}\n{scores}")
    write_text(folder / SPECTRA, "trajectory,k,truth\nre100_seed0,1,0.5\n")
    flops = "flops_per_call" if newer else "flops_per_evaluation"
    seconds = 7.5 if newer else 3.25
    write_text(folder / COST, f"{case},{flops},train_seconds,device\nsr,100,{seconds},cpu\n")
    note = "sr,information,overconfident\n" if newer else ""
    write_text(folder / FLAGS, f"{case},flag,message\n{note}sr,worse than {formula},crps 2 > 1\n")
    write_text(folder / MATRIX, "task,case,value\nsr,sr.unseen,0.5\n")
    (folder / WEIGHTS).parent.mkdir(parents=True)
    tensors = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.zeros(2)}
    save_file(tensors, folder / WEIGHTS, metadata={"code": "newer" if newer else "older"})
    with h5py.File(folder / FLOW, "w") as file:
        file["w"] = np.full((2, 4, 4), 0.1, dtype=np.float32)
        file.attrs["code_digest"] = "newer" if newer else "older"
    (folder / SAMPLES).parent.mkdir(parents=True)
    with h5py.File(folder / SAMPLES, "w") as file:
        file["prediction"] = np.full((1, 2, 1, 4, 4), 0.1, dtype=np.float32)
        file["trajectory"] = ["re100_seed0"]
        file.attrs.update({case: "sr", calls: 2, "format_version": 3 if newer else 2})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "old", newer=False)
    write_run(folder / "new", newer=True)
    return folder


@pytest.fixture
def changed(runs, tmp_path):
    """A copy of the newer run, to be changed."""
    return shutil.copytree(runs / "new", tmp_path / "new")


@pytest.fixture
def compared(script, monkeypatch, capsys):
    """Runs the script: its exit status and its lines."""

    def run(old, new):
        monkeypatch.setattr(sys, "argv", ["same_numbers.py", str(old), str(new)])
        status = script.main()
        return status, capsys.readouterr().out.splitlines()

    return run


def test_renamed_words_and_costs_are_no_difference(runs, compared):
    status, lines = compared(runs / "old", runs / "new")
    assert status == 0, lines
    assert all(line.endswith("equal") for line in lines[:-1])
    assert len(lines) == 8
    assert lines[-1].startswith("left out: costs")


def flip(values):
    """The lowest bit of the last number."""
    flat = np.array(values, order="C")
    flat.view(np.uint8).reshape(-1)[-4] ^= 1
    return flat


def change_flow(folder):
    with h5py.File(folder / FLOW, "a") as file:
        file["w"][...] = flip(file["w"][()])


def change_samples(folder):
    with h5py.File(folder / SAMPLES, "a") as file:
        file["prediction"][...] = flip(file["prediction"][()])


def change_trajectory(folder):
    with h5py.File(folder / SAMPLES, "a") as file:
        file["trajectory"][0] = "re200_seed0"


def change_calls(folder):
    with h5py.File(folder / SAMPLES, "a") as file:
        file.attrs["calls"] = 3


def change_weights(folder):
    tensors = load_file(folder / WEIGHTS)
    save_file(tensors | {"a.weight": flip(tensors["a.weight"])}, folder / WEIGHTS)


def reshape_weights(folder):
    tensors = load_file(folder / WEIGHTS)
    save_file(tensors | {"a.weight": tensors["a.weight"].reshape(3, 2)}, folder / WEIGHTS)


def replaced(place, old, new):
    def change(folder):
        path = folder / place
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


CHANGES = {
    "last digit of a scale": (
        replaced(SCALES, "0.30000000000000004", "0.3"),
        ("scales of tasks", SCALES, 'field_std: "0.30000000000000004" -> "0.3"'),
    ),
    "nested scale": (
        replaced(SCALES, "1.5", "1.25"),
        ("scales of tasks", SCALES, "by_reynolds.100.0"),
    ),
    "bit of a flow": (change_flow, ("trajectories", FLOW, "w: byte")),
    "bit of a weight": (change_weights, ("weights", WEIGHTS, "a.weight: byte 20 of 24")),
    "shape of a weight": (
        reshape_weights,
        ("weights", WEIGHTS, "a.weight (type and shape): F32 [2, 3] -> F32 [3, 2]"),
    ),
    "bit of a sample": (change_samples, ("samples", SAMPLES, "prediction: byte")),
    "name in the samples": (change_trajectory, ("samples", SAMPLES, "trajectory: ")),
    "label of the samples": (change_calls, ("samples", SAMPLES, "attribute calls: 2 -> 3")),
    "last digit of a score": (
        replaced(SCORES, "0.30000000000000004", "0.3"),
        ("scores, spectra", SCORES, "line 2, value: 0.30000000000000004 -> 0.3"),
    ),
    "spectrum": (replaced(SPECTRA, "0.5", "0.50"), ("scores, spectra", SPECTRA, "line 2, truth")),
    "cost that is no time": (
        replaced(COST, ",100,", ",101,"),
        ("tables", COST, "line 2, flops_per_call: 100 -> 101"),
    ),
    "task of a case": (replaced(MATRIX, "\nsr,", "\nfc,"), ("tables", MATRIX, "line 2, task")),
    "flag": (replaced(FLAGS, "formula", "nothing"), ("tables", FLAGS, "line 2, flag")),
    "column": (replaced(MATRIX, "value", "worth"), ("tables", MATRIX, "column value: only in")),
    "row": (replaced(MATRIX, "0.5\n", "0.5\nsr,sr,1\n"), ("tables", MATRIX, "rows: 1 -> 2")),
    "headline": (replaced(HEADLINE, "0.25", "0.5"), ("headline", HEADLINE, "sr.flex.crps")),
    "lost file": (
        lambda folder: (folder / SPECTRA).unlink(),
        ("scores, spectra", SPECTRA, "missing in"),
    ),
    "file too many": (
        lambda folder: shutil.copy(folder / WEIGHTS, folder / WEIGHTS.replace("0.", "1.")),
        ("weights", WEIGHTS.replace("0.", "1."), "missing in"),
    ),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_every_change_is_found_and_placed(runs, changed, compared, change, expected):
    change(changed)
    status, lines = compared(runs / "old", changed)
    assert status == 1
    kind, *told = expected
    differing = [line for line in lines[:-1] if not line.endswith("equal")]
    (line,) = differing
    assert line.startswith(kind)
    assert "1 differ" in line
    assert all(text in line for text in told), line


def test_what_only_the_newer_run_has_may_be_named(runs, changed, compared, script, monkeypatch):
    replaced(SCALES, '{"field_std"', '{"samples": 4, "field_std"')(changed)
    status, lines = compared(runs / "old", changed)
    assert status == 1
    assert any("samples: only in the newer run" in line for line in lines)
    monkeypatch.setattr(script, "ADDED", frozenset({"samples"}))
    assert compared(runs / "old", changed)[0] == 0
    assert compared(changed, runs / "old")[0] == 1, "what the older run has may not be lost"


def test_scores_that_the_newer_run_alone_has_are_defined(script):
    assert set(script.ADDED_SCORES) < set(DEFINITIONS)


def test_it_explains_itself_and_refuses_another_folder(tmp_path):
    told = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True)
    assert told.returncode == 0
    assert "flexbench run --tier smoke" in told.stdout
    command = [sys.executable, SCRIPT, tmp_path, tmp_path]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "not the results of a tier" in refused.stderr
