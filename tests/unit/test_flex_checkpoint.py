"""Files in the authors' layout: read, refused, and written as ours."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from flexbench.errors import FlexbenchError
from flexbench.models.flex import SIZES, Flex
from flexbench.models.official_checkpoint import (
    convert,
    import_checkpoint,
    infer_architecture,
    load_converted,
)
from flexbench.models.official_names import BUFFERS, PARTS, official_names

TINY = Path(__file__).parents[1] / "data" / "flex_tiny.safetensors"

Change = Callable[[dict[str, Any]], None]


def pickled(*, parts: tuple[str, ...] = PARTS) -> dict[str, Any]:
    """The content of a `.pt` as the authors' trainer saves it; averages are twice the weights."""
    content: dict[str, Any] = {part: {} for part in PARTS if part in parts}
    for name, tensor in load_file(TINY).items():
        part, _, inner = name.partition(".")
        if part in content:
            content[part][inner] = tensor
    averages = [
        2 * tensor
        for part in content.values()
        for name, tensor in part.items()
        if name not in BUFFERS
    ]
    content["ema"] = {
        "decay": 0.999,
        "num_updates": 7,
        "shadow_params": averages,
        "collected_params": None,
    }
    return content | {"optimizer": {"state": {}}, "sched": {"last_epoch": 3}, "epoch": 3, "loss": 1}


def write(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "checkpoint.pt"
    torch.save(content, path)
    return path


def output(network: Flex, task: str) -> Tensor:
    torch.manual_seed(0)
    channels = {"superres": 1, "forecast": 2}[task]
    condition = torch.randn(1, channels, 64, 64)
    with torch.no_grad():
        return network(
            torch.randn(1, 1, 64, 64), torch.rand(1), torch.rand(1, 1), {task: condition}
        )


def test_every_tensor_has_one_official_name() -> None:
    network = import_checkpoint(TINY, heads=4)
    names = official_names(network)
    tensors = load_file(TINY)
    assert sorted(names.values()) == sorted(tensors)
    state = network.state_dict()
    assert all(torch.equal(state[ours], tensors[theirs]) for ours, theirs in names.items())


def test_pickled_file_holds_the_same_network(tmp_path: Path) -> None:
    path = write(tmp_path, pickled())
    last = import_checkpoint(path, heads=4, use_ema=False)
    assert torch.equal(
        output(last, "forecast"), output(import_checkpoint(TINY, heads=4), "forecast")
    )


def test_averages_replace_parameters_but_not_buffers(tmp_path: Path) -> None:
    path = write(tmp_path, pickled())
    last = import_checkpoint(path, heads=4, use_ema=False).state_dict()
    averaged = import_checkpoint(path, heads=4).state_dict()
    buffers = {name for name in last if name.endswith(("frequencies", "phases"))}
    assert len(buffers) == 4
    for name, value in last.items():
        assert torch.equal(averaged[name], value if name in buffers else 2 * value), name


def test_single_task_file(tmp_path: Path) -> None:
    path = write(tmp_path, pickled(parts=("encoder", "decoder", "superres_encoder")))
    network = import_checkpoint(path, heads=4, use_ema=False)
    assert list(network.task_encoders) == ["superres"]
    assert torch.equal(
        output(network, "superres"), output(import_checkpoint(TINY, heads=4), "superres")
    )


@pytest.mark.parametrize("name", ["S", "M", "L"])
def test_published_sizes_are_recognised_heads_included(name: str) -> None:
    with torch.device("meta"):
        network = Flex({"superres": 1, "forecast": 2}, size=SIZES[name], patch=256)
    state = network.state_dict()
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for ours, theirs in official_names(network).items():
        part, _, inner = theirs.partition(".")
        parts[part][inner] = state[ours]
    found = infer_architecture(Path("file"), parts, None)
    assert found.size == SIZES[name]
    assert (found.patch, found.tasks) == (256, {"superres": 1, "forecast": 2})
    assert (found.field_channels, found.skips) == (1, "all")


def test_heads_of_an_unknown_size_are_asked_for() -> None:
    with pytest.raises(FlexbenchError, match="give the number of attention heads"):
        import_checkpoint(TINY)


def transpose(content: dict[str, Any]) -> None:
    content["encoder"]["tr_blocks.1.mlp.fc1.weight"].t_()


def lose_average(content: dict[str, Any]) -> None:
    del content["ema"]["shadow_params"][5]


def reverse_averages(content: dict[str, Any]) -> None:
    content["ema"]["shadow_params"].reverse()


def break_ema(content: dict[str, Any]) -> None:
    content["ema"] = {"decay": 0.9}


def add_tensor(content: dict[str, Any]) -> None:
    content["encoder"]["extra"] = torch.zeros(1)
    del content["ema"]


def lose_tensor(content: dict[str, Any]) -> None:
    del content["superres_encoder"]["cond_embed.2.bias"]
    del content["ema"]


def lose_part(content: dict[str, Any]) -> None:
    del content["decoder"]


def lose_tasks(content: dict[str, Any]) -> None:
    del content["superres_encoder"], content["forecast_encoder"]


def part_of_numbers(content: dict[str, Any]) -> None:
    content["encoder"]["pos_embed"] = 3.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (transpose, r"encoder.tr_blocks.1.mlp.fc1.weight has shape \(64, 128\)"),
        (lose_average, "shadow_params holds 521 tensors; .* have 522 parameters"),
        (reverse_averages, "ema.shadow_params does not fit: encoder"),
        (break_ema, "ema.shadow_params must be a list of tensors"),
        (add_tensor, "encoder.extra is not part of a FLEX"),
        (lose_tensor, "superres_encoder.cond_embed.2.bias is missing"),
        (lose_part, "no part 'decoder'"),
        (lose_tasks, "no task encoder; needed: superres_encoder or forecast_encoder"),
        (part_of_numbers, "encoder.pos_embed is not a tensor"),
    ],
)
def test_mismatches_are_refused_by_name(tmp_path: Path, change: Change, message: str) -> None:
    content = pickled()
    change(content)
    with pytest.raises(FlexbenchError, match=message):
        import_checkpoint(write(tmp_path, content), heads=4)


