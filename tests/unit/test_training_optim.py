"""Optimisers against their published rules, one number at a time; the rate of every step."""

import itertools
import math
import subprocess
import sys

import pytest
import torch

from flexbench.config import TrainSettings
from flexbench.errors import FlexbenchError
from flexbench.training.optim import (
    Lion,
    Muon,
    is_matrix,
    learning_rate,
    make_optimizer,
    orthogonal,
)

SHAPES = [(3, 2), (5,), ()]


def start_and_gradients(steps):
    source = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=source, dtype=torch.float64) for shape in SHAPES]
    gradients = [
        [torch.randn(shape, generator=source, dtype=torch.float64) for shape in SHAPES]
        for _ in range(steps)
    ]
    return start, gradients


def run(optimizer_of, start, gradients):
    parameters = [torch.nn.Parameter(tensor.clone()) for tensor in start]
    optimizer = optimizer_of(parameters)
    for step in gradients:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
    return [parameter.detach() for parameter in parameters]


def lion_by_hand(start, gradients, *, rate, betas, decay):
    """The update rule of the paper on Python numbers."""
    ends = []
    for index, tensor in enumerate(start):
        values = tensor.flatten().tolist()
        momenta = [0.0] * len(values)
        for step in gradients:
            for i, g in enumerate(step[index].flatten().tolist()):
                direction = betas[0] * momenta[i] + (1 - betas[0]) * g
                values[i] = values[i] - rate * (math.copysign(1, direction) + decay * values[i])
                momenta[i] = betas[1] * momenta[i] + (1 - betas[1]) * g
        ends.append(torch.tensor(values, dtype=torch.float64).reshape(tensor.shape))
    return ends


def adamw_by_hand(start, gradients, *, rate, betas, decay):
    ends = []
    for index, tensor in enumerate(start):
        values = tensor.flatten().tolist()
        first, second = [0.0] * len(values), [0.0] * len(values)
        for n, step in enumerate(gradients, start=1):
            for i, g in enumerate(step[index].flatten().tolist()):
                first[i] = betas[0] * first[i] + (1 - betas[0]) * g
                second[i] = betas[1] * second[i] + (1 - betas[1]) * g * g
                mean = first[i] / (1 - betas[0] ** n)
                scale = math.sqrt(second[i] / (1 - betas[1] ** n)) + 1e-8
                values[i] = values[i] * (1 - rate * decay) - rate * mean / scale
        ends.append(torch.tensor(values, dtype=torch.float64).reshape(tensor.shape))
    return ends


def nearly_orthogonal(matrix):
    """The same singular vectors; singular values by five steps of the published polynomial."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / values.square().sum().sqrt()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left @ torch.diag(values) @ right


def muon_by_hand(start, gradients, *, rate, betas, decay):
    """Of the matrix, by its singular values; the others are AdamW's."""
    ends = adamw_by_hand(start, gradients, rate=rate, betas=betas, decay=decay)
    for index in (i for i, tensor in enumerate(start) if tensor.ndim > 1):
        value, momentum = start[index], torch.zeros_like(start[index])
        columns = value[0].numel()
        for step in gradients:
            momentum = 0.95 * momentum + 0.05 * step[index]
            ahead = 0.95 * momentum + 0.05 * step[index]
            direction = nearly_orthogonal(ahead.reshape(-1, columns)).reshape(value.shape)
            size = 0.4 * math.sqrt(max(len(value), columns))
            value = (1 - rate * decay) * value - rate * size * direction
        ends[index] = value
    return ends


