"""Step `tabulate`: all scores in tables, with intervals, comparisons, red flags, costs, claims; and
what they say, in sentences.
"""

import json
from typing import Any

from flexbench.atomic import write_text
from flexbench.claims.ledger import ledger_of
from flexbench.claims.output import ledger_json, ledger_markdown
from flexbench.claims.registry import default_claims, read_claims
from flexbench.data.schema import K_MAX_ETA
from flexbench.errors import FlexbenchError
from flexbench.findings.evidence import Evidence
from flexbench.findings.make import findings_of
from flexbench.findings.output import findings_json
from flexbench.graph import Graph, Job
from flexbench.metrics.aggregate import aggregate, aggregate_leads
from flexbench.metrics.blocks import in_blocks
from flexbench.metrics.comparisons import comparisons, twin_cases
from flexbench.metrics.cost import cost_row
from flexbench.metrics.definitions import DEFINITIONS_VERSION
from flexbench.metrics.flag_types import Matched
from flexbench.metrics.flags import find_flags
from flexbench.metrics.headline import headline_json
from flexbench.metrics.leaderboard import leaderboard
from flexbench.metrics.matrix import matrix
from flexbench.metrics.tables import COST, RED_FLAGS, SNAPSHOT_SCORES, TABLES
from flexbench.provenance import Receipt, name_in, read_receipt, require_bytes


def tabulate_step(graph: Graph) -> None:
    """Write `tables/*.csv`, one for each of TABLES, the headline, the claims, and the findings."""
    receipt = Receipt(graph.step("tabulate"))
    layout, settings = graph.layout, graph.config.score
    for job in graph.jobs:
        if graph.is_submitted(job.method):
            _require_scored(graph, job)
    paths = [layout.scores(job.case, job.method, job.seed) for job in graph.jobs]
    frames = [SNAPSHOT_SCORES.read(path) for path in paths]
    data = graph.config.data
    if data is not None and data.has_one_flow:
        frames = in_blocks(frames, length=data.block)
    cases = [graph.case(name) for name in graph.cases]
    how: dict[str, Any] = {"bootstrap": settings.bootstrap, "confidence": settings.confidence}
    scores = aggregate(frames, **how)
    flags = find_flags(
        scores,
        frames,
        tasks=graph.config.tasks,
        planned={name: planned_rows(graph, name) for name in graph.cases},
        resolutions={name: _resolutions(graph, name) for name in graph.cases},
        matched=_matched(graph),
        flow=data.flow if data else "Re",
        decaying=data is None,
        **how,
    )
    tables = {
        "scores": scores,
        "leads": aggregate_leads(frames, **how),
        "comparisons": comparisons(frames, twins=twin_cases(cases), **how),
        "red_flags": RED_FLAGS.of(flag.row for flag in flags),
        "cost": COST.of(
            cost_row(
                frame,
                train=_training_receipt(graph, job),
                sample=_drawing_receipt(graph, job),
            )
            for job, frame in zip(graph.jobs, frames, strict=True)
        ),
        "matrix": matrix(
            scores,
            cases=[] if data else [graph.case(n) for n in (*graph.tasks, *graph.shifted)],
            trained=graph.split("train").reynolds,
        ),
        "leaderboard": leaderboard(scores),
    }
    for name in TABLES:
        write_text(layout.table(name), tables[name].to_csv(index=False))
    write_text(layout.headline, headline_json(scores))
    ledger = ledger_of(graph, read_claims(default_claims()))
    claims = ledger_json(ledger)
    write_text(layout.claims, claims)
    write_text(layout.claims_page, ledger_markdown(ledger))
    told = ("scores", "leads", "comparisons", "cost")
    evidence = Evidence(
        graph=graph,
        flags=flags,
        claims=json.loads(claims),
        **{name: tables[name] for name in told},
    )
    write_text(layout.findings, findings_json(findings_of(evidence)))
    receipt.write(device="cpu", definitions=DEFINITIONS_VERSION)


def planned_rows(graph: Graph, case: str) -> int:
    """How many predicted snapshots a case has, per method and training seed."""
    here = graph.case(case)
    return len(graph.tested(case)) * here.sample.snapshots * here.settings.leads


def _resolutions(graph: Graph, case: str) -> dict[str, float]:
    """k_max eta of the trajectories of a case, from their receipts; {} of own data."""
    facts = {path.stem: read_receipt(path).get("facts", {}) for path in graph.tested(case)}
    return {stem: float(own[K_MAX_ETA]) for stem, own in facts.items() if K_MAX_ETA in own}


def _matched(graph: Graph) -> dict[tuple[str, str], Matched]:
    """By case and method, a network's size over FLEX's, from the receipt of its training."""
    found = {}
    for job in graph.jobs:
        facts = _training_receipt(graph, job).get("facts", {})
        if "matched" in facts:
            found[job.case, job.method] = Matched(**facts["matched"])
    return found


def _training_receipt(graph: Graph, job: Job) -> dict[str, Any]:
    """Of what made a job's weights; {} for a formula."""
    weights = graph.weights(job.case, job.method, job.seed)
    return read_receipt(weights[0]) if weights else {}


def _drawing_receipt(graph: Graph, job: Job) -> dict[str, Any]:
    """Of the drawing of a job's samples; {} of what others drew."""
    if graph.is_submitted(job.method):
        return {}
    return read_receipt(graph.layout.samples(job.case, job.method, job.seed))


def _require_scored(graph: Graph, job: Job) -> None:
    """FlexbenchError unless scores of what others ran are those that `score` made of the samples
    that were submitted."""
    step = graph.step("score", case=job.case, method=job.method, seed=job.seed)
    command = f"flexbench score {job.case} {job.method} --seed {job.seed}"
    made = read_receipt(step.outputs[0])
    for path in step.outputs:
        require_bytes(path, made.get("outputs", {}).get(path.name), again=command)
    samples = graph.layout.samples(job.case, job.method, job.seed)
    submitted = read_receipt(samples).get("outputs", {}).get(samples.name)
    if submitted is None or made["inputs"].get(name_in(step, samples)) != submitted:
        raise FlexbenchError(
            f"{step.outputs[0]}: was not made of the samples that were submitted ({samples}); "
            f"`{command}` makes it anew"
        )
