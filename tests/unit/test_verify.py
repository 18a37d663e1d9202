"""Every kind of damage to a real results folder is found, named once, and nothing else is."""

import json
import os
import shutil

import pytest
from typer.testing import CliRunner

from flexbench import cli
from flexbench.atomic import write_text
from flexbench.paths import receipt_of
from flexbench.provenance import file_digest
from flexbench.verify import told_differences, verify

WEIGHTS = "checkpoints/superres_x4/flex/seed0.safetensors"


@pytest.fixture
def graph_of(tiny_graph):
    """The graph of the tiny run below a root, with further settings."""
    return tiny_graph


@pytest.fixture
def root(made, tmp_path):
    """A copy that the test may spoil (elsewhere: a receipt survives a move)."""
    shutil.copytree(made, tmp_path / "moved")
    return tmp_path / "moved"


@pytest.fixture
def folder(root):
    return root / "smoke"


@pytest.fixture
def found(graph_of, root):
    """(path, kind) of everything that is wrong."""

    def find(*settings, **options):
        result = verify(graph_of(root, *settings), **options)
        assert result.clean == (not result.findings)
        return [(finding.path, finding.kind) for finding in result.findings]

    return find


def flip(path, place=-1):
    """Change one bit; the size and the time stay."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def edit_receipt(path, edit):
    receipt = json.loads(receipt_of(path).read_text())
    edit(receipt)
    receipt_of(path).write_text(json.dumps(receipt))


def test_an_untouched_run_is_clean(root, graph_of):
    steps = graph_of(root).steps
    for quick in (False, True):
        result = verify(graph_of(root), quick=quick)
        assert result.clean
        assert result.findings == result.leftovers == []
        assert not result.not_made
        outputs = [path for step in steps for path in step.outputs]
        assert result.files == len(outputs)
        assert result.bytes == sum(path.stat().st_size for path in outputs)


def test_every_receipt_says_all_that_it_should(root, graph_of):
    """Inputs', outputs' hashes and sizes, slice, code, versions, time, memory; seed and device."""
    for step in graph_of(root).steps:
        receipt = json.loads(step.receipt.read_text())
        assert set(receipt["outputs"]) == {path.name for path in step.outputs}
        assert len(receipt["inputs"]) == len(step.inputs), step.outputs[0]
        assert set(receipt["bytes"]) == {*receipt["outputs"], *receipt["inputs"]}
        assert bool(step.inputs) == (step.name != "simulate")
        assert {"slice", "code_digest", "versions", "seconds", "peak_memory_mib"} <= set(receipt)
        if step.name in ("simulate", "train", "sample"):
            assert receipt["facts"]["seed"] in (0, 50, 100)
            assert receipt["facts"]["device"] in ("cpu", "cuda:0")


@pytest.mark.parametrize(
    "name",
    [
        "data/re100_seed0.h5",
        "data/splits.json",
        "data/statistics_superres_x4.json",
        WEIGHTS,
        "checkpoints/superres_x4/flex/seed0.log.jsonl",
        "samples/superres_x4/flex/seed0.h5",
        "scores/superres_x4/flex/seed0.csv",
        "scores/superres_x4/flex/seed0.spectra.csv",
        "tables/red_flags.csv",
        "figures/superres_x4/maps.png",
        "figures/superres_x4/maps.pdf",
        "report.html",
    ],
)
def test_one_changed_bit_is_found_and_named_alone(folder, name, found):
    flip(folder / name)
    assert found() == [(name, "changed")]
    assert found(quick=True) == []  # the size is the same: what --quick cannot see
    (folder / name).write_bytes((folder / name).read_bytes() + b"\0")
    assert found() == found(quick=True) == [(name, "changed")]


@pytest.mark.parametrize("name", [WEIGHTS, "figures/superres_x4/maps.pdf", "tables/cost.csv"])
def test_a_missing_file_is_found(folder, name, found):
    (folder / name).unlink()
    assert found() == [(name, "missing")]
    assert found(partial=True) == []


def test_a_missing_receipt_is_found(folder, found):
    """What a kill between an output and its receipt leaves."""
    receipt_of(folder / WEIGHTS).unlink()
    assert found() == [(WEIGHTS, "no receipt")]


@pytest.mark.parametrize(
    ("verb", "names"),
    [
        ("sample", ("samples/superres_x4/flex/seed0.h5",)),
        (
            "score",
            ("scores/superres_x4/flex/seed0.csv", "scores/superres_x4/flex/seed0.spectra.csv"),
        ),
    ],
)
def test_a_run_killed_before_its_receipt_is_found_and_repaired(
    folder, found, call, monkeypatch, verb, names
):
    """The output is there and whole, its receipt is not; the same verb again makes it good."""
    before = [(folder / name).read_bytes() for name in names]
    for path in (*(folder / name for name in names), receipt_of(folder / names[0])):
        path.unlink()

    def killed(*arguments, **options):
        raise SystemExit(137)

    with monkeypatch.context() as patch:
        patch.setattr("flexbench.provenance.Receipt.write", killed)
        assert call("superres_x4", "flex", verb=verb).exit_code == 137
    assert found() == [(names[0], "no receipt")]
    assert call("superres_x4", "flex", verb=verb).exit_code == 0
    assert found() == []
    assert [(folder / name).read_bytes() for name in names] == before


def test_an_unreadable_receipt_is_found(folder, found):
    receipt_of(folder / WEIGHTS).write_text('{"outputs": ')
    assert found() == [(f"{WEIGHTS}.receipt.json", "no receipt")]


def test_a_result_made_by_other_code_is_found(folder, found):
    edit_receipt(folder / "tables/scores.csv", lambda it: it.update(code_digest="0" * 16))
    assert found() == [("tables/scores.csv", "other code")]
    assert found(quick=True) == [("tables/scores.csv", "other code")]


def test_a_result_of_other_settings_is_found_with_the_keys(root, graph_of):
    result = verify(graph_of(root, "train.learning_rate=0.5", "train.steps=7"))
    assert [(it.path, it.kind) for it in result.findings] == [(WEIGHTS, "settings")]
    assert "train.steps 6, asked for: 7" in result.findings[0].text
    assert "train.learning_rate" in result.findings[0].text


def test_settings_of_the_pace_are_nobodys_fault(found):
    assert found("train.log_every=1", "train.checkpoint_seconds=9") == []


def test_what_was_made_from_another_version_is_found(folder, root, found, graph_of):
    """The weights were trained again, with a receipt of their own; the samples are the old ones."""
    flip(folder / WEIGHTS)
    renewed = {"seed0.safetensors": file_digest(folder / WEIGHTS)}
    edit_receipt(folder / WEIGHTS, lambda it: it["outputs"].update(renewed))
    expected = [("samples/superres_x4/flex/seed0.h5", "inputs")]
    assert found() == found(quick=True) == expected


def test_an_input_that_the_receipt_does_not_name_is_found(folder, found):
    edit_receipt(folder / "data/splits.json", lambda it: it["inputs"].clear())
    edit_receipt(folder / "report.html", lambda it: it["inputs"].update({"other.csv": "0" * 64}))
    assert found() == [("data/splits.json", "inputs"), ("report.html", "inputs")]


def test_what_was_never_made_is_told_by_step(folder, root, graph_of):
    shutil.rmtree(folder / "figures")
    (folder / "report.html").unlink()
    receipt_of(folder / "report.html").unlink()
    result = verify(graph_of(root))
    assert not result.clean
    assert result.findings == []
    assert {step: len(paths) for step, paths in result.not_made.items()} == {
        "figure": result.planned["figure"],
        "report": 1,
    }
    assert verify(graph_of(root), partial=True).clean


def test_leftovers_are_told_but_no_fault(folder, root, graph_of):
    (folder / "data" / ".re100_seed0.h5.host-1.tmp").write_text("killed")
    (folder / "samples" / "superres_x4" / "old.h5").write_text("gone")
    result = verify(graph_of(root))
    assert result.clean
    assert result.leftovers == ["data/.re100_seed0.h5.host-1.tmp", "samples/superres_x4/old.h5"]


def test_differences_name_nested_keys():
    made = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    asked = {"a": {"b": 2, "c": [1, 2]}, "e": 4}
    assert told_differences(made, asked) == [
        "made with a.b 1, asked for: 2",
        "made with d 3, asked for: absent",
        "made with e absent, asked for: 4",
    ]


# --- the verb -------------------------------------------------------------------------------


@pytest.fixture
def call(shared_clone, root):
    def run(*options, settings=(), verb="verify"):
        arguments = [verb, *shared_clone.tiny(root, *settings), *options]
        return CliRunner().invoke(cli.app, arguments)

    return run


def test_the_verb_sums_up(root, call):
    done = call()
    assert done.exit_code == 0
    assert " files, " in done.output
    assert len(done.output.splitlines()) == 1


def test_the_verb_names_what_is_wrong_and_fails(folder, root, call):
    flip(folder / WEIGHTS)
    done = call()
    assert done.exit_code == 1
    assert done.output.startswith(f"{WEIGHTS}: changed: sha256 ")
    assert str(done.exception) == f"{folder}: 1 problem"


def test_many_alike_are_told_together(folder, root, call):
    for png in (folder / "figures").rglob("*.png"):
        flip(png)
    short, long = call().output.splitlines(), call("--all").output.splitlines()
    assert [line for line in short if line.startswith("... and 8 more of step figure: changed")]
    assert len(short) == 5
    assert len(long) == 12


def test_a_folder_of_other_settings_says_where_these_are(folder, root, graph_of, call):
    write_text(folder / "config.yaml", graph_of(root).text)
    done = call(settings=["train.steps=7"])
    assert done.exit_code == 1
    assert f"--resolved {folder}/config.yaml --set root={root} checks against those" in done.output
    own = CliRunner().invoke(cli.app, ["verify", "--resolved", str(folder / "config.yaml")])
    assert own.exit_code == 0, own.output
