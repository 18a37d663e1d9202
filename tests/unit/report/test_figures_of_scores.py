"""Figures of tables: what is drawn is what stands in the table, at its place and in its look."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

from flexbench.metrics.calibration import FIFTHS, sigma_ref
from flexbench.metrics.definitions import definition_of
from flexbench.metrics.matrix import MATRIX_SCORES
from flexbench.report import FIGURES, style
from flexbench.report.figures import draw_figure
from flexbench.report.figures.fifths import draw_fifths
from flexbench.report.figures.frontier import draw_frontier
from flexbench.report.figures.leads import SHOWN, draw_leads
from flexbench.report.figures.matrix import draw_matrix
from flexbench.report.figures.pull import pull_density
from flexbench.report.labels import simulated

from .drawn import error_bars, interval_of, lines_of, words

CASE, ROLLOUT = "superres_x4", "forecast.rollout"
METHODS = ["flex", "unet", "interpolation"]
ENSEMBLES, M = METHODS[:2], 8


@pytest.fixture(autouse=True)
def looks(usual):
    with style.look(usual.config.methods):
        yield


def rows(usual, score, *, method, reynolds="all", detailed=False):
    """Rows of the table of one score and method, by Reynolds number and detail as they stand."""
    scores = usual.of_case("scores", CASE)
    scores = scores[(scores["score"] == score) & (scores["method"] == method)]
    everywhere = scores["reynolds"] == "all"
    return scores[
        (everywhere if reynolds == "all" else ~everywhere) & ((scores["detail"] != "") == detailed)
    ]


def test_errors_stand_at_their_reynolds_number(usual):
    (axis,) = draw_figure("rfne_by_re", usual, case=CASE).axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["500", "2000"]
    for order, method in enumerate(METHODS):
        own = rows(usual, "rfne_mean", method=method, reynolds="each")
        assert list(own["reynolds"]) == ["500", "2000"]
        bars = error_bars(axis, method)
        np.testing.assert_array_equal(bars.y, own["value"])
        np.testing.assert_allclose(bars.ends, interval_of(own))
        np.testing.assert_array_equal(np.rint(bars.x), [0, 1])
        # Side by side, in the order of the methods.
        np.testing.assert_allclose(bars.x - [0, 1], 0.7 * ((order + 0.5) / 3 - 0.5))
    (span,) = axis.patches
    assert (span.get_x(), span.get_width()) == (0.5, 1.0), "Re 2000 is not trained on"
    assert words(axis.figure).count("not trained on") == 1


def test_cost_is_that_of_a_whole_field_in_the_mean_over_seeds(usual):
    figure = draw_figure("accuracy_cost", usual, case=CASE)
    cost = usual.of_case("cost", CASE)
    learned = cost[cost["parameters"] > 0]
    assert (learned["flops_per_member"] == 16 * 2 * learned["flops_per_call"]).all()
    for axis, column in zip(figure.axes, ("flops_per_member", "seconds_per_member"), strict=True):
        for method in ENSEMBLES:
            own = cost[cost["method"] == method]
            assert len(own) == 2
            bars = error_bars(axis, method)
            assert bars.x == own[column].mean()
            score = rows(usual, "rfne_mean", method=method)
            np.testing.assert_array_equal(bars.y, score["value"])
            np.testing.assert_allclose(bars.ends, interval_of(score))
    left, right = figure.axes
    # A formula whose operations are not counted is a line across; its seconds are known.
    ((x, y),) = [line for line in lines_of(left, "interpolation") if len(line[0]) == 2]
    assert (list(x), len(set(y))) == ([0, 1], 1)
    assert y[0] == rows(usual, "rfne_mean", method="interpolation")["value"].iloc[0]
    assert error_bars(right, "interpolation").x > 0
    sizes = [line.get_markersize() for line in left.lines if line.get_marker() in ("o", "s")]
    assert sizes == [pytest.approx(5 + 9 * np.sqrt(0.5)), 14.0], "unet has twice the parameters"


def test_pulls_are_the_histogram_on_that_of_a_perfect_ensemble(usual):
    figure = draw_figure("pull", usual, case=CASE)
    for axis, method in zip(figure.axes, ENSEMBLES, strict=True):
        own = rows(usual, "pull_hist", method=method, detailed=True)
        assert [bar.get_height() for bar in axis.patches] == own["value"].to_list()
        centres = [bar.get_x() + bar.get_width() / 2 for bar in axis.patches]
        np.testing.assert_allclose(centres, own["detail"].astype(float))
        assert {bar.get_facecolor()[:3] for bar in axis.patches} == {
            matplotlib_rgb(style.colour(method))
        }
        (perfect,) = axis.lines
        np.testing.assert_allclose(perfect.get_ydata(), pull_density(perfect.get_xdata(), M))
        assert axis.get_title() == f"{method} (M = {M})"
        ratio = rows(usual, "pull_ratio", method=method)["value"].iloc[0]
        word = "overconfident" if ratio > 1.1 else "underconfident" if ratio < 0.9 else "right"
        tail = rows(usual, "pull_tail", method=method)["value"].iloc[0]
        width_note, tail_note = (text.get_text() for text in axis.texts)
        assert width_note.startswith(word)
        assert width_note.endswith(f"pull ratio {ratio:.2f}")
        assert tail_note == f"beyond ±5: {100 * tail:.2g} %\nif perfect: 0.22 %"
    assert "interpolation" not in words(figure)


def test_samplers_stand_at_the_calls_of_their_networks(usual):
    """A line for each method and sampler, on all four scores; what was asked once has none."""
    scores = usual.of_case("scores", CASE)
    scores = scores[scores["method"].isin(ENSEMBLES)]
    drawn = [
        scores[scores["method"] == "flex"].assign(calls=calls, sampler="ddim", value=calls / 10)
        for calls in (4, 1)
    ]
    drawn.append(scores[scores["method"] == "unet"].assign(calls=2, sampler=""))
    figure = draw_frontier(pd.concat(drawn))
    *_, ratio, pull = figure.axes
    names = ("rfne_mean", "crps", "spread_skill", "pull_ratio")
    for axis, score in zip(figure.axes, names, strict=True):
        assert axis.get_ylabel() == definition_of(score).label
        bars = error_bars(axis, "flex")
        np.testing.assert_array_equal(bars.x, [1, 4])
        np.testing.assert_array_equal(bars.y, [0.1, 0.4])
        own = rows(usual, score, method="unet")
        np.testing.assert_array_equal(error_bars(axis, "unet").y, own["value"])
    assert [label.get_text() for label in pull.get_xticklabels()] == ["1", "2", "4"]
    bound = [line for line in ratio.lines if line.get_color() == style.MUTED]
    (x, y) = bound[0].get_data()
    np.testing.assert_allclose(y, [0, 0.5, np.cos(np.pi / 8) ** 4], atol=1e-12)
    assert list(x) == [1, 2, 4]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts][:2] == ["flex, ddim", "unet"]


def test_pull_widths_of_fewer_members_stand_on_those_of_perfect_ensembles(usual):
    left, right = draw_figure("pull_members", usual, case=CASE).axes
    assert [label.get_text() for label in left.get_xticklabels()] == ["6", "8"]
    for method in ENSEMBLES:
        own = pd.concat(
            [
                rows(usual, "pull_ratio_subset", method=method, detailed=True),
                rows(usual, "pull_ratio", method=method),
            ]
        )
        assert list(own["detail"]) == ["M=6", ""]
        ratios = error_bars(right, method)
        np.testing.assert_array_equal(ratios.x, [6, M])
        np.testing.assert_array_equal(ratios.y, own["value"])
        np.testing.assert_allclose(ratios.ends, interval_of(own))
        widths = error_bars(left, method)
        perfect = np.array([sigma_ref(6), sigma_ref(M)])
        np.testing.assert_allclose(widths.y, own["value"] * perfect)
        np.testing.assert_allclose(widths.ends, interval_of(own) * perfect[:, None])
        # Of all members it is the width that stands in the table.
        width = rows(usual, "pull_std", method=method)["value"].iloc[0]
        assert widths.y[-1] == pytest.approx(width)
    curve, line = (axis.lines[0] for axis in (left, right))
    np.testing.assert_allclose(curve.get_ydata(), [sigma_ref(m) for m in curve.get_xdata()])
    np.testing.assert_array_equal(line.get_ydata(), 1.0)


def test_fifths_stand_in_order_in_a_panel_for_each_flow(usual):
    figure = draw_figure("fifths", usual, case=CASE)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["all Reynolds numbers", "Re 500", "Re 2000"]
    for axis, reynolds in zip(figure.axes, ("all", "500", "2000"), strict=True):
        for method in ENSEMBLES:
            of = "all" if reynolds == "all" else "each"
            own = rows(usual, "spread_skill_fifth", method=method, reynolds=of, detailed=True)
            own = own[own["reynolds"] == reynolds]
            assert list(own["detail"]) == list(FIFTHS)
            bars = error_bars(axis, method)
            np.testing.assert_array_equal(bars.x, range(1, 6))
            np.testing.assert_array_equal(bars.y, own["value"])
            np.testing.assert_allclose(bars.ends, interval_of(own))
            low, high = axis.get_ylim()
            assert low < bars.y.min() <= bars.y.max() < high
    assert "interpolation" not in words(figure)


def test_one_flow_has_one_panel_of_fifths(usual):
    scores = usual.of_case("scores", CASE)
    alone = scores[scores["reynolds"].isin(("all", "500"))]
    (axis,) = draw_fifths(alone, labels=simulated("w")).axes
    assert axis.get_title() == "all Reynolds numbers"


def matplotlib_rgb(colour):
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


@pytest.mark.parametrize("members", [4, 6, 16])
def test_pull_density_is_that_of_perfect_ensembles(members):
    total, _ = integrate.quad(pull_density, -np.inf, np.inf, args=(members,))
    assert total == pytest.approx(1.0, abs=1e-6)
    random = np.random.default_rng(members)
    draws = random.normal(size=(100_000, members + 1))
    pull = (draws[:, 0] - draws[:, 1:].mean(axis=1)) / draws[:, 1:].std(axis=1, ddof=1)
    edges = np.linspace(-3, 3, 13)
    counts = np.histogram(pull, edges)[0] / len(pull)
    expected = [integrate.quad(pull_density, a, b, args=(members,))[0] for a, b in pairwise(edges)]
    assert counts == pytest.approx(expected, abs=4 * np.sqrt(0.2 / len(pull)))


def test_spread_stands_against_skill_and_their_ratio_by_band(usual):
    left, right = draw_figure("spread_skill", usual, case=CASE).axes
    clouds = iter(left.collections)
    for reynolds in ("each", "all"):
        for method in ENSEMBLES:
            cloud = next(clouds)
            skill, spread = (
                rows(usual, score, method=method, reynolds=reynolds)["value"].to_numpy()
                for score in ("skill", "spread")
            )
            expected = np.stack([skill, spread * np.sqrt(1 + 1 / M)], axis=1)
            np.testing.assert_allclose(cloud.get_offsets(), expected)
            assert tuple(cloud.get_facecolor()[0][:3]) == matplotlib_rgb(style.colour(method))
    assert next(clouds, None) is None
    bands = [label.get_text() for label in right.get_xticklabels()]
    assert bands == ["all", "k=1-2", "k=3-8", "k=9-24"]
    for method in ENSEMBLES:
        own = pd.concat(
            rows(usual, "spread_skill", method=method, detailed=flag) for flag in (False, True)
        )
        assert list(own["detail"]) == ["", *bands[1:]]
        bars = error_bars(right, method)
        np.testing.assert_array_equal(np.rint(bars.x), range(4))
        np.testing.assert_array_equal(bars.y, own["value"])
        np.testing.assert_allclose(bars.ends, interval_of(own))


def test_ranks_are_relative_to_the_flat_histogram(usual):
    figure = draw_figure("rank", usual, case=CASE)
    for axis, method in zip(figure.axes, ENSEMBLES, strict=True):
        own = rows(usual, "rank_hist", method=method, detailed=True)
        assert list(own["detail"]) == [str(rank) for rank in range(M + 1)]
        bars = list(axis.patches)
        np.testing.assert_allclose([bar.get_height() for bar in bars], own["value"] * (M + 1))
        centres = [bar.get_x() + bar.get_width() / 2 for bar in bars]
        np.testing.assert_allclose(centres, (np.arange(M + 1) + 0.5) / (M + 1))
        (whiskers,) = axis.collections
        ends = np.array(whiskers.get_segments())[:, :, 1]
        np.testing.assert_allclose(ends, interval_of(own) * (M + 1))
        assert axis.get_title() == f"{method} (M = {M})"
    assert "interpolation" not in words(figure)


def test_coverage_is_attained_against_nominal(usual):
    (axis,) = draw_figure("coverage", usual, case=CASE).axes
    for method in ENSEMBLES:
        own = rows(usual, "coverage", method=method, detailed=True)
        own = own.assign(at=own["detail"].astype(float)).sort_values("at")
        assert len(own) == M // 2
        bars = error_bars(axis, method)
        np.testing.assert_array_equal(bars.x, own["at"])
        np.testing.assert_array_equal(bars.y, own["value"])
        np.testing.assert_allclose(bars.ends, interval_of(own))
    assert len(axis.containers) == 2, "a formula has no ensemble"
    np.testing.assert_array_equal(axis.lines[0].get_xydata(), [[0, 0], [1, 1]])


def test_the_matrix_has_a_row_for_each_flow(usual):
    figure = draw_figure("matrix", usual, case=CASE)
    table = usual.table("matrix")
    table = table[table["task"] == CASE]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    flows = ["500", "2000", "8000"]
    assert names == [f"periodic, w, Re {reynolds}" for reynolds in flows]
    for axis, score in zip(figure.axes, MATRIX_SCORES, strict=True):
        assert axis.get_xlabel() == definition_of(score).label
        for method in METHODS:
            own = table[(table["score"] == score) & (table["method"] == method)]
            if method == "interpolation" and score == "pull_ratio":
                assert own.empty
                continue
            assert list(own["reynolds"]) == flows
            bars = error_bars(axis, method)
            np.testing.assert_array_equal(np.rint(bars.y), range(3))
            np.testing.assert_array_equal(bars.x, own["value"])
            np.testing.assert_allclose(bars.ends, interval_of(own))
        # Re 500 is that of training; what lies below it is shaded.
        assert [(span.get_y(), span.get_height()) for span in axis.patches] == [(0.5, 1), (1.5, 1)]


def matrix_rows(*, low, high):
    """One method on two flows, with that interval of the pull ratio."""
    return pd.DataFrame(
        {"method": "flex", "observable": "w", "boundary": boundary, "reynolds": "1000"}
        | {"in_distribution": boundary == "periodic", "score": score, "value": 0.9}
        | ({"low": low, "high": high} if score == "pull_ratio" else {"low": 0.8, "high": 1.0})
        for boundary in ("periodic", "no_slip")
        for score in MATRIX_SCORES
    )


@pytest.mark.parametrize(
    ("low", "below"), [(0.4, []), (0.15, ["0.2"]), (0.08, ["0.1", "0.2"])], ids=str
)
def test_pull_ratios_below_a_half_have_ticks(low, below):
    axis = draw_matrix(matrix_rows(low=low, high=3.0)).axes[2]
    left, right = axis.get_xlim()
    assert left < low
    ticks = [tick for tick in axis.get_xticks() if left <= tick <= right]
    assert [f"{tick:g}" for tick in ticks if tick < 0.5] == below


def test_the_caption_says_where_pull_ratios_end():
    right = draw_matrix(matrix_rows(low=0.5, high=90.0)).axes[2].get_xlim()[1]
    assert right < 90
    assert f"Pull ratios above {right:g} are cut off" in FIGURES["matrix"].caption
    assert 3 < draw_matrix(matrix_rows(low=0.5, high=3.0)).axes[2].get_xlim()[1] < 5


def test_lines_and_bands_are_those_of_the_leads(usual):
    figure = draw_figure("leads", usual, case=ROLLOUT)
    table = usual.of_case("leads", ROLLOUT)
    panels = [axis for axis in figure.axes if axis.get_visible()]
    for axis, score in zip(panels, SHOWN, strict=True):
        assert axis.get_title().startswith(definition_of(score).label)
        bands = iter(axis.collections)
        for method in METHODS:
            own = table[(table["score"] == score) & (table["method"] == method)]
            if method == "interpolation" and definition_of(score).members > 1:
                assert own.empty
                assert not any(len(x) for x, _ in lines_of(axis, method))
                next(bands)
                continue
            ((x, y),) = lines_of(axis, method)
            np.testing.assert_allclose(x, 0.1 * own["lead"])
            assert len(x) == 3
            np.testing.assert_array_equal(y, own["value"])
            corners = next(bands).get_paths()[0].vertices
            for time, low, high in zip(x, own["low"], own["high"], strict=True):
                at = corners[np.isclose(corners[:, 0], time), 1]
                assert {round(float(v), 9) for v in at} == {round(low, 9), round(high, 9)}


def lead_rows(value):
    rows = [
        {"method": "flex", "score": score, "lead": lead, "value": value, "low": value / 2}
        for score in SHOWN
        for lead in (1, 2)
    ]
    return pd.DataFrame(rows).assign(high=2 * value)


def test_the_caption_says_where_errors_end():
    top = draw_leads(lead_rows(9.0), lead_time=0.2, labels=simulated("w")).axes[0].get_ylim()[1]
    assert top < 9
    assert f"Errors above {top:g} are cut off" in FIGURES["leads"].caption


def test_without_a_finite_score_the_figure_says_so():
    figure = draw_leads(lead_rows(np.nan), lead_time=0.2, labels=simulated("w"))
    assert words(figure) == "no rollout has a finite score"
