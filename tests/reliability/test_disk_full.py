"""A disk that is full: told in a line, nothing lost, and it goes on with room."""

import os
import random
import shutil
import subprocess

import pytest
from reliability.drill import PACE, Runs, check_whole, comparable, end_group, is_left_over

from flexbench.paths import receipt_of
from flexbench.processes import marked

SEED = 20251124
# Which step works when the disk fills up, in the graph's order.
MOMENTS = (
    *("simulate", "simulate", "statistics", "train", "train"),
    *("sample", "sample", "score", "tabulate", "figure"),
)
PLENTY = 2**28
PAGE = 2**12


class Disk:
    """A file system in memory whose size can be changed."""

    def __init__(self, folder, size):
        self.folder = folder
        folder.mkdir()
        options = ("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
        done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a small tmpfs cannot be mounted here: {done.stderr.strip()}")

    def resize(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.folder], check=True)

    @property
    def used(self):
        found = os.statvfs(self.folder)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def close(self):
        subprocess.run(["umount", "--lazy", self.folder], check=True)


@pytest.fixture
def disk(tmp_path):
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    disk = Disk(tmp_path / "disk", PLENTY)
    yield disk
    disk.close()


def finished(folder):
    """All results that stand under their own name, with their bytes."""
    kept = ("data", "checkpoints", "samples", "scores", "tables", "figures")
    return {
        path: path.read_bytes()
        for part in kept
        for path in folder.joinpath(part).rglob("*")
        if path.is_file() and path.suffix in (".h5", ".safetensors", ".csv", ".png", ".pdf")
        if not is_left_over(path, folder)
    }


STEPS = {
    ("simulate", "--re", "100", "--seed", "0"): "data/re100_seed0.h5",
    ("train", "superres_x4", "flex"): "checkpoints/superres_x4/flex/seed0.safetensors",
    ("sample", "superres_x4", "flex"): "samples/superres_x4/flex/seed0.h5",
    ("score", "superres_x4", "flex"): "scores/superres_x4/flex/seed0.csv",
    ("tabulate",): "tables/scores.csv",
    ("figure", "superres_x4", "maps"): "figures/superres_x4/maps.png",
    ("report",): "report.html",
}


@pytest.fixture
def short(disk, made):
    """The tiny run on a disk that can be made small: its root."""
    return shutil.copytree(made, disk.folder / "root")


@pytest.mark.parametrize("words", STEPS, ids=lambda words: words[0])
def test_a_step_for_which_there_is_half_the_room_costs_nothing(
    disk, short, made, tiny_run, entry, words
):
    output = short / "smoke" / STEPS[words]
    half = output.stat().st_size // 2
    for path in (output, receipt_of(output)):
        path.unlink()
    before = finished(short / "smoke")
    verb = [*words, *tiny_run.tiny(short)]
    disk.resize(disk.used + half - half % PAGE)
    code, _, lines = entry(*verb)
    assert code == 1
    assert "no space left on the device" in lines[-1]
    assert "Traceback" not in "\n".join(lines)
    assert not output.exists()
    assert finished(short / "smoke") == before
    disk.resize(PLENTY)
    assert entry(*verb)[0] == 0
    assert comparable(output, short / "smoke") == comparable(
        made / "smoke" / STEPS[words], made / "smoke"
    )
    check_whole(short / "smoke")


def test_a_run_on_a_full_disk_tells_it(disk, short, clone):
    runs = Runs(clone, short, clone.tiny(short))
    target = short / "smoke" / "data" / "splits.json"
    target.unlink()
    disk.resize(disk.used)
    run = runs.start([target])
    told = "".join(run.communicate(timeout=600))
    assert run.returncode == 1, told
    assert "no space left on the device" in told
    assert "Traceback" not in told, told
    assert not marked(short / "smoke")


@pytest.mark.nightly
def test_a_disk_full_at_random_moments_costs_nothing(clone, tmp_path, disk, capsys):
    def runs(root):
        one_figure = root / "smoke" / "figures" / "superres_x4" / "maps.png"
        return Runs(clone, root, [one_figure, *clone.tiny(root, *PACE)])

    whole = runs(tmp_path / "whole")
    whole.finish()
    short = runs(disk.folder / "root")
    moments = random.Random(SEED)
    stopped = []
    for step in MOMENTS:
        disk.resize(PLENTY)
        before = finished(short.folder)
        run = short.start()
        try:
            assert short.await_work(
                run, step, after=moments.uniform(0.1, 0.7) * whole.cpu_seconds(step)
            )
            disk.resize(disk.used)
            told = "".join(run.communicate(timeout=600))
        finally:
            end_group(run)
        assert run.returncode == 1, told
        lines = [line for line in told.splitlines() if "no space left on the device" in line]
        assert lines, told
        assert "Traceback" not in told, told
        assert not marked(short.folder)
        after = finished(short.folder)
        lost = [(path, path in after) for path in before if after.get(path) != before[path]]
        assert not lost, (step, lost, told)
        stopped.append(lines[0])
    with capsys.disabled():
        print("", *stopped, sep="\n")

    # What is there is whole and right; `verify` misses only what was not made.
    checked = clone.flexbench("verify", "--partial", *short.options[1:])
    assert checked.returncode == 0, checked.stdout + checked.stderr
    disk.resize(PLENTY)
    short.finish()
    assert short.results() == whole.results()
    check_whole(short.folder)
