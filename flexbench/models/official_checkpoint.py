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
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from flexbench import __version__
from flexbench.atomic import replacing
from flexbench.errors import FlexbenchError
from flexbench.models.flex import SIZES, Flex, Size, Skips
from flexbench.models.official_names import BUFFERS, PARTS, TASK_PARTS, official_names

Tensors = dict[str, Tensor]


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
    with replacing(Path(out_path)) as temporary:
        metadata = {"flexbench": json.dumps(facts, sort_keys=True)}
        save_file(network.state_dict(), temporary, metadata=metadata)
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
        raise FlexbenchError(
            f"{path}: not a converted FLEX checkpoint ({error!r}); `flexbench import-checkpoint` "
            "makes one"
        ) from None
    return _filled(path, network, tensors, {name: name for name in network.state_dict()})


def _import(path: Path, *, heads: int | None, use_ema: bool) -> tuple[Flex, dict[str, Any]]:
    parts, averages = _read_parts(path)
    averaged = use_ema and averages is not None
    if use_ema and averages is not None:
        parts = _averaged(path, parts, averages)
    architecture = infer_architecture(path, parts, heads)
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


def infer_architecture(path: Path, parts: Mapping[str, Tensors], heads: int | None) -> Architecture:
    """Everything that names and shapes tell of the network; `path` is for messages."""
    encoder, decoder = parts["encoder"], parts["decoder"]
    channels, blocks = _levels(path, decoder)
    depth = 1 + 2 * len({key.split(".")[1] for key in encoder if key.startswith("tr_blocks.")})
    if heads is None:
        heads = _known_heads(path, channels, blocks, depth)
    size = Size(channels=channels, blocks=blocks, depth=depth, heads=heads)
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


def _levels(path: Path, decoder: Tensors) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Channels and ResBlocks per level, finest first, from the decoder: an *up* block ends each
    of its levels but the last, and it has one block more than the encoder."""
    kernel = "output_blocks.{}.{}.in_layers.2.weight"
    levels: list[tuple[int, int]] = []
    number, blocks = 1, 0
    width = _shape(path, "decoder", decoder, kernel.format(1, 0))[0]
    while kernel.format(number, 0) in decoder:
        if blocks > 0 and kernel.format(number - 1, 1) in decoder:
            levels.append((width, blocks - 1))
            blocks = 0
        width = decoder[kernel.format(number, 0)].shape[0]
        number, blocks = number + 1, blocks + 1
    levels.append((width, blocks - 1))
    levels.reverse()
    return tuple(width for width, _ in levels), tuple(blocks for _, blocks in levels)


def _known_heads(path: Path, channels: tuple[int, ...], blocks: tuple[int, ...], depth: int) -> int:
    for size in SIZES.values():
        if (size.channels, size.blocks, size.depth) == (channels, blocks, depth):
            return size.heads
    raise FlexbenchError(
        f"{path}: channels {list(channels)}, blocks {list(blocks)}, depth {depth} is none of "
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
    _refuse_compressed(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # about pickles that torch did not write
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no pickle can make the reader raise anything
        raise FlexbenchError(
            f"{path}: refused; cut off, or more than tensors and plain values in it "
            f"({_reason(error)})"
        ) from None
    if not isinstance(content, Mapping):
        raise FlexbenchError(f"{path}: found a {type(content).__name__}; needed: a dict of parts")
    return content


def _reason(error: Exception) -> str:
    """torch's message without its advice, which is to run what the file holds."""
    asked = re.search(r"GLOBAL ([\w.]+)", str(error))
    if asked:
        return f"it asks for {asked[1]}"
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return "".join(letter for letter in text if letter.isprintable())


def _refuse_compressed(path: Path) -> None:
    """torch stores without compression; what unpacks to more than the file is no checkpoint."""
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [
                i.filename for i in archive.infolist() if i.compress_type != zipfile.ZIP_STORED
            ]
    except (zipfile.BadZipFile, OSError):
        return  # torch's older format, or no checkpoint at all: torch.load judges
    if packed:
        raise FlexbenchError(
            f"{path}: refused; '{packed[0]}' is compressed, which torch never does"
        )


def _refuse_repeated(path: Path, name: str, tensor: Tensor) -> None:
    """A tensor that shows the same bytes over and over could be of any size."""
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise FlexbenchError(
            f"{path}: {name} has shape {tuple(tensor.shape)}, more than the file holds"
        )


def _tensors(path: Path, part: str, value: object) -> Tensors:
    if not isinstance(value, Mapping):
        raise FlexbenchError(f"{path}: {part} is a {type(value).__name__}; needed: a state dict")
    for name, tensor in value.items():
        if not isinstance(tensor, Tensor):
            raise FlexbenchError(f"{path}: {part}.{name} is not a tensor")
        _refuse_repeated(path, f"{part}.{name}", tensor)
    return dict(value)


def _shadow(path: Path, ema: object) -> list[Tensor] | None:
    if ema is None:
        return None
    shadow = ema.get("shadow_params") if isinstance(ema, Mapping) else None
    if not isinstance(shadow, list) or not all(isinstance(value, Tensor) for value in shadow):
        raise FlexbenchError(f"{path}: ema.shadow_params must be a list of tensors")
    for tensor in shadow:
        _refuse_repeated(path, "ema.shadow_params", tensor)
    return shadow


def _hashable(value: object) -> Any:
    return tuple(value) if isinstance(value, list) else value