BY_HAND = {"lion": lion_by_hand, "adamw": adamw_by_hand, "muon": muon_by_hand}


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(("name", "by_hand"), BY_HAND.items())
def test_update_rule(name, by_hand, decay):
    start, gradients = start_and_gradients(7)
    settings = TrainSettings(
        optimizer=name, learning_rate=0.03, betas=(0.8, 0.95), weight_decay=decay
    )
    found = run(lambda parameters: make_optimizer(parameters, settings), start, gradients)
    wanted = by_hand(start, gradients, rate=0.03, betas=(0.8, 0.95), decay=decay)
    # Muon divides by norms to which it adds 1e-7.
    tolerance = 1e-6 if name == "muon" else 1e-12
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def test_muon_steps_are_as_large_in_every_direction():
    """Whatever the gradient's own singular values are, above a hundredth of its norm."""
    source = torch.Generator().manual_seed(0)
    given = torch.randn((3, 12, 5), generator=source)
    given[1] *= 1e-3
    given[2] = torch.linalg.qr(given[2]).Q * torch.tensor([1.0, 0.5, 0.2, 0.1, 0.02])
    for matrices in (given, given.mT):
        found = orthogonal(matrices)
        assert found.shape == matrices.shape
        values = torch.linalg.svdvals(found)
        assert values.min() > 0.65
        assert values.max() < 1.25
        # One batch or many, and singular vectors as they were: found^T given is symmetric.
        torch.testing.assert_close(found[1:2], orthogonal(matrices[1:2]), rtol=1e-4, atol=1e-5)
        product = found[0].mT @ matrices[0]
        torch.testing.assert_close(product, product.mT, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4, 3), True),
        ((4, 3, 3, 3), True),
        ((4, 1, 3, 3), True),
        ((4,), False),
        ((), False),
        ((1, 9, 4), False),
        ((4, 1, 1), False),
    ],
)
def test_matrices_are_weights_of_several_outputs_and_inputs(shape, expected):
    assert is_matrix(torch.zeros(shape)) is expected
    assert not is_matrix(torch.zeros(shape, dtype=torch.complex64))


@pytest.mark.parametrize("shape", [(2,), (2, 2)])
def test_muon_leaves_parameters_without_gradient_alone(shape):
    used, unused = torch.nn.Parameter(torch.ones(shape)), torch.nn.Parameter(torch.ones(shape))
    optimizer = Muon([used, unused], lr=0.1, weight_decay=0.5)
    used.grad = torch.eye(2) if len(shape) == 2 else torch.ones(2)
    optimizer.step()
    assert torch.equal(unused, torch.ones(shape))
    assert unused not in optimizer.state
    assert not torch.equal(used, torch.ones(shape))


def test_lion_leaves_parameters_without_gradient_alone():
    used, unused = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimizer = Lion([used, unused], lr=0.1, weight_decay=0.5)
    used.grad = torch.tensor([1.0, -1.0])
    optimizer.step()
    assert unused.tolist() == [1.0, 1.0]
    assert unused not in optimizer.state
    torch.testing.assert_close(used.detach(), torch.tensor([0.85, 1.05]))


@pytest.mark.parametrize("kind", [Lion, Muon])
def test_a_closure_is_evaluated_with_gradients(kind):
    parameter = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = kind([parameter], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 4.0
    assert parameter.item() == pytest.approx(1.5, abs=1e-6)


def test_rate_warms_up_then_falls_to_zero():
    settings = TrainSettings(steps=104, warmup_steps=4, learning_rate=0.2)
    rates = [learning_rate(step, settings) for step in range(105)]
    assert rates[:4] == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert rates[4] == pytest.approx(0.2)
    assert rates[29] == pytest.approx(0.2 * (1 + math.sqrt(0.5)) / 2)  # a quarter of the cosine
    assert rates[54] == pytest.approx(0.1)
    assert rates[104] == pytest.approx(0.0, abs=1e-15)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[4:]))


def test_rate_without_warmup_starts_full():
    settings = TrainSettings(steps=10, warmup_steps=0, learning_rate=0.2)
    assert learning_rate(0, settings) == 0.2


def test_warmup_must_end_before_training_does():
    with pytest.raises(FlexbenchError, match=r"train\.warmup_steps: found 20.*train\.steps \(20\)"):
        TrainSettings(steps=20, warmup_steps=20).check(tasks=1)


@pytest.mark.parametrize("name", ["adamw", "lion", "muon"])
def test_training_does_without_the_compiler(name):
    """Importing it takes longer than the rest of a training's start."""
    code = (
        "import sys, torch\n"
        "from flexbench.config import TrainSettings\n"
        "from flexbench.training.optim import make_optimizer\n"
        "weight = torch.nn.Parameter(torch.ones(2, 2))\n"
        "bias = torch.nn.Parameter(torch.ones(2))\n"
        f"optimizer = make_optimizer([weight, bias], TrainSettings(optimizer={name!r}))\n"
        "(weight + bias).sum().backward()\n"
        "optimizer.step()\n"
        "optimizer.zero_grad()\n"
        "optimizer.load_state_dict(optimizer.state_dict())\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
