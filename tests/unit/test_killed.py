"""A job that was killed says nothing itself: the run says what happened, and what helps."""

from subprocess import CalledProcessError

import pytest

from flexbench.graph import RULES, Graph
from flexbench.killed import killed_jobs

SHELL = "set -euo pipefail;  "
JOBS = [
    ("simulate --re 100 --seed 0 --boundary periodic", "simulate/re100_seed0", "solver.grid"),
    ("import-data tank train", "import_data/tank_train", "data.crop"),
    ("train forecast flex --seed 0", "train/forecast/flex/seed0", "train.accumulate"),
    ("sample forecast.no_slip flex --seed 0", "sample/forecast.no_slip/flex/seed0", "sample.batch"),
    ("score forecast flex --seed 0", "score/forecast/flex/seed0", "sample.members"),
    ("figure forecast maps", "animation/forecast/rollout", "--cores"),
]


def logged(tmp_path, code, verb, log):
    """What Snakemake writes of a command of a rule that ended with this code."""
    told = CalledProcessError(code, f"{SHELL}flexbench {verb} --resolved 'a b.yaml' --log '{log}'")
    path = tmp_path / "snakemake.log"
    path.write_text(f"RuleException:\nCalledProcessError in file x:\n{told}\nExiting.\n")
    return [path]


@pytest.mark.parametrize("code", [-9, 137])
@pytest.mark.parametrize(("verb", "job", "helps"), JOBS)
def test_a_killed_job_is_told_with_its_log_and_what_helps(tmp_path, code, verb, job, helps):
    log = tmp_path / "my results" / "logs" / f"{job}.log"
    (line,) = killed_jobs(logged(tmp_path, code, verb, log))
    assert line.startswith(
        f"{job.replace('/', ' ')}: was killed (SIGKILL), probably because the mem"
    )
    assert helps in line
    assert line.endswith(f"its log: {log}")


@pytest.mark.parametrize("code", [1, -15, 143, -2])
def test_what_ended_otherwise_is_not_called_killed(tmp_path, code):
    assert killed_jobs(logged(tmp_path, code, "train a b", tmp_path / "logs/train/a/b.log")) == []


def test_what_helps_is_a_setting():
    words = {word.strip(",") for rule in RULES for word in rule.lowered_by.split() if "." in word}
    config = Graph.from_overrides({"tier": "smoke"}).config
    assert words
    for section, key in (word.split(".") for word in words - {"data.crop"}):
        assert hasattr(getattr(config, section), key)
