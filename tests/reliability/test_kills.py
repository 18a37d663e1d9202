"""A whole run, killed again and again in the midst of its work, ends with the same bytes."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from flexbench.runner import marked

SEED = 20250128

# What is killed, while which step works: the step's own process, or the run with all of its jobs.
KILLS = [
    ("simulate", "run"),
    ("train", "worker"),
    ("train", "run"),
    ("sample", "run"),
    ("sample", "worker"),
]

# Every step takes long enough to be hit, and keeps restart points while it works.
SETTINGS = (
    "solver.dt=0.0004",
    "solver.checkpoint_seconds=0.1",
    "train.steps=30",
    "train.validate_every=15",
    "train.checkpoint_seconds=0.2",
    "sample.snapshots=4",
    "sample.members=16",
    "sample.batch=4",
    "sample.steps=6",
)


class Runs:
    """`flexbench run` in one results folder, up to the samples of a network and of a formula."""

    def __init__(self, clone, root):
        self.clone = clone
        self.root = root
        self.folder = root / "smoke"
        methods = ("flex", "interpolation")
        targets = [self.folder / "samples" / "superres_x4" / m / "seed0.h5" for m in methods]
        self.arguments = ["run", *targets, "--cores", "2", *clone.tiny(root, *SETTINGS)]

    def finish(self):
        done = self.clone.flexbench(*self.arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def results(self):
        """The bytes of everything that is computed."""
        patterns = ("data/*.h5", "data/*.json", "checkpoints/*/*/*.safetensors", "samples/*/*/*.h5")
        paths = [path for pattern in patterns for path in self.folder.glob(pattern)]
        files = [path for path in paths if not path.name.endswith(".receipt.json")]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}

    def seconds(self, step):
        """How long a step took where nothing disturbed it."""
        records = [path.read_text() for path in self.folder.glob(f"benchmarks/{step}/**/*.tsv")]
        return max(float(record.splitlines()[1].split()[0]) for record in records)

    def workers(self, step):
        """The processes that do the work of a step (not the shells that started them)."""
        found = []
        for pid in marked(self.folder):
            try:
                # python, …/bin/flexbench, the verb; a shell has no more than two words.
                words = [*Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"), b"", b""]
            except OSError:
                continue
            if words[1].endswith(b"/flexbench") and words[2] == step.encode():
                found.append(pid)
        return found

    def start_and_kill(self, step, what, *, wait):
        """Start, wait for the step's work, and some more; True if there was still work to kill."""
        run = self.clone.start("flexbench", *self.arguments)
        try:
            self.clone.wait(lambda: self.workers(step), run)
            victims = self.workers(step)
            time.sleep(wait)
            alive = set(victims) & set(self.workers(step))
            if what == "run":
                os.killpg(run.pid, signal.SIGKILL)
            else:
                for pid in alive:
                    os.kill(pid, signal.SIGKILL)
            run.communicate(timeout=120)
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                run.communicate()
        if what == "worker" and alive:
            assert run.returncode == 1, "the run tells that a job failed"
        assert not marked(self.folder), "nothing is left running"
        return bool(alive)


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(clone, tmp_path):
    whole = Runs(clone, tmp_path / "whole")
    whole.finish()
    expected = whole.results()
    assert len(expected) == 3 + 2 + 1 + 2  # trajectories; splits, statistics; weights; samples

    killed = Runs(clone, tmp_path / "killed")
    moments = random.Random(SEED)
    hits = 0
    for step, what in KILLS:
        wait = moments.uniform(0, 0.8 * whole.seconds(step))
        hits += killed.start_and_kill(step, what, wait=wait)
    assert hits >= len(KILLS) - 2, "most kills struck while the step worked"

    killed.finish()
    assert killed.results() == expected
    left = [path for path in killed.folder.rglob("*") if is_left_over(path, killed.folder)]
    assert not left
    assert not list(clone.folder.glob(".snakemake/locks/*"))


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["SIGTERM to the run", "Ctrl-C"])
def test_a_stopped_run_saves_what_was_learnt(clone, tmp_path, stop):
    """The restart point is written because of the signal: none is due before."""
    folder = tmp_path / "smoke"
    target = folder / "checkpoints" / "superres_x4" / "flex" / "seed0.safetensors"
    settings = ("train.steps=100000", "train.warmup_steps=1", "train.checkpoint_seconds=1000")
    run = clone.start("flexbench", "run", target, *clone.tiny(tmp_path, *settings))
    clone.wait(lambda: list(folder.glob("state/train/*/*/*/*/log.jsonl")), run)
    time.sleep(0.5)
    if stop == "Ctrl-C":
        os.killpg(run.pid, signal.SIGINT)
    else:
        run.send_signal(signal.SIGTERM)
    told = run.communicate(timeout=60)[1]
    assert run.returncode != 0
    assert not marked(folder)
    assert not target.exists()
    assert list(folder.glob("state/train/*/*/*/*/step-*.pt"))
    log = (folder / "logs" / "train" / "superres_x4" / "flex" / "seed0.log").read_text()
    assert "stopped after step" in log
    assert "Traceback" not in told


def is_left_over(path, folder):
    """Restart points and temporary files; of the run's own lock the empty file stays."""
    if path.is_dir() or path == folder / ".run.lock":
        return False
    restart = path.is_relative_to(folder / "state")
    return restart or path.name.startswith(".") or path.suffix in (".tmp", ".part")
