"""Bad input through the real command line: one clear line, no traceback, nothing half-written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from flexbench import BENCHMARK_VERSION, __version__, cli
from flexbench.config import TIERS
from flexbench.data.dummy import write_dummy
from flexbench.paths import checkout
from flexbench.report.catalogue import FIGURES

# Of a task without evaluations.
OF_TASK = [name for name, e in FIGURES.items() if "task" in e.of and not e.needs_evaluations]

SETTINGS = (
    "methods=[flex,fno,interpolation,persistence]",
    "solver.grid=32",
    "solver.t_end=0.8",
    "evaluations=null",
    "splits={train: {reynolds: [100], seeds: [0]}, validation: {reynolds: [100], seeds: [50]}, "
    "test: {reynolds: [100], seeds: [100]}}",
    "train={steps: 1, warmup_steps: 0, batch: 1}",
    "sample={members: 1, steps: 1}",
)


class Result:
    """How a command ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def fails_with(self, *parts):
        """Exit code 1 and exactly one line on standard error, with all of these words."""
        assert self.code == 1, (self.code, self.out, self.err)
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("flexbench: error: ")
        for part in parts:
            assert str(part) in lines[0]


def start(*arguments, cwd, environment=None):
    """A process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "flexbench", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def here(entry, monkeypatch, tmp_path):
    """The entry point in this process, called in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code, out, lines = entry(*arguments)
        return Result(code, out, "".join(f"{line}\n" for line in lines))

    return call


def options(root, *settings):
    assignments = [*SETTINGS, f"root={root}", *settings]
    return ["--tier", "smoke", *(word for text in assignments for word in ("--set", text))]


def listing(folder):
    """Every path below a folder, with its content."""
    return {
        path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """Trajectories, statistics and the checkpoint of one network, as the verbs write them."""
    root = tmp_path_factory.mktemp("ready")
    for seed in (0, 50, 100):
        path = root / "smoke" / "data" / f"re100_seed{seed}.h5"
        write_dummy(path, grid=32, times=[0.5, 0.6, 0.7, 0.8], reynolds=100.0, seed=seed)
    runner = CliRunner()
    for verb in (["statistics", "superres_x4"], ["train", "superres_x4", "flex"]):
        done = runner.invoke(cli.app, [*verb, *options(root)])
        assert done.exit_code == 0, done.output
    return root


@pytest.fixture
def root(ready, tmp_path):
    """A copy that the test may spoil."""
    shutil.copytree(ready, tmp_path / "root")
    return tmp_path / "root"


# --- settings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("train.stepz=3", ["train.stepz", "unknown key", "'steps'", "checkpoint_seconds"]),
        ("trian.steps=3", ["command line: trian", "did you mean 'train'"]),
        ("train.steps=many", ["command line: train.steps", "integer", "'many'"]),
        ("train=3", ["train", "mapping of keys", "found 3"]),
        ("train.learning_rate=.inf", ["train.learning_rate", "finite", "inf"]),
        ("solver.t_end=.nan", ["solver.t_end", "nan"]),
        ("solver.grid=33", ["grid (33) must be even"]),
        ("solver.precision=float16", ["solver.precision", "'float32' or 'float64'", "float16"]),
        ("splits.train.reynolds=[-5]", ["splits.train.reynolds.0", "greater than 0", "-5"]),
        ("splits.train.reynolds=[0]", ["splits.train.reynolds.0", "greater than 0", "found 0"]),
        ("splits.train.reynolds=[100, 100]", ["splits.train.reynolds", "100.0", "more than once"]),
        ("splits.test.seeds=[0]", ["leak", "Re 100", "seed 0", "train", "test"]),
        ("methods=[flex,flex]", ["methods", "flex", "more than once"]),
        ("methods=[flecks]", ["'flecks'", "did you mean flex", "known: flex, dit"]),
        ("tasks.forecast.methods=[flecks]", ["'flecks'", "did you mean flex"]),
        ("method_settings.flecks.size=S", ["method_settings.flecks", "did you mean 'flex'"]),
        ("method_settings.flex.size=XL", ["method_settings.flex.size", "'XS'", "'XL'"]),
        ("tasks.superres_x4.patch=64", ["superres_x4.patch (64)", "larger than the field (32)"]),
        ("tasks.superres_x4.factor=3", ["tasks.superres_x4.factor", "2, 4, 8 or 16", "3"]),
        ("tasks.new.patch=32", ["tasks.new.kind", "forecast, superres"]),
        ("tasks.new.kind=dream", ["tasks.new.kind", "forecast, superres", "'dream'"]),
        ("tier=huge", ["tier 'huge'", *TIERS]),
        ("train.steps", ["--set train.steps", "key=value"]),
        ("=3", ["--set =3", "key=value"]),
        ("methods=[flex", ["--set methods=[flex", "not valid YAML"]),
        ("baseline_folders=[nowhere]", ["baseline_folders", "'nowhere'", "not a folder"]),
    ],
)
def test_wrong_setting(here, tmp_path, setting, parts):
    here("config", *options(tmp_path / "root", setting)).fails_with(*parts)
    assert not listing(tmp_path)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (None, ["config.yaml", "No such file"]),
        ("", ["config.yaml", "mapping of keys"]),
        ("train: {steps: 1", ["config.yaml", "not valid YAML"]),
        ("train: {stepz: 1}", ["config.yaml: train.stepz", "did you mean 'steps'"]),
        ("\x00\xff", ["config.yaml", "not valid YAML"]),
    ],
)
def test_wrong_configuration_file(here, tmp_path, text, parts):
    # What a whole configuration needs comes from a tier; only what is wrong is told.
    path = tmp_path / "config.yaml"
    if text is not None:
        here("config", "--tier", "smoke", "--output", path)
        whole = path.read_text() if "stepz" in text else ""
        path.write_text(whole.replace("train:\n  steps", "train:\n  stepz") or text, "latin-1")
    before = listing(tmp_path)
    here("splits", "--resolved", path).fails_with(*parts)
    assert listing(tmp_path) == before


