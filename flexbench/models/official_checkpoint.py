"""Import of checkpoints in the layout of FLEX's authors.

Two kinds of file hold it: safetensors with the names `<part>.<tensor>`, and the authors' `.pt`,
with one state dict per part, beside the state of the weights' moving average, which torch-ema
keeps as a list without names. The parts are `encoder`, `decoder`, `superres_encoder` and
`forecast_encoder`; either task encoder may be missing. A `.pt` is read with `weights_only=True`,
so nothing in it is run.
"""

import dataclasses
import json
import math
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from flexbench import __version__
from flexbench.errors import FlexbenchError
from flexbench.models.flex import SIZES, Flex, Size, Skips

Tensors = dict[str, Tensor]

# The order in which the authors hand their parameters to the moving average.
PARTS = ("encoder", "decoder", "superres_encoder", "forecast_encoder")
TASK_PARTS = {"superres": "superres_encoder", "forecast": "forecast_encoder"}
BUFFERS = ("MPFourier.freqs", "MPFourier.phases")

# Our places in a part -> theirs. The decoder's convolutional blocks are numbered in `_places`.
_PLACES = {
    "time.frequencies": "MPFourier.freqs",
    "time.phases": "MPFourier.phases",
    "time.mlp.hidden": "time_embed.0",
    "time.mlp.out": "time_embed.2",
    "flow.hidden": "cond_embed.0",
    "flow.out": "cond_embed.2",
    "conv.stem": "input_blocks.0.0",
    "latent.position": "pos_embed",
    "latent.middle": "mid_block",
    "latent.blocks": "tr_blocks",
    "latent.norm": "norm",
    "norm": "final_layer.0",
    "head": "final_layer.2",
}
# Our layers in a block -> theirs.
_LAYERS = {
    "norm_in": "in_layers.0",
    "conv_in": "in_layers.2",
    "film": "emb_layers.1",
    "norm_out": "out_layers.0",
    "conv_out": "out_layers.3",
    "identity": "skip_connection",
    "merge": "skip_linear",
    "norm_attention": "norm1",
    "attention.qkv": "attn.qkv",
    "attention.out": "attn.proj",
    "norm_mlp": "norm2",
    "mlp_in": "mlp.fc1",
    "mlp_out": "mlp.fc2",
}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What `Flex` has to be told; the switches that leave no trace in weights are all on."""

    tasks: dict[str, int]
    size: Size
    patch: int
    field_channels: int
    skips: Skips

    def build(self) -> Flex:
        """A network of this architecture, weights at their initial values."""
        return Flex(
            self.tasks,
            size=self.size,
            patch=self.patch,
            field_channels=self.field_channels,
            skips=self.skips,
        )


def import_checkpoint(path: Path | str, *, heads: int | None = None, use_ema: bool = True) -> Flex:
    """The network in a file of the authors' layout: evaluation mode, float32, on the CPU.

    heads: attention heads; no tensor shows them, so they are needed unless the file has one of
    our named sizes. use_ema: take the averaged weights where the file has them.
    Raises FlexbenchError that names the tensor which is missing, unknown, or of another shape.
    """
    network, _ = _import(Path(path), heads=heads, use_ema=use_ema)
    return network


def convert(
    path: Path | str, out_path: Path | str, *, heads: int | None = None, use_ema: bool = True
) -> dict[str, Any]:
    """Write the network of `path` as a checkpoint of ours (safetensors); returns its metadata.

    The file holds `Flex.state_dict()`; its metadata, JSON under "flexbench", is what
    `load_converted` builds the network from. Arguments and errors as `import_checkpoint`.
    """
    network, facts = _import(Path(path), heads=heads, use_ema=use_ema)
    _write(Path(out_path), network.state_dict(), facts)
    return facts


def load_converted(path: Path | str) -> Flex:
    """The network of a file that `convert` wrote, in evaluation mode."""
    path = Path(path)
    tensors, header = _read_safetensors(path)
    try:
        facts = json.loads(header["flexbench"])["architecture"]
        fields = {key: _hashable(value) for key, value in facts.pop("size").items()}
        network = Architecture(size=Size(**fields), **facts).build()
    except (KeyError, TypeError, ValueError) as error:
        raise FlexbenchError(f"{path}: not a converted FLEX checkpoint ({error!r})") from None
    return _filled(path, network, tensors, {name: name for name in network.state_dict()})


def _import(path: Path, *, heads: int | None, use_ema: bool) -> tuple[Flex, dict[str, Any]]:
    parts, averages = _read_parts(path)
    averaged = use_ema and averages is not None
    if use_ema and averages is not None:
        parts = _averaged(path, parts, averages)
    architecture = _architecture(path, parts, heads)
    network = architecture.build()
    tensors = {f"{part}.{name}": value for part in parts for name, value in parts[part].items()}
    _filled(path, network, tensors, official_names(network))
    sizes = (name for name, size in SIZES.items() if size == architecture.size)
    facts = {
        "version": __version__,
        "network": "flex",
        "size": next(sizes, None),
        "architecture": dataclasses.asdict(architecture),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "weights": "averaged" if averaged else "last",
        "source": path.name,
    }
    return network, facts


def official_names(network: Flex) -> dict[str, str]:
    """Our name of every tensor of the network -> the authors', their part in front."""
    return {name: _official_name(name, network.size) for name in network.state_dict()}


