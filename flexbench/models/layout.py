"""The order in which a network's convolutions keep their maps: a matter of speed, not of results.

Maps (B, C, H, W) lie channel by channel ("contiguous") or point by point ("channels_last"). Which
order is faster depends on the processor, the size of the maps and the pass: the gradient of a wide
layer's weights took 2.7 times as long point by point on one processor, and less on another, where
narrow layers are faster so in every pass. Sums are taken in another order, so results agree to
rounding.

A network's file says with `CHANNELS_LAST = True` that it can be computed in either; another one
may count on contiguous maps (`view` does).
"""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import nn

Layout = Literal["contiguous", "channels_last"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

_FORMATS: dict[Layout, torch.memory_format] = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
}

# Where time is not worth a measurement: sampling gained 5 to 30 % on every processor tried, and so
# did training steps of narrow networks on most. Never measured on a GPU.
USUAL: Layout = "channels_last"

# FLOPs of a training step from which its layout is measured. Below, a choice by seconds would
# differ from run to run, and the last digits of the weights with it, for a few per cent of time.
MEASURED_FROM = 1e11
# The other layout has to be faster by this share: what is as fast is always the same.
ADVANTAGE = 0.05
ROUNDS = 2


def layouts_of(*, channels_last: bool) -> tuple[Layout, ...]:
    """The layouts of a network whose file says whether it can have its channels last."""
    return LAYOUTS if channels_last else ("contiguous",)


def usual(layouts: Sequence[Layout]) -> Layout:
    """The one that is taken unmeasured."""
    return USUAL if USUAL in layouts else layouts[0]


def worth_measuring(
    layouts: Sequence[Layout], *, step_flops: float, device: torch.device
) -> Sequence[Layout]:
    """Of which a training takes the fastest: all, of long steps and on GPUs; else the usual one."""
    if device.type == "cuda" or step_flops >= MEASURED_FROM:
        return layouts
    return [usual(layouts)]


def lay_out(network: nn.Module, layout: Layout) -> None:
    """Bring the weights of all convolutions to a layout, in place: their maps follow."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # Not `to` or `contiguous`: weights of one input channel lie in both orders at once and
            # would keep the strides of the other, which the maps then take over.
            laid_out = torch.empty_like(module.weight.data, memory_format=_FORMATS[layout])
            module.weight.data = laid_out.copy_(module.weight.data)


def fastest(seconds: Callable[[Layout], float], layouts: Sequence[Layout]) -> Layout:
    """The layout whose step is the fastest, and the usual one unless another is clearly faster.

    seconds: of one step in a layout. Each is taken once to warm up, then in turn; the best counts.
    A single layout is not measured.
    """
    if len(layouts) == 1:
        return layouts[0]
    for layout in layouts:
        seconds(layout)
    rounds = [[seconds(layout) for layout in layouts] for _ in range(ROUNDS)]
    best = dict(zip(layouts, map(min, zip(*rounds, strict=True)), strict=True))
    winner, default = min(best, key=best.__getitem__), usual(layouts)
    return winner if best[winner] < (1 - ADVANTAGE) * best[default] else default
