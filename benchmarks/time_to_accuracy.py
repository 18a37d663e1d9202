"""How fast does tier desk learn? `python benchmarks/time_to_accuracy.py results/desk`.

    python benchmarks/time_to_accuracy.py FOLDER [--task superres_x4] [--networks flex unet]
                                          [--seeds 0 1 2] [--looks 5] [--steps-scale 0.1]

The folder holds a run of the tier whose trajectories and statistics are made; nothing is written.
For each network and training seed two trainings go on in turns, a tenth of their steps at a time,
so that both see the same machine: by the recipe that the tier had at commit d9be83c (`FORMER`), and
by the one that its YAML has now. Time is the processor's, of training steps alone. Error is RFNE of
the ensemble mean (DDIM in two steps, four members) of the averaged weights on fixed patches of the
validation split, and beside it the mean absolute error of the velocity, over fixed noise and times.

The ratio is the former recipe's time over that at which the present one is first seen with an error
as small as the former recipe's last; it is looked at after the last tenths of its steps. A training
whose rate falls to zero is best at its end, so what it reaches before is rather too little.
"""

import argparse
import math
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from flexbench.config import DiffusionSettings, TrainSettings
from flexbench.config.reading import load_config
from flexbench.data.patches import PatchSampler
from flexbench.diffusion import Draw
from flexbench.graph import Graph
from flexbench.methods import Method, evaluating, make_method
from flexbench.seeding import generator, stream_seed
from flexbench.sizing.matching import build_network
from flexbench.tasks import Task
from flexbench.tasks.loading import load_task
from flexbench.training.batches import Batches
from flexbench.training.beginning import patch_sampler
from flexbench.training.distributed import Processes
from flexbench.training.learner import Learner

CPU = torch.device("cpu")
TURNS = 10
FORMER = TrainSettings(
    steps=500,
    batch=8,
    optimizer="adamw",
    learning_rate=2e-3,
    betas=(0.9, 0.99),
    weight_decay=0.0,
    warmup_steps=50,
    clip_norm=1.0,
    ema=0.99,
    dropout=0.0,
)
FORMER_OF = {"fno": {"learning_rate": 5e-3}}
FORMER_DIFFUSION = DiffusionSettings(
    shift=1.0, target="v", loss="l1", weighting="none", times="independent"
)
# What errors are of: patches of the validation split, in batches.
SCORED, LOOKED_AT, MEMBERS, BATCH = 64, 256, 4, 16


@dataclass(frozen=True, kw_only=True)
class Seen:
    """After `seconds` of training: RFNE of the ensemble mean, mean error of the velocity."""

    seconds: float
    rfne: float
    velocity: float


class Training:
    """A network that learns by one recipe; `seconds` of the processor so far."""

    def __init__(
        self,
        graph: Graph,
        name: str,
        task: Task,
        *,
        settings: TrainSettings,
        diffusion: DiffusionSettings,
        seed: int,
        stack: ExitStack,
    ) -> None:
        chosen = graph.config.method(name)
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, "weights"))
            network, _ = build_network(
                graph.facts(name).name,
                task.spec,
                size=chosen.size or graph.config.size,
                width=chosen.width,
                match=chosen.match,
                narrow=chosen.narrow,
                options=chosen.options,
                dropout=settings.dropout,
                baseline_folders=graph.config.baseline_folders,
            )
        alone = Processes()
        self.method = make_method(network, problem=task.spec, settings=diffusion, mode=chosen.mode)
        self.learner = Learner(
            self.method, task, settings=settings, seed=seed, device=CPU, processes=alone
        )
        patches = patch_sampler(graph, task, seed, "train")
        self._batches = stack.enter_context(
            Batches(patches, settings=settings, processes=alone, device=CPU)
        )
        self._steps = settings.steps
        self.seconds = 0.0

    def turn(self, number: int) -> None:
        """Go on to so many tenths of all steps."""
        begin = time.process_time()
        while self.learner.step < self._steps * number // TURNS:
            self.learner.advance(self._batches.take(self.learner.step), stop=False)
        self.seconds += time.process_time() - begin

    def look(self, task: Task, validation: PatchSampler) -> Seen:
        """What the averaged weights are worth now."""
        with self.learner.average.in_place(), evaluating(self.learner.network):
            velocity = velocity_error(self.method, task, validation)
            rfne = ensemble_error(self.method, task, validation)
        return Seen(seconds=self.seconds, rfne=rfne, velocity=velocity)


