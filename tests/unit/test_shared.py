"""Networks of a tiny run are shared and used elsewhere, with the run's own scores."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from flexbench.archive import new_folder
from flexbench.config import Config, Run
from flexbench.config.reading import plain
from flexbench.config.strict_yaml import read_yaml
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.metrics.tables import SCORES, SNAPSHOT_SCORES
from flexbench.paths import checkout, receipt_of
from flexbench.provenance import file_digest
from flexbench.report.numbers import with_interval
from flexbench.shared import share as sharing
from flexbench.shared.attempt import attempt
from flexbench.shared.folder import SAMPLER, SharedNetworks
from flexbench.shared.share import share
from flexbench.shared.words import told
from flexbench.steps.calibrate import calibrate_step
from flexbench.steps.sample import sample_step
from flexbench.steps.score import score_step
from flexbench.steps.tabulate import tabulate_step

CALIBRATED = "superres_x4.calibrated"
FIT = "superres_x4-calibrated-2"
EVALUATION = {"tasks": ["superres_x4"], "methods": ["flex"], "sample": {"sampler": "calibrated"}}


def calibrated(graph):
    """The graph of a tiny run that fits a sampler as well: no tier's file has only that."""
    values = plain(graph.config) | {"evaluations": {"calibrated": EVALUATION}}
    return Graph.of(Config.model_validate(values))


@pytest.fixture(scope="module")
def run(made, tiny_graph, tmp_path_factory):
    """The graph of the tiny run, with its sampler fitted as well."""
    root = tmp_path_factory.mktemp("run") / "results"
    shutil.copytree(made, root)
    graph = calibrated(tiny_graph(root))
    calibrate_step(graph, fit=FIT, method="flex", seed=0)
    for step in (sample_step, score_step):
        step(graph, case=CALIBRATED, method="flex", seed=0)
    tabulate_step(graph)
    return graph


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    """What is shared of it, where nothing else of the run is."""
    path = tmp_path_factory.mktemp("clone") / "networks"
    share(run, path, methods=["flex"], seed=0)
    return path


@pytest.fixture
def copy(run, tmp_path, tiny_graph):
    """A copy of the run that the test may spoil: its graph."""
    shutil.copytree(run.layout.root, tmp_path / "results")
    return calibrated(tiny_graph(tmp_path / "results"))


@pytest.fixture(scope="module")
def found(folder, tmp_path_factory):
    """Of the network with its defaults."""
    shared = SharedNetworks.read(folder)
    network = shared.network(None, None, None)
    work = tmp_path_factory.mktemp("work")
    return attempt(shared, network, task="superres_x4", flow=shared.flow, work=work)


# --- what is shared -------------------------------------------------------------------------


def test_the_folder_holds_what_the_run_made(run, folder):
    shared = SharedNetworks.read(folder)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {*shared.files, "manifest.json"}
    for name, facts in shared.files.items():
        path = folder / name
        assert (file_digest(path), path.stat().st_size) == (facts["sha256"], facts["bytes"])
        if name.startswith(("checkpoints/", "data/")) and path.suffix != ".md":
            assert path.read_bytes() == (run.layout.folder / name).read_bytes()
    weights = "checkpoints/superres_x4/flex/seed0"
    assert {f"{weights}.safetensors", f"{weights}.md", f"{weights}.{FIT}.calibration.json"} < names
    assert {f"{name}.receipt.json" for name in names if name.endswith((".safetensors",))} < names


