"""Files of scores made up row by row, for tests of what is made of them."""

import numpy as np
import pandas as pd

from flexbench.metrics.tables import SNAPSHOT_SCORES

CASE = "superres_x4"


def frame_of(method, snapshots, *, members=8, mode="denoiser", training_seed=0, case=CASE):
    """A score file. snapshots: (Re, flow seed, index, {score or (score, detail): value})."""
    rows = []
    for reynolds, seed, index, values in snapshots:
        for key, value in values.items():
            score, detail = (key, "") if isinstance(key, str) else key
            stem = f"re{reynolds:g}_seed{seed}"
            run = ("1", "desk", case, method, mode, training_seed)
            place = (stem, reynolds, seed, index, 0.1 * index, 1)
            rows.append((*run, *place, score, detail, value, members, 10, 100.0, 2))
    return pd.DataFrame(rows, columns=list(SNAPSHOT_SCORES.columns))


def runs(method="flex", *, scale=1.0, seeds=(0,), flows=4, noise=0.0, **labels):
    """Score files of rfne_mean and crps: two Re, `flows` flow seeds, three snapshots of each."""
    random = np.random.default_rng([len(method), int(1000 * scale)])
    frames = []
    for training_seed in seeds:
        snapshots = []
        for reynolds in (500.0, 1000.0):
            for flow in range(flows):
                for index in range(3):
                    value = (1 + flow + index + reynolds / 500) * scale
                    value *= np.exp(noise * random.normal())
                    snapshots.append((reynolds, flow, index, {"rfne_mean": value, "crps": value}))
        frames.append(frame_of(method, snapshots, training_seed=training_seed, **labels))
    return frames
