"""Counting and matching sizes, against counts made by hand."""

import math
import subprocess
import sys
import warnings
from types import ModuleType

import pytest
import torch
from torch import nn

from flexbench import registry
from flexbench.errors import FlexbenchError
from flexbench.models import flex
from flexbench.sizing import counting, matching
from flexbench.sizing.crossing import NoGrowthError, crossing
from flexbench.sizing.sizes import NetworkSize
from flexbench.spec import JointProblem, ProblemSpec

TINY = {
    "superres": ProblemSpec(task="superres", condition_channels=1, patch=32),
    "forecast": ProblemSpec(task="forecast", condition_channels=2, patch=32),
}
DESK = {
    "superres": ProblemSpec(task="superres", condition_channels=1, patch=64),
    "forecast": ProblemSpec(task="forecast", condition_channels=2, patch=64),
}
LAB = {
    "superres": ProblemSpec(task="superres", condition_channels=1, patch=128),
    "forecast": ProblemSpec(task="forecast", condition_channels=2, patch=128),
}
SMALL = ProblemSpec(task="superres", condition_channels=1, patch=16)
BASELINES = [
    name for name in registry.names() if not registry.is_formula(name) and name != registry.FLEX
]


def both(patch):
    """Both tasks for one network."""
    return JointProblem.of(
        {
            name: ProblemSpec(task=name, condition_channels=channels, patch=patch)
            for name, channels in (("superres", 1), ("forecast", 2))
        }
    )


