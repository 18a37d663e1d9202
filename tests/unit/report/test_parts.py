"""Numbers, tables, the graph, the readers, and the captions beside them."""

import base64
import io
import math
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colormaps
from PIL import Image

from flexbench.errors import FlexbenchError
from flexbench.metrics.definitions import DEFINITIONS
from flexbench.report import FIGURES
from flexbench.report.animation import Animation
from flexbench.report.better import SUMMARY, loss_of
from flexbench.report.dag import draw_graph, reduce_edges
from flexbench.report.embed import embed_gif, embed_png
from flexbench.report.inputs import in_method_order, read_log
from flexbench.report.labels import simulated
from flexbench.report.numbers import amount, duration, with_interval
from flexbench.report.tables import comparison_table, details_in_order, reynolds_in_order


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((0.24301, 0.231, 0.2564), ("0.243", "[0.231, 0.256]")),
        ((1.0, 0.93, 1.08), ("1.00", "[0.93, 1.08]")),
        ((12.34, 11.0, 13.02), ("12.3", "[11.0, 13.0]")),
        ((-0.5, -0.6, -0.4), ("−0.500", "[−0.600, −0.400]")),
        ((4.2e-6, 4e-6, 5e-6), ("4.20e−06", "[4.00e−06, 5.00e−06]")),
        ((0.0, 0.0, 0.0), ("0.000", "[0.000, 0.000]")),
        ((9.996, 9.5, 10.5), ("10.0", "[9.5, 10.5]")),
        ((0.3, math.nan, math.nan), ("0.300", "")),
        ((math.nan, 0.1, 0.2), ("NaN", "")),
        ((math.inf, 0.1, math.inf), ("∞", "")),
    ],
)
def test_values_and_intervals_share_their_decimals(numbers, shown):
    assert with_interval(*numbers) == shown


@given(st.floats(1e-12, 1e12), st.sampled_from([-1, 1]))
def test_a_shown_value_is_within_half_a_percent(size, sign):
    text, _ = with_interval(sign * size, math.nan, math.nan)
    assert float(text.replace("−", "-")) == pytest.approx(sign * size, rel=5.1e-3)


def test_counts_and_times_have_units():
    assert [amount(v) for v in (0, 12, 800_000, 1.234e6, 4.5e9, 2e12, math.nan)] == [
        "0", "12", "800 k", "1.23 M", "4.50 G", "2.00 T", "n/a",
    ]  # fmt: skip
    assert [duration(v) for v in (0, 2e-5, 0.0204, 5, 110, 7200, math.nan)] == [
        "0 s", "20 µs", "20.4 ms", "5.00 s", "1.83 min", "2.00 h", "n/a",
    ]  # fmt: skip


def test_better_is_what_the_definitions_say():
    assert set(SUMMARY) <= {name for name, how in DEFINITIONS.items() if not how.helper}
    assert loss_of("rfne_mean", 0.2) < loss_of("rfne_mean", 0.3)
    assert loss_of("pearson", 0.9) < loss_of("pearson", 0.8)
    assert loss_of("pull_ratio", 1.1) < loss_of("pull_ratio", 0.8) < loss_of("pull_ratio", 1.4)
    assert loss_of("pull_ratio", 0.5) == pytest.approx(loss_of("pull_ratio", 2.0))
    assert math.isnan(loss_of("spread", 1.0))
    with pytest.raises(FlexbenchError, match="score 'own' is not defined"):
        loss_of("own", 1.0)


def test_ratios_are_set_off_by_direction():
    def kinds(score, *intervals):
        rows = [
            ("t", "flex", "unet", score, "all", (a + b) / 2, a, b, 6, "reproduced")
            for a, b in intervals
        ]
        columns = ["case", "method", "reference", "score", "reynolds"]
        columns += ["value", "low", "high", "trajectories", "mark"]
        table = comparison_table(pd.DataFrame(rows, columns=columns), labels=simulated("w"))
        return [row.cells[3].kind for row in table.rows]

    intervals = ((0.8, 0.9), (0.9, 1.1), (1.1, 1.2))
    assert kinds("rfne_mean", *intervals) == ["best", "", "worse"]
    assert kinds("pearson", *intervals) == ["worse", "", "best"]
    assert kinds("spread_skill", *intervals) == ["", "", ""]


