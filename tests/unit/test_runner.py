"""`flexbench run` with real processes: one at a time, killed, terminated, resumed."""

import json
import os
import signal
import socket
import time

import pytest

from flexbench.config.reading import load_config
from flexbench.errors import FlexbenchError
from flexbench.owners import STALE_SECONDS, owned
from flexbench.paths import checkout
from flexbench.processes import MARK, marked, processes
from flexbench.runner import snakemake_command

# Hours of simulation, with a restart point every moment.
LONG = ("solver.grid=64", "solver.t_end=5000.5", "solver.checkpoint_seconds=0.1")


class Run:
    """A results folder, and the one trajectory that is asked for."""

    def __init__(self, root):
        self.folder = root / "smoke"
        self.root = root
        self.target = self.folder / "data" / "re100_seed0.h5"
        self.state = self.folder / "state" / "simulate" / "re100_seed0" / "state.npz"

    def arguments(self, clone, *settings):
        return ("run", self.target, "--cores", "1", *clone.tiny(self.root, *settings))

    def start(self, clone):
        """A run that is in the midst of its job."""
        process = clone.start("flexbench", *self.arguments(clone, *LONG))
        clone.wait(self.state.exists, process)
        return process


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "results")
    yield run
    for pid in marked(run.folder):
        os.kill(pid, signal.SIGKILL)


def mine(pid, run):
    return pid in marked(run.folder)


def error_lines(done):
    return [line for line in done.stderr.splitlines() if "error" in line]


def test_a_second_run_is_refused_and_resumes_once_the_first_is_killed(clone, run):
    first = run.start(clone)
    here = f"process {first.pid} on {socket.gethostname()} is working here"
    second = clone.flexbench(*run.arguments(clone))
    assert second.returncode == 1
    refused = [
        f"flexbench: error: {clone.folder}/.snakemake: {here}; wait for it, or end it, then run "
        "again"
    ]
    assert second.stderr.splitlines() == refused
    # Another results folder shares Snakemake's records, which are the checkout's.
    other = Run(run.root.with_name("other"))
    third = clone.flexbench(*other.arguments(clone))
    assert third.returncode == 1
    assert third.stderr.splitlines() == refused
    assert not other.root.exists()
    assert first.poll() is None

    first.kill()
    first.wait()
    orphans = marked(run.folder)
    assert len(orphans) >= 2, "Snakemake and its job outlive the run"
    assert (clone.folder / ".snakemake" / "locks").is_dir()
    # Rules call `flexbench`; the folder of this interpreter need not be on the PATH.
    clone.environment["PATH"] = "/usr/local/bin:/usr/bin:/bin"
    done = clone.flexbench(*run.arguments(clone))
    assert done.returncode == 0, done.stderr
    assert f"flexbench: ending {len(orphans)} orphaned jobs of a killed run" in done.stderr
    assert run.target.exists()
    assert not run.state.exists()
    assert not marked(run.folder)
    assert load_config(resolved=run.folder / "config.yaml").solver.grid == 32
    first.stdout.close()
    first.stderr.close()


