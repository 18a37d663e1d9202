"""Results and checkouts that were moved, copied or linked say the same as before."""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from flexbench.config.reading import load_config, to_yaml
from flexbench.data.example import write_example
from flexbench.dates import mixed_up
from flexbench.export import export
from flexbench.graph import Graph
from flexbench.verify import verify

SHARED_MEMORY = Path("/dev/shm")  # another file system, wherever Linux has it


@pytest.fixture
def elsewhere():
    """A folder on another file system."""
    if not os.access(SHARED_MEMORY, os.W_OK):
        pytest.skip(f"{SHARED_MEMORY}: no second file system that can be written to here")
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        yield Path(folder)


def linked(target, link):
    link.symlink_to(target)
    return link


# How results get somewhere else, and where they are then: (results, new, another file system).
MOVES = {
    "deeper": lambda old, new, other: shutil.copytree(old, new / "a" / "b" / "c" / "d"),
    "spaces and accents": lambda old, new, other: shutil.copytree(old, new / "mes résultats à moi"),
    "another file system": lambda old, new, other: shutil.copytree(old, other / "r"),
    "a link": lambda old, new, other: linked(old, new / "link"),
    "a link to another file system": lambda old, new, other: linked(
        shutil.copytree(old, other / "r"), new / "link"
    ),
    "a link of a link": lambda old, new, other: linked(linked(old, new / "one"), new / "two"),
    "below a link": lambda old, new, other: (
        linked(shutil.copytree(old, new / "real" / "r").parent, new / "seeming") / "r"
    ),
    "a path with dots": lambda old, new, other: (
        shutil.copytree(old, new / "x" / "r").parent / ".." / "x" / "r"
    ),
    "new dates": lambda old, new, other: shutil.copytree(
        old, new / "young", copy_function=shutil.copyfile
    ),
}


@pytest.mark.parametrize("move", MOVES)
def test_moved_results_verify(made, tiny_graph, tmp_path, elsewhere, move):
    found = verify(tiny_graph(MOVES[move](made, tmp_path, elsewhere)))
    assert found.clean, found.findings
    assert found.leftovers == []


def own_graph(root, file):
    """The data of a user's own, up to their statistics."""
    values = {
        "tier": "tank",
        "size": "XXS",
        "methods": ["interpolation"],
        "root": str(root),
        "data": {
            "sources": {"tank": {"file": str(file), "key": "temperature", "reynolds": 100}},
            "time": "time",
            "splits": {"train": [0, 0.5], "validation": [0.55, 0.7], "test": [0.75, 1]},
        },
        "tasks": {"superres": {"kind": "superres", "patch": 16}},
    }
    return Graph.of(load_config(values))


@pytest.fixture(scope="module")
def own(tmp_path_factory, make_steps):
    """Imported data of a user's own, beside the file that they come from."""
    folder = tmp_path_factory.mktemp("own")
    write_example(folder / "tank.nc", snapshots=20, height=36, width=44)
    graph = own_graph(folder / "results", folder / "tank.nc")
    (folder / "tank.yaml").write_text(to_yaml(graph.config))
    later = {"sample", "score", "tabulate", "figure", "animation", "report", "train"}
    make_steps(graph, ["--resolved", str(folder / "tank.yaml")], without=later)
    return folder


@pytest.mark.parametrize("move", MOVES)
def test_moved_results_know_their_data(own, tmp_path, elsewhere, move):
    root = MOVES[move](own / "results", tmp_path, elsewhere)
    found = verify(own_graph(root, own / "tank.nc"), partial=True)
    assert found.clean, found.findings


def test_moved_data_are_known_by_their_bytes_alone(own, tmp_path):
    moved = shutil.copy(own / "tank.nc", tmp_path / "tank.nc")
    assert verify(own_graph(own / "results", moved), partial=True).clean
    with Path(moved).open("ab") as file:
        file.write(b"more")
    found = verify(own_graph(own / "results", moved), partial=True)
    assert {finding.kind for finding in found.findings} == {"inputs"}


