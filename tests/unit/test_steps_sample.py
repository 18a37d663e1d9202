"""Step `sample` reads its own inputs and no other file."""

from flexbench.claims.registry import claim_digests, default_claims, read_claims
from flexbench.config import EvaluationSettings
from flexbench.config.reading import load_config, parse_assignments
from flexbench.graph import Graph
from flexbench.provenance import read_receipt
from flexbench.steps.sample import sample_step
from flexbench.steps.simulate import simulate_step
from flexbench.steps.statistics import statistics_step


def test_an_evaluation_of_own_flows_needs_no_file_of_the_test_split(tiny, tmp_path):
    overrides = parse_assignments([*tiny, f"root={tmp_path}"])
    config = load_config({"tier": "smoke"} | overrides)
    mine = {"mine": EvaluationSettings(seeds=[101])}
    graph = Graph.of(config.model_copy(update={"evaluations": mine}))
    (tested,) = graph.case("superres_x4.mine").runs
    for run in (*graph.runs("train"), tested):
        simulate_step(graph, reynolds=run.reynolds, seed=run.seed, boundary=run.boundary)
    statistics_step(graph, task="superres_x4", observable="w")
    assert not any(path.exists() for path in graph.trajectories("test"))
    sample_step(graph, case="superres_x4.mine", method="interpolation", seed=0)
    made = graph.layout.samples("superres_x4.mine", "interpolation", 0)
    facts = read_receipt(made)["facts"]
    assert facts["tiles"] == 0
    assert facts["claims"] == claim_digests(read_claims(default_claims()))