class Intruder:
    """Pickles to a call that leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = write(tmp_path, pickled() | {"loss": Intruder(mark)})
    with pytest.raises(FlexbenchError, match="refused; cut off, or more than tensors"):
        import_checkpoint(path, heads=4)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Intruder(mark)))  # noqa: S301  # the trap does work
    assert mark.exists()


def test_unreadable_files_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(FlexbenchError, match="no such checkpoint"):
        import_checkpoint(tmp_path / "absent.pt")
    for name in ("short.pt", "short.safetensors"):
        path = tmp_path / name
        path.write_bytes(TINY.read_bytes()[:1000])
        with pytest.raises(FlexbenchError, match=name) as caught:
            import_checkpoint(path)
        assert "\n" not in str(caught.value)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"unet.weight": torch.zeros(1)}, foreign)
    with pytest.raises(FlexbenchError, match=r"tensor unet.weight; allowed parts: encoder"):
        import_checkpoint(foreign)


def test_converted_file_holds_the_same_network(tmp_path: Path) -> None:
    out = tmp_path / "folder" / "tiny.safetensors"
    facts = convert(TINY, out, heads=4)
    with safe_open(out, framework="pt") as file:
        assert json.loads(file.metadata()["flexbench"]) == json.loads(json.dumps(facts))
    assert facts["parameters"] == 569_984 + 452_480 + 452_768 + 1_496_577
    assert (facts["weights"], facts["source"]) == ("last", "flex_tiny.safetensors")
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    network = load_converted(out)
    assert not network.training
    assert torch.equal(
        output(network, "superres"), output(import_checkpoint(TINY, heads=4), "superres")
    )

    again = tmp_path / "again.safetensors"
    convert(TINY, again, heads=4)
    assert again.read_bytes() == out.read_bytes()
    assert convert(write(tmp_path, pickled()), again, heads=4)["weights"] == "averaged"
    with pytest.raises(FlexbenchError, match="not a converted FLEX checkpoint"):
        load_converted(TINY)
