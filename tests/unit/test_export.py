"""The archive is a whole, valid RO-Crate: its files are what it says, its references resolve."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from datetime import date

import pytest
import yaml
from typer.testing import CliRunner

from flexbench import cli
from flexbench.config.own_data import DataSettings
from flexbench.crate import metadata_json
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.paths import receipt_of
from flexbench.provenance import read_receipt
from flexbench.publication import Contents

rocrate = pytest.importorskip("rocrate.rocrate", reason="the package rocrate is not installed")
export = pytest.importorskip("flexbench.export").export

METADATA = "ro-crate-metadata.json"


@pytest.fixture
def root(made, tmp_path):
    shutil.copytree(made, tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def graph(root, tiny_graph):
    return tiny_graph(root)


@pytest.fixture
def archive(graph, tmp_path):
    export(graph, tmp_path / "archive")
    return tmp_path / "archive"


@pytest.fixture
def entities(archive):
    return entities_of(archive / METADATA)


def entities_of(path):
    """The graph by identifier; each stands there once."""
    content = json.loads(path.read_text())
    contexts = content["@context"]
    assert contexts[0] == "https://w3id.org/ro/crate/1.1/context"
    found = {entity["@id"]: entity for entity in content["@graph"]}
    assert len(found) == len(content["@graph"])
    return found


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }


def as_list(value):
    return value if isinstance(value, list) else [value]


def references(value):
    """Every {"@id": ...} inside the properties of an entity."""
    if isinstance(value, dict):
        return [value["@id"]] if set(value) == {"@id"} else references(list(value.values()))
    return (
        [found for item in value for found in references(item)] if isinstance(value, list) else []
    )


def test_the_root_says_what_a_repository_asks_for(entities):
    assert entities[METADATA]["about"] == {"@id": "./"}
    assert entities[METADATA]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    top = entities["./"]
    assert top["@type"] == "Dataset"
    assert "smoke" in top["name"]
    assert len(top["description"]) > 50
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", top["datePublished"])
    assert top["license"] == {"@id": "https://spdx.org/licenses/CC0-1.0"}
    assert top["conformsTo"] == {"@id": "https://w3id.org/ro/wfrun/process/0.5"}
    for author in as_list(top["author"]):
        assert entities[author["@id"]]["@type"] in ("Person", "Organization")


def test_other_peoples_fields_are_not_given_away(graph, tmp_path):
    """The same results, had they been made of somebody's data."""
    source = {"file": "tank.h5", "key": "w", "reynolds": 1}
    parts = {"train": (0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1)}
    data = DataSettings.model_validate({"sources": {"tank": source}, "splits": parts})
    contents = Contents(
        graph=Graph.of(graph.config.model_copy(update={"splits": None, "data": data})),
        published=date(2026, 1, 31),
    )
    found = {it["@id"]: it for it in json.loads(metadata_json(contents))["@graph"]}
    licence = found[found["./"]["license"]["@id"]]
    assert "owner" in licence["name"]
    assert not any("CC0" in identifier for identifier in found)


