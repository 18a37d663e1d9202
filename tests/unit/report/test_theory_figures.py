"""The figures of what theory says: which tasks have them, and that they show what was measured."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from flexbench.config.reading import load_config
from flexbench.paths import Layout
from flexbench.report import style
from flexbench.report.catalogue import figures_of
from flexbench.report.figures import draw_figure, save
from flexbench.report.inputs import ReportInputs
from flexbench.theory.tables import GRADIENTS, SCALINGS, SPACES, TARGETS

from .drawn import words

TASK = "superres_x4"
FLEX = "flex-xxs"
FIGURES = ["target_variance", "gradient_noise"]
SCALES = {"residuals": [20.0, 25.0, 32.0], "fields": [40.0, 60.0, 50.0]}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Of tier study, with known files of both quantities."""
    root = tmp_path_factory.mktemp("results")
    config = load_config({"tier": "study", "root": str(root)})
    layout = Layout(root, "study")
    times = (np.arange(20) + 0.5) / 20
    rows = [
        {
            **{"trajectory": f"re{reynolds}_seed{seed}", "reynolds": reynolds, "space": space},
            **{"scaling": scaling, "t": t, "variance": 1.0},
            "target_variance": 1 - t + t * (seed + 1) * (2 if space == "fields" else 0.5),
            "optimal_velocity": 0.3,
        }
        for reynolds in (500, 1000, 2000)
        for seed in (0, 1)
        for space in SPACES
        for scaling in SCALINGS
        for t in times
    ]
    layout.targets(TASK).parent.mkdir(parents=True)
    TARGETS.of(rows).to_csv(layout.targets(TASK), index=False)
    for space, training in zip(SPACES, (TASK, f"{TASK}_fields"), strict=True):
        for seed, scale in enumerate(SCALES[space]):
            named = {"training": training, "method": FLEX, "training_seed": seed, "step": 1}
            named |= {"batches": 8, "squared_norm": 1.0, "trace": scale}
            rows = [named | {"moment": it, "noise_scale": scale / it} for it in (0.1, 0.5, 1.0)]
            path = layout.gradients(training, FLEX, seed)
            path.parent.mkdir(parents=True, exist_ok=True)
            GRADIENTS.of(rows).to_csv(path, index=False)
    return ReportInputs(layout=layout, config=config)


def test_tasks_of_residuals_have_them_where_theory_is_asked_for(inputs):
    study = inputs.config
    for task in (TASK, "forecast"):
        assert set(FIGURES) <= set(figures_of(study, task))
        assert set(FIGURES).isdisjoint(figures_of(study, f"{task}_fields"))
        assert set(FIGURES).isdisjoint(figures_of(study, f"{task}.unseen_re"))
        plain = study.model_copy(update={"theory": None})
        assert set(FIGURES).isdisjoint(figures_of(plain, task))
        alone = study.theory.model_copy(update={"methods": ["unet"]})
        only = figures_of(study.model_copy(update={"theory": alone}), task)
        assert set(FIGURES) & set(only) == {"target_variance"}, "no fields are learnt by it"


def test_lines_are_means_over_trajectories(inputs):
    figure = draw_figure("target_variance", inputs, case=TASK)
    left, right = figure.axes
    assert {"Re 500", "Re 2000", "residuals", "fields"} <= set(words(figure).split("\n"))
    assert all("[1]" in axis.get_xlabel() and "[1]" in axis.get_ylabel() for axis in figure.axes)
    lines = [line for line in left.get_lines() if len(line.get_xdata()) == 20]
    assert len(lines) == 2 * 3
    for line in lines:
        factor = 0.5 if line.get_linestyle() == "-" else 2
        t = np.asarray(line.get_xdata())
        np.testing.assert_allclose(line.get_ydata(), 1 - t + t * 1.5 * factor)
    assert all(np.allclose(line.get_ydata(), 0.3) for line in right.get_lines())


def test_points_are_geometric_means_with_student_s_interval(inputs):
    figure = draw_figure("gradient_noise", inputs, case=TASK)
    (axis,) = figure.axes
    assert "[patches]" in axis.get_ylabel()
    assert {FLEX, "residuals", "fields"} <= set(words(figure).split("\n"))
    with style.look(inputs.config.methods):
        marker = style.marker(FLEX)
    means = [line.get_ydata()[0] for line in axis.get_lines() if line.get_marker() == marker]
    expected = [
        stats.gmean(SCALES[space]) / moment for moment in (0.1, 0.5, 1.0) for space in SPACES
    ]
    np.testing.assert_allclose(means, expected)
    bar = axis.collections[0].get_segments()[0][:, 1]
    logs = np.log(np.array(SCALES["residuals"]) / 0.1)
    ends = stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs))
    np.testing.assert_allclose(bar, np.exp(ends))
    joined = [line.get_ydata() for line in axis.get_lines() if len(line.get_ydata()) == 2]
    np.testing.assert_allclose(joined[-3:], np.transpose(list(SCALES.values())))


def test_what_is_not_asked_for_any_more_is_not_drawn(inputs):
    theory = inputs.config.theory.model_copy(update={"training_seeds": [0, 1]})
    config = inputs.config.model_copy(update={"theory": theory})
    fewer = ReportInputs(layout=inputs.layout, config=config).gradients(TASK)
    assert set(fewer["training_seed"]) == {0, 1}
    assert len(inputs.gradients(TASK)) == 2 * 3 * 3


def test_nothing_to_show_says_why(inputs, tmp_path):
    empty = ReportInputs(layout=Layout(tmp_path, "study"), config=inputs.config)
    assert "no gradients were measured" in words(draw_figure("gradient_noise", empty, case=TASK))
    TARGETS.of([]).to_csv(inputs.layout.targets("forecast"), index=False)
    assert "no training trajectory was measured" in words(
        draw_figure("target_variance", inputs, case="forecast")
    )
    hidden = inputs.layout.gradients("forecast", FLEX, 0)
    hidden.parent.mkdir(parents=True)
    row = dict.fromkeys(GRADIENTS.columns, 0.5) | {"training_seed": 0, "noise_scale": np.nan}
    pd.DataFrame([row]).to_csv(hidden, index=False)
    assert "noise hides the gradients" in words(
        draw_figure("gradient_noise", inputs, case="forecast")
    )


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_drawing_gives_the_same_bytes(inputs, tmp_path, name):
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        save(draw_figure(name, inputs, case=TASK), path)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
