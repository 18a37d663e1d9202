"""Every figure: it is found by its name, draws from full and from meagre inputs, says its units."""

import hashlib
import json
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import yaml
from PIL import Image

from flexbench.config.reading import load_config
from flexbench.errors import FlexbenchError
from flexbench.report import FIGURES, style
from flexbench.report.animation import Animation
from flexbench.report.catalogue import LEAD, FigureEntry, figures_of, part_of
from flexbench.report.figures import draw_figure, save
from flexbench.report.page import render_page

from .conftest import copy_of
from .drawn import words

CASE, ROLLOUT = "superres_x4", "forecast.rollout"
# Of what theory says, where a run asks for it: `test_theory_figures.py`.
OF_THEORY = {"target_variance", "gradient_noise"}
# On the page as they are; those that move are tested on their files.
STILL = [name for name, e in FIGURES.items() if not e.animated and name not in OF_THEORY]


def test_a_case_has_the_figures_that_say_so(usual):
    drawn = {name: figures_of(usual.config, name) for name in usual.config.cases}
    assert {name for names in drawn.values() for name in names} == (
        set(FIGURES) - {"frontier"} - OF_THEORY
    )
    assert "matrix" in drawn[CASE]
    assert "matrix" not in drawn["forecast"], "no other flows of that task are evaluated"
    assert drawn["superres_x4.far"] == ["maps"]
    assert drawn[ROLLOUT] == ["maps", "spectra", "leads", "rollout"]


def test_what_is_meant_to_be_calibrated_is_shown_to_be():
    desk = load_config({"tier": "desk"})
    judged = ["pull", "pull_members", "fifths", "spread_skill", "rank"]
    assert figures_of(desk, "forecast.calibrated") == ["maps", *judged]
    assert figures_of(desk, "superres_x4.blended") == ["maps"]
    assert figures_of(desk, "forecast.unseen_re") == ["maps"]


def test_samplers_are_compared_where_there_are_many():
    own = Path(__file__).parents[3] / "workflow" / "config" / "frontier.yaml"
    frontier = load_config(yaml.safe_load(own.read_text()))
    for task in ("superres_x4", "forecast"):
        assert "frontier" in figures_of(frontier, task)
        assert "frontier" not in figures_of(frontier, f"{task}.ddim_4")
        assert "frontier" not in figures_of(load_config({"tier": "desk"}), task)


WITHOUT_UNITS = {"rfne_by_re", "pull", "pull_members", "fifths", "rank", "coverage", "frontier"}


@pytest.mark.parametrize("name", STILL)
def test_every_figure_labels_its_axes_with_units(name, usual):
    figure = draw_figure(name, usual, case=ROLLOUT if name == "leads" else CASE)
    shown = words(figure)
    assert "flex" in shown
    if name == "maps":
        assert "[1/time unit]" in shown
        assert {"x", "y", "truth", "low resolution", "up-sampled"} <= set(shown.split("\n"))
    elif name in ("matrix", "leads"):
        assert "RFNE, mean" in shown
        assert name == "matrix" or "[time unit]" in shown
    else:
        labels = [axis.get_xlabel() + axis.get_ylabel() for axis in figure.axes]
        named = "".join(labels) + figure.get_supxlabel()
        assert named
        assert ("[" in named) == (name not in WITHOUT_UNITS), named
    assert "[1]" not in shown, "what is a ratio or a count has no unit"


NOTHING = {
    "loss": "no method of this task is trained",
    "pull": "no ensemble of this task has enough members for a pull",
    "pull_members": "no ensemble of this task has enough members for a pull",
    "fifths": "no method of this task gives an ensemble",
    "spread_skill": "no method of this task gives an ensemble",
    "rank": "no method of this task gives an ensemble",
    "coverage": "no method of this task gives an ensemble",
}


@pytest.mark.parametrize("name", [name for name, entry in FIGURES.items() if "task" in entry.of])
def test_a_formula_on_one_trajectory_is_drawn_or_said_to_lack_what_is_needed(name, bare):
    if name == "matrix":
        assert name not in figures_of(bare.config, CASE)
        return
    figure = draw_figure(name, bare, case=CASE)
    if name in NOTHING:
        assert words(figure) == NOTHING[name]
    else:
        assert "interpolation" in words(figure)
        assert any(axis.has_data() or axis.images for axis in figure.axes)


@pytest.mark.parametrize(
    "name",
    ["rfne_by_re", "accuracy_cost", "pull", "pull_members", "fifths", "spread_skill", "rank"],
)
def test_nan_scores_do_not_stop_a_figure(name, usual, tmp_path):
    inputs = copy_of(usual, tmp_path)
    scores = usual.table("scores")
    for lost, expected in ((["unet"], "flex"), (usual.config.methods, "")):
        scores.loc[scores["method"].isin(lost), ["value", "low", "high"]] = np.nan
        scores.to_csv(inputs.layout.table("scores"), index=False)
        shown = words(draw_figure(name, inputs, case=CASE))
        assert expected in shown
        assert shown.strip()
        assert "unet" not in shown


