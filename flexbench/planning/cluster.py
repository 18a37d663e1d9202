"""What jobs ask a cluster for, held against what they will need."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flexbench.config.strict_yaml import read_yaml
from flexbench.errors import FlexbenchError
from flexbench.graph.planned import PlannedJob
from flexbench.graph.resources import resources
from flexbench.planning.costs import cost_of
from flexbench.planning.facts import RunFacts
from flexbench.planning.forecast import Slots
from flexbench.profiles import profile_folder

_MB = 1_000_000
# Of the GPUs that clusters commonly have.
_GPU_BYTES = 80_000_000_000


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Of a Snakemake profile: jobs at once, and how often a failed one is tried again.

    name: None, where no profile was asked for.
    """

    name: str | None = None
    jobs: int | None = None
    retries: int = 0


def read_profile(name: str) -> Profile:
    """What a profile says of jobs and retries; FlexbenchError where there is none of that name."""
    folder = profile_folder(name)
    if folder is None:
        raise FlexbenchError(f"--profile {name}: no such profile (a folder with a config.yaml)")
    values: dict[str, Any] = {}
    for path in sorted(folder.glob("config*.yaml")):
        values |= read_yaml(path)
    found: dict[str, int | None] = {}
    for key in ("jobs", "retries"):
        value = values.get(key)
        if value is not None and not isinstance(value, int) and value != "unlimited":
            raise FlexbenchError(f"{folder}: {key} is {value!r}; a whole number is needed")
        found[key] = value if isinstance(value, int) else None
    jobs = found["jobs"] if values.get("executor") else None
    return Profile(name=name, jobs=jobs, retries=found["retries"] or 0)


def cluster_warnings(
    facts: RunFacts,
    jobs: Mapping[str, PlannedJob],
    seconds: Mapping[str, float],
    *,
    profile: Profile,
    slots: Slots,
) -> list[str]:
    """Jobs that ask for too little time or memory; one line for each rule and complaint.

    Nothing where jobs run on this machine, which grants what it has.
    """
    if slots.cores:
        return []
    worst: dict[tuple[str, str], tuple[float, str]] = {}
    for key, job in jobs.items():
        for kind, (excess, text) in _complaints(facts, job, seconds[key], profile).items():
            place = (job.rule, kind)
            if place not in worst or excess > worst[place][0]:
                worst[place] = (excess, text)
    return [text for _, text in worst.values()]


def _complaints(
    facts: RunFacts, job: PlannedJob, seconds: float, profile: Profile
) -> dict[str, tuple[float, str]]:
    """What one job would fail of: how much too much it is, and a line."""
    rule = facts.graph.rule(job.rule)
    asked = resources(facts.graph, rule, job.names)
    found = {}
    runtime = 60 * int(asked["runtime"])
    tries = math.ceil(seconds / runtime)
    if tries > 1 and not rule.resumes:
        text = (
            f"{job.name} needs {seconds / 60:.0f} minutes, asks for {runtime // 60} and cannot "
            f"resume: raise cluster.{rule.section}.minutes"
        )
        found["time"] = (seconds, text)
    elif tries > 1 + profile.retries:
        where = f"profile {profile.name}" if profile.name else "no profile"
        text = (
            f"{job.name} needs {tries} jobs of {runtime // 60} minutes; {where} has retries: "
            f"{profile.retries}, {tries - 1} are needed"
        )
        found["time"] = (float(tries), text)
    memory, granted = cost_of(job.rule).memory_bytes(facts, job), int(asked["mem_mb"]) * _MB
    if "gpu" in asked and memory > _GPU_BYTES:
        remedy = "lower sample.batch" if job.rule == "sample" else "raise train.accumulate"
        text = (
            f"{job.name} holds about {memory / 1e9:.0f} GB on its GPU, more than a large one has "
            f"({_GPU_BYTES / 1e9:.0f}): {remedy}"
        )
        found["memory"] = (float(memory), text)
    # What a network holds on a GPU takes none of the main memory that is asked for.
    elif memory > granted and "gpu" not in asked:
        text = (
            f"{job.name} needs about {memory / _MB:.0f} MB, asks for {granted // _MB}: "
            f"raise cluster.{rule.section}.memory_mb"
        )
        found["memory"] = (float(memory), text)
    return found
