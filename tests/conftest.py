"""What several folders of tests share: clones of the checkout to run, edit and kill things in."""

import fcntl
import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from terminal import run_in_terminal

from flexbench.cli import COLLECT_EVERY
from flexbench.paths import checkout

gc.set_threshold(COLLECT_EVERY)  # as a verb does, and for its reason

# Tests run on both cores at once: one thread each, here and in every process they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# All that a run needs of the checkout.
PARTS = ("Snakefile", "baselines", "flexbench", "workflow", "slurm")

# The smoke tier, smaller still: one task, one network, one formula; seconds per step.
TINY = (
    "methods=[flex,interpolation]",
    "tasks.forecast.methods=[]",
    "solver.grid=32",
    "solver.t_end=0.8",
    "splits.train={reynolds: [100], seeds: [0]}",
    "splits.validation={reynolds: [100], seeds: [50]}",
    "splits.test={reynolds: [100], seeds: [100]}",
    "train.steps=6",
    "train.validate_every=3",
    "train.log_every=2",
    "sample.members=2",
    "score.bootstrap=50",
    "evaluations=null",
)


# --- where the processor's time goes --------------------------------------------------------

BEGUN = pytest.StashKey[float]()
SHOWN = 15


def processor_seconds():
    """Of this process and all that have ended below it, user and system."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    item.stash[BEGUN] = processor_seconds()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    try:
        return (yield)
    finally:
        item.user_properties.append(("processor", processor_seconds() - item.stash[BEGUN]))


def pytest_terminal_summary(terminalreporter):
    """What each file took, fixtures included; the suite has a budget of it."""
    spent = Counter()
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        for name, seconds in getattr(report, "user_properties", ()):
            if name == "processor" and report.when == "teardown":
                spent[report.nodeid.partition("::")[0]] += seconds
    terminalreporter.section("processor time")
    terminalreporter.line(f"{spent.total() / 60:7.1f} min  together")
    for file, seconds in spent.most_common(SHOWN):
        terminalreporter.line(f"{seconds:7.0f} s    {file}")


# --- clones ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clone:
    """A copy of the checkout that commands run in, with locks and records of its own.

    Real processes, with this interpreter: the copy's code comes before the installed one.
    """

    folder: Path
    environment: dict[str, str] = field(init=False)

    def __post_init__(self):
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("FLEXBENCH_")
        }
        environment |= {
            "PYTHONPATH": str(self.folder),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }
        object.__setattr__(self, "environment", environment)

    @classmethod
    def of_checkout(cls, folder):
        """A clone in a folder that is there and empty."""
        for part in PARTS:
            source = checkout() / part
            if source.is_symlink():
                (folder / part).symlink_to(source.readlink())
                continue
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, folder / part)
        return cls(folder)

    def copy(self, folder):
        """Another one with all that is in this one, results and Snakemake's records too.

        Every file is one of its own, and as old as it was, so that nothing in it is stale.
        """
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Clone(folder)

    @staticmethod
    def tiny(root, *settings):
        """Options of `flexbench run` (or of a verb) for a tiny run below `root`."""
        assignments = [*TINY, f"root={root}", *settings]
        return ["--tier", "smoke", *(word for text in assignments for word in ("--set", text))]

    @staticmethod
    def wait(condition, process, *, seconds=60):
        """Until the condition holds; the process has to live on meanwhile."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def start(self, module, *arguments, cwd=None, environment=None, umask=-1):
        """A process that leads a group of its own: `python -m module arguments`."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=cwd or self.folder,
            env=self.environment | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            umask=umask,
        )

    def call(self, module, *arguments, timeout=120, **options):
        """The same, waited for: an object with returncode, stdout and stderr."""
        process = self.start(module, *arguments, **options)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def flexbench(self, *arguments, **options):
        return self.call("flexbench", *arguments, **options)

    def snakemake(self, *arguments, **options):
        return self.call("snakemake", *arguments, **options)


@pytest.fixture(scope="session")
def make_clone(tmp_path_factory):
    """Makes clones, for fixtures that live longer than one test."""
    return lambda: Clone.of_checkout(tmp_path_factory.mktemp("clone"))


@pytest.fixture
def clone(make_clone):
    """A clone that the test may change."""
    return make_clone()


@pytest.fixture(scope="session")
def shared_clone(make_clone):
    """A clone that tests only look at."""
    return make_clone()


@pytest.fixture(scope="session")
def tiny():
    """The settings of a tiny run."""
    return TINY


@pytest.fixture(scope="session")
def tiny_graph(tiny):
    """The graph of the tiny run below a root, with further settings."""
    from flexbench.config.reading import load_config, parse_assignments
    from flexbench.graph import Graph

    def graph(root, *settings):
        overrides = parse_assignments([*tiny, f"root={root}", *settings])
        return Graph.of(load_config({"tier": "smoke"} | overrides))

    return graph


# --- the tiny run ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A clone with a tiny run below `results`, made to the report; look at it, or copy it.

    It takes minutes of a processor, so it is made once, for all processes that test at the same
    time. It has no network where the system lets a process go without one: `interfaces` in its
    folder then holds what networks it saw. It has a terminal: `told` holds what it wrote there.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "tiny-run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = shared / "tiny-run"
        if not folder.exists():
            growing = shared / "tiny-run.growing"
            growing.mkdir()  # an error where another process failed at it: once is enough
            _make_tiny_run(Clone.of_checkout(growing))
            growing.rename(folder)
    return Clone(folder)


def _make_tiny_run(clone):
    run = [sys.executable, "-m", "flexbench", "run", "--cores", "2", *clone.tiny("results")]
    alone = ["unshare", "--net", "--map-root-user"]
    if (
        shutil.which(alone[0])
        and subprocess.run([*alone, "true"], capture_output=True).returncode == 0
    ):
        run = [*alone, "sh", "-c", 'cat /proc/net/dev > interfaces && exec "$@"', "sh", *run]
    environment = clone.environment | {"TERM": "xterm"}
    code, told = run_in_terminal(run, cwd=clone.folder, env=environment, timeout=900)
    assert code == 0, told
    (clone.folder / "told").write_bytes(told.encode())  # with its carriage returns


@pytest.fixture
def tiny_copy(tiny_run, tmp_path):
    """A copy of the clone with the tiny run, which the test may change."""
    return tiny_run.copy(tmp_path / "clone")


@pytest.fixture(scope="session")
def made(tiny_run):
    """The root of the tiny run; copy it."""
    return tiny_run.folder / "results"


# --- verbs in this process ------------------------------------------------------------------


@pytest.fixture
def entry(monkeypatch, capfd):
    """The entry point itself: words to the exit code, what is printed, and the lines of errors.

    In this process, so that torch is imported once for all.
    """
    from flexbench import cli

    def call(*words):
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["flexbench", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return ended.value.code or 0, out, err.splitlines()

    return call


# --- steps, one by one ----------------------------------------------------------------------


@pytest.fixture(scope="session")
def make_steps():
    """Makes what a configuration asks for, step by step, by the real verbs in this process.

    without: names of steps that are left out.
    """
    from typer.testing import CliRunner

    from flexbench import cli

    def make(graph, options, without=()):
        for step in graph.steps:
            if step.name in without:
                continue
            done = CliRunner().invoke(cli.app, [*_verb(step), *options])
            assert done.exit_code == 0, (step, done.output, done.exception)

    return make


def _verb(step):
    """The verb that makes a step, with its arguments, as its rule calls it."""
    name = "figure" if step.name == "animation" else step.name.replace("_", "-")
    return [name, *_verb_arguments(step)]


def _verb_arguments(step):
    made = step.outputs[0]
    if step.name == "import_data":
        return made.stem.rsplit("_", 1)
    if step.name == "simulate":
        boundary = step.slice.get("boundary", "periodic")
        run = ["--re", str(step.slice["reynolds"]), "--seed", str(step.slice["seed"])]
        return [*run, "--boundary", boundary]
    if step.name == "statistics":
        task = made.stem.removeprefix("statistics_").partition(".")[0]
        return [task, "--observable", step.slice["observable"]]
    if step.name in ("train", "sample", "score"):
        seed = made.name.partition(".")[0].removeprefix("seed")
        return [made.parent.parent.name, made.parent.name, "--seed", seed]
    return (
        [step.slice["case"], step.slice["figure"]] if step.name in ("figure", "animation") else []
    )
