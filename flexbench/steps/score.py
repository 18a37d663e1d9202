"""Step `score`: the scores of one file of samples, snapshot by snapshot."""

from pathlib import Path

from flexbench.atomic import write_text
from flexbench.data.samples import Samples
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.metrics.definitions import DEFINITIONS_VERSION
from flexbench.metrics.score import score_samples
from flexbench.metrics.tables import SUBMITTED
from flexbench.provenance import Receipt, name_in, read_receipt, require_bytes, require_settings


def score_step(graph: Graph, *, case: str, method: str, seed: int) -> None:
    """Write the tidy scores and, beside them, the spectra that the figures need."""
    step = graph.step("score", case=case, method=method, seed=seed)
    receipt = Receipt(step)
    samples = graph.layout.samples(case, method, seed)
    digests = _require_drawn(graph, samples, case=case, method=method, seed=seed)
    trajectories = {path.stem: path for path in graph.tested(case)}
    scored = score_samples(
        samples,
        trajectories,
        case=case,
        observable=graph.case(case).settings.observable,
        vorticity=graph.config.data is None or graph.config.data.is_vorticity,
        tier=graph.config.tier,
        bands=graph.config.score.bands,
    )
    write_text(step.outputs[0], scored.scores.to_csv(index=False))
    write_text(step.outputs[1], scored.spectra.to_csv(index=False))
    receipt.write(hashes=digests, device="cpu", definitions=DEFINITIONS_VERSION)


def _require_drawn(
    graph: Graph, samples: Path, *, case: str, method: str, seed: int
) -> dict[Path, str]:
    """FlexbenchError unless samples are what their receipt and their place say: the file that was
    drawn, or submitted, of this method, as the configuration asks for it.

    The digests of what was read for it.
    """
    command = f"flexbench sample {case} {method} --seed {seed}"
    if graph.is_submitted(method):
        command = "flexbench submit ANSWER --card CARD --replace"
    if not samples.is_file():
        raise FlexbenchError(f"{samples}: missing; run `{command}` first")
    drawn, made = graph.source(case, method, seed), read_receipt(samples)
    if not made:
        raise FlexbenchError(
            f"{samples}: has no receipt beside it, so nothing tells what drew it; `{command}` "
            "makes both again"
        )
    require_settings(drawn, made["slice"], again=command)
    digests = {samples: require_bytes(samples, made["outputs"].get(samples.name), again=command)}
    if graph.is_submitted(method):
        # The card, and the truth: of what is drawn here, Snakemake looks after the inputs.
        for path in drawn.inputs:
            known = made["inputs"].get(name_in(drawn, path))
            digests[path] = require_bytes(path, known, again=command, of=samples)
    _require_labels(graph, samples, method=method, seed=seed, again=command)
    return digests


def _require_labels(graph: Graph, path: Path, *, method: str, seed: int, again: str) -> None:
    """A file says itself whose samples it holds: every row of its scores repeats that."""
    with Samples(path) as samples:
        labels = samples.labels
    submitted = graph.is_submitted(method)
    found = (labels.method, labels.training_seed, labels.mode == SUBMITTED)
    if found != (method, seed, submitted):
        asked = f"method '{method}', training seed {seed}, {'' if submitted else 'not '}submitted"
        raise FlexbenchError(
            f"{path}: its labels say method '{labels.method}', training seed "
            f"{labels.training_seed}, mode '{labels.mode}'; allowed: {asked}; `{again}` "
            "makes it anew"
        )
