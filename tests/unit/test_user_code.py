"""What a user's own network or formula can do wrong: one line, with the line of the file."""

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from flexbench import registry, user_code
from flexbench.cli import _in_words
from flexbench.cli.app import Tee
from flexbench.config import DiffusionSettings
from flexbench.errors import FlexbenchError
from flexbench.inference.predictors import FormulaPredictor
from flexbench.methods import make_method
from flexbench.sizing.matching import build_network
from flexbench.spec import ProblemSpec

PROBLEM = ProblemSpec(task="superres", condition_channels=1, patch=16)

NETWORK = """\
import sys
import torch
from torch import nn
TASKS = ("superres",)
WIDTH_STEP = 2
class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.into, self.out = nn.Conv2d(2, width, 1), nn.Conv2d(width, 1, 1)
    def encode(self, condition, re):
        return [condition]
    def denoise(self, noisy, t, re, encoded):
        return self.out(self.into(torch.cat([noisy, encoded[0]], 1)))
    def forward(self, noisy, t, re, condition):
        return self.denoise(noisy, t, re, self.encode(condition, re))
def build(problem, *, width):
    return Net(width)
"""
FORMULA = """\
import sys
TASKS = ("superres",)
def predict(example, task):
    return example.base
"""


@pytest.fixture
def mine(tmp_path):
    """Writes a file, and does with it what a run does; the file is the line's beginning."""

    def write(text):
        name = f"mine_{abs(hash(text))}"
        (tmp_path / f"{name}.py").write_text(text)
        return name, [str(tmp_path)], tmp_path / f"{name}.py"

    return write


def told(do, *arguments):
    with pytest.raises((Exception, SystemExit)) as caught:
        do(*arguments)
    error = caught.value
    text = str(error) if isinstance(error, FlexbenchError) else user_code.told(error)
    assert text is not None, "nobody is blamed"
    assert "\n" not in text
    return text


def built(name, folders):
    network, _ = build_network(name, PROBLEM, size="XXS", width=8, baseline_folders=folders)
    example = SimpleNamespace(
        condition=torch.zeros(2, 1, 16, 16),
        re=torch.zeros(2, 1),
        residual=torch.zeros(2, 1, 16, 16),
    )
    method = make_method(network, problem=PROBLEM, settings=DiffusionSettings(), mode="regressor")
    method.loss(example, torch.Generator())


def predicted(name, folders):
    example = SimpleNamespace(base=torch.zeros(1, 1, 16, 16))
    module = registry.load(name, folders)
    FormulaPredictor(module.predict, {}).predict(example, None, None)


def test_healthy_files_are_taken(mine):
    built(*mine(NETWORK)[:2])
    predicted(*mine(FORMULA)[:2])