def test_a_job_that_the_system_kills_is_told_in_a_line(clone, run):
    """As where memory runs out: the job alone is hit."""
    process = run.start(clone)
    (job,) = (pid for pid, words in processes("cmdline") if b"simulate" in words and mine(pid, run))
    os.kill(job, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    log = run.folder / "logs" / "simulate" / "re100_seed0.log"
    begun, failed, cause, place, end = errors.splitlines()
    assert begun.startswith("flexbench: tier smoke: one job on 1 core, about ")
    assert failed == "flexbench: failed: simulating Re 100, seed 0 (simulate re100_seed0)"
    assert cause.startswith("    was killed (SIGKILL), probably because the memory of this machine")
    assert cause.endswith("a smaller solver.grid")
    assert place == f"    its log: {log}"
    assert end.startswith("flexbench: one job failed, 0 of 1 are done; the same command goes on")
    assert end.endswith(f"what Snakemake says: {run.folder / 'logs' / 'run.log'}")
    assert run.state.exists(), "it goes on from there"


def test_a_live_plain_snakemake_keeps_its_lock(clone, run):
    settings = {"tier": "smoke", "root": str(run.root), "solver": {"t_end": 5000.5}}
    words = [f"{key}={value}" for key, value in settings.items()]
    plain = clone.start("snakemake", "--cores", "1", run.target, "--config", *words)
    try:
        clone.wait(lambda: run.folder.joinpath("logs").exists(), plain)
        done = clone.flexbench(*run.arguments(clone))
        assert done.returncode == 1
        assert error_lines(done) == [
            f"flexbench: error: {clone.folder}: Snakemake (process {plain.pid}) is working here; "
            "wait for it, or end it, then run again"
        ]
        assert plain.poll() is None
        other = Run(run.root.with_name("other"))
        assert clone.flexbench(*other.arguments(clone)).returncode == 1
        assert not other.root.exists()
    finally:
        os.killpg(plain.pid, signal.SIGKILL)
        plain.communicate()


def test_a_lock_cut_short_by_a_kill_is_taken_over(tmp_path):
    path = tmp_path / "lock"
    path.write_text('{"host": "som')
    with owned(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert path.read_text() == ""


def test_a_lock_of_another_host_counts_while_its_heart_beats(tmp_path):
    path = tmp_path / "lock"
    path.write_text(json.dumps({"host": "elsewhere.example", "pid": 12}))
    with pytest.raises(FlexbenchError, match=r"process 12 on elsewhere\.example is working"):
        owned(path).__enter__()
    past = time.time() - STALE_SECONDS - 1
    os.utime(path, (past, past))
    with owned(path):
        assert json.loads(path.read_text())["host"] == socket.gethostname()


def test_processes_are_known_by_their_mark_alone(clone, tmp_path):
    clone.environment[MARK] = str(tmp_path)
    process = clone.start("http.server", "0", "--bind", "127.0.0.1")
    try:
        clone.wait(lambda: marked(tmp_path) == [process.pid], process)
        assert not marked(tmp_path.parent)
    finally:
        process.kill()
        process.communicate()


def command(overrides=None, **options):
    options = {"targets": [], "cores": None, "profile": None, "dry_run": False} | options
    return snakemake_command(overrides or {}, **options)


def test_overrides_travel_as_yaml(tmp_path):
    overrides = {"root": "a # b", "train": {"clip_norm": None, "learning_rate": 1e-4}}
    words = command(overrides)
    assert 'root="a # b"' in words  # bare, the rest of it would be a comment
    assert 'train={"clip_norm": null, "learning_rate": 0.0001}' in words


def test_profiles(tmp_path, monkeypatch):
    def profile(words):
        return words[words.index("--profile") + 1]

    assert profile(command()) == str(checkout() / "workflow" / "profiles" / "local")
    assert profile(command(profile="slurm-of-the-site")) == "slurm-of-the-site"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("cores: 1\n")
    (tmp_path / "slurm").mkdir()  # a folder, and no profile
    monkeypatch.chdir(tmp_path)
    assert profile(command(profile="slurm")) == str(checkout() / "workflow" / "profiles" / "slurm")
    assert profile(command(profile="mine")) == str(tmp_path / "mine")


def test_own_baseline_folders_are_found_from_any_folder(clone, tmp_path):
    """Snakemake runs in the checkout; a relative folder means one where the user stands."""
    (tmp_path / "mine").mkdir()
    text = (checkout() / "baselines" / "interpolation.py").read_text()
    (tmp_path / "mine" / "nearest.py").write_text(text)
    options = clone.tiny(tmp_path / "results", "methods=[nearest]", "baseline_folders=[mine]")
    done = clone.flexbench("run", "--dry-run", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "method=nearest" in done.stdout
    assert not (tmp_path / "results").exists()


def test_stages_are_asked_for_one_after_the_other(tiny_copy):
    """Each by a Snakemake of its own, before what is asked for in the end; one that fails is the
    last."""
    options = tiny_copy.tiny("results", "stages=[[interpolation],[flex]]")
    scores = {
        name: tiny_copy.folder / f"results/smoke/scores/superres_x4/{name}/seed0.csv"
        for name in ("interpolation", "flex")
    }
    for path in scores.values():
        path.unlink()
    broken = tiny_copy.folder / "results/smoke/samples/superres_x4/flex/seed0.h5"
    broken.write_bytes(b"no samples")
    done = tiny_copy.flexbench("run", "--quiet", "--cores", "2", *options)
    assert done.returncode == 1
    assert {name: path.exists() for name, path in scores.items()} == {
        "interpolation": True,
        "flex": False,
    }
    told = (tiny_copy.folder / "results/smoke/logs/run.log").read_text()
    assert told.count("Building DAG of jobs") == 2  # and none for the report
    # What failed is told in a block, and nothing else where that is asked for.
    failed, *words, place, end = done.stderr.splitlines()
    job = "scoring FLEX: Super-resolution ×4 (score superres_x4 flex seed0)"
    assert failed == f"flexbench: failed: {job}"
    assert any("is not the file of its receipt" in line for line in words)
    assert all(line.startswith("    ") for line in words)
    assert place == "    its log: results/smoke/logs/score/superres_x4/flex/seed0.log"
    assert end.startswith("flexbench: one job failed, ")
    assert not done.stdout
