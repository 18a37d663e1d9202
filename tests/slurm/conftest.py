"""A real Slurm of one node for the tests, and runs of a slice of `smoke` on it."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from flexbench.config.reading import parse_assignments

SCRIPTS = Path(__file__).parent / "cluster"
SBIN = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin{os.pathsep}/sbin"

# The slice: one task of `smoke`, one network and one formula, to the report. Its training takes
# long enough to be struck; restart points are frequent, and nothing else depends on that.
SETTINGS = (
    "train.steps=200",
    "train.warmup_steps=3",
    "train.validate_every=100",
    "train.log_every=50",
    "train.checkpoint_seconds=0.5",
)
PLACE = {"partition": "cpu", "gpu_partition": "gpu", "train": {"gpu": True}}
WEIGHTS = "checkpoints/superres_x4/flex/seed0.safetensors"


def call(script, environment=None, *arguments):
    return subprocess.run(
        ["bash", SCRIPTS / script, *arguments],
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        timeout=400,
    )


def is_installed():
    wanted = ("slurmctld", "slurmd", "munged", "squeue")
    return all(shutil.which(name, path=SBIN) for name in wanted)


def install():
    """Slurm's programs on this machine, or the reason why not."""
    if os.geteuid() != 0:
        pytest.skip("a Slurm of one's own needs root")
    if is_installed():
        return
    if shutil.which("apt-get") is None:
        pytest.skip("Slurm is not installed, and there is no apt-get to install it with")
    done = call("install.sh")
    if done.returncode:
        pytest.skip(f"Slurm cannot be installed: {(done.stderr or done.stdout)[-300:]}")


