"""The authors' names of FLEX's tensors."""

from flexbench.models.flex import Flex, Size

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