def test_rows_are_ordered_by_number_not_by_letter():
    frame = pd.DataFrame({"reynolds": ["2000", "all", "500"], "detail": ["k=17-32", "k=5-16", ""]})
    assert reynolds_in_order(frame) == ["all", "500", "2000"]
    assert details_in_order(frame[frame["detail"] != ""]) == ["k=5-16", "k=17-32"]
    assert details_in_order(pd.DataFrame({"detail": ["0.88", "0.06", "0.5"]})) == [
        "0.06", "0.5", "0.88",
    ]  # fmt: skip
    frame = pd.DataFrame({"method": ["b", "z", "a", "b"], "value": [1, 2, 3, 4]})
    assert in_method_order(frame, ["a", "b"])["value"].to_list() == [3, 1, 4, 2]


def test_edges_that_a_longer_path_implies_are_left_out():
    edges = [("score", "all"), ("train", "score"), ("train", "all")]
    assert reduce_edges(edges) == [("score", "all"), ("train", "score")]


def test_the_drawing_is_xml_without_overlaps():
    edges = [("a", "b"), ("b", "c"), ("c", "d"), ("a", "x<&>"), ("x<&>", "d"), ("a", "e")]
    svg = ElementTree.fromstring(str(draw_graph(edges)))
    texts = sorted(text.text for text in svg.iter("text"))
    assert texts == ["a", "b", "c", "d", "e", "x<&>"]
    width, height = float(svg.get("width")), float(svg.get("height"))
    boxes = [
        tuple(float(rect.get(k)) for k in ("x", "y", "width", "height"))
        for rect in svg.iter("rect")
    ]
    for number, (x, y, w, h) in enumerate(boxes):
        assert x >= 0 <= y
        assert x + w <= width + 1
        assert y + h <= height + 1
        for other_x, other_y, other_w, other_h in boxes[:number]:
            apart_x = x + w <= other_x or other_x + other_w <= x
            assert apart_x or y + h <= other_y or other_y + other_h <= y
    assert sum("edge" in (path.get("class") or "") for path in svg.iter("path")) == len(edges)
    assert draw_graph([]) == ""


def test_a_cycle_is_refused():
    with pytest.raises(FlexbenchError, match="cycle"):
        draw_graph([("a", "b"), ("b", "c"), ("c", "a")])


def test_broken_images_are_named(tmp_path):
    image = tmp_path / "x.png"
    image.write_bytes(b"\x89PNG\r\n")
    with pytest.raises(FlexbenchError, match=r"x\.png: not a readable PNG"):
        embed_png(image, is_map=False)


def test_a_log_cut_by_a_kill_is_read_up_to_there(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"event": "start"}\n{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read_log(path).to_dict("records") == [{"step": 1, "loss": 2.0}]
    path.write_text('{"step": 1\n{"step": 2, "loss": 2.0}\n')
    with pytest.raises(FlexbenchError, match=r"log\.jsonl: line 1 is not JSON"):
        read_log(path)


def shown(uri):
    kind, _, content = uri.partition(",")
    assert kind == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        return np.asarray(image.convert("RGB"), float)


def test_a_map_keeps_its_look_in_far_fewer_bytes(tmp_path):
    field = np.random.default_rng(0).normal(size=(60, 60))
    smooth = np.kron(field, np.ones((15, 15)))
    fine = colormaps["RdBu_r"](
        0.5 + 0.15 * smooth + 0.02 * np.random.default_rng(1).normal(size=smooth.shape)
    )
    image = Image.fromarray((255 * fine[:, :, :3]).astype(np.uint8))
    image.save(tmp_path / "a.png", dpi=(100, 100))
    embedded = embed_png(tmp_path / "a.png", is_map=True)
    assert len(embedded.uri) < (tmp_path / "a.png").stat().st_size / 4
    assert (embedded.width, embedded.height) == (990, 990)
    difference = shown(embedded.uri) - np.asarray(image, float)
    assert np.sqrt((difference**2).mean()) < 12.0


def test_a_drawing_of_lines_keeps_every_pixel(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    image.save(tmp_path / "a.png")
    embedded = embed_png(tmp_path / "a.png", is_map=False)
    np.testing.assert_array_equal(shown(embedded.uri), np.asarray(image, float))


def test_an_animation_becomes_its_pictures(tmp_path):
    ramp = np.linspace(0, 255, 30).astype(np.uint8)
    fields = [np.tile(ramp // (4 - n), (20, 1)) for n in range(4)]
    pictures = [Image.fromarray(np.stack(3 * [field], axis=2)) for field in fields]
    Animation(pictures, 100).write(tmp_path / "a.gif")
    embedded = embed_gif(tmp_path / "a.gif")
    assert [picture.width for picture in embedded] == [30] * 4
    for picture, field in zip(embedded, fields, strict=True):
        assert shown(picture.uri).mean() == pytest.approx(field.mean(), abs=4)


def test_every_figure_says_what_better_means():
    for name, entry in FIGURES.items():
        assert re.search(r"[Bb]etter", entry.caption), name
        assert entry.title