def test_a_rewrite_has_the_same_bytes(usual, tmp_path):
    digests = []
    for attempt in ("a", "b"):
        save(draw_figure("coverage", usual, case=CASE), tmp_path / attempt / "coverage.png")
        files = sorted((tmp_path / attempt).iterdir())
        assert [file.name for file in files] == ["coverage.pdf", "coverage.png"]
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
    assert digests[0] == digests[1]
    assert b"CreationDate" not in (tmp_path / "a" / "coverage.pdf").read_bytes()
    with Image.open(tmp_path / "a" / "coverage.png") as image:
        assert "Software" not in image.info
        assert float(np.asarray(image.convert("L")).std()) > 0


def test_an_animation_is_one_gif_of_the_same_bytes_again(tmp_path):
    random = np.random.default_rng(0)
    pictures = [
        Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)) for _ in range(3)
    ]
    for name in ("a", "b"):
        save(Animation(pictures, 250), tmp_path / f"{name}.gif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "b.gif"]
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as shown:
        assert (shown.format, shown.n_frames, shown.size) == ("GIF", 3, (30, 20))
        assert (shown.info["duration"], shown.info["loop"]) == (250, 0)


def test_drawing_leaves_global_settings_alone(usual):
    matplotlib.rcParams["font.size"] = 17.0
    try:
        draw_figure("coverage", usual, case=CASE)
        assert matplotlib.rcParams["font.size"] == 17.0
    finally:
        matplotlib.rcdefaults()


def test_unknown_names_say_what_is_allowed(usual):
    with pytest.raises(FlexbenchError, match=r"figure 'map'.*allowed: maps, spectra"):
        draw_figure("map", usual, case=CASE)
    # A file beside the figures is none.
    with pytest.raises(FlexbenchError, match="figure 'parts' does not exist"):
        draw_figure("parts", usual, case=CASE)
    with pytest.raises(FlexbenchError, match=r"case 'nowcast'.*allowed: superres_x4"):
        draw_figure("maps", usual, case="nowcast")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"source": "samples"}, "source 'samples'; allowed: '', 'snapshot'"),
        ({"part": "maps"}, "part 'maps'; allowed: lead, accuracy, uncertainty, flows"),
        ({"of": ("task", "rollouts")}, "of 'rollouts'; allowed: task, evaluation, rollout"),
    ],
)
def test_the_catalogue_is_checked_as_it_is_built(wrong, message):
    with pytest.raises(ValueError, match=message):
        FigureEntry(title="T", caption="Better: lower.", sizes=(1, 1), **wrong)


def test_an_evaluation_has_one_part_for_all_of_its_figures():
    desk = load_config({"tier": "desk"})
    assert part_of(desk, "forecast", "maps") == LEAD
    assert part_of(desk, "forecast", "pull") == "uncertainty"
    assert part_of(desk, "forecast.no_slip", "maps") == "flows"
    assert part_of(desk, "forecast.rollout", "spectra") == "rollout"
    assert part_of(desk, "forecast.calibrated", "pull") == "sampling"
    assert all(entry.part != LEAD or name == "maps" for name, entry in FIGURES.items())


def test_a_png_tells_where_its_colours_are_values(usual, tmp_path):
    """Maps and colour bars, in the picture itself; a drawing of lines has none."""
    figure = draw_figure("maps", usual, case=CASE)
    save(figure, tmp_path / "maps.png")
    save(draw_figure("rank", usual, case=CASE), tmp_path / "rank.png")
    with Image.open(tmp_path / "rank.png") as rank:
        assert json.loads(rank.info[style.PANELS]) == []
    with Image.open(tmp_path / "maps.png") as maps:
        boxes = json.loads(maps.info[style.PANELS])
        pixels = np.asarray(maps.convert("RGB"), float)
    assert len(boxes) == 3 + sum(bool(axis.images) for axis in figure.axes)
    ends = np.array(boxes)
    places = np.rint(ends * [*pixels.shape[1::-1], *pixels.shape[1::-1]]).astype(int)
    for left, top, right, bottom in places:
        inside = pixels[top:bottom, left:right]
        assert np.ptp(inside, axis=2).max() > 50, "it has colours"
        pixels[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2] = 0
    assert np.ptp(pixels, axis=2).max() < 30, "and nothing else has"


def test_every_entry_says_how_large_its_files_are():
    for name, entry in FIGURES.items():
        assert len(entry.sizes) == (1 if entry.animated else 2), name
        assert all(1_000 < size < 2_000_000 for size in entry.sizes), name


def test_a_new_figure_is_its_module_and_its_entry(bare, tmp_path, monkeypatch):
    module = """
        from flexbench.report import style

        def draw(inputs, case):
            scores = inputs.of_case("scores", case)
            figure = style.new_figure(height=2.0)
            own = scores[(scores["score"] == "psnr") & (scores["reynolds"] == "all")]
            figure.subplots().bar(own["method"], own["value"])
            return figure
    """
    (tmp_path / "own.py").write_text(textwrap.dedent(module))
    from flexbench.report import figures

    monkeypatch.setattr(figures, "__path__", [*figures.__path__, str(tmp_path)])
    entry = FigureEntry(title="Own figure", caption="Better: higher.", sizes=(20_000, 10_000))
    monkeypatch.setitem(FIGURES, "own", entry)
    figure = draw_figure("own", bare, case=CASE)
    assert [bar.get_height() > 0 for bar in figure.axes[0].patches] == [True]
    assert figures_of(bare.config, CASE)[-1] == "own"
    html = render_page(bare, edges=[])
    assert "Own figure" in html
    assert "figures/superres_x4/own.png" in html


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
