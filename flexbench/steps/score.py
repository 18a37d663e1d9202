"""Step `score`: the scores of one file of samples, snapshot by snapshot."""

from flexbench.atomic import write_text
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.metrics.definitions import DEFINITIONS_VERSION
from flexbench.metrics.score import score_samples
from flexbench.provenance import Receipt, read_receipt, require_settings


def score_step(graph: Graph, *, case: str, method: str, seed: int) -> None:
    """Write the tidy scores and, beside them, the spectra that the figures need."""
    step = graph.step("score", case=case, method=method, seed=seed)
    receipt = Receipt(step)
    samples = graph.layout.samples(case, method, seed)
    command = f"flexbench sample {case} {method} --seed {seed}"
    if not samples.is_file():
        raise FlexbenchError(f"{samples}: missing; run `{command}` first")
    drawn = graph.step("sample", case=case, method=method, seed=seed)
    made = read_receipt(samples)
    if not made:
        raise FlexbenchError(
            f"{samples}: has no receipt beside it, so nothing tells what drew it; `{command}` "
            "draws it again"
        )
    require_settings(drawn, made["slice"], again=command)
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
    receipt.write(device="cpu", definitions=DEFINITIONS_VERSION)