def test_its_scores_are_rows_of_the_runs_files(run, folder):
    scores = SharedNetworks.read(folder).scores()
    assert set(zip(scores["method"], scores[SAMPLER], strict=True)) == {
        ("flex", "ddim"),
        ("flex", "calibrated"),
        ("interpolation", "none"),
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, digest in manifest["scores_from"].items():
        path = run.layout.folder / name
        assert digest == file_digest(path)
        whole = SNAPSHOT_SCORES.read(path)
        case, method = path.parts[-3:-1]
        own = scores[(scores["case"] == case) & (scores["method"] == method)]
        kept = own.drop(columns=SAMPLER).reset_index(drop=True)
        expected = whole[whole["trajectory"] == "re100_seed100"].reset_index(drop=True)
        pd.testing.assert_frame_equal(kept, expected)


def test_the_card_quotes_receipt_and_table(run, folder):
    text = (folder / "checkpoints/superres_x4/flex/seed0.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        *("## How it was trained", "## Scores on `superres_x4`", "## What it is for"),
        *("## Limits", "## Data", "## Citation", "## Licence"),
    ]
    assert "Erichson" in text
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "cc0-1.0"
    weights = run.layout.checkpoint("superres_x4", "flex", 0)
    receipt = json.loads(receipt_of(weights).read_text())
    facts = receipt["facts"]
    for told_of in (f"{facts['parameters']:,}", f"{facts['flops']:.3g}", file_digest(weights)):
        assert told_of in body
    table = SCORES.read(run.layout.table("scores"))
    pooled = table[(table["reynolds"] == "all") & (table["detail"] == "")]
    quoted = pooled[pooled["score"].isin(["rfne_mean", "crps", "spread_skill"])]
    assert set(quoted["case"]) == {"superres_x4", CALIBRATED}
    for row in quoted.itertuples():
        assert " ".join(with_interval(row.value, row.low, row.high)) in body
    for row in pd.read_csv(run.layout.table("red_flags")).itertuples():
        assert (row.message in body) == (row.method == "flex")


def test_what_is_no_network_of_the_run_is_refused(run, tmp_path):
    for methods, seed, words in (
        (["interpolation"], 0, "a formula has no weights"),
        (["flex"], 3, "allowed: flex --seed 0"),
        (["flecks"], 0, "not in the configuration"),
    ):
        with pytest.raises(FlexbenchError, match=words):
            share(run, tmp_path / "networks", methods=methods, seed=seed)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda layout: layout.checkpoint("superres_x4", "flex", 0).unlink(),
        lambda layout: receipt_of(layout.checkpoint("superres_x4", "flex", 0)).unlink(),
        lambda layout: layout.calibration("superres_x4", FIT, "flex", 0).write_text("{}"),
        lambda layout: layout.scores(CALIBRATED, "flex", 0).unlink(),
        lambda layout: layout.table("scores").write_text(""),
        lambda layout: layout.statistics("superres_x4").write_text("{}"),
    ],
    ids=["weights", "receipt", "fit", "scores", "table", "scales"],
)
def test_what_is_not_made_or_has_changed_is_refused(copy, tmp_path, spoil):
    spoil(copy.layout)
    with pytest.raises(FlexbenchError, match=r"missing; `flexbench run|is not the file of its"):
        share(copy, tmp_path / "networks", methods=["flex"], seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_what_was_made_with_other_settings_is_refused(run, tiny_graph, tmp_path):
    other = calibrated(tiny_graph(run.layout.root, "train.steps=7"))
    with pytest.raises(FlexbenchError, match=r"train.steps: 6 there, 7 asked for"):
        share(other, tmp_path / "networks", methods=["flex"], seed=0)


def test_a_network_that_git_should_not_keep_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "MOST_BYTES", 100_000)
    with pytest.raises(FlexbenchError, match=r"allowed: 0.1 MB, as git keeps it for ever"):
        share(run, tmp_path / "networks", methods=["flex"], seed=0)


