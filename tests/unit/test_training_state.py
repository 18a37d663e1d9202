"""Restart points: all of the state under names, the last two kept, others never misused."""

import pytest
import torch
from torch import nn

from flexbench.config import TrainSettings
from flexbench.errors import FlexbenchError
from flexbench.training.optim import make_optimizer
from flexbench.training.state import (
    StateFolder,
    TrainingState,
    clear_state,
    load_optimizer_state,
    optimizer_state,
    read_state,
    training_digest,
)


def state(step, **more):
    values = {
        "seed": 1,
        "digest": "abc",
        "network": {"weight": torch.full((3,), float(step))},
        "average": {"weight": torch.zeros(3)},
        "average_updates": step,
        "optimizer": {"weight": {"momentum": torch.ones(3), "step": torch.tensor(2.0)}},
        "layout": "channels_last",
    }
    return TrainingState(step=step, **values | more)


@pytest.fixture
def said():
    return []


@pytest.fixture
def folder(tmp_path, said):
    return StateFolder(tmp_path, "abc", say=said.append)


def test_round_trip(folder):
    saved = state(
        7,
        elapsed=1.5,
        loss_sum=0.1,
        loss_count=3,
        validation={"last": {"step": 5, "loss": 0.25}},
        parameters_without_gradient=["unused"],
    )
    path = folder.save(saved)
    read = read_state(path)
    assert torch.equal(read.network["weight"], saved.network["weight"])
    assert torch.equal(read.optimizer["weight"]["momentum"], torch.ones(3))
    for name in ("step", "seed", "elapsed", "loss_sum", "loss_count", "validation"):
        assert getattr(read, name) == getattr(saved, name)
    assert read.parameters_without_gradient == ["unused"]
    assert folder.newest() == path


def test_last_two_are_kept(folder):
    for step in (5, 9, 10, 100):
        folder.save(state(step))
    names = sorted(path.name for path in folder.path.iterdir())
    assert names == ["step-000000010.pt", "step-000000100.pt"]


@pytest.mark.parametrize("kept", [0, 100, -200])
def test_unreadable_point_falls_back_to_the_one_before(folder, said, kept):
    before = folder.save(state(5))
    damaged = folder.save(state(9))
    damaged.write_bytes(damaged.read_bytes()[:kept])
    assert folder.newest() == before
    assert "step-000000009.pt: not a whole training state" in said[0]
    # The damaged one leads nowhere: it must not outlive the training that goes on from before.
    folder.save(state(7))
    assert sorted(path.name for path in folder.path.glob("*.pt")) == [
        "step-000000005.pt",
        "step-000000007.pt",
    ]


def test_point_of_another_form_is_refused(tmp_path):
    torch.save({"step": 1, "weights": torch.ones(2)}, tmp_path / "a.pt")
    with pytest.raises(FlexbenchError, match="not a whole training state"):
        read_state(tmp_path / "a.pt")


class Bomb:
    def __reduce__(self):
        return (print, ("exploded",))


def test_code_is_never_unpickled(tmp_path, capsys):
    torch.save({"step": Bomb()}, tmp_path / "a.pt")
    with pytest.raises(FlexbenchError, match="not a whole training state"):
        read_state(tmp_path / "a.pt")
    assert "exploded" not in capsys.readouterr().out


def test_state_of_other_settings_is_set_aside(folder, said, tmp_path):
    folder.save(state(5))
    other = StateFolder(tmp_path, "def", say=said.append)
    assert other.newest() is None
    assert "state of other settings is set aside, not used (abc)" in said[0]
    assert folder.newest() is not None  # and found again when the settings come back


def test_clear(folder, tmp_path):
    folder.save(state(5))
    clear_state(tmp_path)
    clear_state(tmp_path)
    assert not tmp_path.exists()


def digest(settings=None, *, seed=0, metadata=None, width=2):
    return training_digest(
        settings or TrainSettings(), seed=seed, metadata=metadata or {}, network=nn.Linear(3, width)
    )


def test_digest_changes_with_what_is_learnt_only():
    assert digest() == digest()
    same = TrainSettings(log_every=3, checkpoint_seconds=1)
    assert digest(same) == digest()
    changed = [
        digest(TrainSettings(**{name: value}))
        for name, value in {
            "steps": 5,
            "batch": 4,
            "accumulate": 2,
            "optimizer": "lion",
            "learning_rate": 2e-3,
            "betas": (0.9, 0.98),
            "weight_decay": 0.1,
            "warmup_steps": 1,
            "clip_norm": None,
            "ema": 0.5,
            "dropout": 0.1,
            "precision": "bfloat16",
            # These decide what the log and the checkpoint say of validation, or the bits of sums.
            "validate_every": 7,
            "validation_batches": 9,
            "processes": 2,
            "compile": True,
        }.items()
    ]
    changed += [digest(seed=1), digest(metadata={"network": "unet"}), digest(width=3), digest()]
    assert len(set(changed)) == len(changed)


@pytest.mark.parametrize("name", ["adamw", "lion", "muon"])
def test_optimizer_goes_on_alike(name):
    settings = TrainSettings(optimizer=name, learning_rate=0.1)

    def steps(network, optimizer, numbers):
        for number in numbers:
            optimizer.zero_grad()
            torch.sin(network(torch.full((1, 3), float(number)))).sum().backward()
            network.bias.grad = None  # a parameter that has no state
            optimizer.step()

    def fresh():
        torch.manual_seed(0)
        network = nn.Linear(3, 2)
        return network, make_optimizer(network.parameters(), settings)

    whole, optimizer = fresh()
    steps(whole, optimizer, range(6))

    first, optimizer = fresh()
    steps(first, optimizer, range(3))
    saved = {name: dict(values) for name, values in optimizer_state(optimizer, first).items()}
    assert set(saved) == {"weight"}
    second, fresh_optimizer = fresh()
    second.load_state_dict(first.state_dict())
    load_optimizer_state(fresh_optimizer, second, saved)
    steps(second, fresh_optimizer, range(3, 6))
    assert torch.equal(second.weight, whole.weight)