def test_several_wrong_keys_are_one_line_each(here, tmp_path):
    done = here("config", *options(tmp_path, "train.stepz=1", "sample.membrs=2"))
    assert done.code == 1
    first, second = sorted(done.err.splitlines())
    assert first.startswith("flexbench: error: command line: sample.membrs")
    assert second.startswith("flexbench: error: command line: train.stepz")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("TASKS = ('superres',)\nWIDTH_STEP = 4\n", ["build (a network)", "predict (a formula)"]),
        ("def build(:\n", ["a_users_network.py:1", "not valid Python"]),
        ("WIDTH_STEP = 4\ndef build(problem, *, width): ...\n", ["TASKS", "missing"]),
        ("TASKS = ('dream',)\ndef predict(example, task): ...\n", ["TASKS", "forecast", "dream"]),
        ("TASKS = ('forecast',)\ndef build(problem, *, width): ...\n", ["WIDTH_STEP", "missing"]),
    ],
)
@pytest.mark.parametrize("verb", [["methods"], ["run", "--dry-run"]])
def test_wrong_baseline_file(here, tmp_path, verb, text, parts):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "a_users_network.py").write_text(text)
    settings = ("methods=[flex,a_users_network]", f"baseline_folders=[{folder}]")
    before = listing(tmp_path)
    here(*verb, *options(tmp_path / "root", *settings)).fails_with(
        folder / "a_users_network.py", *parts
    )
    assert listing(tmp_path) == before


# --- arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["nonsense"],
        ["train"],
        ["train", "superres_x4", "flex", "--epochs", "3"],
        ["train", "superres_x4", "flex", "--seed", "-1"],
        ["simulate", "--re", "fast", "--seed", "0"],
        ["run", "--cores", "0"],
    ],
)
def test_wrong_option_or_argument(here, arguments):
    done = here(*arguments)
    assert done.code == 2
    assert "Usage: flexbench" in done.err
    assert not done.out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["train", "superres_x5", "flex"], ["training is 'superres_x5'", "superres_x4, forecast"]),
        (["train", "superres_x4", "dit"], ["method is 'dit'", "allowed: flex, fno (methods)"]),
        (["train", "forecast", "interpolation"], ["'interpolation'", "forecast", "flex, fno"]),
        (["train", "superres_x4", "interpolation"], ["'interpolation'", "nothing to train"]),
        (["sample", "superres_x4", "persistence"], ["'persistence'", "(superres)", "forecast"]),
        (["statistics", "superres_x5"], ["task 'superres_x5'", "superres_x4, forecast"]),
        (["figure", "superres_x4", "portrait"], ["figure 'portrait'", *OF_TASK]),
        (["figure", "superres_x5", "spectra"], ["task 'superres_x5'", "superres_x4, forecast"]),
        (["simulate", "--re", "-5", "--seed", "0"], ["reynolds is '-5'", "allowed: 100"]),
        (["simulate", "--re", "nan", "--seed", "0"], ["reynolds is 'nan'", "allowed: 100"]),
        (["simulate", "--re", "100.0000001", "--seed", "0"], ["reynolds is '100.0000001'"]),
        (["simulate", "--re", "100", "--seed", "-1"], ["seed is '-1'", "allowed: 0"]),
        (["train", "superres_x4", "flex", "--seed", "1"], ["seed is '1'", "training_seeds"]),
        (["sample", "superres_x4", "flex", "--seed", "1"], ["seed is '1'", "training_seeds"]),
        (["score", "superres_x4.no_slip", "flex"], ["'superres_x4.no_slip'", "allowed: superr"]),
    ],
)
def test_what_does_not_exist_or_fit(here, tmp_path, arguments, parts):
    here(*arguments, *options(tmp_path / "root")).fails_with(*parts)
    assert not listing(tmp_path)


