"""Checkpoints of FLEX's authors with their sidecar: sampled from, and refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from official_files import HEADS, PATCH, official, small_network

from flexbench.diffusion import Draw
from flexbench.errors import FlexbenchError
from flexbench.published.imported import bring_in, load_imported
from flexbench.published.sidecar import departures, published_sidecar, read_sidecar, sidecar_of
from flexbench.tasks.base import Example

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A checkpoint as it is downloaded, and what an import makes of it."""
    folder = tmp_path_factory.mktemp("files")
    torch.save(official(small_network()), folder / "theirs.pt")
    bring_in(folder / "theirs.pt", folder / "ours.safetensors", heads=HEADS, use_ema=True)
    return folder


@pytest.fixture
def ours(files, tmp_path):
    """A copy of the imported checkpoint, and of its sidecar, that a test may spoil."""
    for path in files.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / "ours.safetensors"


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_an_imported_checkpoint_is_sampled_as_by_its_authors(tmp_path, steps):
    """Their own numbers, from random weights, by way of the sidecar."""
    path = tmp_path / "tiny.safetensors"
    bring_in(DATA / "flex_tiny.safetensors", path, heads=4, use_ema=True)
    imported = load_imported(path)
    with np.load(DATA / "flex_tiny_golden.npz") as file:
        golden = {name: torch.from_numpy(file[name]) for name in file.files}
    low = golden["lowres"]
    example = Example(low, golden["re"], torch.zeros_like(low), low, low, low)
    noise = golden["init_noise"][:, None]
    drawn = imported.method.sample(example, noise, draw=Draw(sampler="ddim", steps=steps))
    found = imported.task.reconstruct(drawn, low)[:, 0]
    torch.testing.assert_close(found, golden[f"sr_ddim{steps}"], rtol=1e-4, atol=1e-5)


# --- the sidecar ----------------------------------------------------------------------------


def test_scales_and_reynolds_of_the_sidecar_count(ours):
    values = yaml.safe_load(published_sidecar(PATCH))
    values |= {"scales": {"mean": 1.5, "std": 2.0}, "reynolds": 4000}
    values["diffusion"]["shift"] = 16
    sidecar_of(ours).write_text(yaml.safe_dump(values))
    imported = load_imported(ours)
    assert imported.sidecar.scales.mean == 1.5
    unlike = {it.place for it in departures(imported.sidecar)}
    assert unlike == {"scales.mean", "scales.std", "reynolds", "diffusion.shift"}
    assert imported.method.schedule.shift == 16
    example = imported.task.prepare(torch.ones(1, 1, PATCH, PATCH), torch.tensor([4000.0]))
    assert example.condition.unique().tolist() == [0.5]
    assert example.re.tolist() == [[pytest.approx(0.1)]]


def test_an_import_keeps_a_sidecar_that_is_there(ours, entry):
    changed = published_sidecar(PATCH).replace("shift: 1 ", "shift: 2 ")
    sidecar_of(ours).write_text(changed)
    words = ("import-checkpoint", ours.with_name("theirs.pt"), ours, "--heads", HEADS)
    code, out, _ = entry(*words)
    assert code == 0
    assert str(sidecar_of(ours)) in out
    assert read_sidecar(sidecar_of(ours)).diffusion.shift == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mean: 0, std: 1", "mean: 0", ("scales.std: Field required",)),
        ("std: 1", "std: 0", ("scales.std", "greater than 0")),
        ("std: 1", "std: .nan", ("scales.std",)),
        ("mean: 0", "mean: none", ("scales.mean", "valid number")),
        ("target: v", "target: x", ("diffusion.target", "'v' or 'eps'", "'x'")),
        ("grid: uniform", "grid: cosine", ("diffusion.grid", "'uniform'", "'cosine'")),
        ("shift: 1", "shift: true", ("diffusion.shift", "'true'")),
        ("reynolds: 0", "reynolds: -1", ("reynolds", "greater than or equal to 0")),
        ("factor: 4", "factor: 3", ("task.factor", "2, 4, 8 or 16")),
        ("upsampling: bilinear", "upsampling: spectral", ("alignment", "'spectral'")),
        ("  residual: true", "  methods: [flex]", ("task: methods: unknown key", "residual")),
        ("  residual: true", "", ("task: residual is missing", "upsampling")),
        (f"patch: {PATCH}", "patch: 64", ("task.patch is 64", f"network's is {PATCH}")),
        ("task:", "task: [", ("not valid YAML",)),
    ],
)
def test_a_wrong_sidecar_is_told_in_one_line(ours, old, new, words):
    path = sidecar_of(ours)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(FlexbenchError) as caught:
        load_imported(ours)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1, lines
    for word in (path.name, *words):
        assert word in lines[0]


def test_each_wrong_key_has_its_line(ours):
    text = sidecar_of(ours).read_text()
    sidecar_of(ours).write_text(text.replace("scales:", "scale:").replace("target: v", "target: x"))
    with pytest.raises(FlexbenchError) as caught:
        load_imported(ours)
    missing, target, unknown = str(caught.value).splitlines()
    assert missing.endswith("scales: Field required")
    assert "diffusion.target" in target
    assert "scale: unknown key; did you mean 'scales'?" in unknown


def test_without_a_sidecar_nothing_is_sampled(ours):
    sidecar_of(ours).unlink()
    with pytest.raises(FlexbenchError, match=r"\.yaml: missing; `flexbench import-checkpoint`"):
        load_imported(ours)


def test_networks_without_super_resolution_cannot_be_scored(tmp_path):
    content = official(small_network())
    del content["ema"]
    content["forecast_encoder"] = content.pop("superres_encoder")
    torch.save(content, tmp_path / "theirs.pt")
    path = tmp_path / "ours.safetensors"
    facts, sidecar = bring_in(tmp_path / "theirs.pt", path, heads=HEADS, use_ema=True)
    assert list(facts["architecture"]["tasks"]) == ["forecast"]
    assert sidecar is None
    assert not sidecar_of(path).exists()
    sidecar_of(path).write_text(published_sidecar(PATCH))
    with pytest.raises(FlexbenchError, match="a network of forecast; needed: one of super-res"):
        load_imported(path)
