"""Versions for real: git, DVC, a remote folder, second clones, kills, flipped bytes.

Each fact about DVC and Snakemake that the verbs rely on is a test here: they changed before.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flexbench import cli
from flexbench.config.reading import load_config, parse_assignments, to_yaml
from flexbench.config.strict_yaml import read_yaml
from flexbench.graph import Graph
from flexbench.paths import TABLES, checkout
from flexbench.versions.record import large_folders, small_files

VERSIONED = (".dvc/config", ".dvc/.gitignore", ".dvc/plots", ".dvcignore", "dvc.yaml")
VERSIONED += ("params.yaml", ".gitignore")
RESULTS = Path("results") / "smoke"
LARGE = ("data", "checkpoints", "samples", "scores", "figures")
WEIGHTS = RESULTS / "checkpoints" / "superres_x4" / "flex" / "seed0.safetensors"


class Versioned:
    """A clone of the checkout that is a git clone with DVC's files, too."""

    def __init__(self, clone):
        self.clone = clone
        self.folder = clone.folder

    def git(self, *arguments):
        return subprocess.run(
            ["git", *map(str, arguments)],
            cwd=self.folder,
            env=self.clone.environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def dvc(self, *arguments):
        done = self.clone.call("dvc", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def good(self, *arguments):
        """A verb that has to end well; what it prints."""
        done = self.clone.flexbench(*arguments, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def error(self, *arguments):
        """A verb that has to fail in one line; the line."""
        done = self.clone.flexbench(*arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        # Where Slurm is installed and does not answer, that is told, too.
        besides = ("Using profile", "flexbench: orphaned Slurm jobs are not looked for")
        lines = [line for line in done.stderr.splitlines() if not line.startswith(besides)]
        assert len(lines) == 1, done.stderr
        return lines[0].removeprefix("flexbench: error: ")

    def jobs(self, *settings):
        """The rules that a dry run names."""
        assignments = [word for text in settings for word in ("--set", text)]
        lines = self.good("run", "--tier", "smoke", "--dry-run", *assignments).splitlines()
        return [line[5:-1] for line in lines if line.startswith("rule ")]

    def bytes(self, *parts):
        """Digest of every file below these parts of the results."""
        return {
            path.relative_to(self.folder / RESULTS).as_posix(): hashlib.sha256(
                path.read_bytes()
            ).hexdigest()
            for part in parts or LARGE
            for path in (self.folder / RESULTS / part).rglob("*")
            if path.is_file()
        }

    def damaged_objects(self):
        """Cache objects whose bytes are not what their name says."""
        return [
            path
            for path in (self.folder / ".dvc" / "cache" / "files" / "md5").rglob("*")
            if path.is_file()
            and hashlib.md5(path.read_bytes()).hexdigest()
            != (path.parent.name + path.name).removesuffix(".dir")
        ]

    def another(self, folder):
        """A clone of this clone."""
        self.git("clone", "--quiet", self.folder, folder)
        other = type(self.clone)(folder)
        other.environment.update(self.clone.environment, PYTHONPATH=str(folder))
        return Versioned(other)


def write_settings(versioned, *settings):
    """Make the smoke tier a tiny one, with these settings besides."""
    tiny = versioned.clone.tiny("results", *settings)[3::2]
    path = versioned.folder / "workflow" / "config" / "smoke.yaml"
    path.write_text(to_yaml(load_config({"tier": "smoke"} | parse_assignments(tiny))))


@pytest.fixture(scope="module")
def first(tiny_run, tmp_path_factory):
    """A clone with a finished run; its first snapshot is committed and pushed."""
    clone = Versioned(tiny_run.copy(tmp_path_factory.mktemp("first") / "clone"))
    for name in VERSIONED:
        source, target = checkout() / name, clone.folder / name
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
    clone.clone.environment["HOME"] = str(tmp_path_factory.mktemp("home"))
    for name in ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL"):
        clone.clone.environment[f"GIT_{name}"] = "tester"
    clone.git("init", "--quiet")
    write_settings(clone)
    store = tmp_path_factory.mktemp("store")
    clone.dvc("remote", "add", "--default", "store", store)
    # Its results stand there, untracked, and what git holds of a snapshot comes with the first.
    clone.git("add", "--all", "--", ":!results")
    clone.git("commit", "--quiet", "--message", "code")
    empty = clone.another(tmp_path_factory.mktemp("empty") / "clone")
    assert "this commit holds no recorded version" in empty.error("restore", "--tier", "smoke")
    assert "23 jobs to be run first" in empty.error("record", "--tier", "smoke")
    told = clone.good("record", "--tier", "smoke", "--message", "first")
    assert "pushed to store" in told
    assert "warning" not in told
    return clone


@pytest.fixture(scope="module")
def second(first, tmp_path_factory):
    """A clone of the first, restored."""
    clone = first.another(tmp_path_factory.mktemp("second") / "clone")
    clone.good("restore")
    return clone


# --- what is recorded -----------------------------------------------------------------------


def test_dvc_versions_what_the_graph_writes():
    """One list in dvc.yaml, one in the code: the same."""
    graph = Graph.of(load_config({"tier": "smoke"}))
    outs = [
        (path, flags.get("cache", True))
        for stage in read_yaml(checkout() / "dvc.yaml")["stages"].values()
        for out in stage["outs"]
        for path, flags in out.items()
    ]
    cached = [path.replace("${tier}", "smoke") for path, large in outs if large]
    small = [path.replace("${tier}", "smoke") for path, large in outs if not large]
    assert cached == large_folders(graph)
    assert all(any(Path(path).is_relative_to(p) for p in small_files(graph)) for path in small)
    tables = {path.name for path in map(Path, small) if path.parent.name == "tables"}
    layout = graph.layout
    assert tables == {
        p.name for p in (*map(layout.table, TABLES), layout.headline, layout.findings)
    }


def test_a_snapshot_leaves_everything_in_place(first):
    assert first.git("status", "--porcelain") == ""
    assert not first.jobs()
    assert json.loads(first.dvc("status", "--json", "data", "train", "evaluate")) == {}
    assert not (first.folder / RESULTS / "state" / "spares").exists()
    assert yaml.safe_load((first.folder / "params.yaml").read_text()) == {"tier": "smoke"}
    tracked = first.git("ls-files", RESULTS).split()
    assert {Path(path).relative_to(RESULTS).parts[0] for path in tracked} == {
        *("config.yaml", "tables", "report.html", "report.html.receipt.json")
    }


@pytest.mark.parametrize("name", ["workflow/config/smoke.yaml", "baselines/interpolation.py"])
def test_what_git_does_not_hold_is_not_recorded(first, name):
    """A comment makes nothing stale, and a clone would not have it all the same."""
    path = first.folder / name
    before, lock = path.read_bytes(), (first.folder / "dvc.lock").read_bytes()
    path.write_bytes(before + b"# mine\n")
    try:
        told = first.error("record", "--no-push")
    finally:
        path.write_bytes(before)
    assert told.startswith(f"{path}: it has changed since the last commit, so no clone could")
    assert (first.folder / "dvc.lock").read_bytes() == lock


def test_linked_results_cannot_be_written(first):
    """Each file of the results is the cache's own, or a copy of its own; a shared one is 0444."""
    files = [p for part in LARGE for p in (first.folder / RESULTS / part).rglob("*") if p.is_file()]
    shared = [path for path in files if path.stat().st_nlink > 1]
    assert all(path.stat().st_mode & 0o222 == 0 for path in shared)
    local = first.folder / ".dvc" / "config.local"
    if local.exists() and "hardlink" in local.read_text():
        assert shared == files, "hard links were chosen, so nothing takes its space twice"


def test_nothing_is_written_at_home(first):
    home = Path(first.clone.environment["HOME"])
    found = [path for path in home.rglob("*") if "dvc" in path.name or "iterative" in path.name]
    assert not found


# --- a second clone -------------------------------------------------------------------------


def test_a_second_clone_has_the_same_bytes_and_nothing_to_do(first, second):
    assert second.bytes() == first.bytes()
    assert len(second.bytes("data")) > 8
    assert len(second.bytes("checkpoints")) == 3
    second.good("verify", "--tier", "smoke")
    done = second.clone.snakemake(
        *("--dry-run", "--profile", "workflow/profiles/local", "--config", "tier=smoke")
    )
    assert "Nothing to be done" in done.stdout + done.stderr
    assert "missing provenance" not in done.stdout + done.stderr
    assert second.git("status", "--porcelain") == ""


def test_a_second_clone_notices_changed_settings(second):
    assert "simulate" in second.jobs("solver.cfl=0.5")
    learnt = set(second.jobs("train.learning_rate=0.02"))
    assert learnt >= {"train", "sample", "score"}
    assert "simulate" not in learnt


@pytest.mark.nightly
def test_why_restore_has_to_date_everything(first, tmp_path):
    """DVC keeps no dates, and `--touch` alone records nothing of a rule without inputs."""
    clone = first.another(tmp_path / "clone")
    clone.dvc("pull", "--quiet")
    assert clone.jobs(), "if this is empty, DVC keeps dates now"
    options = ("--profile", "workflow/profiles/local", "--quiet", "all", "--touch")
    assert clone.clone.snakemake(*options, "--config", "tier=smoke").returncode == 0
    assert not clone.jobs()
    assert "simulate" not in clone.jobs("solver.cfl=0.5"), "--forceall is no longer needed"


def flip_a_byte(path):
    """In place, through whatever link there is, and unseen: the date and the mode stay."""
    date = path.stat().st_mtime_ns
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(-9, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-9, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    path.chmod(0o444)
    os.utime(path, ns=(date, date))


def test_a_flipped_byte_is_named_and_healed(first, second):
    """Also where the byte was flipped in the cache, through a hard link."""
    flip_a_byte(second.folder / WEIGHTS)
    done = second.clone.flexbench("verify", "--tier", "smoke")
    assert done.returncode == 1
    name = WEIGHTS.relative_to(RESULTS).as_posix()
    assert f"{name}: changed" in done.stdout
    assert "1 problem" in done.stderr
    assert f"{name}: changed" in second.error("record", "--tier", "smoke")
    second.good("restore", "--force")
    assert second.bytes() == first.bytes()
    assert not second.damaged_objects()
    assert not second.jobs()


@pytest.mark.parametrize(
    "verb",
    [
        ("simulate", "--re", "100", "--seed", "0", "--set", "solver.cfl=0.3"),
        ("sample", "superres_x4", "flex", "--set", "sample.members=3"),
        ("train", "superres_x4", "flex", "--set", "train.learning_rate=0.05"),
        ("figure", "superres_x4", "maps"),
    ],
    ids=lambda verb: verb[0],
)
def test_no_step_writes_through_a_link(second, verb):
    """Results that are the cache's own files are replaced, even by root, never written into.

    In this process: what counts is the folder that the verb writes to.
    """
    before = {
        path: path.stat().st_ino
        for part in LARGE
        for path in (second.folder / RESULTS / part).rglob("*.receipt.json")
    }
    own = second.clone.tiny(second.folder / "results")
    done = CliRunner().invoke(cli.app, [*verb, *own])
    assert done.exit_code == 0, (done.output, done.exception)
    assert any(path.stat().st_ino != inode for path, inode in before.items()), "it wrote"
    assert not second.damaged_objects()


def test_restore_does_not_overwrite_what_no_snapshot_holds(first, second):
    """After the steps above; and with --force everything is the version's again."""
    assert "--force" in second.error("restore")
    second.good("restore", "--force")
    assert second.bytes() == first.bytes()


# --- what DVC tells of two versions ---------------------------------------------------------


def test_differences_are_what_a_person_wants_to_see(first):
    """Of the files that git holds: edited here as a run with other settings would write them."""
    folder = first.folder / RESULTS
    edits = {
        folder / "config.yaml": lambda text: text.replace("_rate: 0.001", "_rate: 0.02"),
        folder / "tables" / "headline.json": lambda text: json.dumps(
            json.loads(text, parse_float=lambda word: float(word) / 2)
        ),
        folder / "tables" / "scores.csv": lambda text: text[: text.rindex("\n", 0, -1) + 1],
    }
    kept = {path: (path.read_text(), path.stat().st_mtime_ns) for path in edits}
    try:
        for path, edit in edits.items():
            path.write_text(edit(kept[path][0]))
        params, metrics, drawn = (
            json.loads(first.dvc(kind, "diff", "--json")) for kind in ("params", "metrics", "plots")
        )
    finally:
        for path, (text, date) in kept.items():
            path.write_text(text)
            os.utime(path, ns=(date, date))
    config = (RESULTS / "config.yaml").as_posix()
    assert params == {config: {"train.learning_rate": {"old": 0.001, "new": 0.02, "diff": 0.019}}}
    (names,) = metrics.values()
    assert {name.rpartition(".")[0] for name in names} == {
        "superres_x4.flex",
        "superres_x4.interpolation",
    }
    assert {"rfne_mean", "crps"} <= {name.rpartition(".")[2] for name in names}
    assert [key.rpartition("/")[2] for key in drawn["data"]] == ["scores.csv"], drawn["data"].keys()
    content = drawn["data"][next(iter(drawn["data"]))][0]
    assert set(content["revisions"]) == {"HEAD", "workspace"}


# --- an older version -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def changed(first, second):
    """A second version in the first clone (after the clone of the first version was made).

    Its code draws a figure in another way, so that two jobs make it.
    """
    before = first.bytes()
    write_settings(first, "train.learning_rate=0.02")
    assert "learning_rate 0.001, asked for: 0.02" in first.error("record")
    write_settings(first)
    source = first.folder / "flexbench" / "report" / "figures" / "spectra.py"
    source.write_text(f"{source.read_text()}\nADDED = 1\n")
    first.git("commit", "--all", "--quiet", "--message", "Draw anew")
    first.good("run", "--tier", "smoke", "--cores", "2")
    first.good("record", "--message", "second")
    return before, first.bytes()


@pytest.mark.parametrize("version", ["HEAD~2", "-"], ids=["older", "back"])
def test_a_checkout_comes_back_without_work(first, changed, version):
    first.git("checkout", "--quiet", version)
    first.good("restore")
    older, newer = changed
    wanted = older if version == "HEAD~2" else newer
    assert older != newer
    assert first.bytes() == wanted
    first.good("verify", "--tier", "smoke")
    assert not first.jobs()
    assert first.git("status", "--porcelain") == ""


# --- kills ----------------------------------------------------------------------------------


def test_what_a_killed_dvc_leaves_needs_no_hand(first, changed):
    """A lock file cut short, a lock whose number another process has now, a file taken away."""
    lock = first.folder / "dvc.lock"
    whole = lock.read_text()
    lock.write_text(whole[: len(whole) // 2])
    entry = {"pid": os.getpid(), "cmd": "dvc commit"}
    held = {"write": {str(first.folder / RESULTS / "data"): entry}, "read": {}}
    (first.folder / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(held))
    weights, folder = first.folder / WEIGHTS, first.folder / RESULTS
    spare = folder / "state" / "spares" / WEIGHTS.relative_to(RESULTS)
    spare.parent.mkdir(parents=True)
    os.link(weights, spare)
    weights.unlink()
    first.good("record", "--no-push")
    assert first.bytes() == changed[1]
    assert lock.read_text() == whole
    assert first.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    "moment", [0.0, *(pytest.param(late, marks=pytest.mark.nightly) for late in (None, 0.5))]
)
def test_a_killed_snapshot_is_repaired_by_the_next(first, changed, moment):
    """kill -9 of the verb, or of it and DVC; at any moment, or so long after links are laid."""
    seed = random.Random(str(moment))
    shutil.rmtree(first.folder / ".dvc" / "cache")
    (first.folder / "dvc.lock").unlink()
    process = first.clone.start("flexbench", "record")
    spares = first.folder / RESULTS / "state" / "spares"
    if moment is None:
        time.sleep(seed.uniform(0.5, 5))
    else:
        deadline = time.monotonic() + 60
        while not spares.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moment)
    if seed.random() < 0.5:
        os.kill(process.pid, signal.SIGKILL)
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    first.good("record")
    process.communicate()
    assert first.bytes() == changed[1]
    assert not first.damaged_objects()
    assert not first.jobs()
    assert not spares.exists()
    assert first.git("status", "--porcelain") == ""


# --- errors ---------------------------------------------------------------------------------


def test_errors_are_one_line(first, changed):
    assert first.error("record", "--remote", "nowhere") == (
        "remote 'nowhere' is not known to DVC; allowed: store"
    )
    told = first.error("restore", "--tier", "desk")
    assert told == "this commit holds a version of tier 'smoke', not of 'desk'"
    report = first.folder / RESULTS / "report.html"
    text = report.read_text()
    report.write_text("mine")
    assert "git checkout -- results/smoke/report.html" in first.error("restore")
    report.write_text(text)
    tier = first.folder / "workflow" / "config" / "smoke.yaml"
    settings = tier.read_text()
    tier.write_text(settings.replace("root: results", "root: /somewhere/else"))
    assert "/somewhere/else; work in a clone" in first.error("record")
    tier.write_text(settings)


def test_a_live_run_is_left_alone(first, changed):
    """The verbs hold the lock of a run, and respect it."""
    process = first.clone.start("flexbench", "record", "--no-push")
    lock = first.folder / RESULTS / ".run.lock"
    first.clone.wait(lambda: str(process.pid) in lock.read_text(), process)
    for verb in ("record", "restore", "run"):
        told = first.error(verb, "--tier", "smoke")
        assert f"process {process.pid} on" in told
        assert "is working here" in told
    process.communicate()
    assert process.returncode == 0


def test_objects_that_the_remote_lacks_are_an_error(first, tmp_path):
    """Last: the remote is not whole afterwards."""
    store = Path(first.dvc("remote", "list").split()[1])
    shutil.rmtree(store / "files")
    clone = first.another(tmp_path / "clone")
    told = clone.error("restore")
    assert told.startswith("dvc pull: ")
    assert "results/smoke" in told
    bare = first.another(tmp_path / "bare")
    bare.dvc("remote", "remove", "store")
    assert "there is no remote" in bare.error("restore")
