"""A network of several tasks, as one of them sees it."""

from typing import cast

from torch import Tensor, nn

from flexbench.spec import JointNetwork


class OneTask(nn.Module):
    """A `spec.JointNetwork` as the `spec.Network` of one of its tasks; the weights are shared."""

    def __init__(self, network: nn.Module, task: str):
        super().__init__()
        self.network, self.task = network, task

    def encode(self, condition: Tensor, re: Tensor) -> list[Tensor]:
        return cast(JointNetwork, self.network).encode(condition, re, self.task)

    def denoise(self, noisy: Tensor, t: Tensor, re: Tensor, encoded: list[Tensor]) -> Tensor:
        return cast(JointNetwork, self.network).denoise(noisy, t, re, encoded)

    def forward(self, noisy: Tensor, t: Tensor, re: Tensor, condition: Tensor) -> Tensor:
        return self.denoise(noisy, t, re, self.encode(condition, re))
