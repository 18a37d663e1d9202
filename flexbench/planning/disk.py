"""How many bytes each job writes, file by file, and what it needs besides while it works."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flexbench.planning.facts import FLOAT, RunFacts
from flexbench.planning.jobs import PlannedJob
from flexbench.report.catalogue import FIGURES, figures_of

BLOCK = 4096

CATEGORIES = (
    *("data", "checkpoints", "samples", "scores", "tables"),
    *("figures", "report", "records", "folders"),
)

# Bytes of text, measured on finished runs.
_RECEIPT = {
    "simulate": 1160,
    "import_data": 1200,
    "splits": 900,
    "statistics": 820,
    "train": 2000,
    "sample": 1200,
    "score": 720,
    "tabulate": 1600,
    "figure": 860,
    "animation": 860,
    "report": 640,
}
_RECEIPT_FILE = 150  # a hash and a size
_SCORE_ROW, _SPECTRUM_ROW, _TABLE_ROW, _COMPARISON_ROW, _MATRIX_ROW = 121, 133, 155, 82, 120
_LOG_ROW = 165
_BENCHMARK = 134
# Figures: PNG and PDF, each as (bytes, further bytes per method); those of maps on 64 points.
_FIGURES = {
    "maps": ((125_000, 56_000), (68_000, 28_000)),
    "spectra": ((80_000, 16_200), (16_600, 1_630)),
    "rfne_by_re": ((19_000, 2_000), (15_100, 330)),
    "accuracy_cost": ((28_400, 2_670), (16_400, 370)),
    "loss": ((37_000, 7_900), (14_400, 580)),
    "pull": ((27_000, 12_500), (13_600, 1_940)),
    "spread_skill": ((38_000, 3_500), (17_900, 450)),
    "rank": ((20_600, 4_800), (14_100, 820)),
    "matrix": ((60_000, 6_000), (18_000, 1_500)),
    "leads": ((50_000, 8_000), (18_000, 1_500)),
    "coverage": ((16_000, 5_200), (12_900, 490)),
}
# Finer fields fill the panels of maps with finer detail: bytes grow by this power of the grid over
# 64 points, up to the panels' own points; below 64 in proportion.
_DETAIL = (1.42, 1.74)
_PANEL = 256
_FRAME = 50_000  # of an animation, per lead
# What a task adds to the page besides figures; maps are embedded with fewer colours.
_REPORT_TEXT = (65_000, 18_000)
_EMBEDDED_MAPS = 0.38


@dataclass(frozen=True)
class Written:
    """A file that a job leaves: what it counts as, and its bytes."""

    category: str
    size: int

    @property
    def on_disk(self) -> int:
        """In whole blocks, as `du` counts."""
        return math.ceil(self.size / BLOCK) * BLOCK


def hdf5_bytes(*, chunks: int, chunk_bytes: int, rank: int, fixed: int) -> int:
    """Size of an HDF5 file of one chunked dataset of that rank.

    fixed: headers, attributes and small datasets. A version 1 B-tree indexes the chunks: 64 of
    them to a full node, 57 where a file grows at its end.
    """
    node = 24 + 65 * (8 + 8 * (rank + 1)) + 64 * 8
    nodes, level = 0, chunks
    while level > 1 or nodes == 0:
        level = 1 if level <= 64 else math.ceil(level / 57)
        nodes += level
    return fixed + chunks * chunk_bytes + nodes * node


def trajectory_bytes(facts: RunFacts) -> int:
    """Size of a trajectory file (`data/FORMAT.md`)."""
    from flexbench.data.schema import chunk_shape

    side = chunk_shape(facts.grid)[-1]
    return hdf5_bytes(
        chunks=facts.snapshots * math.ceil(facts.grid / side) ** 2,
        chunk_bytes=FLOAT * side**2,
        rank=3,
        fixed=6_680 + 8 * facts.snapshots,
    )


def samples_bytes(facts: RunFacts, case: str, method: str) -> int:
    """Size of a file of samples, (S, M, 1, H, W) float32."""
    return hdf5_bytes(
        chunks=facts.scored(case) * facts.members(method, case),
        chunk_bytes=facts.field_bytes,
        rank=5,
        fixed=8_100 + 72 * facts.scored(case),
    )


def checkpoint_bytes(facts: RunFacts, task: str, method: str) -> int:
    size = facts.network(task, method)
    return size.state_bytes + size.header_bytes


def restart_bytes(facts: RunFacts, task: str, method: str) -> int:
    """One restart point of a training: weights, their average, the optimiser's moments."""
    size, settings = facts.network(task, method), facts.train(method)
    moments = 1 if settings.optimizer == "lion" else 2
    # Without an average, the weights stand in for it, and are stored once.
    return size.state_bytes * (1 + (settings.ema > 0) + moments)


def written(facts: RunFacts, job: PlannedJob) -> list[Written]:
    """Every file that a job leaves: outputs, receipt, log, benchmark."""
    files = list(_outputs(facts, job))
    category = files[0].category
    named = len(job.step.inputs) + len(job.step.outputs)
    receipt = _RECEIPT[job.rule] + _RECEIPT_FILE * named
    log = 340 if job.rule == "train" else 0
    return [
        *files,
        Written(category, receipt),
        Written("records", log),
        Written("records", _BENCHMARK),
    ]


def outputs(facts: RunFacts, job: PlannedJob) -> dict[Path, int]:
    """Bytes of each declared output."""
    sizes = [file.size for file in _outputs(facts, job)]
    return dict(zip(job.step.outputs, sizes, strict=True))