# --- files ----------------------------------------------------------------------------------


def data(root, seed):
    return root / "smoke" / "data" / f"re100_seed{seed}.h5"


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def spoil(path):
    with h5py.File(path, "r+") as file:
        file["w"][2, 3, 4] = np.nan


@pytest.mark.parametrize(
    ("missing", "verb", "parts"),
    [
        ("data/re100_seed0.h5", ["statistics", "superres_x4"], ["no such trajectory file"]),
        ("data/statistics_superres_x4.json", ["train", "superres_x4", "fno"], ["missing", "run"]),
        ("data/re100_seed50.h5", ["train", "superres_x4", "fno"], ["no such trajectory file"]),
        ("checkpoints/superres_x4/flex/seed0.safetensors", ["sample", "superres_x4", "flex"], []),
        ("samples/superres_x4/flex/seed0.h5", ["score", "superres_x4", "flex"], ["missing"]),
        ("scores/superres_x4/flex/seed0.csv", ["tabulate"], []),
        ("tables/scores.csv", ["figure", "superres_x4", "spectra"], ["flexbench tabulate"]),
        ("tables/scores.csv", ["report"], ["flexbench tabulate"]),
    ],
)
def test_missing_file(here, root, missing, verb, parts):
    path = root / "smoke" / missing
    path.unlink(missing_ok=True)
    before = listing(root)
    here(*verb, *options(root)).fails_with(path, *parts)
    assert listing(root) == before


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (truncate, ["truncated", "bytes"]),
        (spoil, ["snapshot 2 holds a value that is not finite"]),
        (lambda path: path.write_text("not HDF5"), ["not a readable HDF5 file", "8 bytes"]),
    ],
)
@pytest.mark.parametrize(
    "verb", [["statistics", "superres_x4"], ["train", "superres_x4", "fno"], ["check"]]
)
def test_spoilt_trajectory(here, root, harm, words, verb):
    path = data(root, 0)
    harm(path)
    before = listing(root)
    if verb == ["check"]:
        done = here("check", path, data(root, 50))
        done.fails_with("1 of 2 files")
        told, fine = done.out.splitlines()
        assert told.startswith(f"{path}: ")
        assert fine == f"{data(root, 50)}: ok"
        assert all(word in told for word in words)
    else:
        here(*verb, *options(root)).fails_with(path, *words)
    assert listing(root) == before


@pytest.mark.parametrize("seed", [0, 100])
def test_a_run_in_two_splits(here, root, seed):
    """The files say what they are, whatever they are called."""
    data(root, 50).write_bytes(data(root, seed).read_bytes())
    before = listing(root)
    here("splits", *options(root)).fails_with("leak", "validation", data(root, 50))
    assert listing(root) == before


def test_checkpoint_of_another_network(here, root):
    folder = root / "smoke" / "checkpoints" / "superres_x4"
    (folder / "flex").rename(folder / "fno")
    before = listing(root)
    wrong = folder / "fno" / "seed0.safetensors"
    here("sample", "superres_x4", "fno", *options(root)).fails_with(wrong, "'flex'", "'fno'")
    assert listing(root) == before


def test_truncated_checkpoint(here, root):
    path = root / "smoke" / "checkpoints" / "superres_x4" / "flex" / "seed0.safetensors"
    truncate(path)
    before = listing(root)
    here("sample", "superres_x4", "flex", *options(root)).fails_with(path, "train again")
    assert listing(root) == before


def test_checkpoint_under_other_statistics(here, root):
    path = root / "smoke" / "data" / "statistics_superres_x4.json"
    path.write_text('{"field_std": 1.0, "residual_std": 1.0}')
    before = listing(root)
    done = here("sample", "superres_x4", "flex", *options(root))
    done.fails_with("seed0.safetensors", "other statistics", "train it again")
    assert listing(root) == before


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("{", ["line 1 column 2", "run `flexbench statistics superres_x4`"]),
        ("[]", ["field_std", "missing"]),
        ('{"field_std": 1.0}', ["residual_std"]),
        ('{"field_std": 1.0, "residual_std": 0}', ["residual_std", "above 0"]),
        ('{"field_std": "wide", "residual_std": 1}', ["float", "wide"]),
    ],
)
def test_spoilt_statistics(here, root, text, parts):
    path = root / "smoke" / "data" / "statistics_superres_x4.json"
    path.write_text(text)
    before = listing(root)
    here("train", "superres_x4", "fno", *options(root)).fails_with(path, *parts)
    assert listing(root) == before


