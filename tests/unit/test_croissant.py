"""What an archive says in Croissant is valid, complete, and what stands in its files."""

import json
import re
import shutil
from datetime import date

import pandas as pd
import pytest
import yaml

from flexbench import __version__
from flexbench.config.own_data import DataSettings
from flexbench.croissant import CROISSANT, DATA_CARD, RAI_SECTIONS, card_sections, croissant_json
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.paths import checkout
from flexbench.publication import CITATION, Citation, Contents

export = pytest.importorskip("flexbench.export").export


@pytest.fixture(scope="module")
def archive(made, tiny_graph, tmp_path_factory):
    pytest.importorskip("rocrate.rocrate", reason="the package rocrate is not installed")
    base = tmp_path_factory.mktemp("croissant")
    shutil.copytree(made, base / "results")
    export(tiny_graph(base / "results"), base / "archive")
    return base / "archive"


@pytest.fixture
def described(archive):
    return json.loads((archive / CROISSANT).read_text())


@pytest.fixture
def croissant():
    return pytest.importorskip("mlcroissant", reason="the package mlcroissant is not installed")


@pytest.fixture
def of_own_data(tiny_graph, tmp_path):
    """The same results, had they been made of somebody's data."""
    source = {"file": "tank.h5", "key": "w", "reynolds": 1}
    parts = {"train": (0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1)}
    data = DataSettings.model_validate({"sources": {"tank": source}, "splits": parts})
    config = tiny_graph(tmp_path).config.model_copy(update={"splits": None, "data": data})
    return Contents(graph=Graph.of(config), published=date(2026, 1, 31))


def texts(values):
    """As mlcroissant reads a column of text: bytes, None where nothing stands."""
    return [None if value is None else value.decode() for value in values]


def test_the_validator_finds_nothing(croissant, archive):
    dataset = croissant.Dataset(jsonld=archive / CROISSANT)
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert not issues.warnings
    assert dataset.metadata.conforms_to or dataset.metadata.ctx.conforms_to


def test_the_validator_finds_what_is_missing(croissant, described):
    del next(it for it in described["distribution"] if it["name"].endswith("scores.csv"))["sha256"]
    with pytest.raises(croissant.ValidationError, match="sha256"):
        croissant.Dataset(jsonld=described)


def test_its_records_are_the_rows_of_the_tables(croissant, archive):
    rows = list(croissant.Dataset(jsonld=archive / CROISSANT).records("scores"))
    table = pd.read_csv(archive / "smoke/tables/scores.csv")
    assert len(rows) == len(table) > 100
    assert [row["scores/value"] for row in rows] == table["value"].tolist()
    assert texts(row["scores/score"] for row in rows) == table["score"].tolist()
    assert set(texts(row["scores/reynolds"] for row in rows)) == set(table["reynolds"])


def test_every_table_has_a_record_set_with_all_of_its_columns(archive, described):
    files = {it["@id"] for it in described["distribution"]}
    assert files <= {
        path.relative_to(archive).as_posix() for path in archive.rglob("*") if path.is_file()
    }
    found = {}
    for record_set in described["recordSet"]:
        for field in record_set["field"]:
            if "source" in field:
                source = field["source"]
                name = source["fileObject"]["@id"]
                found.setdefault(name, []).append(source["extract"]["column"])
    tables = {name for name in files if name.endswith(".csv")}
    assert set(found) == tables - {name for name in tables if "targets_" in name}
    for name, columns in found.items():
        assert set(columns) <= set(pd.read_csv(archive / name, nrows=0).columns)


def test_flows_are_told_with_their_splits_and_hashes(described):
    by_name = {it["name"]: it for it in described["recordSet"]}
    rows = by_name["trajectories"]["data"]
    assert {row["trajectories/split"] for row in rows} == {"train", "validation", "test"}
    for row in rows:
        assert re.fullmatch(r"[0-9a-f]{64}", row["trajectories/sha256"])
        assert row["trajectories/bytes"] > 10_000
        assert json.loads(row["trajectories/settings"])["reynolds"] == 100
        assert row["trajectories/present"] is False
    scores = [row["score-definitions/score"] for row in by_name["score-definitions"]["data"]]
    assert "crps" in scores


def test_the_data_card_says_what_rai_asks(described, tmp_path):
    sections = card_sections(checkout() / DATA_CARD)
    for section, key in RAI_SECTIONS.items():
        assert len(sections[section]) > 60
        assert described[key] == sections[section]
    short = tmp_path / "card.md"
    short.write_text((checkout() / DATA_CARD).read_text().replace("## Biases", "## Else"))
    with pytest.raises(FlexbenchError, match="lacks the section 'Biases'"):
        card_sections(short)


def test_other_peoples_data_have_their_terms_and_no_card_of_ours(of_own_data):
    described = json.loads(croissant_json(of_own_data))
    assert "owner" in described["license"]
    assert "tank.h5" in described["rai:dataCollection"]
    assert "rai:dataBiases" not in described


def test_the_citation_agrees_with_the_package():
    """Its form is for `cffconvert --validate` to judge, which continuous integration runs."""
    said = yaml.safe_load((checkout() / CITATION).read_text())
    assert said["version"] == __version__
    assert f'license = "{said["license"]}"' in (checkout() / "pyproject.toml").read_text()
    paper = Citation.read(checkout() / CITATION).works[0]
    assert "arxiv.org/abs/2505.17351" in paper.url
    assert len(paper.authors) == 7
    assert paper.year == 2025
