"""Whole domains from patches: memory, time and seams: `python benchmarks/tiles.py`.

    python benchmarks/tiles.py [--cases XS-stitched XS-blended ...] [--root results] [--tier desk]

Two tables. The first super-resolves one 2048^2 field x8 with an untrained FLEX, each case in a
process of its own: its peak of resident memory (the field, its degradation and the ensemble
included) and processor seconds; S, asked for with --cases, takes long. The second takes the
trained FLEX of a finished run and draws the same test snapshots, with the same noise, on stitched
tiles and on blended ones: `seam_ratio` as `flexbench score` defines it, and the error and
processor time of each.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from flexbench.config import DiffusionSettings, SampleSettings, SuperResolutionSettings
from flexbench.config.reading import load_config
from flexbench.data.normaliser import Normaliser
from flexbench.data.patches import Windows, full_windows
from flexbench.data.samples import Snapshot
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.inference.predictors import NetworkPredictor
from flexbench.inference.tiles import tile_starts
from flexbench.inference.trained import load_trained, rebuild
from flexbench.methods import Method, make_method
from flexbench.metrics.seams import near_seams
from flexbench.models.flex import build
from flexbench.tasks import make_task
from flexbench.tasks.loading import load_task

GRID = 2048
# size, patch and the settings of `sample`; S is given few calls, for they take minutes.
LARGE = {
    "XS": (64, {"members": 2, "steps": 2, "batch": 64}, 16),
    "S": (128, {"members": 1, "steps": 1, "batch": 8}, 16),
}
KINDS = ("stitched", "blended")
OVERLAPS = (0, 8, 16, 32)


def large(case: str) -> dict[str, float]:
    """One case of the first table, measured in this process."""
    size, kind = case.split("-")
    patch, options, overlap = LARGE[size]
    settings = SampleSettings(**options, overlap=overlap if kind == "blended" else 0)
    task = make_task(
        SuperResolutionSettings(factor=8, patch=patch),
        normaliser=Normaliser(1.0, 1.0),
        interval=0.1,
    )
    network = build(task.spec, size=size)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    method = make_method(network, problem=task.spec, settings=DiffusionSettings(), mode="denoiser")
    predictor = NetworkPredictor(method, settings=settings, seed=0, device="cpu")
    side = GRID + 2 * (task.halo or 0)
    windows = Windows(
        fields=torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(0)),
        reynolds=torch.tensor([1000.0]),
    )
    snapshot = Snapshot(trajectory="none", reynolds=1000.0, seed=0, index=0, time=0.0)
    start = time.process_time()
    drawn = predictor.predict(task.example(windows), task, snapshot)
    seconds = time.process_time() - start
    assert drawn.shape == (settings.members, 1, GRID, GRID)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    tiles = len(tile_starts(GRID, patch=patch, overlap=settings.overlap, align=task.align)) ** 2
    return {"tiles": tiles, "seconds": seconds, "peak": peak}


def large_table(cases: list[str]) -> Table:
    """Every case in a process of its own."""
    table = Table(title=f"super-resolution x8 of one {GRID}^2 field")
    for header in ("case", "patch", "overlap", "M", "N", "tiles", "CPU s", "peak GiB"):
        table.add_column(header, justify="left" if header == "case" else "right")
    for case in cases:
        command = [sys.executable, __file__, "--measure", case]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        size, kind = case.split("-")
        patch, options, overlap = LARGE[size]
        table.add_row(
            case,
            *(str(patch), str(overlap if kind == "blended" else 0)),
            *(str(options["members"]), str(options["steps"])),
            *(str(found["tiles"]), f"{found['seconds']:.0f}", f"{found['peak']:.2f}"),
        )
    return table


def trained(graph: Graph, task: str) -> Method:
    """The task's FLEX as its checkpoint describes it."""
    path = graph.layout.checkpoint(task, "flex", 0)
    return rebuild(*load_trained(path), source=path, task=task).method


def seam_rows(graph: Graph, name: str, *, members: int, trajectories: int) -> list[tuple[str, ...]]:
    """Rows of the second table: the middle snapshots of some test trajectories, of every Re."""
    task, method = load_task(graph, name), trained(graph, name)
    rows, stitched, files = [], 0.0, graph.trajectories("test")
    for overlap in OVERLAPS:
        settings = graph.config.sample.model_copy(update={"overlap": overlap, "members": members})
        predictor = NetworkPredictor(method, settings=settings, seed=0, device="cpu")
        near, inner, total, variance, seconds = [], [], [], [], 0.0
        for path in files[:: max(1, len(files) // trajectories)]:
            trajectory = Trajectory(path)
            index = trajectory.shape[0] // 2
            example = task.example(
                full_windows(
                    trajectory, index, window=task.window, stride=task.stride, halo=task.halo
                )
            )
            snapshot = Snapshot(trajectory=path.stem, reynolds=0.0, seed=0, index=index, time=0.0)
            start = time.process_time()
            drawn = predictor.predict(example, task, snapshot)
            seconds += time.process_time() - start
            square = (drawn.double().mean(0) - example.truth[0]).square()[0].numpy()
            mask = near_seams(square.shape, method.problem.patch)
            near.append(square[mask].mean())
            inner.append(square[~mask].mean())
            total.append(square.mean())
            variance.append(float(drawn.double().var(dim=0).mean()))
        stitched = stitched or seconds
        spread = math.sqrt((members + 1) / members * np.mean(variance) / np.mean(total))
        rows.append(
            (
                *(name, str(overlap), f"{math.sqrt(np.mean(near) / np.mean(inner)):.3f}"),
                *(f"{math.sqrt(np.mean(total)):.4f}", f"{spread:.3f}"),
                f"{seconds / stitched:.2f}",
            )
        )
    return rows


def seam_table(graph: Graph, tasks: list[str] | None, *, members: int, trajectories: int) -> Table:
    title = f"trained FLEX of {graph.layout.folder}, M = {members}"
    table = Table(title=title)
    for header in ("task", "overlap", "seam ratio", "RMSE", "spread/skill", "CPU time"):
        table.add_column(header, justify="left" if header == "task" else "right")
    for name in tasks or graph.config.tasks:
        if graph.layout.checkpoint(name, "flex", 0).is_file():
            for row in seam_rows(graph, name, members=members, trajectories=trajectories):
                table.add_row(*row)
    if not table.rows:
        raise FlexbenchError(f"{graph.layout.folder}: holds no checkpoint of FLEX")
    return table


def main() -> None:
    cases = [f"{size}-{kind}" for size in LARGE for kind in KINDS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="*", choices=cases, default=cases[:2], metavar="SIZE-KIND")
    parser.add_argument("--measure", choices=cases, help=argparse.SUPPRESS)
    parser.add_argument("--root", default="results")
    parser.add_argument("--tier", default="desk")
    parser.add_argument("--tasks", nargs="+", help="of the second table; without: all of them")
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--trajectories", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.measure:
        print(json.dumps(large(options.measure)))
        return
    if options.cases:
        Console().print(large_table(options.cases))
    try:
        graph = Graph.of(load_config({"tier": options.tier, "root": options.root}))
        Console().print(
            seam_table(
                graph, options.tasks, members=options.members, trajectories=options.trajectories
            )
        )
    except FlexbenchError as error:
        print(f"no trained networks to compare: {error}")


if __name__ == "__main__":
    main()
