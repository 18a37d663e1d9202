"""List scheduling and the longest chain, against brute force on small graphs."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from flexbench.graph.planned import PlannedJob
from flexbench.planning.schedule import longest_chain, simulate_schedule
from flexbench.provenance import Step


def job(rule, name, *needs, threads=1):
    step = Step(name=rule, folder=Path(), outputs=(Path(name),), inputs=(), slice={}, code="")
    first = {"train": 1, "sample": 0}[rule]
    return PlannedJob(step=step, names={"name": name}, needs=needs, threads=threads, priority=first)


def graph_of(*jobs):
    return {one.key: one for one in jobs}


def random_graph(seed):
    """Up to nine jobs, each after some of those before it."""
    stream = random.Random(seed)
    jobs = {}
    for number in range(stream.randint(1, 9)):
        needs = [key for key in jobs if stream.random() < 0.3]
        rule = stream.choice(["train", "sample"])
        one = job(rule, str(number), *needs, threads=stream.choice([1, 1, 2]))
        jobs[one.key] = one
    seconds = {key: stream.choice([0.5, 1.0, 3.0]) for key in jobs}
    return jobs, seconds


def all_chains(jobs, key):
    """Every chain of jobs that ends with this one."""
    needs = jobs[key].needs
    if not needs:
        return [[key]]
    return [[*chain, key] for need in needs for chain in all_chains(jobs, need)]


def tick_by_tick(jobs, seconds, slots):
    """Ends of all jobs, by stepping through time in eighths of a second."""
    left = dict(seconds)
    started, ends, now = set(), {}, 0.0
    while len(ends) < len(jobs):
        for key in [key for key in started if key not in ends and left[key] <= 1e-9]:
            ends[key] = now
        free = slots - sum(min(jobs[key].threads, slots) for key in started - set(ends))
        ready = [key for key in jobs if key not in started and set(jobs[key].needs) <= set(ends)]
        for key in sorted(ready, key=lambda key: -jobs[key].priority):
            if min(jobs[key].threads, slots) <= free:
                started.add(key)
                free -= min(jobs[key].threads, slots)
        for key in started - set(ends):
            left[key] -= 0.125
        now += 0.125
    return ends


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("slots", [1, 2, 3])
def test_it_is_what_a_clock_gives(seed, slots):
    jobs, seconds = random_graph(seed)
    schedule = simulate_schedule(jobs, seconds, slots=slots)
    assert schedule.end == tick_by_tick(jobs, seconds, slots)
    assert schedule.makespan == max(schedule.end.values())


@pytest.mark.parametrize("seed", range(40))
def test_the_longest_chain_is_the_longest_of_all(seed):
    jobs, seconds = random_graph(seed)
    chains = [chain for key in jobs for chain in all_chains(jobs, key)]
    longest = max(sum(seconds[key] for key in chain) for chain in chains)
    chain, length = longest_chain(jobs, seconds)
    assert length == pytest.approx(longest)
    assert sum(seconds[key] for key in chain) == pytest.approx(longest)
    assert all(earlier in jobs[later].needs for earlier, later in pairwise(chain))
    many = simulate_schedule(jobs, seconds, slots=99)
    assert many.makespan == pytest.approx(longest), "with slots enough, only the chain counts"


def test_training_goes_first_whatever_the_order():
    jobs = graph_of(job("sample", "a"), job("sample", "b"), job("train", "c"))
    start = simulate_schedule(jobs, dict.fromkeys(jobs, 1.0), slots=1).start
    assert start["train name=c"] == 0


def test_slots_are_cores_here_and_jobs_on_a_cluster():
    jobs = graph_of(*(job("train", name, threads=4) for name in "abcd"))
    seconds = dict.fromkeys(jobs, 1.0)
    assert simulate_schedule(jobs, seconds, slots=4).makespan == 4
    assert simulate_schedule(jobs, seconds, slots=8).makespan == 2
    assert simulate_schedule(jobs, seconds, slots=4, cores=False).makespan == 1
    assert simulate_schedule(jobs, seconds, slots=1).makespan == 4, "too wide a job runs alone"


def test_what_is_done_is_not_waited_for():
    jobs = graph_of(job("sample", "a", "train name=done"))
    assert simulate_schedule(jobs, dict.fromkeys(jobs, 2.0), slots=1).makespan == 2
    assert simulate_schedule({}, {}, slots=1).makespan == 0
