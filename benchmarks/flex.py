"""Speed of networks as a fraction of the matrix-multiply rate: `python benchmarks/flex.py`.

    python benchmarks/flex.py [--networks flex unet ...] [--cases XS-train S-ensemble ...]
                              [--against CHECKOUT] [--repeats 5] [--threads 1]

- train: one optimiser step of super-resolution (forward, L1, backward, optimiser) in float32;
- ensemble: M = 8 members of one condition by N = 2 calls; the condition is encoded once and
  its features are shared by the members;
- reencode: the same with the condition encoded anew for every member and evaluation.

Networks are as large as FLEX of the named size, laid out and optimised as the suite does it. FLOPs
are counted by torch while a case runs (a multiply-add is two), so work that a network saves is not
credited. The rate of a 2048^2 float32 product is taken in turn with the case; "fraction" is the
median rate of the case over the median rate of the product.

With `--against`, the same case of another checkout of the suite takes its turn as well, in a
process of its own as this one's does. "times as fast" is the median of the pairs' ratios, with
their range. Times are processor time, which other programs' turns do not count towards, or, with
more than one thread, wall time.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

PATCHES = {"S": 128, "XS": 64, "XXS": 32}
BATCHES = {"S": 2, "XS": 8, "XXS": 8}
KINDS = ("train", "ensemble", "reencode")
NETWORKS = ("flex", "unet", "fno", "dit", "uvit")
MEMBERS, CALLS = 8, 2
PRODUCT = 2048
HERE = Path(__file__).resolve().parent.parent

Action = Callable[[], object]


def has(module: str) -> bool:
    """Whether the checkout that is measured, perhaps an earlier one, has a module.

    Asked of its folder: an import may find this checkout's where it is installed.
    """
    import flexbench

    return (Path(flexbench.__file__).parent / module).is_file()


def network_of(name: str, size: str) -> nn.Module:
    """A network for super-resolution, with no tensor left at its initial zero."""
    from flexbench.spec import ProblemSpec

    if has("sizing/matching.py"):
        from flexbench.sizing.matching import build_network
    else:
        from flexbench.sizing import build_network

    problem = ProblemSpec(task="superres", condition_channels=1, patch=PATCHES[size])
    torch.manual_seed(0)
    network: nn.Module = build_network(name, problem, size=size)[0]
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return network


def train_step(name: str, size: str) -> Action:
    """One optimiser step on random fields, in the layout that a training would have."""
    from flexbench.config import TrainSettings
    from flexbench.training.optim import make_optimizer

    network, batch, patch = network_of(name, size).train(), BATCHES[size], PATCHES[size]
    optimizer = make_optimizer(network.parameters(), TrainSettings())
    noisy, condition, target = torch.randn(3, batch, 1, patch, patch).unbind()
    t, re = torch.rand(batch), torch.rand(batch, 1)

    def gradients() -> None:
        optimizer.zero_grad()
        velocity = network(noisy, t, re, condition)
        nn.functional.l1_loss(velocity, target).backward()

    def step() -> None:
        gradients()
        optimizer.step()

    lay_out_for_training(name, network, gradients)
    return step


def lay_out_for_training(name: str, network: nn.Module, gradients: Action) -> None:
    """As `training.loop` does."""
    if not has("models/layout.py"):
        return
    from flexbench import registry
    from flexbench.models.layout import fastest, lay_out, layouts_of, worth_measuring

    def timed(layout: Any) -> float:
        lay_out(network, layout)
        return seconds(gradients, time.process_time)

    with FlopCounterMode(display=False) as counter:
        gradients()
    layouts = worth_measuring(
        layouts_of(channels_last=registry.facts(name).channels_last),
        step_flops=counter.get_total_flops(),
        device=torch.device("cpu"),
    )
    lay_out(network, fastest(timed, layouts))


def ensemble(name: str, size: str, *, reencode: bool) -> Action:
    """MEMBERS members of one condition; each call's output is the next one's input."""
    network: Any = network_of(name, size).eval()
    lay_out_for_sampling(name, network)
    patch = PATCHES[size]
    condition, re = torch.randn(1, 1, patch, patch), torch.rand(1, 1)
    noise = torch.randn(MEMBERS, 1, patch, patch)
    t, all_re = torch.full((MEMBERS,), 0.5), re.expand(MEMBERS, 1)

    def for_all(tensor: Tensor) -> Tensor:
        return tensor.expand(MEMBERS, *tensor.shape[1:])

    @torch.no_grad()
    def draw() -> Tensor:
        x, encoded = noise, [] if reencode else [for_all(f) for f in network.encode(condition, re)]
        for _ in range(CALLS):
            if reencode:
                encoded = network.encode(for_all(condition), all_re)
            x = network.denoise(x, t, all_re, encoded)
        return x

    return draw


def lay_out_for_sampling(name: str, network: nn.Module) -> None:
    """As `inference.trained` does."""
    if not has("models/layout.py"):
        return
    from flexbench import registry
    from flexbench.models.layout import lay_out, layouts_of, usual

    lay_out(network, usual(layouts_of(channels_last=registry.facts(name).channels_last)))


def product() -> Action:
    """The yardstick: one product of two matrices."""
    left, right = torch.randn(2, PRODUCT, PRODUCT).unbind()
    return lambda: left @ right


def action_of(case: str) -> Action:
    """What a name such as `flex-S-train` stands for."""
    if case == "product":
        return product()
    name, size, kind = case.split("-")
    if kind == "train":
        return train_step(name, size)
    return ensemble(name, size, reencode=kind == "reencode")


def seconds(action: Action, clock: Callable[[], float]) -> float:
    start = clock()
    action()
    return clock() - start


def serve(case: str, threads: int) -> None:
    """A process that runs a case once for each line that it is sent, and answers with seconds."""
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    if has("allocation.py"):
        from flexbench.allocation import keep_freed_memory

        keep_freed_memory()
    action = action_of(case)
    with FlopCounterMode(display=False) as counter:
        action()  # warms up as well
    print(json.dumps(counter.get_total_flops()), flush=True)
    for _ in sys.stdin:
        print(json.dumps(seconds(action, clock)), flush=True)


class Worker:
    """A case of a checkout in a process of its own; `take` runs it once and returns the seconds."""

    def __init__(self, case: str, checkout: Path, threads: int):
        command = [sys.executable, __file__, "--serve", case, "--threads", str(threads)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout)},
        )
        self.flops = float(self._answer())

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def take(self) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write("once\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> float:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"flex.py: a case failed with exit code {self._process.wait()}")
        return float(json.loads(line))


def measure(case: str, *, repeats: int, threads: int, against: Path | None) -> tuple[str, ...]:
    """A row of the table: time, work, rate, rate of the product, fraction, times as fast."""
    with Worker(case, HERE, threads) as ours, Worker("product", HERE, threads) as yardstick:
        theirs = Worker(case, against, threads) if against else None
        times, products, ratios = [], [], []
        for _ in range(repeats):
            times.append(ours.take())
            products.append(yardstick.take())
            if theirs:
                ratios.append(theirs.take() / times[-1])
        if theirs:
            theirs.__exit__()
    rate, limit = ours.flops / median(times), yardstick.flops / median(products)
    numbers = (f"{median(times) * 1e3:.0f}", f"{ours.flops / 1e9:.1f}", f"{rate / 1e9:.0f}")
    return (case, *numbers, f"{limit / 1e9:.0f}", f"{rate / limit:.2f}", range_of(ratios))


def range_of(ratios: Sequence[float]) -> str:
    """Median and range."""
    if not ratios:
        return ""
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    cases = [f"{size}-{kind}" for size in PATCHES for kind in KINDS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["flex"])
    parser.add_argument("--cases", nargs="+", choices=cases, default=cases, metavar="SIZE-KIND")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--serve", metavar="CASE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.threads)
        return
    against = options.against.resolve() if options.against else None
    if against and not (against / "flexbench").is_dir():
        parser.error(f"--against: {against} holds no folder 'flexbench'")
    table = Table(title=f"{options.threads} thread(s), float32, medians of {options.repeats}")
    for header in (
        "case",
        "ms",
        "GFLOP",
        "GFLOP/s",
        "product GFLOP/s",
        "fraction",
        "times as fast",
    ):
        table.add_column(header, justify="left" if header == "case" else "right")
    for name in options.networks:
        for case in options.cases:
            table.add_row(
                *measure(
                    f"{name}-{case}",
                    repeats=options.repeats,
                    threads=options.threads,
                    against=against,
                )
            )
    Console().print(table)


if __name__ == "__main__":
    main()