def test_results_of_data_from_elsewhere_can_be_exported(own, tmp_path):
    graph = own_graph(own / "results", own / "tank.nc")
    export(graph, tmp_path / "archive", with_data=True, force=True)
    receipt = tmp_path / "archive" / "tank" / "data" / "tank_train.h5.receipt.json"
    assert "elsewhere:tank.nc" in receipt.read_text(encoding="utf-8")


def test_a_moved_checkout_with_linked_results_has_nothing_to_do(tiny_run, tmp_path, elsewhere):
    moved = tiny_run.copy(tmp_path / "another place" / "clone")
    shutil.move(moved.folder / "results", elsewhere / "r")
    (moved.folder / "results").symlink_to(elsewhere / "r")
    done = moved.flexbench("run", "-n", *moved.tiny("results"))
    assert done.returncode == 0, done.stderr
    assert "Nothing to be done" in done.stdout, done.stdout[-2000:]


def test_moved_results_have_nothing_to_do(tiny_run, elsewhere):
    root = shutil.copytree(tiny_run.folder / "results", elsewhere / "r")
    done = tiny_run.flexbench("run", "-n", *tiny_run.tiny(root))
    assert done.returncode == 0, done.stderr
    assert "Nothing to be done" in done.stdout, done.stdout[-2000:]


def test_a_copy_without_dates_is_told_and_dated_anew(tiny_run, tmp_path, entry):
    """In the worst order: the inputs last."""
    root = tmp_path / "r"
    shutil.copytree(tiny_run.folder / "results", root, copy_function=shutil.copyfile)
    now = time.time()
    for age, folder in enumerate(("data", "checkpoints", "samples", "scores", "tables")):
        for path in (root / "smoke" / folder).rglob("*"):
            os.utime(path, (now - age, now - age))
    told = "results are older than what they were made from, which by receipts is still the same"
    options = tiny_run.tiny(root)
    before = tiny_run.flexbench("run", "-n", *options)
    assert told in before.stderr
    assert "Nothing to be done" not in before.stdout
    code, out, _ = entry("verify", "--redate", *options)
    assert code == 0
    assert "files are dated as made now" in out
    after = tiny_run.flexbench("run", "-n", *options)
    assert told not in after.stderr
    assert "Nothing to be done" in after.stdout, after.stdout[-2000:]


def test_dates_of_what_was_changed_are_left_as_they_are(made, tiny_graph, tmp_path, entry, tiny):
    root = shutil.copytree(made, tmp_path / "r")
    weights = root / "smoke" / "checkpoints" / "superres_x4" / "flex" / "seed0.safetensors"
    weights.write_bytes(weights.read_bytes() + b"more")
    assert mixed_up(tiny_graph(root))  # by receipts alone: verify looks at the bytes
    words = [word for text in (*tiny, f"root={root}") for word in ("--set", text)]
    before = weights.stat().st_mtime_ns
    assert entry("verify", "--redate", "--quick", "--tier", "smoke", *words)[0] == 1
    code, _, errors = entry("verify", "--redate", "--tier", "smoke", *words)
    assert code == 1
    assert "1 problem" in errors[-1]
    assert weights.stat().st_mtime_ns == before
    assert mixed_up(tiny_graph(root))


def test_what_was_made_anew_is_not_mixed_up(made, tiny_graph, tmp_path):
    """A receipt of today's says that the input is another one."""
    root = shutil.copytree(made, tmp_path / "r")
    graph = tiny_graph(root)
    assert mixed_up(graph) == []
    (step,) = (it for it in graph.steps if it.name == "train")
    receipt = json.loads(step.receipt.read_text())
    receipt["outputs"][step.outputs[0].name] = "0" * 64
    step.receipt.write_text(json.dumps(receipt))
    os.utime(step.outputs[0])
    assert "sample" not in {it.name for it in mixed_up(graph)}
    step.receipt.write_text("{")
    assert mixed_up(graph) == []


def test_a_deleted_file_says_how_it_comes_back(made, tiny_graph, tmp_path):
    root = shutil.copytree(made, tmp_path / "r")
    samples = root / "smoke" / "samples" / "superres_x4" / "flex" / "seed0.h5"
    samples.unlink()
    (finding,) = verify(tiny_graph(root)).findings
    assert f"`flexbench run {samples}` makes it again" in finding.text
