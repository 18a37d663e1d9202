"""Step `submit`: predictions from elsewhere become samples, with a receipt, a card and a mark."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from flexbench.atomic import write_text
from flexbench.claims.registry import claim_digests, default_claims, read_claims
from flexbench.config import SubmittedSettings
from flexbench.data.samples import Labels, write_samples
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.graph.submitted import FORMAT, FORMAT_VERSION
from flexbench.metrics.tables import SUBMITTED
from flexbench.paths import receipt_of
from flexbench.provenance import Receipt, file_digest
from flexbench.submissions.answer import Answer, answer_files, read_answer
from flexbench.submissions.card import Card, read_card
from flexbench.submissions.request import request_of
from flexbench.submissions.truth import DOUBTED, Nearest, nearest_to_truth


class Taken(NamedTuple):
    """What was taken in. doubts: what is told of it, in lines."""

    method: str
    cases: list[str]
    files: int
    doubts: list[str]


def submit_step(graph: Graph, *, answer: Path, card: Path, replace: bool = False) -> Taken:
    """Check an answer, and put it among the samples; nothing is written before all is checked.

    answer: a file, or a folder of files, one for each case and training seed. card: a YAML file.
    replace: what was submitted under this name before goes. Raises FlexbenchError, in one line, for
    the first thing that is wrong.
    """
    said = read_card(card, graph.config)
    record = graph.layout.submission(said.method)
    if record.exists() and not replace:
        raise FlexbenchError(
            f"{card}: method: '{said.method}' was submitted already ({record}); allowed: another "
            "name, or --replace"
        )
    answers = _read_all(graph, answer_files(answer), said)
    nearest = {it.path: nearest_to_truth(graph, it) for it in answers}
    grown = _with(graph, said, cases=list(dict.fromkeys(it.request.case for it in answers)))
    _remove(graph, said.method)
    for it in answers:
        _write_samples(grown, it, said)
    write_text(record, _record(grown, answers, said))
    for it in answers:
        _write_receipt(grown, it, said, nearest[it.path])
    return Taken(
        method=said.method,
        cases=grown.config.submissions[said.method].cases,
        files=len(answers),
        doubts=list(_doubts(answers, nearest)),
    )


def _read_all(graph: Graph, paths: list[Path], card: Card) -> list[Answer]:
    """One file of each training seed for each case; FlexbenchError for fewer, or more."""
    requests = cache(lambda case: request_of(graph, case))
    answers = [
        read_answer(path, requests, cases=graph.cases, ensemble=card.ensemble) for path in paths
    ]
    seeds = ", ".join(map(str, card.training_seeds))
    found: dict[tuple[str, int], Path] = {}
    for it in answers:
        place = (it.request.case, it.training_seed)
        if it.training_seed not in card.training_seeds:
            raise FlexbenchError(
                f"{it.path}: training_seed: found {it.training_seed}; allowed: {seeds}, as the "
                "card says"
            )
        if place in found:
            raise FlexbenchError(
                f"{it.path}: training_seed: {found[place]} answers case '{place[0]}' with seed "
                f"{place[1]}, too; allowed: one file for each"
            )
        found[place] = it.path
    for case in dict.fromkeys(case for case, _ in found):
        for seed in card.training_seeds:
            if (case, seed) not in found:
                raise FlexbenchError(
                    f"{paths[0].parent}: training_seed: no file answers case '{case}' with seed "
                    f"{seed}; needed: {seeds}, as the card says"
                )
    # In the order of the configuration, whatever files are called.
    order = {case: place for place, case in enumerate(graph.cases)}
    return sorted(answers, key=lambda it: (order[it.request.case], it.training_seed))


def _with(graph: Graph, card: Card, *, cases: list[str]) -> Graph:
    """The graph that has the submission in it."""
    own = SubmittedSettings(cases=cases, training_seeds=card.training_seeds, ensemble=card.ensemble)
    submitted = graph.config.submissions | {card.method: own}
    root = str(graph.layout.root.absolute())
    return Graph.of(graph.config.model_copy(update={"submitted": submitted, "root": root}))


def _remove(graph: Graph, method: str) -> None:
    """What was submitted under this name before, receipts first."""
    if not graph.is_submitted(method):
        return
    for job in (job for job in graph.jobs if job.method == method):
        samples = graph.layout.samples(job.case, method, job.seed)
        receipt_of(samples).unlink(missing_ok=True)
        samples.unlink(missing_ok=True)
    graph.layout.submission(method).unlink(missing_ok=True)


def _write_samples(graph: Graph, answer: Answer, card: Card) -> None:
    request = answer.request
    rollout = graph.case(request.case).settings
    write_samples(
        graph.layout.samples(request.case, card.method, answer.training_seed),
        (answer.ensemble(row) for row in range(len(request.snapshots))),
        snapshots=request.snapshots,
        shape=(answer.members, *request.shape[1:]),
        labels=Labels(
            case=request.case,
            method=card.method,
            mode=SUBMITTED,
            training_seed=answer.training_seed,
            sampler="none",
            steps=0,
            parameters=card.parameters or 0,
            flops=0.0,
            calls=0,
            feedback=rollout.feedback if rollout.leads > 1 else "none",
        ),
    )


def _record(graph: Graph, answers: Iterable[Answer], card: Card) -> str:
    """What the graph has to know, what was asked for, and the card."""
    known = graph.config.submissions[card.method].model_dump()
    values = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "method": card.method,
        "mark": SUBMITTED,
        **known,
        "requests": {it.request.case: it.request.digest for it in answers},
        "card": card.model_dump(),
    }
    return json.dumps(values, indent=1) + "\n"


def _write_receipt(graph: Graph, answer: Answer, card: Card, nearest: Nearest) -> None:
    request = answer.request
    step = graph.source(request.case, card.method, answer.training_seed)
    Receipt(step).write(
        mark=SUBMITTED,
        request=request.digest,
        answer={"file": answer.path.name, "sha256": file_digest(answer.path)},
        card=card.model_dump(),
        members=answer.members,
        nearest_to_truth=nearest.error,
        claims=claim_digests(read_claims(default_claims())),
    )


def _doubts(answers: Iterable[Answer], nearest: Mapping[Path, Nearest]) -> Iterable[str]:
    for answer in answers:
        found = nearest[answer.path]
        if found.error < DOUBTED:
            yield (
                f"{answer.path}: {found.what} of row {found.row} is within {found.error:.2%} of "
                "the truth, nearer than predictions come: was it seen?"
            )
