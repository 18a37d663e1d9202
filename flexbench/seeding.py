"""Named random streams: a stream is known by what it is for, never by the order of draws.

`generator(seed, "train", step)` gives the same numbers whatever ran before, on how many
workers, and in which batch: that is what lets a killed run resume to the same bits.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

Name = str | int


def stream_seed(*identity: Name) -> int:
    """A 63-bit seed from an identity such as (seed, "member", snapshot, k); stable across runs."""
    text = "\x1f".join(
        f"str:{part}" if isinstance(part, str) else f"int:{int(part)}" for part in identity
    )
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(*identity: Name) -> "torch.Generator":
    """A CPU generator of the named stream; draw on the CPU, then move: the same on every device."""
    import torch

    return torch.Generator().manual_seed(stream_seed(*identity))


def numpy_generator(*identity: Name) -> "np.random.Generator":
    """A NumPy generator of the named stream."""
    import numpy as np

    return np.random.default_rng(stream_seed(*identity))