# (what is replaced, by what, line, message)
NETWORKS = {
    "syntax": ("import sys", "import sys,", 1, "not valid Python"),
    "import": ("import sys", "import no_such_package", 1, "ModuleNotFoundError"),
    "exit at import": ("WIDTH_STEP = 2", "WIDTH_STEP = 2; sys.exit(0)", 5, "ends the program"),
    "exit": ("return Net(width)", "sys.exit()", 17, "ends the program"),
    "no network": ("return Net(width)", "return None", 16, "build returned None, must be a torch"),
    "class": ("return Net(width)", "return Net", 16, "build returned type, must be"),
    "division": ("return Net(width)", "return Net(width // 0)", 17, "ZeroDivisionError"),
    "no width": ("(problem, *, width)", "(problem)", 16, "unexpected keyword argument 'width'"),
    "more wanted": ("(problem, *, width)", "(problem, depth, *, width)", 16, "'depth'"),
    "no denoise": ("def denoise", "def denoiser", 16, "a Net without denoise"),
    "no forward": ("def forward", "def forwards", 16, "a Net without forward"),
    "no weights": ("return Net(width)", "return nn.Module()", 16, "any parameter"),
    "wrong sum": ("nn.Conv2d(2, width", "nn.Conv2d(3, width", 13, "RuntimeError"),
    "shape": ("return self.out(", "return self.into(", 12, "denoise returned torch.Tensor of"),
    "squeezed": ("encoded[0]], 1)))", "encoded[0]], 1)))[0]", 12, "of shape (1, 16, 16), must be"),
    "type": (
        "return self.out(",
        "return None and (",
        12,
        "denoise returned None, must be a tensor",
    ),
    "complex": (
        "encoded[0]], 1)))",
        "encoded[0]], 1))) * 1j",
        12,
        "must be a tensor of torch.float32",
    ),
    "double": ("encoded[0]], 1)))", "encoded[0]], 1))).double()", 12, "of torch.float64, of shape"),
    "features": ("return [condition]", "return condition", 10, "must be a list of tensors"),
    "no features": ("return [condition]", "pass", 10, "encode returned None, must be a list"),
    "arguments": ("noisy, t, re, encoded)", "noisy, t, encoded)", 12, "too many positional"),
    "values": (
        "return [condition]",
        "return [condition] if condition.sum() > 0 else 1",
        11,
        "meta",
    ),
    "numpy": ("return [condition]", "return [condition.numpy()]", 11, "Error"),
    "forward": (
        "return self.denoise(",
        "return self.denoise(noisy[:1], t, re, [0]) or (",
        13,
        "Err",
    ),
    "other forward": (
        "return self.denoise(noisy, t, re, self.encode(condition, re))",
        "return condition.mean()",
        14,
        "forward returned torch.Tensor of torch.float32, of shape ()",
    ),
    "memory": ("return Net(width)", "return Net(2**62)", 9, "Error"),
    "recursion": ("return Net(width)", "return build(problem, width=width)", 17, "RecursionError"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network(mine, name):
    old, new, line, message = NETWORKS[name]
    assert old in NETWORK
    *words, path = mine(NETWORK.replace(old, new))
    text = told(built, *words)
    assert text.startswith(f"{path}:{line}: "), text
    assert message in text


FORMULAS = {
    "nothing": ("return example.base", "pass", 3, "predict returned None, must be a tensor"),
    "numpy": ("example.base", "example.base.numpy()", 3, "predict returned numpy.ndarray of float"),
    "shape": ("example.base", "example.base[0]", 3, "of shape (1, 16, 16), must be a tensor"),
    "whole numbers": ("example.base", "example.base.int()", 3, "of torch.int32"),
    "double": ("example.base", "example.base.double()", 3, "must be a tensor of torch.float32"),
    "number": ("example.base", "1.0", 3, "predict returned float"),
    "division": ("example.base", "1 / 0", 4, "ZeroDivisionError: division by zero"),
    "missing": ("example.base", "example.truths", 4, "AttributeError"),
    "exit": ("example.base", "sys.exit('enough')", 4, "exit code 'enough'"),
    "arguments": ("(example, task)", "(example)", 3, "predict: too many positional arguments"),
    "assertion": ("return", "assert False; return", 4, "AssertionError"),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula(mine, name):
    old, new, line, message = FORMULAS[name]
    *words, path = mine(FORMULA.replace(old, new))
    text = told(predicted, *words)
    assert text.startswith(f"{path}:{line}: "), text
    assert message in text


def test_the_whole_trace_stands_beside_the_log(mine, tmp_path, monkeypatch):
    (tmp_path / "logs").mkdir()
    monkeypatch.setattr(sys, "stderr", Tee(tmp_path / "logs" / "seed0.log", sys.stderr))
    for text in (FORMULA.replace("example.base", "1 / 0"), "1 / 0\n" + FORMULA):
        *words, path = mine(text)
        with pytest.raises(Exception) as caught:  # noqa: PT011
            predicted(*words)
        trace = tmp_path / "logs" / "seed0.trace"
        place = (
            f"{path}:{text[: text.index('1 / 0')].count(chr(10)) + 1}: ZeroDivisionError: division"
        )
        assert _in_words(caught.value).startswith(place)
        assert _in_words(caught.value).endswith(f" (whole trace: {trace})")
        assert trace.read_text().startswith("Traceback")
        assert str(path) in trace.read_text()


def test_an_error_of_our_own_is_nobody_elses():
    with pytest.raises(ZeroDivisionError) as caught:
        1 / 0  # noqa: B018
    assert user_code.told(caught.value) is None


@pytest.mark.parametrize("waiting", ["while True: pass", "import time; time.sleep(1000)"])
def test_a_file_without_an_end_is_given_up(mine, waiting):
    name, folders, path = mine(FORMULA + waiting)
    code = (
        "from flexbench import registry, user_code; user_code.SECONDS = 0.5;"
        f"registry.load({name!r}, {folders!r})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    line = rf"flexbench: error: {re.escape(str(path))}:5: loading it was not over after 0.5 s; .*\n"
    assert re.fullmatch(line, done.stderr), done.stderr