@pytest.fixture(scope="session")
def installed():
    """For tests that use a Slurm which is there, and install none: asked for before `cluster`."""
    if not is_installed():
        pytest.skip("Slurm is not installed; `pytest -m nightly tests/slurm` does it")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """The environment in which commands find the cluster: 8 CPUs and 2 GPUs, as it believes."""
    install()
    # Its ports are fixed: one at a time on a machine.
    with (Path(tempfile.gettempdir()) / "flexbench-test-slurm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = tmp_path_factory.mktemp("slurm")
        settings = {
            "SLURM_SIM_DIR": str(folder),
            "SLURM_SIM_CPUS": "8",
            "SLURM_SIM_GPUS": "8",
            "SLURM_SIM_MEM": "64000",
            "SLURM_SIM_KILLWAIT": "15",
        }
        try:
            done = call("start-slurm.sh", settings)
            if "not to loopback" in done.stderr:
                pytest.skip(done.stderr.strip())
            assert done.returncode == 0, done.stdout + done.stderr
            yield {"SLURM_CONF": str(folder / "etc" / "slurm.conf")}
        finally:
            call("stop-slurm.sh", settings, "--purge")


@pytest.fixture(scope="session")
def make_run(cluster, make_clone, tmp_path_factory):
    """Makes runs, each with a clone and a results folder of its own."""

    runs = []

    def make(*settings, place=PLACE):
        root = tmp_path_factory.mktemp("root")
        runs.append(SlurmRun(make_clone(), root, cluster, *SETTINGS, *settings, place=place))
        return runs[-1]

    yield make
    for main in (main for run in runs for main in run.mains):
        if main.poll() is None:  # of a test that failed
            os.killpg(main.pid, signal.SIGKILL)
            main.communicate()


class SlurmRun:
    """One results folder, worked on from one clone."""

    def __init__(self, clone, root, cluster, *settings, place=PLACE):
        self.clone = clone
        self.root = root
        self.mains = []
        self.folder = root / "smoke"
        self.weights = self.folder / WEIGHTS
        self.state = self.folder / "state" / "train" / "superres_x4" / "flex" / "seed0"
        self.clone.environment.update(cluster)
        self._quicken()
        words = self.clone.tiny(root, *settings, f"cluster={json.dumps(place)}")
        self.assignments = ["tier=smoke", *(word for word in words[2:] if word != "--set")]

    def with_data_of(self, other):
        """Begin with another run's trajectories and statistics."""
        shutil.copytree(other.folder / "data", self.folder / "data")
        return self

    def snakemake(self, *targets):
        """`snakemake --profile slurm`, started."""
        nested = parse_assignments(self.assignments)
        config = [f"{key}={self._word(value)}" for key, value in nested.items()]
        words = ["--profile", "slurm", "--config", *config, "--", *targets]
        return self._start("snakemake", *words)

    def flexbench(self, *targets):
        """`flexbench run --profile slurm`, started."""
        words = [word for text in self.assignments for word in ("--set", text)]
        return self._start("flexbench", "run", "--profile", "slurm", *targets, *words)

    def _start(self, *words):
        self.mains.append(self.clone.start(*words))
        return self.mains[-1]

    @staticmethod
    def _word(value):
        return value if isinstance(value, str) else json.dumps(value)

    def _quicken(self):
        """Let the clone's profile look at its jobs every few seconds: here they are short."""
        profile = self.clone.folder / "workflow" / "profiles" / "slurm" / "config.yaml"
        text = profile.read_text()
        for name, value in (("slurm-init-seconds-before-status-checks", 4), ("latency-wait", 15)):
            text = "".join(
                f"{name}: {value}\n" if line.startswith(f"{name}:") else line
                for line in text.splitlines(keepends=True)
            )
        profile.write_text(text)

    def local(self):
        """The same without Slurm, to be waited for."""
        words = [word for text in self.assignments for word in ("--set", text)]
        done = self.clone.flexbench("run", "--cores", "2", *words, timeout=500)
        assert done.returncode == 0, done.stdout + done.stderr
        return self

    def watch(self):
        return Watch(self)

    # --- what is going on -----------------------------------------------------------------

    def call(self, *command):
        done = subprocess.run(
            command, env=self.clone.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def jobs(self):
        """Numbers of this clone's jobs that are not over."""
        rows = self.call("squeue", "-h", "-o", "%A %Z").splitlines()
        return [row.split()[0] for row in rows if row.split()[1] == str(self.clone.folder)]

    def trainings(self):
        """The processes that train in this folder (not the shells and runners around them).

        A child that one of them has just forked, to become another program, bears its name still.
        """
        found = [pid for pid, _ in self._trainings()]
        return [pid for pid in found if parent(pid) not in found]

    def _trainings(self):
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            verb = words[2:3] == [b"train"] and words[1].endswith(b"/flexbench")
            module = words[1:3] == [b"-u", b"-m"] and words[3:5] == [b"flexbench", b"train"]
            if (verb or module) and str(self.folder / "config.yaml").encode() in words:
                yield int(entry.name), words

    def restart_points(self):
        return set(self.state.rglob("step-*.pt"))

    def until_it_learns(self, main, *, seconds=300):
        """Until a training that began after this call has written a restart point."""
        old, before = set(self.trainings()), set()
        deadline = time.monotonic() + seconds
        while not (self.restart_points() - before and set(self.trainings()) - old):
            if not set(self.trainings()) - old:
                before = self.restart_points()
            assert main.poll() is None, main.communicate()
            assert time.monotonic() < deadline, self.log_text()
            time.sleep(0.1)
        return self.trainings()

    def end(self, main, *, seconds=500):
        """Wait for a run to succeed."""
        try:
            told = main.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(main.pid, signal.SIGKILL)
            raise AssertionError(self.log_text()) from None
        assert main.returncode == 0, "\n".join([*told, self.log_text()])
        return told[1]

    def log_text(self):
        """What all training jobs printed, one after another."""
        logs = sorted(
            (self.clone.folder / "results" / "slurm_logs" / "rule_train").rglob("*.log"),
            key=lambda path: path.stat().st_mtime,
        )
        return "\n".join(f"== {path.name}\n{path.read_text()}" for path in logs)


def parent(pid):
    """The process that started another one; None where that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


class Watch:
    """Counts, all the time, how many processes train in a run's folder."""

    def __init__(self, run):
        self._run = run
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.most = 0
        self.seen = set()

    def _look(self):
        while not self._over.wait(0.1):
            now = self._run.trainings()
            self.most = max(self.most, len(now))
            self.seen |= set(now)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
