"""What several folders of tests share: clones of the checkout to run, edit and kill things in."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flexbench.paths import checkout

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


@dataclass(frozen=True)
class Clone:
    """A copy of the checkout that commands run in, with locks and records of its own.

    Real processes, with this interpreter: the copy's code comes before the installed one.
    """

    folder: Path
    environment: dict[str, str] = field(init=False)

    def __post_init__(self):
        for part in PARTS:
            source = checkout() / part
            if source.is_symlink():
                (self.folder / part).symlink_to(source.readlink())
                continue
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, self.folder / part)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("FLEXBENCH_")
        }
        environment |= {
            "PYTHONPATH": str(self.folder),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }
        object.__setattr__(self, "environment", environment)

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

    def start(self, module, *arguments, cwd=None, environment=None):
        """A process that leads a group of its own: `python -m module arguments`."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=cwd or self.folder,
            env=self.environment | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
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
    return lambda: Clone(tmp_path_factory.mktemp("clone"))


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


@pytest.fixture(scope="session")
def made(tmp_path_factory, make_steps):
    """The root of a tiny run; copy it."""
    from flexbench.config.reading import load_config, parse_assignments
    from flexbench.graph import Graph

    root = tmp_path_factory.mktemp("made")
    options = Clone.tiny(root)
    make_steps(Graph.of(load_config({"tier": "smoke"} | parse_assignments(options[3::2]))), options)
    return root


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