def _official_name(name: str, size: Size) -> str:
    part, _, inner = name.partition(".")
    if part == "task_encoders":
        task, _, inner = inner.partition(".")
        part = TASK_PARTS[task]
    places = _PLACES | _places(size)
    place = max((ours for ours in places if f"{inner}.".startswith(f"{ours}.")), key=len)
    rest = inner.removeprefix(place)
    for ours, theirs in _LAYERS.items():
        rest = rest.replace(f".{ours}.", f".{theirs}.")
    return f"{part}.{places[place]}{rest}"


def _places(size: Size) -> dict[str, str]:
    """Our convolutional blocks -> theirs: encoders count from the stem, the decoder from its
    bottom block, and an *up* block shares the number of the block before it."""
    blocks = len(size.feature_channels) - 1
    places = {f"conv.blocks.{i}": f"input_blocks.{i + 1}.0" for i in range(blocks)}
    places["conv.bottom"] = "output_blocks.0.0"
    number = 0
    for level, count in enumerate(reversed(size.blocks)):
        for block in range(count + 1):
            number += 1
            places[f"conv.levels.{level}.blocks.{block}"] = f"output_blocks.{number}.0"
        places[f"conv.levels.{level}.up"] = f"output_blocks.{number}.1"
    return places


def _architecture(path: Path, parts: Mapping[str, Tensors], heads: int | None) -> Architecture:
    """Everything about the network that shapes tell, and the heads, which they do not."""
    encoder, decoder = parts["encoder"], parts["decoder"]
    deepest_first: list[int] = []
    blocks: list[int] = []
    number, count = 1, 0
    while f"output_blocks.{number}.0.in_layers.2.weight" in decoder:
        count += 1
        following = f"output_blocks.{number + 1}.0.in_layers.2.weight"
        if f"output_blocks.{number}.1.in_layers.2.weight" in decoder or following not in decoder:
            width = decoder[f"output_blocks.{number}.0.in_layers.2.weight"].shape[0]
            deepest_first.append(width)
            blocks.append(count - 1)
            count = 0
        number += 1
    depth = 1 + 2 * len({key.split(".")[1] for key in encoder if key.startswith("tr_blocks.")})
    channels = tuple(reversed(deepest_first))
    shape = (channels, tuple(reversed(blocks)), depth)
    if heads is None:
        heads = _known_heads(path, shape)
    size = Size(channels=shape[0], blocks=shape[1], depth=depth, heads=heads)
    side = math.isqrt(_shape(path, "encoder", encoder, "pos_embed")[1] - 1)
    stem = "input_blocks.0.0.weight"
    return Architecture(
        tasks={
            task: _shape(path, part, parts[part], stem)[1]
            for task, part in TASK_PARTS.items()
            if part in parts
        },
        size=size,
        patch=side * 2 ** len(channels),
        field_channels=_shape(path, "encoder", encoder, stem)[1],
        skips="all" if "tr_blocks.0.skip_linear.weight" in decoder else "convolutional",
    )


def _known_heads(path: Path, shape: tuple[tuple[int, ...], tuple[int, ...], int]) -> int:
    for size in SIZES.values():
        if (size.channels, size.blocks, size.depth) == shape:
            return size.heads
    raise FlexbenchError(
        f"{path}: channels {list(shape[0])}, blocks {list(shape[1])}, depth {shape[2]} is none of "
        f"the sizes {', '.join(SIZES)}; give the number of attention heads, weights do not show it"
    )


def _shape(path: Path, part: str, tensors: Tensors, name: str) -> torch.Size:
    if name not in tensors or tensors[name].dim() < 2:
        found = tuple(tensors[name].shape) if name in tensors else "nothing"
        raise FlexbenchError(f"{path}: tensor {part}.{name}: found {found}, needed by every FLEX")
    return tensors[name].shape


