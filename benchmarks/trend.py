"""How fast trends of long waves slow down: `python benchmarks/trend.py results/desk`.

Waves longer than a network's patch are told from the last two snapshots (`sample.consistent`):
of the change from one to the other a share goes on at the next lead. Printed, for shares from 0
(persistence) to 1 (a straight line), each fed with its own predictions: the squared error of these
waves over the truth's enstrophy in them, and their enstrophy over the truth's, in the mean over
starts in all training and validation trajectories. `inference.predictors.TREND` is one of them.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flexbench.config.reading import load_config
from flexbench.data.store import Trajectory
from flexbench.graph import Graph

SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.0)
LEADS = 6
# A start every so many snapshots.
EVERY = 4


def long_waves(path: Path, patch: int) -> NDArray[np.complex128]:
    """(T, modes) of one trajectory, longer than a patch; conjugate modes are left out."""
    fields = Trajectory(path).whole()
    height, width = fields.shape[-2:]
    modes = np.fft.rfft2(fields.astype(np.float64))
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    frequency = np.hypot(down, across)
    half = (across > 0) | (down > 0)  # of those with frequency 0 across, one of each pair
    return modes[:, half & (frequency < 1 / patch)]


def rolled(modes: NDArray[np.complex128], share: float) -> NDArray[np.float64]:
    """(starts, LEADS, 2): error and enstrophy over the truth's, lead by lead."""
    found = []
    for start in range(1, len(modes) - LEADS, EVERY):
        before, last = modes[start - 1], modes[start]
        leads = []
        for lead in range(1, LEADS + 1):
            before, last = last, last + share * (last - before)
            truth = modes[start + lead]
            size = np.square(np.abs(truth)).sum()
            error, own = np.square(np.abs(last - truth)).sum(), np.square(np.abs(last)).sum()
            leads.append((error / size, own / size))
        found.append(leads)
    return np.array(found)


def main() -> None:
    """Print it for the run in the folder that is named."""
    folder = Path(sys.argv[1]).resolve()
    config = load_config({"root": str(folder.parent)}, resolved=folder / "config.yaml")
    graph = Graph.of(config)
    patch = min(graph.task_settings(task).patch for task in graph.tasks)
    paths = graph.trajectories("train") + graph.trajectories("validation")
    trajectories = [long_waves(path, patch) for path in paths]
    print(f"waves longer than {patch} points; leads 1 to {LEADS}: error, then enstrophy")
    for share in SHARES:
        mean = np.concatenate([rolled(modes, share) for modes in trajectories]).mean(axis=0)
        errors, sizes = (" ".join(f"{it:8.5f}" for it in column) for column in mean.T)
        print(f"  {share:4.2f}  {errors}   {sizes}")


if __name__ == "__main__":
    main()