class Counted(nn.Module):
    """One of everything that is counted."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3, padding=1)
        self.linear = nn.Linear(width, width, bias=False)
        self.frozen = nn.Parameter(torch.zeros(1000), requires_grad=False)

    def encode(self, condition, flow):
        return [self.conv(condition)]

    def denoise(self, noisy, t, flow, encoded):
        tokens = encoded[0].flatten(2).transpose(1, 2)[:, None]  # (1, 1, 256, w)
        mixed = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
        mixed = self.linear(mixed)
        spectrum = torch.fft.rfft2(noisy)  # (1, 1, 16, 9)
        spectrum = torch.fft.fft(spectrum, dim=-2)
        product = torch.bmm(spectrum[0], spectrum[0].transpose(1, 2))  # (1, 16, 16) over 9
        return torch.fft.irfft2(product, s=(16, 16))[None] + mixed.sum()


def build_counted(problem, *, width):
    return Counted(width)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_flops_equal_a_count_by_hand(device):
    width = 4
    with torch.device(device):
        network = Counted(width)
    flops = counting.count_flops(network, SMALL)
    points = 16 * 16
    assert flops.encode == 2 * points * 9 * width
    expected = 2 * (2 * points * points * width)  # attention: two products of tokens
    expected += 2 * points * width * width  # linear
    expected += 2.5 * points * math.log2(points)  # real transform of the square
    expected += 9 * 5 * 16 * math.log2(16)  # nine complex transforms of 16 points
    expected += 8 * 16 * 16 * 9  # complex product
    expected += 2.5 * points * math.log2(points)  # back to real
    assert flops.denoise == expected
    assert flops.forward == flops.encode + flops.denoise
    assert network.training


def test_parameters_that_do_not_train_are_not_counted():
    assert counting.count_parameters(build_counted, SMALL, width=4) == 4 * 9 + 4 + 16


def test_a_complex_parameter_counts_twice():
    def build(problem):
        network = nn.Module()
        network.weight = nn.Parameter(torch.zeros(3, dtype=torch.complex64))
        return network

    assert counting.count_parameters(build, SMALL) == 6


def test_reference_is_the_published_size_of_flex():
    """49,669,377: FLEX-S for super-resolution at patch 128."""
    assert matching.reference_size("S", LAB["superres"]).parameters == 49_669_377


def module_of(count, *, step=1):
    """A file whose network has `count(width)` parameters."""

    def build(problem, *, width):
        network = nn.Module()
        network.weight = nn.Parameter(torch.zeros(count(width)))
        return network

    module = ModuleType("toy")
    module.__file__, module.WIDTH_STEP, module.build = "toy.py", step, build
    return module


@pytest.mark.parametrize("step", [1, 2, 8])
@pytest.mark.parametrize("target", [990, 5000, 12345, 10**6])
def test_solved_width_is_the_best_of_all(step, target):
    def count(width):
        return 3 * width * width + 7 * width

    module = module_of(count, step=step)
    best = min(range(step, 1200, step), key=lambda width: abs(count(width) - target))
    if abs(count(best) / target - 1) > 0.05:
        with pytest.warns(UserWarning, match=f"the nearest, {best}, has {count(best)}"):
            assert matching.solve_width(module, SMALL, target=target) == best
    else:
        assert matching.solve_width(module, SMALL, target=target) == best


def bisected(measure, target, step):
    """The crossing, found by doubling and halving alone."""
    low = high = step
    while measure(high) < target:
        low, high = high, 2 * high
    while high - low > step:
        middle = (low + high) // (2 * step) * step
        low, high = (middle, high) if measure(middle) < target else (low, middle)
    return low, high


GROWTHS = {
    "parabola": lambda w: 3 * w * w + 7 * w + 1000,
    "line": lambda w: 17 * w + 5,
    "cube": lambda w: w**3 + 40,
    "rounded to fours": lambda w: (4 * round(w / 4)) ** 2 + 5 * w,
    "halves": lambda w: w * w + 11 * (w // 2),
    "slow": lambda w: int(1000 * math.log2(w + 1)),
    "bend": lambda w: w if w < 100 else 100 + (w - 100) ** 2,
}


@pytest.mark.parametrize("growth", GROWTHS.values(), ids=GROWTHS)
@pytest.mark.parametrize("step", [1, 2, 4, 16])
@pytest.mark.parametrize("near", [None, 16, 160, 4096])
def test_the_crossing_is_found_however_the_number_grows(growth, step, near):
    for width in (step, 3 * step, 8 * step, 13 * step, 700 * step):
        for target in (growth(width), growth(width) + 1, growth(width) - 1):
            found = crossing(growth, target, step=step, largest=2**20, near=near)
            assert found == bisected(growth, target, step), target


@pytest.mark.parametrize("near", [None, 300])
def test_a_parabola_is_asked_a_few_times(near):
    asked = set()

    def measure(width):
        asked.add(width)
        return 12 * width * width + 500 * width + 12345

    target = measure(300) + 1
    asked.clear()
    assert crossing(measure, target, step=4, largest=2**16, near=near) == (300, 304)
    assert len(asked) <= (2 if near else 6)


def test_a_number_that_stops_growing_is_told():
    with pytest.raises(NoGrowthError) as told:
        crossing(lambda width: min(width, 50), 1000, step=1, largest=2**16)
    assert told.value.high >= 2 * told.value.low
    with pytest.raises(NoGrowthError):
        crossing(lambda width: width, 1000, step=1, largest=100)


def test_target_below_the_smallest_width_warns():
    with pytest.warns(UserWarning, match="toy.py: no width comes within 5% of 10 parameters"):
        assert matching.solve_width(module_of(lambda width: 100 * width), SMALL, target=10) == 1


def test_size_that_ignores_the_width_is_refused():
    with pytest.raises(FlexbenchError, match="must grow with the width to reach 1000"):
        matching.solve_width(module_of(lambda width: 50), SMALL, target=1000)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(("size", "problems"), [("XS", DESK), ("S", LAB)], ids=["XS", "S"])
@pytest.mark.parametrize("task", registry.KINDS)
def test_every_baseline_has_flex_parameters_within_five_percent(name, size, problems, task):
    if task not in registry.tasks(name):
        pytest.skip(f"{name} only does {', '.join(registry.tasks(name))}, by its TASKS")
    module, problem = registry.load(name), problems[task]
    target = matching.reference_size(size, problem).parameters
    width = matching.solve_width(module, problem, target=target)
    assert width % module.WIDTH_STEP == 0
    assert counting.count_parameters(module.build, problem, width=width) == pytest.approx(
        target, rel=0.05
    )


@pytest.mark.parametrize(
    ("size", "patch"), [("XXS", 32), ("XS", 64), ("S", 128), ("M", 256), ("L", 256)]
)
def test_a_narrowed_flex_of_two_tasks_has_the_parameters_of_one(size, patch):
    """At every named size, on the patches of the tier that has it; and FLOPs are close too."""
    problem = both(patch)
    with torch.device("meta"):
        network, built = matching.build_network("flex", problem, size=size, narrow=True)
    named = flex.SIZES[size]
    assert network.size.channels == (*named.channels[:-1], built.width)
    assert built.width < named.embedding
    for own in problem.by_task.values():
        alone = counting.count_parameters(flex.build, own, size=size)
        assert built.footprint.parameters == pytest.approx(alone, rel=0.02)
    assert 0.93 < built.footprint.flops.forward / built.reference.flops.forward < 1


def test_a_narrowed_network_is_built_again_from_its_width():
    """As sampling does it, which knows the checkpoint alone."""
    first, built = matching.build_network("flex", both(32), size="XXS", narrow=True)
    again, known = matching.build_network("flex", both(32), size="XXS", width=built.width)
    again.load_state_dict(first.state_dict())
    assert known.footprint == built.footprint


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(("size", "problems"), [("XXS", TINY), ("XS", DESK)], ids=["XXS", "XS"])
@pytest.mark.parametrize("match", ["parameters", "flops"])
def test_the_width_is_that_of_a_bisection(name, size, problems, match):
    module, problem = registry.load(name), problems["forecast"]

    def measure(width):
        return counting.footprint(module.build, problem, width=width).measure(match)

    target = matching.reference_size(size, problem).measure(match)
    pair = bisected(measure, target, module.WIDTH_STEP)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        width = matching.solve_width(module, problem, target=target, match=match)
    assert width == min(pair, key=lambda one: abs(measure(one) - target))


@pytest.mark.parametrize("name", BASELINES)
def test_flops_can_be_matched_instead(name):
    problem = DESK[registry.tasks(name)[0]]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        network, summary = matching.build_network(name, problem, size="XS", match="flops")
    limit = 0.15 if told else 0.05
    assert summary.ratio == pytest.approx(1, abs=limit)
    assert summary.footprint.flops == counting.count_flops(network, problem)


def test_built_network_is_what_the_summary_says():
    for name, width in (("flex", None), ("fno", 8)):
        network, summary = matching.build_network(name, DESK["forecast"], size="XXS", width=width)
        trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
        assert summary.footprint.parameters == trained
        assert (summary.name, summary.size, summary.width) == (name, "XXS", width)
        assert summary.reference == matching.reference_size("XXS", DESK["forecast"])
        assert next(network.parameters()).device.type == "cpu"


def test_options_and_dropout_reach_the_network():
    network, _ = matching.build_network(
        "dit", DESK["superres"], size="XS", width=32, options={"depth": 3}, dropout=0.25
    )
    assert len(network.blocks) == 3
    assert {m.p for m in network.modules() if isinstance(m, nn.Dropout)} == {0.25}
    network, summary = matching.build_network(
        "flex", DESK["superres"], size="XXS", options={"transformer": False}
    )
    assert summary.ratio < 1


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("persistence", {}, "persistence is a formula"),
        ("unet", {"options": {"layers": 3}}, "unet: unknown option 'layers'; allowed: multipliers"),
        ("unet", {"options": {"width": 3}}, "unknown option 'width'"),
        ("flex", {"options": {"size": "L"}}, "unknown option 'size'"),
        ("flex", {"width": 46}, "flex: width is 46; allowed: multiples of 4"),
        ("flex", {"narrow": True}, "flex: narrow is for several tasks; found 'forecast' alone"),
        ("flex", {"size": "XXL"}, "flex: size is 'XXL'"),
        ("unet", {"width": 3}, "unet: width is 3; allowed: multiples of 2"),
        ("unet", {"width": 8, "options": {"multipliers": [0, 1]}}, "multipliers is [0, 1]"),
        ("unet", {"width": 8, "options": {"attention": [7]}}, "allowed: [64, 32, 16, 8]"),
        ("unet", {"width": 8, "options": {"multipliers": [1] * 8}}, "a multiple of 128; found 64"),
        ("unet", {"width": 8, "options": {"blocks": 0}}, "blocks is 0"),
        ("dit", {"width": 8, "options": {"patch_size": 5}}, "must divide the patch 64"),
        ("dit", {"width": 8, "options": {"heads": 3}}, "heads is 3; it must divide the width 8"),
        ("dit", {"width": 8, "options": {"depth": 0}}, "depth is 0"),
        ("uvit", {"width": 8, "options": {"depth": 4}}, "depth is 4; it must be odd"),
        ("uvit", {"width": 8, "options": {"patch_size": 0}}, "must divide the patch 64"),
        ("uvit", {"width": 8, "options": {"heads": 3}}, "heads is 3; it must divide the width 8"),
        ("fno", {"width": 8, "options": {"modes": 65}}, "modes is 65"),
        ("fno", {"width": 8, "options": {"layers": 0}}, "layers is 0"),
    ],
)
def test_what_cannot_be_built_is_told_in_one_line(name, changes, expected):
    problem = DESK["forecast"]
    with pytest.raises(FlexbenchError) as caught:
        matching.build_network(name, problem, **{"size": "XS"} | changes)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_the_file_cannot_do(tmp_path):
    text = (registry.folders()[0] / "_template.py").read_text()
    (tmp_path / "mynet.py").write_text(text.replace('("superres", "forecast")', '("superres",)'))
    folders = [str(tmp_path)]
    _, summary = matching.build_network(
        "mynet", DESK["superres"], size="XXS", baseline_folders=folders
    )
    assert summary.ratio == pytest.approx(1, abs=0.05)
    with pytest.raises(FlexbenchError, match="cannot do the task 'forecast'; its TASKS: superres"):
        matching.build_network("mynet", DESK["forecast"], size="XXS", baseline_folders=folders)


# --- all numbers of a network ----------------------------------------------------------------

JOINT = JointProblem.of({"superres_x4": TINY["superres"], "forecast": TINY["forecast"]})
# Counted by torch's own meta kernels and its own counter of FLOPs: parameters, bytes of its state
# and of a checkpoint's header, FLOPs of `encode` and `denoise`, bytes that autograd keeps.
COUNTED = {
    ("flex", "S", LAB["superres"], False): (
        49_669_377,
        198_681_604,
        82_785,
        17_234_854_912,
        85_478_620_160,
        649_440_172,
    ),
    ("flex", "XXS", JOINT, True): (
        120_781,
        483_348,
        41_985,
        5_780_776,
        33_435_848,
        2_596_316,
    ),
    ("unet", "XS", DESK["forecast"], False): (
        901_321,
        3_605_828,
        18_483,
        2_378_064,
        465_872_896,
        13_317_164,
    ),
    ("fno", "XS", DESK["forecast"], False): (
        878_984,
        3_516_368,
        7_429,
        896_616,
        92_073_024,
        13_824_252,
    ),
    ("dit", "XXS", TINY["superres"], False): (
        125_616,
        502_720,
        9_378,
        69_760,
        12_800_000,
        1_227_524,
    ),
    ("uvit", "S", LAB["forecast"], False): (
        49_597_370,
        198_393_736,
        18_845,
        35_999_376,
        26_304_292_240,
        184_048_556,
    ),
}


@pytest.mark.parametrize(("name", "size", "problem", "narrow"), COUNTED)
def test_all_numbers_are_those_of_torchs_own_kernels(name, size, problem, narrow):
    parameters, state, header, encode, denoise, saved = COUNTED[name, size, problem, narrow]
    assert matching.network_size(name, problem, size=size, narrow=narrow) == NetworkSize(
        parameters=parameters,
        state_bytes=state,
        header_bytes=header,
        encode=encode,
        denoise=denoise,
        saved_bytes=saved,
    )


def test_counting_does_not_load_torchs_compiler():
    """It would take longer than torch itself; every network and both matches."""
    lines = ["import sys", "from flexbench.sizing.matching import network_size"]
    lines += ["from flexbench.spec import ProblemSpec", f"problem = {TINY['superres']!r}"]
    for name in ("flex", *BASELINES):
        for match in ("parameters", "flops"):
            lines += [f"network_size({name!r}, problem, size='XXS', match={match!r})"]
    lines += ["heavy = {'torch._dynamo', 'torch.fx.experimental.symbolic_shapes'}"]
    lines += ["assert not heavy & set(sys.modules), heavy & set(sys.modules)"]
    command = [sys.executable, "-W", "ignore", "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
