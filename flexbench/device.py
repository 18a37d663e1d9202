"""Where and how tensors are computed: device, thread count, float32 policy."""

from typing import TYPE_CHECKING

from flexbench.allocation import keep_freed_memory
from flexbench.config import Config
from flexbench.errors import FlexbenchError

if TYPE_CHECKING:
    import torch


def prepare_device(config: Config) -> "torch.device":
    """Set the thread count of the configuration and return the device to compute on.

    Threads come from the configuration alone: a runner's idea of them changes with `--cores`,
    and with it the order of sums and so the bits.
    """
    import torch

    torch.set_num_threads(config.threads)
    keep_freed_memory()
    if config.device == "cuda" and not torch.cuda.is_available():
        raise FlexbenchError(
            "device: 'cuda' is asked for, but torch sees no GPU; allowed: auto, cpu"
        )
    if config.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    # Never run on a GPU so far: under torchrun every process takes the GPU of its local rank.
    import os

    index = int(os.environ.get("LOCAL_RANK", "0"))
    torch.cuda.set_device(index)
    # A configuration that says float32 means it: by default convolutions would round to TF32.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device("cuda", index)
