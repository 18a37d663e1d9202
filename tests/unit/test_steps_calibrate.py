"""Step `calibrate`, and samples that are drawn with what it fitted."""

import json
import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from flexbench.posterior.features import NAMES
from flexbench.provenance import read_receipt

CALIBRATED = "sample.sampler=calibrated"
FIT = "superres_x4-calibrated-2"


@pytest.fixture
def root(made, tmp_path):
    """A tiny run without its samples, scores and page, which the test may change."""
    for part in ("data", "checkpoints"):
        shutil.copytree(made / "smoke" / part, tmp_path / "root" / "smoke" / part)
    return tmp_path / "root"


@pytest.fixture
def options(tiny, root):
    assignments = [*tiny, f"root={root}", CALIBRATED]
    return ["--tier", "smoke", *(word for text in assignments for word in ("--set", text))]


@pytest.fixture
def fit(root):
    return root / "smoke" / "checkpoints" / "superres_x4" / "flex" / f"seed0.{FIT}.calibration.json"


@pytest.fixture
def calibrate(entry, options):
    """The verb, which has to do it."""

    def call():
        code, _, lines = entry("calibrate", FIT, "flex", *options)
        assert code == 0, lines

    return call


def drawn(root):
    with h5py.File(root / "smoke" / "samples" / "superres_x4" / "flex" / "seed0.h5") as f:
        return f["prediction"][:], dict(f.attrs)


def test_a_fit_stands_beside_its_checkpoint_and_decides_samples(
    entry, options, calibrate, root, fit
):
    calibrate()
    content = fit.read_bytes()
    assert read_receipt(fit)["facts"]["snapshots"] == 3
    assert [model["t"] for model in json.loads(content)["models"]] == [1.0, 0.5]
    assert entry("sample", "superres_x4", "flex", *options)[0] == 0
    first, labels = drawn(root)
    assert labels["sampler"] == "calibrated"
    assert labels["calls"] == 2
    assert np.isfinite(first).all()
    assert (first[:, 0] != first[:, 1]).any()

    fit.unlink()
    calibrate()
    assert fit.read_bytes() == content
    shutil.rmtree(root / "smoke" / "samples")
    assert entry("sample", "superres_x4", "flex", *options)[0] == 0
    assert np.array_equal(drawn(root)[0], first)


def test_samples_without_a_fit_are_refused(entry, options, fit):
    code, _, (line,) = entry("sample", "superres_x4", "flex", *options)
    assert code == 1
    assert f"{fit}: missing; run `flexbench calibrate {FIT} flex --seed 0` first" in line


def other_checkpoint(content):
    content["weights"] = "0" * 64


def other_feature(content):
    content["features"][3] = "temperature"


def other_setting(content):
    content["setting"] = "forecast-calibrated-2"


def no_number(content):
    content["models"][1]["coefficients"][2] = None


def one_model(content):
    del content["models"][1]


def another_version(content):
    content["version"] = 99


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (other_checkpoint, ["the fit of another checkpoint than seed0.safetensors"]),
        (other_feature, ["feature 'temperature' does not exist", NAMES[3]]),
        (other_setting, ["'forecast-calibrated-2'", f"allowed: {FIT}"]),
        (no_number, ["not a calibration"]),
        (one_model, ["1 times of the sampler, allowed: 2"]),
        (another_version, ["version 99"]),
        (lambda content: content.clear(), ["not a calibration", "lacks 'version'"]),
    ],
)
def test_a_fit_that_does_not_fit_is_refused(entry, options, calibrate, fit, harm, words):
    calibrate()
    content = json.loads(fit.read_text())
    harm(content)
    fit.write_text(json.dumps(content))
    code, _, (line,) = entry("sample", "superres_x4", "flex", *options)
    assert code == 1
    for word in (str(fit), f"flexbench calibrate {FIT} flex --seed 0", *words):
        assert word in line


KILLED = """
import os, signal, sys
from flexbench import cli
from flexbench.inference.segments import Segments
written, write = [], Segments.write
limit = int(sys.argv[1])
def counted(self, name, values):
    write(self, name, values)
    written.append(name)
    if len(written) == limit:
        os.kill(os.getpid(), signal.SIGKILL)
Segments.write = counted
sys.argv = ["flexbench", *sys.argv[2:]]
cli.main()
"""


@pytest.mark.parametrize("after", [1, 4])
def test_a_fit_that_was_killed_goes_on_to_the_same_bytes(options, calibrate, root, fit, after):
    calibrate()
    whole = fit.read_bytes()
    fit.unlink()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(after), "calibrate", FIT, "flex", *options], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert not fit.exists()
    kept = list((root / "smoke" / "state" / "calibrate").rglob("*.npy"))
    assert len(kept) == after
    calibrate()
    assert fit.read_bytes() == whole
    assert not list((root / "smoke" / "state").rglob("*.npy"))
