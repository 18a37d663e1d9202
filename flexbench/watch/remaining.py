"""How long a run still takes: the plan's forecast, corrected by what its jobs took so far."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from flexbench.planning.schedule import simulate_schedule
from flexbench.watch.progress import Progress

# How many jobs of a rule weigh as much as what is known of all the others.
PRIOR_JOBS = 1.0
# Of a job that runs, at least this part of what it took is to come: one that is overdue is likely
# to be so by more than a moment.
OVERDUE = 1 / 3
FIRST = 1_000_000  # a priority above all others: what runs already has its slot


@dataclass(frozen=True)
class Remaining:
    """seconds: of each job, by key, as `planning.forecast.all_seconds` counts them."""

    seconds: Mapping[str, float]

    def left(self, progress: Progress, *, now: float) -> float:
        """Seconds to the end of a run, at a moment of the clock."""
        factors, general = self._factors(progress, now)
        expected: dict[str, float] = {}
        jobs = {}
        for running in progress.running.values():
            key, elapsed = running.job.key, now - running.began
            whole = self.seconds[key] * factors.get(running.job.rule, general)
            expected[key] = max(whole - elapsed, OVERDUE * elapsed)
            jobs[key] = replace(running.job, priority=FIRST)
        for key in progress.waiting():
            job = progress.jobs[key]
            expected[key] = self.seconds[key] * factors.get(job.rule, general)
            jobs[key] = job
        if not jobs:
            return 0.0
        assert progress.slots is not None  # told before any job
        slots = progress.slots
        return simulate_schedule(jobs, expected, slots=slots.count, cores=slots.cores).makespan

    def _factors(self, progress: Progress, now: float) -> tuple[dict[str, float], float]:
        """By which the forecast is wrong: for every rule that was seen, and for any other."""
        measured: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for key, seconds in progress.took.items():
            measured[progress.jobs[key].rule].append((seconds, self.seconds[key]))
        general = _ratio([pair for pairs in measured.values() for pair in pairs])
        # A job that is overdue tells of itself before its end.
        for running in progress.running.values():
            pair = (now - running.began, self.seconds[running.job.key])
            if pair[0] > general * pair[1]:
                measured[running.job.rule].append(pair)
        general = _ratio([pair for pairs in measured.values() for pair in pairs])
        factors = {}
        for rule, pairs in measured.items():
            usual = PRIOR_JOBS * sum(forecast for _, forecast in pairs) / len(pairs)
            factors[rule] = _ratio([*pairs, (general * usual, usual)])
        return factors, general


def _ratio(pairs: list[tuple[float, float]]) -> float:
    """What was measured over what was forecast, together; 1 where nothing was."""
    forecast = sum(pair[1] for pair in pairs)
    return sum(pair[0] for pair in pairs) / forecast if forecast else 1.0
