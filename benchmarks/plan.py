"""How good a forecast is: `python benchmarks/plan.py [--tier smoke] [--root results] [--cores N]`.

Compares what `flexbench plan` says of a tier with what a finished run of it measured: seconds by
rule (Snakemake's benchmarks, wall and CPU), the whole run, bytes by category. Aims: time within a
factor of 1.5, after `flexbench plan --measure`; disk within 10 %.
"""

import argparse

from finished_run import Measured, measure_run

from flexbench.config import TIERS
from flexbench.config.reading import load_config
from flexbench.errors import FlexbenchError
from flexbench.graph import RULES, Graph
from flexbench.graph.planned import planned_jobs
from flexbench.planning.facts import RunFacts
from flexbench.planning.forecast import Forecast, Slots, all_seconds, cores_here, forecast
from flexbench.planning.rates import load_measurement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", choices=TIERS, default="smoke")
    parser.add_argument("--root", default="results")
    parser.add_argument("--cores", type=int, default=cores_here())
    options = parser.parse_args()
    try:
        compare(options.tier, options.root, options.cores)
    except FlexbenchError as error:
        print(f"nothing to compare with: {error}")


def compare(tier: str, root: str, cores: int) -> None:
    """Print forecast, measurement and their ratio."""
    graph = Graph.of(load_config({"tier": tier, "root": root}))
    jobs = planned_jobs(graph)
    measured = measure_run(graph, jobs)
    facts, speed = RunFacts.of(graph), load_measurement(graph.layout.root, tier)
    seconds = all_seconds(facts, speed, jobs)
    found = forecast(facts, speed, jobs, slots=Slots(count=cores), seconds=seconds)
    source = "default rates" if speed.default else f"measured {speed.measured}"
    print(f"{tier} in {graph.layout.folder}, {cores} cores, {source}")
    sums = {rule.name: 0.0 for rule in RULES}
    for key, job in jobs.items():
        sums[job.rule] += seconds[key]
    _times(sums, measured, found)
    _disk(measured, found)


def _times(sums: dict[str, float], measured: Measured, found: Forecast) -> None:
    print(f"{'seconds':12} {'forecast':>10} {'measured':>10} {'ratio':>6} {'of CPU':>10}")
    for rule in sums:
        wall, cpu = measured.seconds[rule], measured.cpu_seconds[rule]
        ratio = sums[rule] / wall if wall else float("nan")
        print(f"{rule:12} {sums[rule]:10.1f} {wall:10.1f} {ratio:6.2f} {cpu:10.1f}")
    whole = found.seconds
    ratio = whole / measured.makespan
    print(f"{'whole run':12} {whole:10.1f} {measured.makespan:10.1f} {ratio:6.2f}")


def _disk(measured: Measured, found: Forecast) -> None:
    print(f"{'MB':12} {'forecast':>10} {'measured':>10} {'ratio':>6}")
    for name in sorted({*found.disk, *measured.disk}):
        said, there = found.disk.get(name, 0) / 1e6, measured.disk.get(name, 0) / 1e6
        ratio = said / there if there else float("nan")
        print(f"{name:12} {said:10.2f} {there:10.2f} {ratio:6.2f}")
    said, there = found.disk_bytes / 1e6, measured.disk_bytes / 1e6
    print(f"{'in all':12} {said:10.2f} {there:10.2f} {said / there:6.3f}")
    print(f"{'files':12} {found.files:10} {measured.files:10}")


if __name__ == "__main__":
    main()
