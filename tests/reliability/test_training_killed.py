"""Training as real processes: killed at any moment, told to stop, started twice, shared by two.

A process takes seconds to start, so what nobody strikes trains in this one.
"""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reliability.training_run import run

from flexbench.errors import FlexbenchError
from flexbench.training import load_checkpoint
from flexbench.training.log import read_log

SCRIPT = Path(__file__).with_name("training_run.py")
SLOW_STEP = "0.15"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def whole(root):
    """The checkpoint's bytes and log of a training that nobody disturbed."""
    run(root / "whole", {})
    return (root / "whole" / "final.safetensors").read_bytes(), rows_of(root / "whole")


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
SHARED = {"steps": 8, "batch": 8, "network_dropout": 0.0, "validate_every": 4, "log_every": 1}
SHARED |= {"forgotten": True}


@pytest.fixture(scope="module")
def shared(root):
    """What a training by two processes told: real torchrun, gloo, accumulation on top."""
    return finish(root / "two", launcher=TORCHRUN, processes=2, accumulate=2, **SHARED)


def start(folder, step_seconds="0", *, launcher=(), **changes):
    command = [sys.executable, *launcher, str(SCRIPT), str(folder), json.dumps(changes)]
    return subprocess.Popen(
        [*command, step_seconds], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def go_on(folder, capfd, **options):
    """The same training to its end, in this process: what it tells."""
    capfd.readouterr()
    run(folder, options)
    return capfd.readouterr().err


def finish(folder, **options):
    process = start(folder, **options)
    told = process.communicate(timeout=120)[1]
    assert process.returncode == 0, told
    return told


def rows_of(folder):
    rows = read_log(folder / "log.jsonl")
    for row in rows:
        del row["seconds"], row["examples_per_second"]
    return rows


def wait_for_state(folder, process, *, points=1):
    """Until `points` restart points have been written one after another."""
    seen = set()
    deadline = time.monotonic() + 60
    while len(seen) < points:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        seen |= set(folder.glob("state/*/step-*.pt"))
        time.sleep(0.005)


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.nightly)])
def test_killed_at_random_moments(root, whole, capfd, kills):
    folder = root / f"killed-{kills}"
    moments = random.Random(7)
    for _ in range(kills):
        process = start(folder, SLOW_STEP)
        wait_for_state(folder, process, points=2)
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert (folder / "state" / "lock").exists()
        assert not (folder / "final.safetensors").exists()
    told = go_on(folder, capfd)
    assert "took over from process" in told
    assert "its process is gone" in told
    assert "going on after step" in told
    assert (folder / "final.safetensors").read_bytes() == whole[0]
    assert rows_of(folder) == whole[1]


def test_terminated(root, whole, capfd):
    folder = root / "terminated"
    process = start(folder, SLOW_STEP, checkpoint_seconds=1000)
    wait_for_rows(folder)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 143
    assert "SIGTERM: stopped after step" in told
    assert not (folder / "state" / "lock").exists()
    assert "going on after step" in go_on(folder, capfd, checkpoint_seconds=1000)
    # Only the interval between restart points differs, which the metadata tells.
    state, metadata = load_checkpoint(folder / "final.safetensors")
    wanted, wanted_metadata = load_checkpoint(root / "whole" / "final.safetensors")
    assert all((state[name] == wanted[name]).all() for name in wanted)
    assert metadata["validation"] == wanted_metadata["validation"]
    assert rows_of(folder) == whole[1]


def wait_for_rows(folder):
    """Until the training has logged a step."""
    deadline = time.monotonic() + 60
    while not any(read_log(path) for path in folder.glob("state/*/log.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_second_training_in_the_same_folder_is_refused(root):
    folder = root / "twice"
    first = start(folder, "1")
    wait_for_state(folder, first)
    with pytest.raises(FlexbenchError, match="is training in this folder") as error:
        run(folder, {})
    assert f"process {first.pid} on" in str(error.value)
    first.send_signal(signal.SIGINT)
    assert "SIGINT: stopped" in first.communicate(timeout=60)[1]
    assert first.returncode == 130


def test_two_processes_learn_what_one_learns(root, shared):
    """And a layer that no gradient reaches. The weights agree to float32 round-off."""
    run(root / "one", dict(SHARED))
    assert shared.count("step 8/8") == 1  # one process speaks
    assert shared.count("'forgotten.weight' receives no gradient") == 1
    ours, metadata = load_checkpoint(root / "two" / "final.safetensors")
    theirs, _ = load_checkpoint(root / "one" / "final.safetensors")
    assert metadata["training"]["processes"] == 2
    for name, tensor in theirs.items():
        assert (ours[name] - tensor).abs().max() < 2e-5, name
    for two, one in zip(rows_of(root / "two"), rows_of(root / "one"), strict=True):
        assert two == pytest.approx(one, rel=1e-4)


@pytest.mark.nightly
def test_two_processes_learn_two_tasks_as_one_does(root):
    """Every process has rows of both tasks, so neither waits for an encoder without gradients."""
    options = {"steps": 4, "batch": 8, "network_dropout": 0.0, "validate_every": 4, "joint": True}
    run(root / "one-joint", dict(options))
    told = finish(root / "two-joint", launcher=TORCHRUN, processes=2, accumulate=2, **options)
    assert "receives no gradient" not in told
    ours, _ = load_checkpoint(root / "two-joint" / "final.safetensors")
    theirs, _ = load_checkpoint(root / "one-joint" / "final.safetensors")
    assert {name.split(".")[1] for name in theirs if name.startswith("task_encoders")} == {
        "superres",
        "forecast",
    }
    for name, tensor in theirs.items():
        assert (ours[name] - tensor).abs().max() < 2e-5, name
    pairs = zip(rows_of(root / "two-joint"), rows_of(root / "one-joint"), strict=True)
    for two, one in pairs:
        assert two == pytest.approx(one, rel=1e-4)


def test_two_processes_stop_and_go_on_together(root, shared):
    """SIGTERM to one worker stops both after the same step; both go on from there."""
    options = SHARED | {"processes": 2, "accumulate": 2}
    folder = root / "shared-stopped"
    process = start(folder, "0.3", launcher=TORCHRUN, **options)
    wait_for_rows(folder)
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=60)[1]
    assert process.returncode != 0
    assert "stopped after step" in told
    assert not (folder / "state" / "lock").exists()
    assert "going on after step" in finish(folder, launcher=TORCHRUN, **options)
    wanted = (root / "two" / "final.safetensors").read_bytes()
    assert (folder / "final.safetensors").read_bytes() == wanted
