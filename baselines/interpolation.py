"""Interpolation of the low-resolution field. What every super-resolution has to beat.

    bicubic    cubic convolution: the base that networks add their residual to, where the task
               up-samples that way
    spectral   trigonometric: exact for a field without wavenumbers above the coarse grid's

Both know where the low-resolution samples sit (see `flexbench.data.degrade`), and both take the
field as periodic: give them whole domains, not patches.
"""

from dataclasses import replace

from torch import Tensor

from flexbench.errors import FlexbenchError
from flexbench.tasks.base import Example
from flexbench.tasks.superres import SuperResolution

TASKS = ("superres",)
PERIODIC = {"kernel": "spectral"}
KERNELS = ("bicubic", "spectral")


def predict(example: Example, task: SuperResolution, *, kernel: str = "bicubic") -> Tensor:
    """The field (B,1,H,W) from its low-resolution version `example.inputs` (B,1,h,w), physical.

    kernel: one of `KERNELS`. Raises FlexbenchError for another one.
    """
    if kernel not in KERNELS:
        raise FlexbenchError(f"interpolation: kernel is '{kernel}'; allowed: {', '.join(KERNELS)}")
    degradation = task.degradation
    if kernel == degradation.upsampling:
        return example.base  # (B, 1, H, W)
    if kernel == "spectral":
        # The official protocol only misplaces samples for local kernels; here they stay true.
        degradation = replace(degradation, alignment="aligned")
    return replace(degradation, upsampling=kernel).up(example.inputs)  # (B, 1, H, W)
