"""Every figure from full and from meagre inputs, and the bytes that are written."""

import hashlib
import io
from collections.abc import Callable
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy import integrate

from flexbench.errors import FlexbenchError
from flexbench.metrics.aggregate import aggregate, comparisons
from flexbench.metrics.flags import red_flags
from flexbench.metrics.score import score_samples
from flexbench.report import FIGURES, style
from flexbench.report.figures import draw_figure, save
from flexbench.report.figures.accuracy import draw_accuracy_cost, draw_rfne_by_re
from flexbench.report.figures.calibration import draw_coverage, draw_pull, draw_rank, pull_density
from flexbench.report.figures.spectra import draw_spectra
from flexbench.report.figures.training import draw_loss
from flexbench.report.inputs import ReportInputs
from flexbench.report.labels import simulated
from flexbench.report.page import render_page, slug

from .conftest import World

# Of a task without evaluations.
OF_TASK = [name for name, e in FIGURES.items() if "task" in e.of and not e.needs_evaluations]

TASK = "superres_x4"
LEARNED = {"flex": (0.2, 0.2), "unet": (0.3, 0.1)}
MANY = LEARNED | {f"user-{i}": (0.3 + i / 20, 0.1) for i in range(7)} | {"interpolation": (0.4, 0)}


@pytest.fixture(scope="session")
def usual(build: Callable[[World], ReportInputs]) -> ReportInputs:
    return build(World(methods=LEARNED | {"interpolation": (0.4, 0.0)}, training_seeds=(0, 1)))


