"""The matrix of flows shows what stands in its table."""

import pandas as pd
import pytest

from flexbench.metrics.matrix import MATRIX_SCORES
from flexbench.report import FIGURES, style
from flexbench.report.figures.matrix import draw_matrix


def table(*, low, high):
    """One method on two flows, with that interval of the pull ratio."""
    return pd.DataFrame(
        {"method": "flex", "observable": "w", "boundary": boundary, "reynolds": "1000"}
        | {"in_distribution": boundary == "periodic", "score": score, "value": 0.9}
        | ({"low": low, "high": high} if score == "pull_ratio" else {"low": 0.8, "high": 1.0})
        for boundary in ("periodic", "no_slip")
        for score in MATRIX_SCORES
    )


def pulls(**interval):
    with style.look():
        return draw_matrix(table(**interval)).axes[2]


@pytest.mark.parametrize(
    ("low", "below"), [(0.4, []), (0.15, ["0.2"]), (0.08, ["0.1", "0.2"])], ids=str
)
def test_pull_ratios_below_a_half_have_ticks(low, below):
    axis = pulls(low=low, high=3.0)
    left, right = axis.get_xlim()
    assert left < low
    ticks = [tick for tick in axis.get_xticks() if left <= tick <= right]
    assert [f"{tick:g}" for tick in ticks if tick < 0.5] == below


def test_the_caption_says_where_pull_ratios_end():
    right = pulls(low=0.5, high=90.0).get_xlim()[1]
    assert right < 90
    assert f"Pull ratios above {right:g} are cut off" in FIGURES["matrix"].caption
    assert 3 < pulls(low=0.5, high=3.0).get_xlim()[1] < 5
