"""The how-to page on own data, run as it is written, at toy size."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from flexbench.data.store import Trajectory

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "your-own-data.md"
TOY = (
    *("methods=[flex,interpolation,persistence]", "train.steps=6", "train.validate_every=3"),
    *("train.batch=2", "train.validation_batches=1", "train.warmup_steps=1"),
    *("sample.members=2", "sample.snapshots=2", "score.bootstrap=50"),
)


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


def call(*words, folder):
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def options(root):
    return [word for value in (f"root={root}", *TOY) for word in ("--set", value)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The page's commands and its YAML, in a folder of its own."""
    folder = tmp_path_factory.mktemp("own")
    (yaml,) = blocks("yaml")
    (folder / "tank.yaml").write_text(yaml, encoding="utf-8")
    commands = [line for block in blocks("bash") for line in block.splitlines()]
    assert commands == [
        "python -m flexbench.data.example tank.nc",
        "flexbench plan --config tank.yaml",
        "flexbench run --config tank.yaml",
    ]
    call("flexbench.data.example", "tank.nc", folder=folder)
    set_ = options(folder / "results")
    planned = call("flexbench", "plan", "--config", "tank.yaml", *set_, folder=folder)
    assert "import_data" in planned.stdout
    done = call("flexbench", "run", "--config", "tank.yaml", "--cores", "2", *set_, folder=folder)
    return folder, done


def test_the_page_works_up_to_the_report(ran):
    folder, done = ran
    results = folder / "results" / "tank"
    assert (results / "report.html").stat().st_size > 100_000
    scores = pd.read_csv(results / "tables" / "scores.csv")
    found = {(task, method) for task, method in zip(scores["task"], scores["method"], strict=True)}
    assert found == {
        *(("superres_x4", method) for method in ("flex", "interpolation")),
        *(("forecast", method) for method in ("flex", "persistence")),
    }
    config = results / "config.yaml"
    call("flexbench", "verify", "--config", str(config), folder=folder)
    assert "rows 3 to 66, columns 13 to 76; not periodic" in done.stderr


def test_each_split_is_its_part_of_the_file(ran):
    folder, _ = ran
    spans = {}
    for split in ("train", "validation", "test"):
        trajectory = Trajectory(folder / "results" / "tank" / "data" / f"tank_{split}.h5")
        assert not trajectory.periodic
        assert trajectory.grid == 64
        spans[split] = (trajectory.time[0], trajectory.time[-1])
    assert spans == {"train": (0, 17.75), "validation": (19.5, 22.25), "test": (24, 29.75)}
