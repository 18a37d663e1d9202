"""Checkpoints: same bytes for same weights, one clear line for every kind of wrong file."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from flexbench.errors import FlexbenchError
from flexbench.training.checkpoint import load_checkpoint, load_weights, save_checkpoint

METADATA = {"network": "flex", "width": 8, "betas": [0.9, 0.99], "nested": {"b": None, "a": "é"}}


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(4, 2))


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "folder" / "a.safetensors"
    written = network()
    save_checkpoint(path, written.state_dict(), METADATA)
    state, metadata = load_checkpoint(path)
    read = network(seed=1)
    load_weights(read, state, source=path)
    assert metadata == METADATA
    assert list(path.parent.iterdir()) == [path]
    for ours, theirs in zip(read.parameters(), written.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_same_weights_same_bytes(tmp_path):
    for name, metadata in (("a", METADATA), ("b", dict(reversed(METADATA.items())))):
        save_checkpoint(tmp_path / name, network().state_dict(), metadata)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    save_checkpoint(tmp_path / "c", network(seed=1).state_dict(), METADATA)
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_shared_and_strided_tensors_are_written_whole(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    state = {"a": base, "b": base, "c": base.t(), "d": base[:, 1]}
    save_checkpoint(tmp_path / "a", state, {})
    found, _ = load_checkpoint(tmp_path / "a")
    assert {name: t.tolist() for name, t in found.items()} == {
        name: t.tolist() for name, t in state.items()
    }


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    save_checkpoint(path, network().state_dict(), METADATA)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(path, network(seed=1).state_dict(), {"loss": float("nan")})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_truncated_file(tmp_path, kept):
    path = tmp_path / "a"
    save_checkpoint(path, network().state_dict(), METADATA)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(FlexbenchError, match="not a whole safetensors file") as error:
        load_checkpoint(path)
    assert str(path) in one_line(error)


class Bomb:
    """Says so if it is unpickled."""

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_pickles_are_never_run(tmp_path):
    bomb = Bomb()
    bomb.path = tmp_path / "exploded"
    (tmp_path / "a").write_bytes(pickle.dumps(bomb))
    with pytest.raises(FlexbenchError, match="not a whole safetensors file"):
        load_checkpoint(tmp_path / "a")
    assert not bomb.path.exists()
    torch.save({"weights": torch.ones(3)}, tmp_path / "b")
    with pytest.raises(FlexbenchError, match="not a whole safetensors file"):
        load_checkpoint(tmp_path / "b")


def test_missing_file(tmp_path):
    with pytest.raises(FlexbenchError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_of_somebody_else(tmp_path, metadata):
    save_file({"weight": torch.ones(3)}, tmp_path / "a", metadata=metadata)
    with pytest.raises(FlexbenchError, match="'flexbench' is missing"):
        load_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("text", ["[1]", "{"])
def test_metadata_of_another_form(tmp_path, text):
    save_file({"weight": torch.ones(3)}, tmp_path / "a", metadata={"flexbench": text})
    with pytest.raises(FlexbenchError, match="not a JSON object"):
        load_checkpoint(tmp_path / "a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("1.weight"), "'1.weight' is missing in the file"),
        (lambda s: s.update(more=torch.ones(1)), "'more' is not a tensor of the network"),
        (
            lambda s: s.update({"1.bias": torch.ones(3)}),
            r"'1.bias' has shape \(3,\), allowed: \(2,\)",
        ),
    ],
)
def test_weights_of_another_network(change, message):
    state = network().state_dict()
    change(state)
    target = network(seed=1)
    before = [p.detach().clone() for p in target.parameters()]
    with pytest.raises(FlexbenchError, match=message) as error:
        load_weights(target, state, source="a.safetensors")
    assert one_line(error).startswith("a.safetensors: not a checkpoint of this Sequential")
    assert all(torch.equal(a, b) for a, b in zip(before, target.parameters(), strict=True))
