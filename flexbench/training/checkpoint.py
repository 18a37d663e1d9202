"""Checkpoint files: a network's weights and all that is needed to build it again.

A checkpoint is one safetensors file; it is read without unpickling anything. Its metadata is one
JSON object under the key "flexbench", with sorted keys, so the same weights and metadata give the
same bytes (safetensors keeps several metadata keys in no fixed order).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from flexbench.atomic import replacing
from flexbench.errors import FlexbenchError

METADATA_KEY = "flexbench"


def save_checkpoint(
    path: Path, network_state: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write weights (any device) and JSON-like metadata atomically; folders are made."""
    text = json.dumps(metadata, sort_keys=True, allow_nan=False)
    with replacing(Path(path)) as temporary:
        save_file(_on_cpu(network_state), temporary, metadata={METADATA_KEY: text})


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights (on the CPU) and metadata of a checkpoint.

    Raises FlexbenchError in one line if the file is missing, cut off, or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise FlexbenchError(f"{path}: no such checkpoint; `flexbench train` writes it")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise FlexbenchError(
            f"{path}: not a whole safetensors file ({reason}, {path.stat().st_size} bytes); "
            "delete it and train again"
        ) from None
    return state, _metadata_of(path, header)


def load_weights(network: nn.Module, state: Mapping[str, Tensor], *, source: Path | str) -> None:
    """Copy weights into a network; FlexbenchError names the first tensor that does not fit."""
    own = network.state_dict()
    for name in sorted(own.keys() | state.keys()):
        if name not in state:
            found = "is missing in the file"
        elif name not in own:
            found = "is not a tensor of the network"
        elif own[name].shape != state[name].shape:
            found = f"has shape {tuple(state[name].shape)}, allowed: {tuple(own[name].shape)}"
        else:
            continue
        kind = type(network).__name__
        raise FlexbenchError(f"{source}: not a checkpoint of this {kind}: '{name}' {found}")
    network.load_state_dict(dict(state))


def _on_cpu(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous CPU tensors, copied where two names share memory (safetensors refuses that)."""
    seen: set[int] = set()
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        flat = tensor.detach().to("cpu").contiguous()
        storage = flat.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != flat.nbytes:
            flat = flat.clone()
        seen.add(flat.untyped_storage().data_ptr())
        tensors[name] = flat
    return tensors


def _metadata_of(path: Path, header: Mapping[str, str]) -> dict[str, Any]:
    if METADATA_KEY not in header:
        found = ", ".join(sorted(header)) or "none"
        raise FlexbenchError(
            f"{path}: not a flexbench checkpoint: metadata key '{METADATA_KEY}' is missing "
            f"(found: {found})"
        )
    try:
        metadata = json.loads(header[METADATA_KEY])
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        raise FlexbenchError(f"{path}: metadata '{METADATA_KEY}' is not a JSON object")
    return metadata
