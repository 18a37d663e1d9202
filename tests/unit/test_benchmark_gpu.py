"""The benchmark of GPUs: every branch at toy size on a CPU, and what it does where a part fails."""

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from gpu_parts import PARTS
from gpu_parts.agreement import difference, gradient_difference
from gpu_parts.backend import PRECISIONS, Cpu, backend_of
from gpu_parts.part import Case, Part
from gpu_parts.report import FORMATS, require_format, save
from gpu_parts.run import run_parts
from gpu_parts.solver import fft_bytes

from flexbench.errors import FlexbenchError
from flexbench.paths import checkout

SCRIPT = checkout() / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def dry(tmp_path_factory):
    """What a dry run printed and saved."""
    folder = tmp_path_factory.mktemp("gpu")
    compiler = {
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "compiled"),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }
    found = subprocess.run(
        [sys.executable, SCRIPT, "--dry", "--output", folder / "it.json", folder / "it.md"],
        env={**os.environ, **compiler, "COLUMNS": "200", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=400,
    )
    return found.stdout, json.loads((folder / "it.json").read_text()), folder / "it.md"


@pytest.mark.slow
def test_a_dry_run_gives_every_part_finite_numbers_or_a_reason(dry):
    printed, parts, markdown = dry
    assert [part["part"] for part in parts] == [part.name for part in PARTS]
    for part, wanted in zip(parts, PARTS, strict=True):
        assert not part["left_out"]
        assert part["rows"]
        assert wanted.title in printed
        assert wanted.title in markdown.read_text()
        for row in part["rows"]:
            numbers = row["numbers"]
            if row["left_out"]:
                # Without a C++ compiler; nothing else has an excuse on a CPU.
                assert part["part"] == "compiled"
                assert "compiler" in row["left_out"].lower()
                continue
            assert numbers.keys() == wanted.columns.keys()
            assert all(math.isfinite(it) for it in numbers.values() if not isinstance(it, str))


@pytest.mark.slow
def test_on_a_cpu_float32_agrees_to_the_bit_and_resuming_gives_the_same_weights(dry):
    rows = {part["part"]: part["rows"] for part in dry[1]}
    exact = [row["numbers"] for row in rows["agreement"] if row["case"].endswith("float32")]
    rounded = [row["numbers"] for row in rows["agreement"] if row["case"].endswith("bfloat16")]
    assert len(exact) == len(rounded) == 5
    for numbers in exact:
        assert numbers["velocity"] == numbers["gradient"] == numbers["sample"] == 0
    for numbers in rounded:
        assert 0 < numbers["velocity"] < 0.1
    assert [row["numbers"]["equal bits"] for row in rows["resume"]] == ["yes"] * 4
    losses = [float(row["numbers"]["validation loss"]) for row in rows["desk"][1:]]
    assert all(0 < loss < 2 for loss in losses)


def number():
    return {"n": 1.0}


def part(name, *measures, **changes):
    """A part with these cases, of which the first is sound."""

    def cases(bench):
        for place, measure in enumerate([number, *measures]):
            yield Case(f"case {place}", measure)

    defaults = {"weight": 1, "least": 0, "title": name, "about": "", "columns": {"n": ".1f"}}
    return Part(name=name, cases=cases, **(defaults | changes))


def results_of(parts, seconds=60.0, tell=lambda results: None):
    with tempfile.NamedTemporaryFile() as log:
        options = {"kind": "cpu", "dry": True, "seconds": seconds, "tell": tell}
        found = list(run_parts(parts, log=Path(log.name), **options))[-1]
    return {result.part.name: result for result in found}


def fails():
    raise ValueError("of no use\nat all")


def impossible():
    return {"n": torch.empty(2**62, dtype=torch.uint8).numel()}


def test_a_case_that_fails_is_left_out_with_its_reason_and_the_rest_goes_on():
    found = results_of(
        [part("first", fails, impossible, lambda: {"n": math.nan}, number), part("second")]
    )
    sound, failed, large, odd, last = found["first"].rows
    assert sound.numbers == last.numbers == {"n": 1.0}
    assert failed.left_out == "ValueError: of no use at all"
    assert "memory" in large.left_out
    assert odd.left_out == "not finite: n"
    assert not found["first"].left_out
    assert [row.numbers for row in found["second"].rows] == [{"n": 1.0}]


def test_a_part_that_fails_dies_or_hangs_keeps_its_rows_and_the_rest_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("gpu_parts.run.GRACE", 0.5)

    def broken(bench):
        yield Case("case 0", number)
        raise FlexbenchError("no such device")

    def killed():
        os.kill(os.getpid(), signal.SIGKILL)

    saved = []

    def tell(results):
        save(results, tmp_path / "it.json")
        saved.append(json.loads((tmp_path / "it.json").read_text()))

    parts = [
        part("broken"),
        part("killed", killed),
        part("hangs", lambda: time.sleep(600), weight=0.1),
        part("sound", weight=10),
    ]
    parts[0] = Part(**{**vars(parts[0]), "cases": broken})
    found = results_of(parts, seconds=40, tell=tell)
    assert found["broken"].left_out == "FlexbenchError: no such device"
    assert found["killed"].left_out == "its process died by SIGKILL at: case 1"
    assert found["hangs"].left_out.endswith("its limit, at: case 1")
    assert not found["sound"].left_out
    for result in found.values():
        assert [row.numbers for row in result.rows] == [{"n": 1.0}]
    # The row of the part that hangs was kept before it was ended.
    assert any(
        it[-1]["part"] == "hangs" and it[-1]["rows"] and not it[-1]["left_out"] for it in saved
    )


def test_what_does_not_fit_into_the_time_is_left_out():
    found = results_of([part("long", least=50), part("short", least=1)], seconds=30)
    assert found["long"].left_out == "not begun: it needs 50 s, its share is 15 s"
    assert not found["long"].rows
    assert not found["short"].left_out
    assert found["short"].share == pytest.approx(30, abs=2)


def test_cases_beyond_the_share_are_not_begun():
    slow = part("slow", lambda: time.sleep(1.5) or number(), number)
    found = results_of([slow, part("rest", weight=29)], seconds=30)
    # The share is a second; a case that has begun may end in the grace after it.
    reasons = [row.left_out for row in found["slow"].rows]
    assert reasons == ["", "", "not begun: the part's time was over"]
    assert not found["slow"].left_out


def test_without_the_machine_nothing_is_begun():
    found = results_of([part("machine", fails, needed=True), part("other")])
    assert not found["other"].left_out
    broken = Part(**{**vars(part("machine", needed=True)), "cases": lambda bench: fails()})
    found = results_of([broken, part("other")])
    assert found["other"].left_out == "not begun: part machine failed"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_script_says_so(tmp_path):
    found = subprocess.run(
        [sys.executable, SCRIPT],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert found.returncode == 1
    assert "torch sees no GPU" in " ".join(found.stdout.split())
    # The whole error is kept.
    (log,) = tmp_path.glob("flexbench-gpu-*.log")
    assert "Traceback" in log.read_text()
    assert "flexbench.errors.FlexbenchError: torch sees no GPU" in log.read_text()
    with pytest.raises(FlexbenchError, match="torch sees no GPU"):
        backend_of("cuda")


def test_unknown_kinds_are_errors():
    with pytest.raises(FlexbenchError, match="allowed: cpu, cuda"):
        backend_of("tpu")
    with pytest.raises(KeyError), Cpu().precision("float16"):
        pass
    with pytest.raises(FlexbenchError, match=r"allowed endings: \.md, \.json"):
        require_format(Path("it.txt"))
    assert FORMATS.keys() == {".md", ".json"}


def test_a_precision_leaves_torch_as_it_was():
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    former = [flag.allow_tf32 for flag in flags]
    for name, wanted in PRECISIONS.items():
        with Cpu().precision(name):
            inside = [flag.allow_tf32 for flag in flags]
            assert inside == [wanted.products, wanted.convolutions]
            product = torch.ones(2, 2) @ torch.ones(2, 2)
            assert (product.dtype == torch.bfloat16) is wanted.bfloat16
        assert [flag.allow_tf32 for flag in flags] == former


def test_differences_are_relative_to_the_largest_value():
    wanted, found = torch.tensor([1.0, -4.0]), torch.tensor([1.1, -4.0])
    assert difference(found, wanted) == pytest.approx(0.025)
    # A tensor of round-off alone is held against a tenth of the largest.
    noise = torch.tensor([1e-9]), torch.tensor([2e-9])
    assert gradient_difference([found, noise[0]], [wanted, noise[1]]) == pytest.approx(0.025)


def test_bytes_of_transforms():
    # N = 6 keeps kx = 0, 1: columns 2 x 2 x 6 complex, rows 2 x 6 complex and 36 real ones.
    assert fft_bytes(6, 4) == 16 * (24 * 8 + 12 * 8 + 36 * 4)
