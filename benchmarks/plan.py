"""How good a forecast is: `python benchmarks/plan.py [--tier smoke] [--root results] [--cores N]`.

Compares what `flexbench plan` says of a tier with what a finished run of it measured: seconds by
rule (Snakemake's benchmarks, wall and CPU), the whole run, bytes by category. Aims: time within a
factor of 1.5, after `flexbench plan --calibrate`; disk within 10 %.

`--sizes` counts the networks of the shipped tiers anew (flexbench/planning/sizes.json).
"""

import argparse
import json
from dataclasses import asdict

from flexbench.config import TIERS
from flexbench.config.reading import load_config
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.planning import networks
from flexbench.planning.calibrate import cores_here
from flexbench.planning.facts import RunFacts
from flexbench.planning.forecast import Forecast, Slots, forecast
from flexbench.planning.jobs import RULES, planned_jobs
from flexbench.planning.measured import Measured, measure_run
from flexbench.planning.rates import load_calibration
from flexbench.planning.times import all_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", choices=TIERS, default="smoke")
    parser.add_argument("--root", default="results")
    parser.add_argument("--cores", type=int, default=cores_here())
    parser.add_argument("--sizes", action="store_true")
    options = parser.parse_args()
    if options.sizes:
        write_sizes()
        return
    try:
        compare(options.tier, options.root, options.cores)
    except FlexbenchError as error:
        print(f"nothing to compare with: {error}")


def compare(tier: str, root: str, cores: int) -> None:
    """Print forecast, measurement and their ratio."""
    graph = Graph(load_config({"tier": tier, "root": root}))
    jobs = planned_jobs(graph)
    measured = measure_run(graph, jobs)
    facts, calibration = RunFacts.of(graph), load_calibration(graph.layout.root, tier)
    seconds = all_seconds(facts, calibration, jobs)
    found = forecast(facts, calibration, jobs, slots=Slots(count=cores), seconds=seconds)
    source = "default rates" if calibration.default else f"calibrated {calibration.measured}"
    print(f"{tier} in {graph.layout.folder}, {cores} cores, {source}")
    sums = dict.fromkeys(RULES, 0.0)
    for key, job in jobs.items():
        sums[job.rule] += seconds[key]
    _times(sums, measured, found)
    _disk(measured, found)


def _times(sums: dict[str, float], measured: Measured, found: Forecast) -> None:
    print(f"{'seconds':12} {'forecast':>10} {'measured':>10} {'ratio':>6} {'of CPU':>10}")
    for rule in RULES:
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


def write_sizes() -> None:
    """Count the networks of every shipped tier; a minute on one core."""
    table = {}
    for tier in TIERS:
        graph = Graph(load_config({"tier": tier}))
        for job in graph.trainings:
            request = networks.request_of(graph, job.task, job.method)
            digest = networks.digest(request)
            if digest not in table:
                table[digest] = asdict(networks.count(request))
    networks.TABLE.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
    print(f"{networks.TABLE}: {len(table)} networks")


if __name__ == "__main__":
    main()
