"""The card of a trained network, from the run's files: what it is, made from, good for, and not."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from flexbench.config import TaskSettings
from flexbench.croissant import DATA_CARD
from flexbench.graph import Graph
from flexbench.graph.names import Training
from flexbench.metrics.definitions import definition_of
from flexbench.metrics.headline import HEADLINE
from flexbench.metrics.tables import ALL
from flexbench.paths import checkout
from flexbench.provenance import read_receipt
from flexbench.publication import CITATION, Citation
from flexbench.report.inputs import ReportInputs
from flexbench.report.labels import simulated
from flexbench.report.numbers import amount, duration, with_interval


def card(graph: Graph, network: Training, *, cases: Mapping[str, Sequence[str]]) -> str:
    """Markdown with a YAML head. cases: by task, those whose scores it quotes."""
    weights = graph.layout.checkpoint(network.name, network.method, network.seed)
    receipt = read_receipt(weights)
    sections = [
        _head(graph, network),
        f"# `{network.method}` on `{network.name}`, training seed {network.seed}",
        _what(graph, network, receipt),
        "## How it was trained",
        _table(["", ""], _training(receipt, weights.name)),
        *(part for task, names in cases.items() for part in _scores(graph, network, task, names)),
        "## What it is for",
        _use(network),
        "## Limits",
        _limits(graph, network, receipt, [name for names in cases.values() for name in names]),
        "## Data",
        f"`{DATA_CARD}` says how such flows are made, and what their limits and biases are.",
        "## Citation",
        _citation(),
        "## Licence",
        "Weights, fits, scores and this card: CC0 1.0 (LICENSE-DATA). The code: MIT (LICENSE).",
    ]
    return "\n\n".join(sections) + "\n"


def _head(graph: Graph, network: Training) -> str:
    kinds = dict.fromkeys(graph.config.tasks[task].kind for task in network.tasks)
    told = {
        "license": "cc0-1.0",
        "library_name": "flexbench",
        "tags": ["fluid-dynamics", "turbulence", network.method, *kinds],
    }
    return f"---\n{yaml.safe_dump(told, sort_keys=False)}---"


def _what(graph: Graph, network: Training, receipt: Mapping[str, Any]) -> str:
    facts = receipt["facts"]
    said = (
        f"The network `{graph.facts(network.method).name}` with {facts['parameters']:,} parameters "
        f"(mode {graph.config.method(network.method).mode}), from the run of tier "
        f"`{graph.config.tier}`. It draws ensembles of two-dimensional vorticity fields:"
    )
    goals = [f"- `{task}`: {goal_of(graph.config.tasks[task])}" for task in network.tasks]
    return "\n".join([said, "", *goals])


def goal_of(task: TaskSettings) -> str:
    """What a task is about, in a sentence."""
    ahead = "" if task.lead_time is None else f" {task.lead_time:g} time units ahead"
    return f"{task.title.lower()}, a snapshot{ahead}; given: {task.given}."


def _training(receipt: Mapping[str, Any], name: str) -> list[list[str]]:
    """What the receipt of the training says."""
    made, facts, versions = receipt["slice"], receipt["facts"], receipt["versions"]
    train, diffusion = made["train"], made["diffusion"]
    seen = made["splits"]["train"]
    reynolds = ", ".join(f"{it:g}" for it in seen["reynolds"])
    loss = facts["validation"]["last"]["loss"]
    return [
        ["flows", f"simulated: Re {reynolds}; seeds {', '.join(map(str, seen['seeds']))} of each"],
        ["steps", f"{facts['steps']} of {train['batch']} patches"],
        ["operations", f"{facts['flops']:.3g} FLOP"],
        ["optimiser", f"{train['optimizer']}, learning rate {train['learning_rate']:g}"],
        ["diffusion", f"target {diffusion['target']}, loss {diffusion['loss']}"],
        ["loss on validation, at the end", f"{loss:.4g}"],
        ["time", f"{duration(receipt['cpu_seconds'])} of processor ({receipt['processor']})"],
        ["versions", f"torch {versions['torch']}, Python {versions['python']}"],
        ["code", f"digest {receipt['code_digest']}, finished {receipt['finished']}"],
        ["SHA-256", f"`{receipt['outputs'][name]}`"],
    ]


def _scores(graph: Graph, network: Training, task: str, cases: Sequence[str]) -> list[str]:
    """The headline scores of the network and of the formulas, as the run's table has them."""
    table = ReportInputs(layout=graph.layout, config=graph.config).table("scores")
    pooled = table[(table["reynolds"] == ALL) & (table["detail"] == "")]
    rows, trajectories = [], 0
    for case in cases:
        for method, own in pooled[pooled["case"] == case].groupby("method", sort=False):
            formula = graph.is_formula(str(method))
            if method != network.method and not formula:
                continue
            first = own.iloc[0]
            trajectories = int(first["trajectories"])
            sampler = "none" if formula else graph.case(case).sample.sampler
            values = own.set_index("score")[["value", "low", "high"]]
            cells = [
                " ".join(with_interval(*values.loc[score])) if score in values.index else "–"
                for score in HEADLINE
            ]
            told = [f"`{method}`", sampler, f"{first['members']:g}", f"{first['training_seeds']:g}"]
            rows.append(told + cells)
    labels = simulated("w")
    heads = ["method", "sampler", "members", "training seeds"]
    for score in HEADLINE:
        unit = labels.unit_of(definition_of(score).unit)
        heads.append(f"{definition_of(score).label} [{unit}]")
    steps = graph.case(task).sample.steps
    return [
        f"## Scores on `{task}`",
        f"Means over the {trajectories} test flows of the run, with "
        f"{graph.config.score.confidence:.0%} intervals; of networks over all training seeds of "
        f"the method, in {steps} steps. No network has seen these flows.",
        _table(heads, rows),
        "\n".join(f"- {definition_of(it).label}: {definition_of(it).text}." for it in HEADLINE),
    ]


