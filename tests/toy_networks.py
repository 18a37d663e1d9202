"""Networks without weights, whose output is known."""

import torch
from torch import nn


class Pointwise(nn.Module):
    """Knows its own point only, so tiles cannot matter; and knows nothing of the truth."""

    def encode(self, condition, re):
        return [condition.mean(dim=1, keepdim=True)]

    def denoise(self, noisy, t, re, encoded):
        return torch.tanh(0.5 * noisy + encoded[0])

    def forward(self, noisy, t, re, condition):
        return self.denoise(noisy, t, re, self.encode(condition, re))
