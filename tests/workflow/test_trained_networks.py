"""Networks that come with the clone: one test flow, simulated anew, gets its committed scores."""

import numpy as np
import pytest

from flexbench.metrics.definitions import DEFINITIONS
from flexbench.shared.attempt import attempt
from flexbench.shared.folder import SAMPLER, SharedNetworks, default_folder

FOLDER = default_folder()
if not FOLDER.is_dir():
    pytest.skip(f"no networks are shared: {FOLDER} is not there", allow_module_level=True)

SHARED = SharedNetworks.read(FOLDER)
ASKED = [(network, task) for network in SHARED.networks for task in network.tasks]

RELATIVE = 1e-3
# Members that are held to what is known of long waves differ there by rounding alone.
ROUNDING = 1e-6
# Of a bin of a histogram: a few of a field's points on the other side of its edge.
IN_A_BIN = 2e-4


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Where the flow is simulated once for all networks."""
    return tmp_path_factory.mktemp("work")


def test_every_file_is_the_one_that_was_shared():
    SHARED.require_whole(FOLDER)


@pytest.mark.parametrize(("network", "task"), ASKED, ids=lambda it: getattr(it, "method", it))
def test_a_flow_gets_its_scores(work, network, task):
    found = attempt(SHARED, network, task=task, flow=SHARED.flow, work=work)
    sampler = found.graph.config.sample.sampler
    known = SHARED.scores()
    cases = known["case"].str.partition(".")[0]
    methods = known["method"].isin(found.graph.config.methods)
    expected = known[(cases == task) & methods & known[SAMPLER].isin([sampler, "none"])]
    labels = ["method", "score", "detail", "index", "lead"]
    both = expected.merge(found.scores, on=labels, how="outer", suffixes=("_then", "_now"))
    assert len(both) == len(expected) == len(found.scores)
    histogram = both["score"].map(lambda score: DEFINITIONS[score].figure_only)
    then, now = both["value_then"].to_numpy(), both["value_now"].to_numpy()
    allowed = RELATIVE * np.abs(then) + np.where(histogram, IN_A_BIN, ROUNDING)
    apart = np.abs(now - then)
    assert not both[~(apart <= allowed)].to_dict("records")