def _use(network: Training) -> str:
    return (
        "To see in a minute what such a network says, and to check that code, machine and weights "
        "give the scores that stand here:\n\n"
        f"    flexbench try {network.tasks[0]} {network.method} --seed {network.seed}\n\n"
        "It is for trying and teaching, and a start for work of one's own. It is no tool for "
        "forecasting real flows."
    )


def _limits(
    graph: Graph, network: Training, receipt: Mapping[str, Any], cases: Sequence[str]
) -> str:
    """Where it was trained, and what the run's own checks say of it."""
    config, flows = graph.config, receipt["slice"]["splits"]["train"]["reynolds"]
    steps, size = receipt["facts"]["steps"], amount(receipt["facts"]["parameters"])
    lines = [
        f"Small: {size} parameters, {steps} training steps; the paper has many times that.",
        f"Trained on decaying two-dimensional turbulence, periodic, {config.solver.grid} x "
        f"{config.solver.grid} points, Re {min(flows):g} to {max(flows):g}. What it says of other "
        "Re is extrapolation; of other equations, or of measurements, nothing is known from here.",
        "Fields are drawn in patches; a sampler's fit holds for its number of steps alone.",
    ]
    flags = ReportInputs(layout=graph.layout, config=config).table("red_flags")
    own = flags[(flags["method"] == network.method) & flags["case"].isin(cases)]
    lines += [f"On `{it.case}`: {it.message}." for it in own.itertuples()]
    return "\n".join(f"- {line}" for line in lines)


def _citation() -> str:
    """The project, and the works whose claims it tests."""
    citation = Citation.read(checkout() / CITATION)
    works = [f"{', '.join(it.authors)} ({it.year}): {it.title}. {it.url}" for it in citation.works]
    names = ", ".join(author.name for author in citation.authors)
    own = f"{names}: {citation.title} ({CITATION})"
    return "\n".join(f"- {work}" for work in [own, *works])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
