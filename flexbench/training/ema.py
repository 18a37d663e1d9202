"""The moving average of the weights: what is validated, saved and sampled from."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from flexbench.models.layout import Layout, lay_out

Tensors = tuple[Tensor, ...] | list[Tensor]


def decay_at(updates: int, decay: float) -> float:
    """Decay of the update after `updates` earlier ones: min(decay, (1 + n) / (10 + n)).

    The second term keeps the average from remembering the random start: after 10 updates it
    looks back a few steps only, and it reaches 0.99 after 890 and 0.999 after 8990.
    """
    return min(decay, (1 + updates) / (10 + updates))


class WeightAverage:
    """Exponential moving average of a network's parameters; its buffers are copied.

    With decay 0 there is no average: the weights themselves stand in for it, at no cost.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = network
        self.decay = decay
        self._averaged: AveragedModel | None = None
        if decay:
            self._averaged = AveragedModel(network, multi_avg_fn=self._average)
            self._averaged.requires_grad_(False)

    def update(self) -> None:
        """Take in the weights after an optimiser step; the first update is a plain copy."""
        if self._averaged is not None:
            self._averaged.update_parameters(self.network)

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights under the network's own names (references, not copies)."""
        module = self.network if self._averaged is None else self._averaged.module
        return module.state_dict()

    @property
    def updates(self) -> int:
        """Number of updates so far."""
        return 0 if self._averaged is None else int(self._averaged.n_averaged)

    def load(self, weights: dict[str, Tensor], updates: int) -> None:
        """Go on from a saved average and its number of updates."""
        if self._averaged is not None:
            self._averaged.module.load_state_dict(weights)
            self._averaged.n_averaged.fill_(updates)

    def lay_out(self, layout: Layout) -> None:
        """Bring the averaged weights to a layout, too (see `models.layout`)."""
        if self._averaged is not None:
            lay_out(self._averaged.module, layout)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the network computes with the averaged weights.

        The storages are exchanged and exchanged back, so nothing is copied or rounded.
        """
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        if self._averaged is None:
            return
        averages = self._averaged.module.parameters()
        for weight, average in zip(self.network.parameters(), averages, strict=True):
            weight.data, average.data = average.data, weight.data

    @torch.no_grad()
    def _average(self, averages: Tensors, weights: Tensors, count: Tensor | int) -> None:
        # `count` is a copy on the weights' device: reading it there would hold a GPU up.
        torch._foreach_lerp_(averages, weights, 1 - decay_at(self.updates, self.decay))
