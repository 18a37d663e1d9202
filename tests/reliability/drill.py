"""What the fault tests share: one results folder, what is in it, and whether it is whole."""

import json
import os
import random
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import pandas as pd
from PIL import Image
from safetensors import safe_open

from flexbench.processes import marked

# Drawn over wall time, or over a cost that is one.
TIMED_FIGURES = ("accuracy_cost", "loss")

# Of a table or a training's log, what no two runs have in common.
TIMES = ("seconds", "examples_per_second", "memory", "relative_time")

# Every step takes long enough to be hit, and keeps restart points while it works.
SLOW_ENOUGH = (
    "solver.dt=0.0004",
    "train.steps=30",
    "train.validate_every=15",
    "sample.snapshots=4",
    "sample.members=16",
    "sample.batch=4",
    "sample.steps=6",
)
# How often restart points are written changes no result.
PACE = ("solver.checkpoint_seconds=0.1", "train.checkpoint_seconds=0.2")


@dataclass
class Runs:
    """`flexbench run` with the same arguments again and again, in one results folder."""

    clone: object
    root: Path
    options: list

    @property
    def folder(self):
        return self.root / "smoke"

    def start(self, targets=()):
        return self.clone.start("flexbench", "run", *targets, "--cores", "2", *self.options)

    def call(self):
        return self.clone.flexbench("run", "--cores", "2", *self.options, timeout=1800)

    def finish(self):
        done = self.call()
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def results(self):
        """Everything that is computed, by path: bytes, and where times are told, all the rest."""
        return {
            str(path.relative_to(self.folder)): content
            for path in sorted(self.folder.rglob("*"))
            if (content := comparable(path, self.folder)) is not None
        }

    def cpu_seconds(self, step):
        """The least processor time that a job of this step took, by the receipts."""
        receipts = [json.loads(path.read_text()) for path in self.folder.rglob("*.receipt.json")]
        return min(receipt["cpu_seconds"] for receipt in receipts if receipt["step"] == step)

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

    def await_work(self, run, step, *, after, orphans=()):
        """A job of the step that has worked for `after` seconds of a processor; or None.

        orphans: processes of a killed run, which this one is about to end.

        Processor time, so that the moment is the same one on a busy machine.
        """
        while not (workers := [pid for pid in self.workers(step) if pid not in orphans]):
            if run.poll() is not None:
                return None
            time.sleep(0.01)
        worker = random.Random(after).choice(workers)
        while (used := cpu_seconds(worker)) is not None and used < after:
            time.sleep(0.005)
        return worker if worker in self.workers(step) else None


def comparable(path, folder):
    """What two runs have to have in common in a file; None where it is about one run alone.

    Receipts and benchmark records hold times, and so do the cost table, two figures, and the page
    that shows them all.
    """
    place = path.relative_to(folder)
    if path.is_dir() or place.parts[0] in ("logs", "benchmarks", "state"):
        return None
    if path.name.endswith(".receipt.json"):
        receipt = json.loads(path.read_text())
        # Inputs and outputs with times in them have digests of their own in each run.
        kept = ("step", "slice", "slice_digest", "code_digest", "versions", "benchmark_version")
        return {key: receipt[key] for key in kept} | {"outputs": sorted(receipt["outputs"])}
    if path.name.endswith(".log.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [{key: row[key] for key in row if key not in TIMES} for row in rows]
    if place.as_posix() == "tables/cost.csv":
        table = pd.read_csv(path)
        timed = [name for name in table if any(word in name for word in TIMES)]
        assert timed
        return table.drop(columns=timed).to_csv()
    if place.as_posix() == "config.yaml":
        return [line for line in path.read_text().splitlines() if not line.startswith("root:")]
    if path.stem in TIMED_FIGURES:
        return "drawn"
    if path.name == "report.html":
        return without_times(path.read_text())
    return path.read_bytes()


def without_times(page):
    """The report without images (which are compared as files), receipts, costs and durations."""
    page, _, _ = page.partition("<h3>Receipts</h3>")
    page = re.sub(r'<section id="cost">.*?</section>', "", page, flags=re.DOTALL)
    page = re.sub(r"data:image/webp;base64,[^\"]*", "", page)
    page = re.sub(r'<p class="facts run">.*?</p>', "", page, flags=re.DOTALL)
    page = re.sub(r">[0-9.]+ (ms|s|min|h)<", "><", page)
    return re.sub(r"^root: .*$", "", page, flags=re.MULTILINE)


def check_whole(folder):
    """Every file below `folder` can be read to its end, and nothing unfinished lies about."""
    for path in folder.rglob("*"):
        if path.is_dir():
            continue
        assert not is_left_over(path, folder), path
        if path != folder / ".run.lock" and path.suffix != ".log":
            assert path.stat().st_size, path
        read_whole(path)


def read_whole(path):
    """Read a file with the reader of its kind; an error where it was cut off."""
    if path.suffix == ".h5":
        with h5py.File(path, "r", locking=False) as file:
            file.visititems(lambda name, item: item[()] if isinstance(item, h5py.Dataset) else None)
    elif path.suffix == ".safetensors":
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118
                file.get_tensor(name)
    elif path.suffix == ".csv":
        assert path.read_bytes().endswith(b"\n"), path
        pd.read_csv(path)
    elif path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".jsonl":
        for line in path.read_text().splitlines():
            json.loads(line)
    elif path.suffix == ".png":
        with Image.open(path) as image:
            image.load()
    elif path.suffix == ".pdf":
        assert path.read_bytes().rstrip().endswith(b"%%EOF"), path
    elif path.suffix == ".html":
        assert path.read_text().rstrip().endswith("</html>"), path


def is_left_over(path, folder):
    """Restart points and temporary files; of the run's own lock the empty file stays."""
    if path.is_dir() or path == folder / ".run.lock":
        return False
    restart = path.is_relative_to(folder / "state")
    return restart or path.name.startswith(".") or path.suffix in (".tmp", ".part")


def children(pid):
    """Process ids of a process's children (Linux)."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


def cpu_seconds(pid):
    """Processor time of a process so far; None where it is gone."""
    fields = _stat(pid)
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK") if fields else None


def end_group(process):
    """Kill a process with its whole group, if it still runs, and close its pipes."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    if not process.stdout.closed:
        process.communicate()


def gone(pids, *, seconds=30):
    """Wait until none of these processes runs (one that nobody waits for counts as gone)."""
    deadline = time.monotonic() + seconds
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, pids
        time.sleep(0.02)


def _runs(pid):
    return _stat(pid)[:1] not in ([], ["Z"])


def _stat(pid):
    """What /proc tells of a process, from its state on; [] where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
