"""Write `peer_fno.npz`: an FNO of the `neuraloperator` package, its input, and its output.

Run with that package (2.0.0 was used) at hand: `python tests/data/make_peer_fno.py`. The test
`tests/contract/test_fno_peer.py` copies the weights into ours and compares the outputs.
"""

from pathlib import Path

import numpy as np
import torch
from neuralop.models import FNO

SETTINGS = {"width": 6, "modes": 8, "layers": 3, "patch": 16, "inputs": 3, "outputs": 1}


def make_peer() -> FNO:
    """The package's FNO, its blocks as they are by default, without the grid as an input."""
    torch.manual_seed(7)
    peer = FNO(
        n_modes=(SETTINGS["modes"], SETTINGS["modes"]),
        in_channels=SETTINGS["inputs"],
        out_channels=SETTINGS["outputs"],
        hidden_channels=SETTINGS["width"],
        n_layers=SETTINGS["layers"],
        positional_embedding=None,
    )
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            if "channel_mlp_skips" in name:  # ones at the start: a mistake would not show
                torch.nn.init.uniform_(parameter, 0.5, 1.5)
            else:  # so that every path adds its share to outputs of order one
                parameter.mul_(2)
    return peer


def main() -> None:
    peer = make_peer()
    field = torch.randn(2, SETTINGS["inputs"], SETTINGS["patch"], SETTINGS["patch"])
    with torch.no_grad():
        output = peer(field)
    arrays = {"input": field.numpy(), "output": output.numpy()}
    arrays |= {f"settings/{name}": np.array(value) for name, value in SETTINGS.items()}
    for name, tensor in peer.state_dict().items():
        if isinstance(tensor, torch.Tensor):
            arrays[f"weights/{name}"] = tensor.numpy()
    np.savez_compressed(Path(__file__).with_name("peer_fno.npz"), **arrays)


if __name__ == "__main__":
    main()
