"""The precision that a trained network answers in: a matter of speed, and of the third digit.

In bfloat16 the network's products and convolutions are rounded to eight bits of mantissa, its
weights and whatever torch holds too delicate are not; fields, noise and the sampler's own
arithmetic stay float32. A processor without instructions for it takes up to ten times as long.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from flexbench.config import NetworkPrecision

_ASKED = ("encode", "denoise")


def answer_in(network: nn.Module, precision: NetworkPrecision) -> None:
    """Let a `spec.Network` encode and denoise in a precision, in place."""
    if precision == "float32":
        return
    for name in _ASKED:
        setattr(network, name, _autocast(getattr(network, name)))


def _autocast(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same under autocast to bfloat16; a field that it returns is float32 again, features are
    as it left them."""

    @wraps(function)
    def rounded(first: Tensor, *others: Any) -> Any:
        with torch.autocast(first.device.type, dtype=torch.bfloat16):
            found = function(first, *others)
        return found.float() if isinstance(found, Tensor) else found

    return rounded