def test_what_stands_there_is_not_replaced(run, folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(FlexbenchError, match="exists already"):
        share(run, folder, methods=["flex"], seed=0)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_folder_that_is_not_finished_is_not_there(tmp_path):
    def end_early():
        with new_folder(tmp_path / "networks") as archive:
            archive.add("one", b"1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        end_early()
    assert not list(tmp_path.iterdir())


def test_git_takes_them_and_dvc_does_not():
    outs = read_yaml(checkout() / "dvc.yaml")["stages"].values()
    names = [next(iter(out)) if isinstance(out, dict) else out for it in outs for out in it["outs"]]
    assert names
    assert not [name for name in names if "networks" in name]
    place = "results/study/networks/checkpoints/a/b/seed0.safetensors"
    for path, code in ((place, 1), (place.replace("/networks", ""), 0)):
        asked = ["git", "check-ignore", "--quiet", "--no-index", path]
        done = subprocess.run(asked, cwd=checkout(), capture_output=True, check=False)
        if done.returncode == 128:
            pytest.skip("this checkout is no clone of git")
        assert done.returncode == code, path


# --- and used -------------------------------------------------------------------------------


def rows(scores):
    """Values by score and detail."""
    return scores.set_index(["method", "score", "detail", "index"])["value"].sort_index()


def test_its_scores_come_out_again(folder, found, tmp_path):
    shared = SharedNetworks.read(folder)
    expected = shared.scores()
    fitted = expected[expected[SAMPLER] != "ddim"]
    np.testing.assert_allclose(rows(found.scores), rows(fitted), rtol=1e-3, atol=1e-9)
    unfitted = attempt(
        shared,
        found.network,
        task="superres_x4",
        flow=shared.flow,
        work=tmp_path,
        sample={"sampler": "ddim"},
    )
    drawn = expected[expected[SAMPLER] != "calibrated"]
    np.testing.assert_allclose(rows(unfitted.scores), rows(drawn), rtol=1e-3, atol=1e-9)


def test_it_says_what_came_out(found):
    lines = list(told(found))
    values = rows(found.scores)
    (row,) = (line for line in lines if re.match(r"flex +\d", line))
    for score in ("rfne_mean", "crps", "spread_skill"):
        value = float(values["flex", score, ""].iloc[0])
        assert with_interval(value, value, value)[0] in row
    error = (values[method, "rfne_mean", ""].iloc[0] for method in ("flex", "interpolation"))
    change = next(error) / next(error) - 1
    side = "below" if change < 0 else "above"
    assert f"{abs(change):.0%} {side} that of the best formula, interpolation" in "\n".join(lines)


def test_the_verb_writes_fields_and_maps(entry, folder, tmp_path):
    code, out, err = entry(
        *("try", "superres_x4", "flex", "--networks", folder, "--output", tmp_path / "out"),
        *("--re", "150", "--flow-seed", "7", "--members", "3"),
    )
    assert code == 0, err
    assert "3 members in 2 steps of sampler calibrated" in out
    assert "It was trained at Re 100: this one is new to it." in out
    assert (tmp_path / "out/maps.png").read_bytes().startswith(b"\x89PNG")
    scores = pd.read_csv(tmp_path / "out/scores.csv")
    with h5py.File(tmp_path / "out/fields.h5") as file:
        truth, mean, spread = (file[name][:] for name in ("truth", "flex/mean", "flex/spread"))
        assert file.attrs["unit"] == "1/time unit"
        assert "spread" not in file["interpolation"]
    assert truth.shape == mean.shape == spread.shape == (32, 32)
    error = np.linalg.norm(mean - truth) / np.linalg.norm(truth)
    own = scores[(scores["method"] == "flex") & (scores["score"] == "rfne_mean")]
    assert error == pytest.approx(own["value"].item(), rel=1e-4)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["forecast"], ["no network forecast", "superres_x4 flex --seed 0"]),
        (["superres_x4", "unet"], ["no network superres_x4 unet", "superres_x4 flex --seed 0"]),
        (["--flow-seed", "0"], ["Re 100, seed 0", "has seen this flow (split train)"]),
        (["--flow-seed", "50"], ["has seen this flow (split validation)"]),
        (["--sampler", "calibrated", "--steps", "3"], ["no such fit", FIT, "such as ddim"]),
        (["--sampler", "magic"], ["sample.sampler", "'ddim'", "'magic'"]),
        (["--re", "0"], ["reynolds", "greater than 0"]),
    ],
)
def test_what_it_cannot_do_is_one_line(entry, folder, words, parts):
    code, _, lines = entry("try", "--networks", folder, *words)
    assert code == 1
    assert len(lines) == 1, lines
    for part in parts:
        assert part in lines[0]


def test_a_file_that_changed_is_told(entry, folder, tmp_path):
    spoilt = tmp_path / "networks"
    shutil.copytree(folder, spoilt)
    path = spoilt / "checkpoints/superres_x4/flex/seed0.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    code, _, lines = entry("try", "--networks", spoilt)
    assert (code, lines) == (
        1,
        [
            f"flexbench: error: {path}: is not the file of manifest.json; `git checkout` brings it "
            "back"
        ],
    )
    (spoilt / "manifest.json").write_text("[]")
    assert "not a manifest" in entry("try", "--networks", spoilt)[2][0]
    shutil.rmtree(spoilt)
    assert "`flexbench share` makes it" in entry("try", "--networks", spoilt)[2][0]


def test_a_flow_of_another_seed_is_another_one(folder, found, tmp_path):
    """So that what comes out again is not what was put there."""
    shared = SharedNetworks.read(folder)
    flow = Run("periodic", shared.flow.reynolds, 7)
    other = attempt(shared, found.network, task="superres_x4", flow=flow, work=tmp_path)
    apart = (rows(other.scores) / rows(found.scores) - 1).abs()
    assert apart.xs("rfne_mean", level="score").min() > 1e-3


def test_settings_that_are_newer_than_the_networks_have_their_defaults(folder, tmp_path):
    shared = SharedNetworks.read(folder)
    (network,) = shared.networks
    older = {key: value for key, value in shared.settings.items() if key != "calibration"}
    before = replace(shared, settings=older)
    graphs = [it.graph(network, flow=it.flow, sample={}, root=tmp_path) for it in (shared, before)]
    assert graphs[0].config == graphs[1].config
