"""Sampling's time in units of the yardstick."""

import time

import pytest
import torch

from flexbench.inference.timing import YARDSTICK, Stopwatch
from flexbench.provenance import processor


def work(times):
    values = torch.linspace(-1, 1, 256 * 256).view(256, 256)
    for _ in range(times):
        values = torch.tanh(values @ values)


def test_twice_the_work_takes_twice_the_time():
    def measure(times):
        watch = Stopwatch(torch.device("cpu"), members=4)
        for _ in range(5):
            with watch.snapshot():
                work(times)
        return watch.facts()["relative_time"]

    once, twice = (min(measure(times) for _ in range(3)) for times in (40, 80))
    assert twice / once == pytest.approx(2.0, rel=0.25)


def test_waiting_does_not_count():
    watch = Stopwatch(torch.device("cpu"), members=1)
    with watch.snapshot():
        time.sleep(0.3)
    assert watch.facts()["seconds_per_member"] < 0.1


def test_what_is_recorded():
    watch = Stopwatch(torch.device("cpu"), members=2)
    assert watch.facts()["snapshots"] == 0
    assert watch.facts()["relative_time"] is None
    with watch.snapshot():
        work(20)
    facts = watch.facts()
    assert (facts["snapshots"], facts["yardstick"]) == (1, YARDSTICK)
    assert facts["relative_time"] == facts["seconds_per_member"] / facts["yardstick_seconds"] > 0
    assert facts["processor"] == processor() != ""


def test_no_random_number_is_drawn():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    with Stopwatch(torch.device("cpu"), members=1).snapshot():
        pass
    assert torch.equal(torch.get_rng_state(), state)
