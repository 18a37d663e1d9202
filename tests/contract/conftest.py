"""What every file of the contract tests shares: problems, a user's own network, fresh networks.

The contract runs over FLEX, `baselines/`, and the folders in the environment variable
FLEXBENCH_BASELINES (separated as in PATH).
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from flexbench import registry
from flexbench.seeding import generator, stream_seed
from flexbench.spec import ProblemSpec

# A network of a user's own, in a folder of their own: the template under another name.
USERS_OWN = "template_of_a_user"
USER_FOLDER = tempfile.TemporaryDirectory()
shutil.copy(registry.folders()[0] / "_template.py", Path(USER_FOLDER.name) / f"{USERS_OWN}.py")
EXTRA = [
    USER_FOLDER.name,
    *filter(None, os.environ.get("FLEXBENCH_BASELINES", "").split(os.pathsep)),
]

PROBLEMS = {
    "superres": ProblemSpec(task="superres", condition_channels=1, patch=32),
    "forecast": ProblemSpec(task="forecast", condition_channels=2, patch=32),
}
NETWORKS = [name for name in registry.names(EXTRA) if not registry.is_formula(name, EXTRA)]
WIDTH = 32


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "network_name" in metafunc.fixturenames:
        metafunc.parametrize("network_name", NETWORKS)
    if "problem" in metafunc.fixturenames:
        metafunc.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


@pytest.fixture(scope="session", autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def extra() -> list[str]:
    return EXTRA


@pytest.fixture
def users_own() -> str:
    return USERS_OWN


@pytest.fixture
def fresh(network_name: str, problem: ProblemSpec) -> Callable[..., nn.Module]:
    """Builds the network, small, with the initial weights of a seed."""
    kinds = registry.tasks(network_name, EXTRA)
    if problem.task not in kinds:
        pytest.skip(f"{network_name} only does {', '.join(kinds)}, by its TASKS")

    def build(*, seed: int = 0, **options: object) -> nn.Module:
        module = registry.load(network_name, EXTRA)
        size = {"size": "XXS"} if network_name == registry.FLEX else {"width": WIDTH}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "weights"))
            return module.build(problem, **size, **options)

    return build


@pytest.fixture
def awake(fresh: Callable[..., nn.Module]) -> nn.Module:
    """The network in eval mode with every tensor that starts at zero filled with random numbers.

    Layers that start at zero hide what is behind them.
    """
    network = fresh()
    noise = generator(0, "awake")
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=noise))
    return network.eval()


@pytest.fixture
def inputs(problem: ProblemSpec) -> dict[str, Tensor]:
    """Arguments of `forward`, in their order, for a batch of three."""
    noise = generator(0, "inputs")
    side = (problem.patch, problem.patch)
    return {
        "noisy": torch.randn(3, problem.field_channels, *side, generator=noise),
        "t": torch.rand(3, generator=noise),
        "re": torch.rand(3, 1, generator=noise),
        "condition": torch.randn(3, problem.condition_channels, *side, generator=noise),
    }
