"""Code digests follow the code and nothing else; receipts say what made a file."""

import json
import socket
import sys
from pathlib import Path

import pytest

from flexbench import provenance
from flexbench.errors import FlexbenchError
from flexbench.provenance import (
    Receipt,
    Step,
    code_digest,
    digest_of,
    file_digest,
    kernels,
    name_in,
    plain,
    read_receipt,
)


def digest(path):
    for cached in (provenance._closure, provenance._read, code_digest):
        cached.cache_clear()
    return code_digest("steps.score", path)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text('"""A network."""\n\ndef build():\n    """Builds."""\n    return 1\n')
    return path


def test_comments_and_docstrings_do_not_count(source):
    before = digest(source)
    source.write_text('"""Another text."""\n# why\ndef build():\n    """No."""\n    return 1\n')
    assert digest(source) == before


def test_a_changed_value_counts(source):
    before = digest(source)
    source.write_text(source.read_text().replace("return 1", "return 2"))
    assert digest(source) != before


def test_an_import_of_the_package_counts(source):
    before = digest(source)
    source.write_text("from flexbench.diffusion import sampler\n" + source.read_text())
    assert digest(source) != before
    names = {path.name for path in provenance._closure(source)}
    assert {"mine.py", "sampler.py", "schedule.py"} <= names


@pytest.mark.parametrize(
    "text",
    [
        "class Mine:\n    def build(self):\n        from flexbench.diffusion import sampler\n",
        "try:\n    pass\nexcept OSError:\n    import flexbench.diffusion.sampler\n",
        "if 1 > 2:\n    pass\nelse:\n    import flexbench.diffusion.sampler\n",
        "try:\n    pass\nfinally:\n    import flexbench.diffusion.sampler\n",
        "match 1:\n    case 1:\n        import flexbench.diffusion.sampler\n",
    ],
    ids=["function", "except", "else", "finally", "match"],
)
def test_imports_are_found_wherever_they_stand(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    assert "sampler.py" in {found.name for found in provenance._closure(path)}


def test_scoring_does_not_depend_on_networks():
    names = {str(p) for p in provenance._closure(provenance._source_of("flexbench.steps.score"))}
    assert not any("/models/" in name or "/training/" in name for name in names)
    assert any("/metrics/" in name for name in names)


@pytest.fixture
def step(tmp_path):
    """A step that was run: one output from one input, and one input that is not there."""
    output, source = tmp_path / "out" / "a.txt", tmp_path / "in.txt"
    output.parent.mkdir()
    output.write_text("result")
    source.write_text("cause")
    inputs = (source, tmp_path / "gone.txt")
    return Step(
        name="score",
        folder=tmp_path,
        outputs=(output,),
        inputs=inputs,
        slice={"k": (4,)},
        code="c0de",
    )


def test_a_receipt_names_bytes_slice_and_code(step):
    Receipt(step).write(seed=7)
    output, (source, _) = step.outputs[0], step.inputs
    receipt = read_receipt(output)
    assert receipt["step"] == "score"
    assert receipt["outputs"] == {"a.txt": file_digest(output)}
    assert receipt["inputs"] == {"../in.txt": file_digest(source)}
    assert receipt["bytes"] == {"a.txt": 6, "../in.txt": 5}
    assert receipt["slice"] == {"k": [4]} == plain(step.slice)
    assert receipt["slice_digest"] == digest_of({"k": [4]})
    assert receipt["code_digest"] == "c0de"
    assert receipt["facts"] == {"seed": 7}
    assert receipt["seconds"] >= 0
    assert receipt["peak_memory_mib"] > 1
    assert receipt["processor"]
    assert json.loads(json.dumps(receipt)) == receipt


def test_a_receipt_tells_nothing_of_the_host(step):
    Receipt(step).write()
    text = step.receipt.read_text()
    assert socket.gethostname() not in text
    assert str(step.outputs[0].parent.parent) not in text


def test_a_hash_that_is_known_is_taken(step):
    assert Receipt(step).write(hashes={step.inputs[0]: "known"})["inputs"] == {"../in.txt": "known"}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"outputs": 3}'])
def test_a_spoilt_receipt_is_an_error(step, text):
    step.receipt.write_text(text)
    with pytest.raises(FlexbenchError, match="receipt"):
        read_receipt(step.outputs[0])


NAMES = [
    # results folder, output, input, the name
    ("r/smoke", "r/smoke/data/a.h5", "r/smoke/data/b.json", "b.json"),
    ("r/smoke", "r/smoke/scores/t/m/s.csv", "r/smoke/data/b.h5", "../../../data/b.h5"),
    ("r/smoke", "r/smoke/report.html", "r/smoke/tables/x.csv", "tables/x.csv"),
    ("/r/smoke", "/r/smoke/data/a.h5", "/r/smoke/x/../data/b.h5", "b.h5"),
    ("r/smoke", "r/smoke/data/a.h5", "/my/data.nc", "elsewhere:data.nc"),
    ("r/smoke", "r/smoke/data/a.h5", "../data.nc", "elsewhere:data.nc"),
    ("/deep/er/r/smoke", "/deep/er/r/smoke/data/a.h5", "/my/data.nc", "elsewhere:data.nc"),
    ("/r/smoke", "/r/smoke/data/a.h5", "/r/data.nc", "elsewhere:data.nc"),
    ("/r/smoke", "/r/smoke/data/a.h5", "/r/smoke-2/data.nc", "elsewhere:data.nc"),
    ("/r/smoke", "/r/smoke/data/a.h5", "/r/smoke/..data.nc", "../..data.nc"),
]


@pytest.mark.parametrize(("folder", "output", "path", "name"), NAMES)
def test_names_of_inputs_survive_a_move_of_either(folder, output, path, name):
    paths = {"folder": Path(folder), "outputs": (Path(output),), "inputs": (Path(path),)}
    assert name_in(Step(name="score", slice={}, code="", **paths), Path(path)) == name


def test_no_receipt_is_an_empty_one(tmp_path):
    assert read_receipt(tmp_path / "nothing") == {}


def test_a_receipt_says_which_instructions_torch_computes_with(monkeypatch):
    import torch

    assert kernels() == {"kernels": torch.backends.cpu.get_cpu_capability()}
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert kernels()["kernels"].endswith(" ONEDNN_MAX_CPU_ISA=SSE41")
    monkeypatch.delitem(sys.modules, "torch")
    assert kernels() == {}