@pytest.mark.parametrize("content", [b"", b"text\n", b"\x80\x02}q\x00."])
def test_import_of_what_is_no_checkpoint(here, tmp_path, content):
    (tmp_path / "theirs.pt").write_bytes(content)
    here("import-checkpoint", "theirs.pt", "ours.safetensors").fails_with("theirs.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.pt"]


# --- places ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verb", [["simulate", "--re", "100", "--seed", "0"], ["run", "--cores", "1"]]
)
@pytest.mark.parametrize("place", ["a file", "/proc/flexbench"])
def test_root_that_cannot_be_written(here, tmp_path, verb, place):
    (tmp_path / "a file").write_text("mine")
    root = tmp_path / place  # an absolute place stays as it is
    before = listing(tmp_path)
    here(*verb, *options(f"'{root}'")).fails_with(root)
    assert listing(tmp_path) == before


def test_log_and_output_that_cannot_be_written(here, tmp_path):
    (tmp_path / "file").write_text("mine")
    before = listing(tmp_path)
    here("splits", *options(tmp_path / "root"), "--log", "file/log").fails_with("file")
    here("config", "--tier", "smoke", "--output", "file/out").fails_with("file")
    assert listing(tmp_path) == before


# --- the process ----------------------------------------------------------------------------


def test_the_installed_command_tells_the_same(tmp_path):
    """In a process of its own, from any folder: the same line, the same code."""
    arguments = ("config", "--tier", "smoke", "--set", "train.stepz=3")
    start(*arguments, cwd=tmp_path).fails_with("train.stepz", "'steps'")
    script = Path(sys.executable).with_name("flexbench")
    done = subprocess.run([script, *arguments], capture_output=True, text=True, check=False)
    Result(done.returncode, done.stdout, done.stderr).fails_with("train.stepz", "'steps'")
    simulate = ("simulate", "--re", "-5", "--seed", "0", "--tier", "smoke")
    start(*simulate, cwd=tmp_path).fails_with("reynolds", "-5")
    assert not listing(tmp_path)


def test_snakemake_tells_the_same_line(tmp_path):
    words = ("--config", "tier=smoke", "train={stepz: 3}", f"root={tmp_path / 'root'}")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--nolock", "--dry-run", *words],
        cwd=checkout(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    told = done.stdout + done.stderr
    assert "command line: train.stepz: unknown key; did you mean 'steps'?" in told
    assert "Traceback" not in told
    assert not listing(tmp_path)


def test_asked_for_nothing_it_shows_its_help(tmp_path):
    done = start(cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out == start("--help", cwd=tmp_path).out


def test_it_says_which_version_it_is(tmp_path):
    done = start("--version", cwd=tmp_path)
    said = f"flexbench {__version__} (benchmark version {BENCHMARK_VERSION})\n"
    assert (done.code, done.out, done.err) == (0, said, "")


def test_help_imports_nothing_heavy(tmp_path):
    probe = tmp_path / "sitecustomize.py"
    probe.write_text(
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sorted(sys.modules), file=open('modules', 'w')))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = start("--help", cwd=tmp_path, environment=environment)
    assert done.code == 0
    for verb in ("run", "simulate", "train", "sample", "score", "tabulate", "figure", "report"):
        assert f" {verb} " in done.out
    modules = set((tmp_path / "modules").read_text().split())
    assert "flexbench.cli" in modules
    heavy = {"torch", "numpy", "pydantic", "yaml", "h5py", "scipy", "pandas", "matplotlib"}
    assert not modules & (heavy | {"snakemake", "flexbench.config", "flexbench.graph"})


def test_help_takes_less_than_half_a_second(tmp_path):
    """Of a processor: others may use it at the same time."""
    before = os.times()
    assert start("--help", cwd=tmp_path).code == 0
    after = os.times()
    taken = (after.children_user, after.children_system)
    assert sum(taken) - before.children_user - before.children_system < 0.5


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("flexbench ru", ["run"]),
        ("flexbench run --tier s", ["smoke", "study"]),
        ("flexbench run --verb", ["--verbose"]),
        ("flexbench train --tier smoke superres_x4+", ["superres_x4+forecast"]),
        ("flexbench sample --tier smoke forecast unet-", ["unet-regressor"]),
        ("flexbench score --tier nowhere fore", []),
    ],
)
def test_a_shell_completes_words(here, monkeypatch, typed, offered):
    monkeypatch.setenv("_FLEXBENCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
    done = here()
    assert done.out.split() == offered
    assert not done.err


def test_a_users_file_shows_its_configuration(here, tmp_path):
    (tmp_path / "mine.yaml").write_text("tier: smoke\ntrain: {steps: 7}\n")
    done = here("config", "--config", "mine.yaml", "--set", "sample.members=3")
    assert done.code == 0
    assert "steps: 7" in done.out
    assert "members: 3" in done.out
    assert done.out.startswith("tier: smoke")
