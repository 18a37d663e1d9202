"""What `flexbench plan` tells: what would run now and why, and forecasts of that and of all."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flexbench.data.own_data import told_of_sources
from flexbench.dry_run import DryRun
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.graph.planned import planned_jobs
from flexbench.planning.admission import admit, doubts
from flexbench.planning.cluster import Profile, cluster_warnings, read_profile
from flexbench.planning.forecast import Forecast, Slots, all_seconds, cores_here, forecast
from flexbench.planning.rates import Measurement, load_measurement
from flexbench.planning.stale import Stale, explained


@dataclass(frozen=True, kw_only=True)
class Plan:
    """everything: the whole tier from nothing. left: what would run now. stale: why, by job. data:
    what the files of own data say of themselves, in lines.
    """

    tier: str
    folder: str
    speed: Measurement
    slots: Slots
    everything: Forecast
    left: Forecast
    stale: dict[str, Stale]
    warnings: list[str]
    data: list[str]

    def as_json(self) -> dict[str, Any]:
        return {
            "tier": self.tier,
            "folder": self.folder,
            "slots": asdict(self.slots),
            "measured": self.speed.model_dump(exclude={"rates"}),
            "left": self.left.as_json(),
            "everything": self.everything.as_json(),
            "stale": [
                {"job": one.key, "reasons": one.reasons, "details": one.details}
                for one in self.stale.values()
            ],
            "warnings": self.warnings,
            "data": self.data,
        }


def make_plan(
    graph: Graph,
    *,
    overrides: Mapping[str, Any],
    cores: int | None = None,
    jobs: int | None = None,
    profile: str | None = None,
    own: Path | None = None,
) -> Plan:
    """Ask Snakemake what is stale, and meanwhile count and forecast."""
    if cores is not None and jobs is not None:
        raise FlexbenchError("--cores and --jobs: give one of them")
    found = read_profile(profile) if profile else Profile()
    count = jobs or (found.jobs if cores is None else None)
    slots = Slots(count=count or cores or cores_here(), cores=count is None)
    speed = load_measurement(graph.layout.root, graph.config.tier)
    # In this order, so that an error ends the dry run and does not wait for it.
    with ThreadPoolExecutor(1) as pool, DryRun.start(graph, overrides, own=own) as dry_run:
        waiting = pool.submit(dry_run.reasons)
        planned = planned_jobs(graph)
        facts = admit(graph)
        seconds = all_seconds(facts, speed, planned)
        everything = forecast(facts, speed, planned, slots=slots, seconds=seconds)
        stale = explained(graph, planned, waiting.result())
    jobs_left = {key: job for key, job in planned.items() if key in stale}
    left = everything
    if len(jobs_left) < len(planned):
        left = forecast(facts, speed, jobs_left, slots=slots, seconds=seconds)
    return Plan(
        tier=graph.config.tier,
        folder=str(graph.layout.folder),
        speed=speed,
        slots=slots,
        everything=everything,
        left=left,
        stale=stale,
        warnings=[
            *doubts(graph),
            *_of_hours(graph, speed, slots, own=own),
            *cluster_warnings(facts, planned, seconds, profile=found, slots=slots),
        ],
        data=told_of_sources(graph.config, graph.source_file),
    )


def _of_hours(graph: Graph, speed: Measurement, slots: Slots, *, own: Path | None) -> list[str]:
    """What makes the hours worth less."""
    asked_by = f"--config {own}" if own else f"--tier {graph.config.tier}"
    advice = f"measure with `flexbench plan {asked_by} --measure`"
    found = []
    if speed.default:
        found.append(f"hours are of another machine: nothing was measured here yet; {advice}")
    elif speed.tier != graph.config.tier:
        found.append(f"hours are from what was measured of tier {speed.tier}; {advice}")
    if not speed.default and speed.threads != graph.config.threads:
        found.append(
            f"measured with {speed.threads} threads per job, planned with {graph.config.threads}"
        )
    together = max(1, slots.count // graph.config.threads) if slots.cores else 1
    if not speed.default and slots.cores and speed.together != together:
        found.append(f"measured with {speed.together} processes at once, planned with {together}")
    asked = graph.config.cluster.train.gpu or graph.config.cluster.sample.gpu
    if asked and speed.device != "cuda":
        assumed = speed.rates.gpu / 1e12
        found.append(
            f"GPU-hours assume {assumed:.0f} TFLOP per second and GPU, which nobody measured; on "
            "a GPU node: `srun ... flexbench plan --measure`"
        )
    return found + [f"measured: {note}" for note in speed.notes]