def test_every_file_is_described_and_is_what_it_says(archive, entities):
    described = {key for key, it in entities.items() if it["@type"] == "File"}
    assert described == set(files(archive)) - {METADATA}
    assert {part["@id"] for part in entities["./"]["hasPart"]} == described
    for name in described:
        content = (archive / name).read_bytes()
        assert entities[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert entities[name]["contentSize"] == str(len(content))
        assert entities[name]["encodingFormat"]


def test_every_reference_resolves(entities):
    for identifier, entity in entities.items():
        assert entity["@type"]
        for target in references(list(entity.values())):
            known = target in entities or target == "https://w3id.org/ro/crate/1.1"
            assert known, (identifier, target)


def test_every_receipt_is_an_action_from_inputs_to_outputs(graph, entities):
    actions = {key: it for key, it in entities.items() if it["@type"] == "CreateAction"}
    steps = graph.steps
    assert len(actions) == len(steps)
    assert {it["@id"] for it in as_list(entities["./"]["mentions"])} == set(actions)
    for step in steps:
        receipt = read_receipt(step.outputs[0])
        action = actions[f"#run/{step.outputs[0].relative_to(graph.layout.root)}"]
        tool = entities[action["instrument"]["@id"]]
        assert tool["@type"] == "SoftwareApplication"
        assert tool["identifier"] == receipt["code_digest"]
        for key, paths, hashes in (
            ("object", step.inputs, receipt["inputs"]),
            ("result", step.outputs, receipt["outputs"]),
        ):
            found = [entities[it["@id"]] for it in as_list(action.get(key, []))]
            assert [it["sha256"] for it in found] == list(hashes.values()), step.outputs[0]
            assert len(found) == len(paths)
        assert action["startTime"] <= action["endTime"] == receipt["finished"]
        assert action["subjectOf"]["@id"].endswith(".receipt.json")


def test_data_are_described_and_left_out_or_taken_along(graph, archive, entities, tmp_path):
    weights = "smoke/checkpoints/superres_x4/flex/seed0.safetensors"
    assert not list(archive.rglob("*.h5")) + list(archive.rglob("*.safetensors"))
    absent = entities[f"#absent/{weights}"]
    source = graph.layout.root / weights
    assert absent["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert absent["contentSize"] == str(source.stat().st_size)
    export(graph, tmp_path / "whole", with_data=True)
    assert (tmp_path / "whole" / weights).read_bytes() == source.read_bytes()
    assert not [key for key in entities_of(tmp_path / "whole" / METADATA) if "#absent" in key]


def test_another_tool_reads_it(archive):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        crate = rocrate.ROCrate(archive)
    assert crate.name.startswith("flexbench")
    assert len(crate.data_entities) == len(files(archive)) - 1


def test_the_same_results_give_the_same_bytes(graph, archive, tmp_path):
    for name in ("one.zip", "two.zip"):
        export(graph, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist()} == {
            name: path.read_bytes() for name, path in files(archive).items()
        }


def test_the_archive_tells_nothing_of_where_it_was_made(root, tiny_run, archive):
    for path in files(archive).values():
        content = path.read_bytes()
        for place in (root, tiny_run.folder):
            assert str(place).encode() not in content, path
    assert yaml.safe_load((archive / "smoke" / "config.yaml").read_text())["root"] == "."


def test_an_unpacked_archive_verifies(archive):
    """As its README says; a byte that changed on the way is found."""
    own = ["--resolved", str(archive / "smoke" / "config.yaml"), "--set", f"root={archive}"]
    done = CliRunner().invoke(cli.app, ["verify", "--partial", *own])
    assert done.exit_code == 0, done.output
    # With the software inside it too, by which the results were made.
    software = archive / "software"
    done = subprocess.run(
        [sys.executable, "-m", "flexbench", "verify", "--partial", *own],
        cwd=software,
        env=os.environ | {"PYTHONPATH": str(software)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = archive / "smoke" / "tables" / "scores.csv"
    table.write_bytes(table.read_bytes()[:-2] + b"0\n")
    done = CliRunner().invoke(cli.app, ["verify", "--partial", *own])
    assert done.exit_code == 1
    assert done.output.startswith("tables/scores.csv: changed: ")


def test_what_exists_is_never_overwritten(graph, tmp_path):
    for name in ("a.zip", "a"):
        (tmp_path / name).write_text("precious")
        with pytest.raises(FlexbenchError, match="exists already"):
            export(graph, tmp_path / name)
        assert (tmp_path / name).read_text() == "precious"


@pytest.mark.parametrize("name", ["a.zip", "a"])
def test_faulty_results_are_refused_and_nothing_is_left(graph, tmp_path, name):
    table = graph.layout.table("cost")
    table.write_text(table.read_text() + "\n")
    before = set(tmp_path.iterdir())
    with pytest.raises(FlexbenchError, match="1 problem, `flexbench verify` tells which"):
        export(graph, tmp_path / name)
    assert set(tmp_path.iterdir()) == before
    export(graph, tmp_path / name, force=True)
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a.zip", "a"])
def test_a_failed_export_leaves_nothing(graph, tmp_path, name):
    """A receipt that names no time, found out when all files have been copied."""
    for step in graph.steps:
        receipt = json.loads(step.receipt.read_text())
        del receipt["finished"]
        step.receipt.write_text(json.dumps(receipt))
    before = set(tmp_path.iterdir())
    with pytest.raises(FlexbenchError, match="names no time"):
        export(graph, tmp_path / name)
    assert set(tmp_path.iterdir()) == before


def test_unfinished_results_go_out_only_by_force(graph, tmp_path):
    for path in (graph.layout.report, receipt_of(graph.layout.report)):
        path.unlink()
    with pytest.raises(FlexbenchError, match="--force"):
        export(graph, tmp_path / "a")
    export(graph, tmp_path / "a", force=True)
    assert "smoke/report.html" not in files(tmp_path / "a")


def test_the_verb_takes_a_date(graph, root, tmp_path, shared_clone):
    arguments = ["export", str(tmp_path / "a"), *shared_clone.tiny(root)]
    done = CliRunner().invoke(cli.app, [*arguments, "--published", "2026-01-31"])
    assert done.exit_code == 0, done.output
    assert "files, " in done.output
    assert entities_of(tmp_path / "a" / METADATA)["./"]["datePublished"] == "2026-01-31"