def temporary(facts: RunFacts, job: PlannedJob) -> tuple[int, int]:
    """(bytes, files) that a job holds beside its outputs while it works, at most.

    Outputs are written under a temporary name while all that they are made of is still there.
    """
    if job.rule == "simulate":
        # Segments hold every snapshot until the file is written; then the state, in double.
        segments = math.ceil(facts.trajectory_fields / max(2**28, facts.field_bytes))
        return facts.trajectory_fields + 8 * facts.points, segments + 1
    if job.rule == "train":
        task, method, _ = job.wildcards.values()
        # Two are kept, and the third is written before the first is dropped.
        return 3 * restart_bytes(facts, task, method), 5
    if job.rule == "sample":
        case, scored = job.wildcards["case"], facts.scored(job.wildcards["case"])
        members = facts.members(job.wildcards["method"], case)
        return scored * members * facts.field_bytes, scored + 1
    return 0, 0


def folders(facts: RunFacts, jobs: Iterable[PlannedJob]) -> int:
    """Folders that a run makes: of outputs, logs and benchmarks, and of state."""
    found = {facts.graph.layout.folder}
    for job in jobs:
        places = [output.parent for output in job.step.outputs]
        parts = [str(value) for value in job.wildcards.values()][:-1]
        for kind in ("logs", "benchmarks"):
            where = facts.graph.layout.folder / kind
            places.append(where.joinpath(job.rule, *parts) if job.wildcards else where)
        if job.rule in ("train", "sample"):
            places.append(facts.graph.layout.state(job.rule, *parts))
        for place in places:
            # All lie in the first; what is above one that was found was found with it.
            while place not in found:
                found.add(place)
                place = place.parent
    return len(found)


def _outputs(facts: RunFacts, job: PlannedJob) -> Iterable[Written]:
    names = job.wildcards
    config = facts.graph.config
    if job.rule in ("simulate", "import_data"):
        yield Written("data", trajectory_bytes(facts))
    elif job.rule == "splits":
        yield Written("data", 60 + 90 * len(facts.graph.all_trajectories))
    elif job.rule == "statistics":
        reynolds = len(config.split("train").reynolds)
        yield Written("data", 420 + 200 * reynolds + 20 * len(facts.graph.stems("train")))
    elif job.rule == "train":
        settings = facts.train(names["method"])
        yield Written("checkpoints", checkpoint_bytes(facts, names["task"], names["method"]))
        yield Written("checkpoints", _LOG_ROW * math.ceil(settings.steps / settings.log_every))
    elif job.rule == "sample":
        yield Written("samples", samples_bytes(facts, names["case"], names["method"]))
    elif job.rule == "score":
        scored = facts.scored(names["case"])
        rows = scored * facts.score_rows(names["method"], names["case"])
        yield Written("scores", _SCORE_ROW * rows)
        yield Written("scores", _SPECTRUM_ROW * scored * (facts.grid // 2))
    elif job.rule == "tabulate":
        yield from _tables(facts)
    elif job.rule == "animation":
        leads = facts.graph.case(names["case"]).settings.leads
        yield Written("figures", _FRAME * leads)
    elif job.rule == "figure":
        for size in _figure_bytes(facts, names["case"], names["name"]):
            yield Written("figures", size)
    else:
        yield Written("report", sum(_page_bytes(facts, case) for case in facts.graph.cases))


def _tables(facts: RunFacts) -> Iterable[Written]:
    """scores, leads, comparisons, red flags, cost, matrix and headline."""
    graph = facts.graph
    groups = {case: len(facts.flows(case)) + 1 for case in graph.cases}
    methods = dict.fromkeys((job.task, job.method) for job in graph.jobs)
    # A table forms some scores from others that the files of scores hold as rows.
    rows = sum(
        groups[case] * max(facts.score_rows(method, case) - 3, 1) for case, method in methods
    )
    yield Written("tables", _TABLE_ROW * rows)
    yield Written("tables", _TABLE_ROW * (1 + _lead_rows(facts)))
    yield Written("tables", _COMPARISON_ROW * 10 * sum(groups[case] for case, _ in methods) // 3)
    yield Written("tables", 2000)
    yield Written("tables", 120 * len(graph.jobs))
    shown = {*graph.tasks, *graph.shifted}
    yield Written("tables", _MATRIX_ROW * 3 * sum(groups[c] - 1 for c, _ in methods if c in shown))
    yield Written("tables", 300 * len(methods))


def _lead_rows(facts: RunFacts) -> int:
    """Rows of the table of leads: five scores of each lead of a rollout."""
    graph = facts.graph
    rollouts = {(job.task, job.method) for job in graph.jobs if graph.case(job.task).is_rollout}
    return sum(5 * graph.case(case).settings.leads for case, _ in rollouts)


def _figure_bytes(facts: RunFacts, case: str, name: str) -> tuple[int, ...]:
    """Of the PNG and the PDF."""
    methods = len({job.method for job in facts.graph.jobs_of(case)})
    finer = min(facts.grid, _PANEL) / 64 if name == "maps" else 1.0
    return tuple(
        round((fixed + each * methods) * finer ** (power if finer > 1 else 1.0))
        for (fixed, each), power in zip(_FIGURES[name], _DETAIL, strict=True)
    )


def _page_bytes(facts: RunFacts, case: str) -> int:
    """One case's part of the page: its figures as text (4 characters for 3 bytes)."""
    methods, pixels = len({job.method for job in facts.graph.jobs_of(case)}), 0.0
    for name in figures_of(facts.graph.config, case):
        if FIGURES[name].animated:
            pixels += _FRAME * facts.graph.case(case).settings.leads
            continue
        png = _figure_bytes(facts, case, name)[0]
        pixels += png * _EMBEDDED_MAPS if name == "maps" and png > 600_000 else png
    fixed, each = _REPORT_TEXT
    return round(pixels * 4 / 3) + fixed + each * methods
