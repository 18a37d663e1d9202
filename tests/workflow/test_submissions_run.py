"""Predictions from elsewhere, through the real verbs and Snakemake, beside a network of ours."""

import subprocess
import sys

import outside_model
import pytest

from flexbench.metrics.tables import LEADERBOARD

pytestmark = pytest.mark.slow

CARD = """\
method: theirs
who: a group elsewhere
what: coarse points, repeated
trained: it has no weights
training_seeds: [0]
ensemble: true
parameters: 12
cost: none
"""


def made(results):
    """When each file was made that is no table."""
    folders = ("data", "checkpoints", "samples", "scores")
    paths = (path for name in folders for path in (results / name).rglob("*"))
    return {path: path.stat().st_mtime_ns for path in paths if path.is_file()}


def called(clone, *words):
    done = clone.flexbench(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_request_to_leaderboard(tiny_copy):
    clone, options = tiny_copy, tiny_copy.tiny("results")
    results = clone.folder / "results" / "smoke"
    told = called(clone, "request", "--output", "asked", *options)
    assert "1 cases, 1 snapshots" in told
    command = [sys.executable, "-I", outside_model.__file__, "asked", "answers"]
    subprocess.run(command, cwd=clone.folder, env={}, check=True, timeout=60)
    (clone.folder / "card.yaml").write_text(CARD)
    told = called(clone, "submit", "answers", "--card", "card.yaml", *options)
    assert "theirs: submitted to superres_x4 (1 files)" in told

    before = made(results)
    called(clone, "run", "tabulate", "--cores", "2", *options)
    after = made(results)
    # It alone was scored; nothing that was there was made again.
    new = {path.relative_to(results).as_posix() for path in after.keys() - before.keys()}
    scores = "scores/superres_x4/theirs/seed0"
    assert {name for name in new if name.endswith((".csv", ".h5"))} == {
        *(f"{scores}.csv", f"{scores}.spectra.csv")
    }
    assert {path: after[path] for path in before} == before
    board = LEADERBOARD.read(results / "tables" / "leaderboard.csv")
    assert dict(zip(board["method"], board["mark"], strict=True)) == {
        "flex": "reproduced",
        "interpolation": "reproduced",
        "theirs": "submitted",
    }
