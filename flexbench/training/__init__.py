"""Training: the loop, all of its state, and what it leaves behind.

`train` runs or resumes one training; `load_checkpoint` reads what it wrote.
"""

from flexbench.training.checkpoint import load_checkpoint, save_checkpoint
from flexbench.training.loop import TrainSummary, train
from flexbench.training.state import clear_state

__all__ = ["TrainSummary", "clear_state", "load_checkpoint", "save_checkpoint", "train"]
