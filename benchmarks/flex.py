"""Speed of FLEX as a fraction of the matrix-multiply rate: `python benchmarks/flex.py`.

    python benchmarks/flex.py [--cases XS-train S-ensemble ...] [--threads 1] [--repeats 3]

- train: one optimiser step of super-resolution (forward, L1, backward, AdamW);
- ensemble: M = 8 members of one condition by N = 2 calls; the condition is encoded once and
  its features are shared by the members;
- reencode: the same with the condition encoded anew for every member and evaluation.

FLOPs are counted by torch while the case runs (a multiply-add is two), so work that the network
saves is not credited. The rate of a 2048^2 float32 product is taken before and after every repeat,
in the same process; the fraction is best rate of the case / best rate of the product. With one
thread, times are processor time, which other programs' turns do not count towards; with more,
wall time.
"""

import argparse
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from flexbench.models.flex import Flex, build
from flexbench.spec import ProblemSpec

PATCHES = {"S": 128, "XS": 64, "XXS": 32}
BATCHES = {"S": 2, "XS": 8, "XXS": 8}
KINDS = ("train", "ensemble", "reencode")
MEMBERS, CALLS = 8, 2
PRODUCT = 2048

Clock = Callable[[], float]


def network_of(size: str) -> Flex:
    """FLEX for super-resolution, with no tensor left at its initial zero."""
    problem = ProblemSpec(task="superres", condition_channels=1, patch=PATCHES[size])
    network = build(problem, size=size)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return network


def train_step(size: str) -> Callable[[], object]:
    """One optimiser step on random fields."""
    network, batch, patch = network_of(size), BATCHES[size], PATCHES[size]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)
    noisy, condition, target = torch.randn(3, batch, 1, patch, patch).unbind()
    t, re = torch.rand(batch), torch.rand(batch, 1)

    def step() -> None:
        optimizer.zero_grad()
        velocity = network(noisy, t, re, condition)
        nn.functional.l1_loss(velocity, target).backward()
        optimizer.step()

    return step


def ensemble(size: str, *, reencode: bool) -> Callable[[], object]:
    """MEMBERS members of one condition; each call's output is the next one's input."""
    network, patch = network_of(size).eval(), PATCHES[size]
    condition, re = torch.randn(1, 1, patch, patch), torch.rand(1, 1)
    noise = torch.randn(MEMBERS, 1, patch, patch)
    t, all_re = torch.full((MEMBERS,), 0.5), re.expand(MEMBERS, 1)
    conditions = condition.expand(MEMBERS, -1, -1, -1)

    @torch.no_grad()
    def draw() -> torch.Tensor:
        x, encoded = noise, [] if reencode else network.encode(condition, re)
        for _ in range(CALLS):
            if reencode:
                encoded = network.encode(conditions, all_re)
            x = network.denoise(x, t, all_re, encoded)
        return x

    return draw


def case_of(name: str) -> Callable[[], object]:
    size, kind = name.split("-")
    return train_step(size) if kind == "train" else ensemble(size, reencode=kind == "reencode")


def seconds(action: Callable[[], object], clock: Clock) -> float:
    start = clock()
    action()
    return clock() - start


def measure(name: str, *, repeats: int, clock: Clock) -> tuple[str, ...]:
    """A row of the table: time, work, rate, rate of the product, fraction."""
    torch.manual_seed(0)
    action = case_of(name)
    left, right = torch.randn(2, PRODUCT, PRODUCT).unbind()

    def product() -> torch.Tensor:
        return left @ right

    with FlopCounterMode(display=False) as counter:
        action()  # warms up as well
    work = counter.get_total_flops()
    product()
    times, products = [], [seconds(product, clock)]
    for _ in range(repeats):
        times.append(seconds(action, clock))
        products.append(seconds(product, clock))
    rate, limit = work / min(times), 2 * PRODUCT**3 / min(products)
    numbers = (f"{min(times) * 1e3:.0f}", f"{work / 1e9:.1f}", f"{rate / 1e9:.0f}")
    return (name, *numbers, f"{limit / 1e9:.0f}", f"{rate / limit:.2f}")


def main() -> None:
    names = [f"{size}-{kind}" for size in PATCHES for kind in KINDS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=names, default=names, metavar="SIZE-KIND")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    table = Table(title=f"FLEX, {options.threads} thread(s), {clock.__name__}")
    for header in ("case", "ms", "GFLOP", "GFLOP/s", "product GFLOP/s", "fraction"):
        table.add_column(header, justify="left" if header == "case" else "right")
    for name in options.cases:
        table.add_row(*measure(name, repeats=options.repeats, clock=clock))
    Console().print(table)


if __name__ == "__main__":
    main()
