"""The sizes of a run's networks: counted right, and once."""

import json
import subprocess
import sys
import warnings

import pytest
import torch

from flexbench import registry
from flexbench.config.reading import load_config
from flexbench.graph import Graph
from flexbench.planning.facts import RunFacts
from flexbench.planning.networks import count, digest, network_sizes, request_of, sizes_file
from flexbench.sizing.matching import build_network


@pytest.fixture
def graph_of(tmp_path):
    """The graph of `smoke`, with its results in a folder of the test's own."""

    def make(**overrides):
        return Graph.of(load_config({"tier": "smoke", "root": str(tmp_path), **overrides}))

    return make


def test_the_size_of_a_network_of_two_tasks(graph_of):
    """One encoder more, and the work of a patch is the mean of what each task's patch takes."""
    facts = RunFacts.of(graph_of(method_settings={"flex-multi": {"narrow": False}}))
    both = facts.network("forecast", "flex-multi")
    alone = [facts.network(task, "flex") for task in ("superres_x4", "forecast")]
    assert facts.network("superres_x4", "flex-multi") == both
    assert alone[1].parameters < both.parameters < sum(size.parameters for size in alone)
    assert both.denoise == alone[0].denoise == alone[1].denoise
    assert both.encode == pytest.approx(sum(size.encode for size in alone) / 2, abs=1)
    assert both.saved_bytes == pytest.approx(alone[0].saved_bytes, rel=0.1)


@pytest.mark.parametrize(
    ("training", "method"),
    [("superres_x4+forecast", "flex-multi"), ("forecast", "flex"), ("forecast", "uvit")],
)
def test_a_network_is_planned_as_it_is_trained(graph_of, training, method):
    graph = graph_of()
    request = request_of(graph, training, method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network, built = build_network(
            request.network, request.problem, size=request.size, narrow=request.narrow
        )
    found = network_sizes(graph)[training, method]
    assert found.parameters == built.footprint.parameters
    assert (found.encode, found.denoise) == (
        built.footprint.flops.encode,
        built.footprint.flops.denoise,
    )
    assert found.state_bytes == sum(tensor.nbytes for tensor in network.state_dict().values())


def test_saved_bytes_are_what_autograd_keeps(graph_of):
    """On the CPU, with real memory, the same network keeps as much, but for its own attention."""
    request = request_of(graph_of(), "superres_x4", "unet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network, _ = build_network("unet", request.problem, size=request.size)
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    side = (1, 1, request.problem.patch, request.problem.patch)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network.train()(torch.randn(side), torch.rand(1), torch.rand(1, 1), torch.randn(side))
    assert count({request: "a method"})[request].saved_bytes == pytest.approx(
        sum(size for size, _ in kept.values()),
        rel=0.1,  # attention keeps less where its kernel is fused
    )


# --- what is kept ----------------------------------------------------------------------------


def test_a_size_is_of_its_code(graph_of, tmp_path):
    """A user's network is counted, and known again by its code, not by its name or place."""
    text = registry.facts("unet").path.read_text()
    found = []
    for folder, content in (("a", text), ("b", text), ("c", f"{text}\nADDED = 1\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(content)
        own = graph_of(methods=["mine"], baseline_folders=[str(tmp_path / folder)])
        found.append(digest(request_of(own, "forecast", "mine")))
    assert found[0] == found[1] != found[2]
    mine, unet = network_sizes(own), network_sizes(graph_of())
    assert mine["forecast", "mine"] == unet["forecast", "unet"]


def test_what_was_counted_is_read(graph_of, tmp_path):
    first = network_sizes(graph_of(methods=["fno"]))
    known = json.loads(sizes_file(tmp_path).read_text())
    assert len(known) == len(first) == 2
    for size in known.values():
        size["parameters"] = 7
    sizes_file(tmp_path).write_text(json.dumps(known))
    both = network_sizes(graph_of(methods=["fno", "dit"]))
    assert both["forecast", "fno"].parameters == 7, "not counted again"
    assert both["forecast", "dit"].parameters > 7
    assert len(json.loads(sizes_file(tmp_path).read_text())) == 4


def test_a_plan_of_known_networks_needs_no_torch(graph_of, tmp_path):
    expected = network_sizes(graph_of(methods=["fno"]))
    lines = [
        "import sys",
        "from flexbench.config.reading import load_config",
        "from flexbench.graph import Graph",
        "from flexbench.planning.networks import network_sizes",
        f"settings = {{'tier': 'smoke', 'root': {str(tmp_path)!r}, 'methods': ['fno']}}",
        "print(network_sizes(Graph.of(load_config(settings))))",
        "assert 'torch' not in sys.modules",
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(expected)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 3}', '{"a": {"parameters": 1}}', "\x00"])
def test_a_broken_file_is_counted_anew(graph_of, tmp_path, text):
    sizes_file(tmp_path).write_text(text)
    found = network_sizes(graph_of(methods=["fno"]))
    assert found["forecast", "fno"].parameters > 1
    assert len(json.loads(sizes_file(tmp_path).read_text())) == 2


def test_sizes_that_cannot_be_kept_are_counted_all_the_same(graph_of, tmp_path):
    """Here, because a file stands where the folder of the results should be."""
    root = tmp_path / "taken"
    root.write_text("")
    found = network_sizes(graph_of(methods=["fno"], root=str(root)))
    assert found["forecast", "fno"].parameters > 1
    assert root.read_text() == ""