def velocity_error(method: Method, task: Task, validation: PatchSampler) -> float:
    """Mean absolute error of the velocity, whatever a recipe's own loss is."""
    plain = make_method(
        method.network, problem=task.spec, settings=FORMER_DIFFUSION, mode=method.mode
    )
    losses = []
    for first in range(0, LOOKED_AT, BATCH):
        numbers = range(first, first + BATCH)
        example = task.example(validation.draw(numbers))
        streams = [generator("looked at", number) for number in numbers]
        losses.append(float(plain.loss(example, streams)))
    return sum(losses) / len(losses)


def ensemble_error(method: Method, task: Task, validation: PatchSampler) -> float:
    """RFNE of the ensemble mean, in the mean over patches."""
    errors: list[float] = []
    for first in range(0, SCORED, BATCH):
        numbers = range(first, first + BATCH)
        example = task.example(validation.draw(numbers))
        noise = torch.stack(
            [
                torch.randn(
                    (MEMBERS, *example.residual.shape[1:]), generator=generator("scored", number)
                )
                for number in numbers
            ]
        )
        drawn = method.sample(example, noise, draw=Draw(sampler="ddim", steps=2, batch=64))
        found = task.reconstruct(drawn.mean(dim=1), example.base)
        truth = task.reconstruct(example.residual, example.base)
        norms = [field.flatten(1).norm(dim=1) for field in (found - truth, truth)]
        errors += (norms[0] / norms[1]).tolist()
    return sum(errors) / len(errors)


def scaled(settings: TrainSettings, factor: float) -> TrainSettings:
    """The same recipe over so many times its steps."""
    return settings.model_copy(
        update={
            "steps": max(TURNS, round(settings.steps * factor)),
            "warmup_steps": round(settings.warmup_steps * factor),
        }
    )


def compare(graph: Graph, name: str, task: Task, *, seed: int, looks: int, factor: float) -> float:
    """Train both ways, print what is seen, and return the ratio of times (0: never reached)."""
    config = graph.config
    recipes = (
        (FORMER.model_copy(update=FORMER_OF.get(name, {})), FORMER_DIFFUSION),
        (config.train_settings(name), config.diffusion_settings(name)),
    )
    with ExitStack() as stack:
        former, present = (
            Training(
                graph,
                name,
                task,
                settings=scaled(settings, factor),
                diffusion=diffusion,
                seed=seed,
                stack=stack,
            )
            for settings, diffusion in recipes
        )
        # One set of patches for all seeds.
        validation = patch_sampler(graph, task, 0, "validation")
        seen = []
        for number in range(1, TURNS + 1):
            former.turn(number)
            present.turn(number)
            if number > TURNS - looks:
                seen.append(present.look(task, validation))
        last = former.look(task, validation)
    reached = [look.seconds for look in seen if look.rfne <= last.rfne]
    ratio = last.seconds / reached[0] if reached else 0.0
    print(f"{name}, seed {seed}")
    for recipe, looks_of in (("former", [last]), ("present", seen)):
        for look in looks_of:
            print(
                f"  {recipe:8} {look.seconds:7.1f} s   RFNE {look.rfne:.4f}"
                f"   velocity {look.velocity:.4f}"
            )
    print(f"  ratio {ratio:.2f}", flush=True)
    return ratio


def main() -> None:
    """Compare all that is asked for, and print the range of ratios over seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a tier's results, such as results/desk")
    parser.add_argument("--task", default="superres_x4")
    parser.add_argument("--networks", nargs="+", default=["flex", "unet"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--looks", type=int, default=5, help="of the present recipe, 1 to 10")
    parser.add_argument("--steps-scale", type=float, default=1.0, help="below 1: a quick try")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.folder.resolve()
    graph = Graph.of(load_config({"tier": folder.name, "root": str(folder.parent)}))
    task = load_task(graph, options.task)
    for name in options.networks:
        ratios = [
            compare(
                graph,
                name,
                task,
                seed=seed,
                looks=options.looks,
                factor=options.steps_scale,
            )
            for seed in options.seeds
        ]
        mean = math.prod(ratios) ** (1 / len(ratios))
        print(f"{name}: ratio {mean:.2f} ({min(ratios):.2f} to {max(ratios):.2f})\n", flush=True)


if __name__ == "__main__":
    main()
