"""Who is warned that bfloat16 takes ten times as long here, and who is not."""

from pathlib import Path

import pytest

from flexbench.config.reading import load_config
from flexbench.graph import Graph
from flexbench.machine import rounding
from flexbench.machine.rounding import slow_rounding

# As Linux describes processors: x86 without and with instructions, Arm, and one it knows little of.
OLD = "processor\t: 0\nflags\t\t: fpu sse2 avx2 fma avx512f\n\nprocessor\t: 1\nflags\t\t: fpu\n"
NEW = "processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 amx_tile\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd i8mm bf16\n"
UNKNOWN = "processor\t: 0\n"


def told(tmp_path, text, **values):
    """Of a CPU that is described like this, whatever this machine has."""
    described = tmp_path / "cpuinfo"
    described.write_text(text)
    graph = Graph.of(load_config({"tier": "smoke", "device": "cpu"} | values))
    return slow_rounding(graph, processor=described)


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ({}, []),
        ({"train": {"precision": "bfloat16"}}, ["train.precision"]),
        ({"sample": {"precision": "bfloat16"}}, ["sample.precision"]),
        (
            {"train": {"precision": "bfloat16"}, "sample": {"precision": "bfloat16"}},
            ["train.precision", "sample.precision"],
        ),
        ({"method_settings": {"unet": {"train": {"precision": "bfloat16"}}}}, ["train.precision"]),
        (
            {"evaluations": {"rounded": {"sample": {"precision": "bfloat16"}}}},
            ["sample.precision"],
        ),
    ],
)
def test_old_processors_are_named_with_what_helps(tmp_path, values, keys):
    lines = told(tmp_path, OLD, **values)
    assert len(lines) == bool(keys)
    for line in lines:
        assert line.startswith(f"{' and '.join(keys)}: bfloat16")
        assert line.endswith(" ".join(f"--set {key}=float32" for key in keys))


@pytest.mark.parametrize("text", [NEW, ARM, UNKNOWN])
def test_of_others_nothing_is_said(tmp_path, text):
    assert told(tmp_path, text, train={"precision": "bfloat16"}) == []


def test_where_there_is_no_such_file_nothing_is_said(tmp_path):
    config = load_config({"tier": "smoke", "device": "cpu", "train": {"precision": "bfloat16"}})
    assert slow_rounding(Graph.of(config), processor=tmp_path / "none") == []


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_gpu_is_quick_at_it_unless_it_is_left_out(tmp_path, monkeypatch, device):
    monkeypatch.setattr(rounding, "_GPUS", (Path(__file__),))
    found = told(tmp_path, OLD, device=device, train={"precision": "bfloat16"})
    assert bool(found) == (device == "cpu")
