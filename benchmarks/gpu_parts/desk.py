"""The desk tier's FLEX and U-Net, trained from several seeds at once."""

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count, product
from typing import Any

from flexbench.config.reading import load_config
from flexbench.graph import Graph
from flexbench.steps.simulate import simulate_step
from flexbench.steps.statistics import statistics_step
from flexbench.steps.train import train_step
from flexbench.training import load_checkpoint
from gpu_parts.part import Bench, Case, Numbers, Part

ABOUT = (
    "The tier desk's super-resolution: its training and validation flows, simulated on the device, "
    "then its trainings as `flexbench train` runs them, each in a process of its own, several on "
    "the device at once, in waves, as long as another wave fits. s is a wave's time, "
    "s each that time over its seeds. The validation loss is the last one's mean over the "
    "seeds, and spread their standard deviation."
)

TASK = "superres_x4"
NETWORKS = ("flex", "unet")
# Processes at once, and the waves of each network at most.
TOGETHER, WAVES = 8, 12
TOY_TOGETHER, TOY_WAVES = 2, 1
# What a further wave may take longer than the last one of its network.
MARGIN = 1.2

TOY: dict[str, Any] = {
    "size": "XXS",
    "solver": {"grid": 32, "peak_wavenumber": 4, "t_start": 0.1, "t_end": 0.3},
    "splits": {
        "train": {"reynolds": [500], "seeds": [0]},
        "validation": {"reynolds": [500], "seeds": [50]},
    },
    "tasks": {TASK: {"patch": 16}, "forecast": {"patch": 16}},
    "train": {"steps": 3, "batch": 2, "warmup_steps": 1, "validation_batches": 1},
}


def graph_of(settings: dict[str, Any]) -> Graph:
    return Graph.of(load_config(settings))


def simulate(settings: dict[str, Any], reynolds: float, seed: int) -> None:
    simulate_step(graph_of(settings), reynolds=reynolds, seed=seed)


def statistics_of(settings: dict[str, Any]) -> None:
    statistics_step(graph_of(settings), task=TASK)


def train(settings: dict[str, Any], network: str, seed: int) -> float:
    """The last validation loss of a training."""
    graph = graph_of(settings)
    train_step(graph, training=TASK, method=network, seed=seed)
    path = graph.layout.checkpoint(TASK, network, seed)
    loss: float = load_checkpoint(path)[1]["validation"]["last"]["loss"]
    return loss


def cases(bench: Bench) -> Iterator[Case]:
    together, waves = (TOY_TOGETHER, TOY_WAVES) if bench.dry else (TOGETHER, WAVES)
    took: dict[str, float] = {}
    # Processes are forked: this one itself must not touch the device.
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(together, mp_context=multiprocessing.get_context("fork")) as pool,
    ):
        settings: dict[str, Any] = {
            "tier": "desk",
            "root": folder,
            "device": bench.kind,
            "methods": list(NETWORKS),
            "evaluations": None,
            "training_seeds": list(range(together * waves)),
            **(TOY if bench.dry else {}),
        }

        def data() -> Numbers:
            graph = graph_of(settings)
            start = time.perf_counter()
            splits = (graph.config.split(name) for name in ("train", "validation"))
            runs = [run for split in splits for run in product(split.reynolds, split.seeds)]
            list(pool.map(simulate, [settings] * len(runs), *zip(*runs, strict=True)))
            pool.submit(statistics_of, settings).result()
            return _numbers(len(runs), time.perf_counter() - start, [])

        def wave(network: str, seeds: Sequence[int]) -> Numbers:
            start = time.perf_counter()
            jobs = [settings] * len(seeds), [network] * len(seeds), seeds
            losses = list(pool.map(train, *jobs))
            took[network] = time.perf_counter() - start
            return _numbers(len(seeds), took[network], losses)

        yield Case("flows, simulated", data)
        for number in count():
            for network in NETWORKS:
                expected = MARGIN * took.get(network, 0.0)
                if number == waves or expected > bench.left:
                    return
                seeds = range(number * together, (number + 1) * together)
                yield Case(
                    f"{network}, seeds {seeds[0]}-{seeds[-1]} at once",
                    partial(wave, network, seeds),
                )


def _numbers(jobs: int, seconds: float, losses: Sequence[float]) -> Numbers:
    """A row; flows have no loss."""
    return {
        "at once": jobs,
        "s": seconds,
        "s each": seconds / jobs,
        "validation loss": f"{statistics.mean(losses):.4f}" if losses else "none",
        "spread": f"{statistics.pstdev(losses):.4f}" if losses else "none",
    }


PART = Part(
    name="desk",
    title="Trainings of the desk tier",
    about=ABOUT,
    columns={"at once": "d", "s": ".1f", "s each": ".2f", "validation loss": "", "spread": ""},
    cases=cases,
    weight=7,
    least=10,
)