def _filled(path: Path, network: Flex, tensors: Tensors, names: Mapping[str, str]) -> Flex:
    """The network with the file's tensors, each checked; `names` maps ours to the file's."""
    state = network.state_dict()
    for ours, theirs in names.items():
        if theirs not in tensors:
            raise FlexbenchError(f"{path}: tensor {theirs} is missing")
        found, needed = tuple(tensors[theirs].shape), tuple(state[ours].shape)
        if found != needed:
            raise FlexbenchError(f"{path}: tensor {theirs} has shape {found}; needed: {needed}")
    unknown = sorted(set(tensors) - set(names.values()))
    if unknown:
        raise FlexbenchError(f"{path}: tensor {unknown[0]} is not part of a FLEX of this size")
    network.load_state_dict({ours: tensors[theirs].float() for ours, theirs in names.items()})
    return network.eval()


def _averaged(
    path: Path, parts: Mapping[str, Tensors], averages: list[Tensor]
) -> dict[str, Tensors]:
    """The parts with each parameter replaced by its moving average, paired by position.

    The list runs through `PARTS`, in each through the state dict's order, buffers left out.
    """
    slots = [(part, name) for part in PARTS for name in parts.get(part, {}) if name not in BUFFERS]
    if len(slots) != len(averages):
        raise FlexbenchError(
            f"{path}: ema.shadow_params holds {len(averages)} tensors; "
            f"the parts {', '.join(parts)} have {len(slots)} parameters"
        )
    result = {part: dict(tensors) for part, tensors in parts.items()}
    for (part, name), average in zip(slots, averages, strict=True):
        found, needed = tuple(average.shape), tuple(result[part][name].shape)
        if found != needed:
            raise FlexbenchError(
                f"{path}: ema.shadow_params does not fit: "
                f"{part}.{name} has shape {needed}, its average {found}"
            )
        result[part][name] = average
    return result


def _read_parts(path: Path) -> tuple[dict[str, Tensors], list[Tensor] | None]:
    """The parts of the file, each in the file's order, and the averages if it has any."""
    if not path.is_file():
        raise FlexbenchError(f"{path}: no such checkpoint")
    parts: dict[str, Tensors] = {}
    averages = None
    if path.suffix == ".safetensors":
        for name, tensor in _read_safetensors(path)[0].items():
            part, _, inner = name.partition(".")
            if part not in PARTS:
                raise FlexbenchError(f"{path}: tensor {name}; allowed parts: {', '.join(PARTS)}")
            parts.setdefault(part, {})[inner] = tensor
    else:
        content = _read_pickled(path)
        parts = {part: _tensors(path, part, content[part]) for part in PARTS if part in content}
        averages = _shadow(path, content.get("ema"))
    for needed in ("encoder", "decoder"):
        if needed not in parts:
            raise FlexbenchError(f"{path}: no part '{needed}'; not a FLEX checkpoint")
    if not set(TASK_PARTS.values()) & set(parts):
        raise FlexbenchError(f"{path}: no task encoder; needed: {' or '.join(PARTS[2:])}")
    return parts, averages


def _read_safetensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise FlexbenchError(f"{path}: not a readable safetensors file ({reason})") from None


def _read_pickled(path: Path) -> Mapping[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise FlexbenchError(
            f"{path}: refused; cut off, or more than tensors and plain values in it ({reason})"
        ) from None
    if not isinstance(content, Mapping):
        raise FlexbenchError(f"{path}: found a {type(content).__name__}; needed: a dict of parts")
    return content


def _tensors(path: Path, part: str, value: object) -> Tensors:
    if not isinstance(value, Mapping):
        raise FlexbenchError(f"{path}: {part} is a {type(value).__name__}; needed: a state dict")
    for name, tensor in value.items():
        if not isinstance(tensor, Tensor):
            raise FlexbenchError(f"{path}: {part}.{name} is not a tensor")
    return dict(value)


def _shadow(path: Path, ema: object) -> list[Tensor] | None:
    if ema is None:
        return None
    shadow = ema.get("shadow_params") if isinstance(ema, Mapping) else None
    if not isinstance(shadow, list) or not all(isinstance(value, Tensor) for value in shadow):
        raise FlexbenchError(f"{path}: ema.shadow_params must be a list of tensors")
    return shadow


def _hashable(value: object) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _write(path: Path, state: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """One safetensors file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        text = json.dumps(facts, sort_keys=True)
        save_file(dict(state), temporary, metadata={"flexbench": text})
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