def is_drawn(figure: Figure) -> bool:
    """Whether the figure renders, and is not a blank sheet."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    with Image.open(buffer) as image:
        return float(np.asarray(image.convert("L")).std()) > 0


def words(figure: Figure) -> str:
    """All text of a figure, as a reader sees it."""
    figure.canvas.draw()
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize("name", OF_TASK)
def test_every_figure_labels_its_axes_with_units(name, usual):
    figure = draw_figure(name, usual, task=TASK)
    shown = words(figure)
    assert "flex" in shown
    if name != "maps":
        labels = [axis.get_xlabel() + axis.get_ylabel() for axis in figure.axes]
        assert "[" in "".join(labels) + figure.get_supxlabel()
    else:
        assert "[1/time unit]" in shown
        assert {"x", "y", "truth", "low resolution", "up-sampled"} <= set(shown.split("\n"))


@pytest.mark.parametrize("name", OF_TASK)
@pytest.mark.parametrize(
    "world",
    [
        World(methods={"flex": (0.2, 0.2)}, reynolds=(500.0,), seeds=(100,)),
        World(methods={"interpolation": (0.4, 0.0)}),
        World(methods=LEARNED, members=1),
        World(methods=MANY, members=6, grid=32),
        World(methods=LEARNED, tasks={TASK: {"kind": "forecast"}}),
    ],
    ids=["one method", "nothing learned", "one member", "many methods", "forecast"],
)
def test_every_figure_is_drawn_from_any_run(name, world, build):
    if id(world) not in _built:
        _built[id(world)] = build(world)
    inputs = _built[id(world)]
    assert is_drawn(draw_figure(name, inputs, task=TASK))


_built: dict[int, ReportInputs] = {}


@pytest.mark.parametrize("name", ["rfne_by_re", "accuracy_cost", "pull", "spread_skill", "rank"])
def test_nan_scores_do_not_stop_a_figure(name, build):
    inputs = build(World(methods=LEARNED, reynolds=(500.0,), seeds=(100, 101)))
    path = inputs.layout.table("scores")
    scores = pd.read_csv(path)
    scores.loc[scores["method"] == "unet", ["value", "low", "high"]] = np.nan
    scores.to_csv(path, index=False)
    assert is_drawn(draw_figure(name, inputs, task=TASK))
    scores[["value", "low", "high"]] = np.nan
    scores.to_csv(path, index=False)
    figure = draw_figure(name, inputs, task=TASK)
    assert is_drawn(figure)
    assert words(figure).strip()


def test_what_the_metrics_write_is_what_the_report_reads(build):
    """Scores, flags and comparisons of the real steps, not of the fixture."""
    world = World(methods=LEARNED | {"interpolation": (0.4, 0.0)}, seeds=(100, 101, 102))
    inputs = build(world)
    layout = inputs.layout
    stems = [f"re{re:g}_seed{seed}" for re in world.reynolds for seed in world.seeds]
    paths = {stem: layout.trajectory(stem) for stem in stems}
    frames = []
    for method in world.methods:
        scored = score_samples(
            layout.samples(TASK, method, 0), paths, task_name=TASK, tier="smoke", bands=3
        )
        scored.spectra.to_csv(layout.spectra(TASK, method, 0), index=False)
        frames.append(scored.scores)
    how = {"bootstrap": 50, "confidence": 0.9}
    scores = aggregate(frames, **how)
    scores.to_csv(layout.table("scores"), index=False)
    comparisons(frames, **how).to_csv(layout.table("comparisons"), index=False)
    flags = red_flags(
        scores,
        frames,
        tasks=inputs.config.tasks,
        planned=dict.fromkeys(inputs.config.tasks, len(stems) + 1),
        resolutions={},
    )
    flags.to_csv(layout.table("red_flags"), index=False)
    for name in OF_TASK:
        figure = draw_figure(name, inputs, task=TASK)
        assert is_drawn(figure)
        assert "flex" in words(figure), name
    html = render_page(inputs)
    assert "missing snapshots" in html
    assert f'href="#{slug("receipt", f"scores/{TASK}/flex/seed0.csv")}"' in html


def test_no_spectra_and_no_logs_are_said_so():
    assert "no spectra" in words(draw_spectra(pd.DataFrame(), labels=simulated("w")))
    assert "trained" in words(draw_loss(pd.DataFrame()))


def test_a_rewrite_has_the_same_bytes(usual, tmp_path):
    digests = []
    for attempt in ("a", "b"):
        for name in ("maps", "coverage"):
            save(draw_figure(name, usual, task=TASK), tmp_path / attempt / f"{name}.png")
        files = sorted((tmp_path / attempt).iterdir())
        assert [file.name for file in files] == [
            "coverage.pdf",
            "coverage.png",
            "maps.pdf",
            "maps.png",
        ]
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
    assert digests[0] == digests[1]
    assert b"CreationDate" not in (tmp_path / "a" / "maps.pdf").read_bytes()
    with Image.open(tmp_path / "a" / "maps.png") as image:
        assert "Software" not in image.info


def test_drawing_leaves_global_settings_alone(usual):
    matplotlib.rcParams["font.size"] = 17.0
    try:
        draw_figure("coverage", usual, task=TASK)
        assert matplotlib.rcParams["font.size"] == 17.0
    finally:
        matplotlib.rcdefaults()


def test_unknown_names_say_what_is_allowed(usual):
    with pytest.raises(FlexbenchError, match=r"figure 'map'.*allowed: maps, spectra"):
        draw_figure("map", usual, task=TASK)
    with pytest.raises(FlexbenchError, match=r"task 'nowcast'.*allowed: superres_x4"):
        draw_figure("maps", usual, task="nowcast")


@pytest.mark.parametrize("members", [4, 6, 16])
def test_pull_density_is_that_of_perfect_ensembles(members):
    total, _ = integrate.quad(pull_density, -np.inf, np.inf, args=(members,))
    assert total == pytest.approx(1.0, abs=1e-6)
    random = np.random.default_rng(members)
    draws = random.normal(size=(400_000, members + 1))
    pull = (draws[:, 0] - draws[:, 1:].mean(axis=1)) / draws[:, 1:].std(axis=1, ddof=1)
    edges = np.linspace(-3, 3, 13)
    counts = np.histogram(pull, edges)[0] / len(pull)
    expected = [integrate.quad(pull_density, a, b, args=(members,))[0] for a, b in pairwise(edges)]
    assert counts == pytest.approx(expected, abs=4 * np.sqrt(0.2 / len(pull)))


def test_maps_share_limits_and_show_the_data(usual):
    figure = draw_figure("maps", usual, task=TASK)
    images = [axis.images[0] for axis in figure.axes if axis.images]
    signed = [image for image in images if image.get_cmap().name == style.SIGNED_MAP]
    amount = [image for image in images if image.get_cmap().name == style.AMOUNT_MAP]
    assert {image.get_clim() for image in signed} == {signed[0].get_clim()}
    low, high = signed[0].get_clim()
    assert low == -high
    assert {image.get_clim() for image in amount} == {(0.0, amount[0].get_clim()[1])}
    snapshot = usual.snapshot(TASK)
    assert snapshot is not None
    np.testing.assert_array_equal(signed[0].get_array(), snapshot.truth)
    assert signed[1].get_array().shape == (snapshot.truth.shape[0] // 4,) * 2
    np.testing.assert_allclose(
        signed[1].get_array(),
        snapshot.truth.reshape(12, 4, 12, 4).mean(axis=(1, 3)),
        rtol=1e-4,
        atol=1e-4,
    )
    flex = snapshot.members["flex"]
    shown = [np.asarray(image.get_array()) for image in images]
    assert any(np.array_equal(flex[0], array) for array in shown)
    assert any(np.array_equal(flex.std(axis=0, ddof=1), array) for array in shown)


def test_forecast_maps_show_the_past(build):
    inputs = build(World(methods=LEARNED, tasks={"forecast": {"kind": "forecast"}}))
    snapshot = inputs.snapshot("forecast")
    assert snapshot is not None
    from flexbench.data.store import Trajectory

    with Trajectory(inputs.layout.trajectory(snapshot.trajectory)) as trajectory:
        np.testing.assert_array_equal(snapshot.truth, trajectory.snapshot(3))
        np.testing.assert_array_equal(snapshot.base, trajectory.snapshot(2))
        np.testing.assert_array_equal(snapshot.given, trajectory.snapshot(1))


def test_dots_stand_at_the_scores(usual):
    scores = usual.task_scores(TASK)
    with style.look():
        figure = draw_rfne_by_re(scores, trained={500.0}, labels=simulated("w"))
    axis = figure.axes[0]
    lines = [line for line in axis.lines if len(line.get_ydata()) == 2]
    drawn = {tuple(np.round(np.asarray(line.get_ydata(), float), 12)) for line in lines}
    rfne = scores[(scores["score"] == "rfne_mean") & (scores["reynolds"] != "all")]
    for _, rows in rfne.groupby("method"):
        assert tuple(np.round(rows["value"], 12)) in drawn
    assert [label.get_text() for label in axis.get_xticklabels()] == ["500", "2000"]
    assert words(figure).count("not trained on") == 1


def test_cost_is_flops_of_all_evaluations(usual):
    cost = usual.table("cost")
    with style.look():
        figure = draw_accuracy_cost(usual.task_scores(TASK), cost)
    left = figure.axes[0]
    places = [line.get_xdata()[0] for line in left.lines if len(line.get_xdata()) == 1]
    own = cost[cost["method"] != "interpolation"]
    assert set(places) == set(own["flops_per_evaluation"] * own["evaluations"])
    dashed = [line for line in left.lines if list(line.get_xdata()) == [0, 1]]
    assert len(dashed) == 1, "a formula without counted operations is a line across"


def test_rank_histogram_is_relative_to_the_flat_one():
    rows = {
        "method": "flex", "reynolds": "all", "score": "rank_hist", "members": 3,
        "detail": ["0", "1", "2", "3"], "value": [0.25, 0.25, 0.25, 0.25],
        "low": [0.2] * 4, "high": [0.3] * 4,
    }  # fmt: skip
    with style.look():
        figure = draw_rank(pd.DataFrame(rows))
    assert [patch.get_height() for patch in figure.axes[0].patches] == [1.0] * 4
    assert "flex (M = 3)" in words(figure)


def test_calibration_figures_leave_out_what_has_no_ensemble(usual):
    for draw in (draw_pull, draw_rank, draw_coverage):
        with style.look():
            assert "interpolation" not in words(draw(usual.task_scores(TASK)))


def test_colours_are_fixed_for_known_methods_and_differ_for_others():
    others = [f"method-{i}" for i in range(len(style.OTHER_LOOKS))]
    looks = style.assign_looks([*style.METHOD_COLOURS, *others])
    assert {m: looks[m][0] for m in style.METHOD_COLOURS} == style.METHOD_COLOURS
    assert len({looks[method] for method in others}) == len(others)
    assert style.assign_looks(["my-own"])["my-own"] == ("#7A6A00", "h"), "stable across machines"
    with style.look(others):
        assert [style.colour(method) for method in others] == [looks[m][0] for m in others]


def test_more_unknown_methods_than_colours_still_draw():
    looks = style.assign_looks([f"method-{i}" for i in range(25)])
    assert len(looks) == 25
