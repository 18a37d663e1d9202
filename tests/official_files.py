"""Files in the layout of FLEX's authors, as tests rebuild them."""

import torch

from flexbench.models.flex import Flex, Size
from flexbench.models.official_names import BUFFERS, PARTS, official_names

PATCH, HEADS = 32, 2
SIZE = Size(channels=(32, 32), blocks=(1, 1), depth=3, heads=HEADS)


def small_network():
    """Every tensor random, so that nothing is zero; of super-resolution alone, as minFLEX's."""
    torch.manual_seed(1)
    found = Flex({"superres": 1}, size=SIZE, patch=PATCH)
    for parameter in found.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return found.eval()


def official(network):
    """The content of a `.pt`: the network's weights are the averages, the last ones are others."""
    names, state = official_names(network), network.state_dict()
    content = {part: {} for part in PARTS[:3]}
    for ours, theirs in names.items():
        part, _, inner = theirs.partition(".")
        buffer = inner in BUFFERS
        content[part][inner] = state[ours].clone() if buffer else state[ours] + 1
    averages = {theirs: state[ours] for ours, theirs in names.items()}
    shadow = [
        averages[f"{part}.{inner}"]
        for part in PARTS[:3]
        for inner in content[part]
        if inner not in BUFFERS
    ]
    ema = {"decay": 0.999, "num_updates": 9, "shadow_params": shadow, "collected_params": None}
    return content | {"ema": ema, "optimizer": {"state": {}}, "sched": {}, "epoch": 200, "loss": 1}
