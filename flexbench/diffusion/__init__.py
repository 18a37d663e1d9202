"""Variance-preserving diffusion in continuous time: tensors and callables, no network classes.

Throughout: ``x_t = alpha x0 + sigma eps``, ``alpha^2 + sigma^2 = 1``, ``t`` in [0, 1] from data to
noise, velocity ``v = alpha eps - sigma x0``.
"""

from flexbench.diffusion.loss import diffusion_loss
from flexbench.diffusion.sampler import SAMPLERS, Draw, sample
from flexbench.diffusion.schedule import CosineSchedule

__all__ = ["SAMPLERS", "CosineSchedule", "Draw", "diffusion_loss", "sample"]
