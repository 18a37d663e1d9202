"""Step `score`: the scores of one file of samples, snapshot by snapshot."""

from flexbench.atomic import write_text
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.metrics.score import score_samples
from flexbench.provenance import Receipt


def score_step(graph: Graph, *, case: str, method: str, seed: int) -> None:
    """Write the tidy scores and, beside them, the spectra that the figures need."""
    graph.require(case, method)
    step = graph.step("score", case=case, method=method, seed=seed)
    receipt = Receipt(step)
    samples = graph.layout.samples(case, method, seed)
    if not samples.is_file():
        command = f"flexbench sample {case} {method} --seed {seed}"
        raise FlexbenchError(f"{samples}: missing; run `{command}` first")
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
    receipt.write(device="cpu")
