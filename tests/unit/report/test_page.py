"""The page: self-contained, in order, escaped, linked, the same bytes again."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pandas as pd
import pytest

from flexbench.errors import FlexbenchError
from flexbench.report import FIGURES
from flexbench.report.figures import draw_figure, save
from flexbench.report.inputs import ReportInputs
from flexbench.report.page import render_page, slug, write_report

from .conftest import World

# Of a task without evaluations.
OF_TASK = [name for name, e in FIGURES.items() if "task" in e.of and not e.needs_evaluations]

TASK = "superres_x4"
NOTE = (TASK, "flex", "information", "pull ratio 1.3, outside 0.9 to 1.1")
FLAG = (TASK, "unet", "worse_than_trivial", "0.31 of unet, 0.30 of interpolation")
DRAWN = ("maps", "rank", "coverage")
HOSTILE = "a<script>alert(1)</script>\"'&b"


class Page(HTMLParser):
    """Ids, links, tags and text of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._skip = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append((tag, values))
        self._skip += tag in ("style", "script")
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values["href"])

    def handle_endtag(self, tag):
        self._skip -= tag in ("style", "script")

    def handle_data(self, data):
        if not self._skip:
            self.text += data


@pytest.fixture(scope="module")
def inputs(build: Callable[[World], ReportInputs]) -> ReportInputs:
    world = World(
        methods={"flex": (0.2, 0.2), "unet": (0.3, 0.1), "interpolation": (0.4, 0.0)},
        tasks={TASK: {"kind": "superres"}, "forecast": {"kind": "forecast"}},
        training_seeds=(0, 1),
        flags=(NOTE, FLAG),
    )
    inputs = build(world)
    for name in DRAWN:
        save(draw_figure(name, inputs, task=TASK), inputs.layout.figure(TASK, name))
    return inputs


@pytest.fixture(scope="module")
def html(inputs: ReportInputs) -> str:
    return render_page(inputs)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_page_needs_nothing_else(html, page):
    assert "http://" not in html
    assert "https://" not in html
    sources = [v for _, values in page.tags for k, v in values.items() if k in ("src", "href")]
    assert sources
    assert all(source.startswith(("#", "data:")) for source in sources)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert len(html) < 15e6


def test_red_flags_come_before_the_summary_and_the_rest_in_order(page):
    sections = [values["id"] for tag, values in page.tags if tag == "section"]
    tasks = [slug("task", TASK), slug("task", "forecast")]
    assert sections == [
        "red-flags", "summary", *tasks, "comparisons", "scores", "cost", "definitions",
        "provenance",
    ]  # fmt: skip
    text = page.text
    assert text.index(FLAG[3]) < text.index("RFNE, mean")
    assert "worse than trivial" in text
    assert text.index(FLAG[3]) < text.index(NOTE[3]) < text.index("RFNE, mean")


def test_information_is_not_counted_as_a_flag(html):
    assert '<b class="count">1</b>' in html
    assert len(re.findall(r'<ul class="flags">.*?</ul>', html, flags=re.S)[0].split("<li>")) == 2


def test_every_link_leads_to_a_place(page):
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_numbers_lead_to_their_receipts(inputs, page):
    receipt = slug("receipt", f"scores/{TASK}/flex/seed0.csv")
    assert f"#{receipt}" in page.links
    assert receipt in page.ids
    for entry in inputs.receipts():
        for digest in entry.content["outputs"].values():
            assert digest[:16] in page.text


def test_every_number_with_an_interval_leads_to_a_receipt(html):
    cells = re.findall(r"<td[^>]*>(.*?)</td>", html, flags=re.S)
    numbers = [cell for cell in cells if "<small>" in cell]
    assert len(numbers) > 50
    assert all(cell.startswith('<a href="#receipt') for cell in numbers)


def test_numbers_stand_with_their_interval(inputs, html):
    scores = inputs.task_scores(TASK)
    row = scores[
        (scores["method"] == "flex")
        & (scores["score"] == "rfne_mean")
        & (scores["reynolds"] == "all")
    ].iloc[0]
    shown = re.sub(r"<[^>]*>", "", html)
    assert f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" in shown


def test_the_best_of_a_column_is_set_off(inputs, html):
    summary = html[html.index('id="summary"') : html.index('id="comparisons"')]
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', summary, flags=re.S)
    flex = next(row for row in rows if "flex" in row)
    unet = next(row for row in rows if "unet" in row)
    assert 'class="best"' in flex[: flex.index("</td>")]
    assert 'class="best"' not in unet[: unet.index("</td>")]


def test_figures_are_embedded_and_missing_ones_named(page, html):
    images = [values for tag, values in page.tags if tag == "img"]
    assert len(images) == len(DRAWN)
    assert all(values["src"].startswith("data:image/png;base64,") for values in images)
    assert all(values["alt"] and int(values["width"]) > 300 for values in images)
    assert html.count("Not drawn:") == 2 * len(OF_TASK) - len(DRAWN)
    assert "figures/forecast/maps.png" in page.text


def test_histograms_are_told_by_figures_alone(page):
    scores = page.text[page.text.rindex("All scores") : page.text.rindex("Definitions")]
    assert "Rank histogram" not in scores
    assert "Coverage by nominal level" in scores


def test_a_rewrite_has_the_same_bytes(inputs, tmp_path):
    write_report(inputs, tmp_path / "a.html")
    write_report(inputs, tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_text_from_files_is_escaped(inputs, build):
    hostile = build(World(methods={"flex": (0.2, 0.2), "unet": (0.3, 0.1)}))
    for name in ("scores", "cost", "comparisons", "red_flags"):
        path = hostile.layout.table(name)
        table = pd.read_csv(path)
        if name == "red_flags":
            table.loc[0] = ["smoke", TASK, HOSTILE, HOSTILE, HOSTILE]
        table["method"] = table["method"].replace("unet", HOSTILE)
        if "device" in table:
            table["device"] = HOSTILE
        table.to_csv(path, index=False)
    html = render_page(hostile)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert [tag for tag, _ in Page(html).tags].count("script") == 1
    assert HOSTILE in Page(html).text


def test_a_run_without_flags_says_so(build):
    html = render_page(build(World(methods={"flex": (0.2, 0.2)})))
    assert "None: no method is worse" in html
    assert 'class="best">0' not in html, "one method alone is not the best of anything"


def test_nan_is_shown_as_such(build):
    inputs = build(World(methods={"flex": (0.2, 0.2), "unet": (0.3, 0.1)}))
    path = inputs.layout.table("scores")
    scores = pd.read_csv(path)
    scores.loc[scores["method"] == "unet", ["value", "low", "high"]] = float("nan")
    scores.to_csv(path, index=False)
    html = render_page(inputs)
    assert re.search(r'<td class="bad">.{0,80}NaN', html)


def test_a_missing_table_is_one_clear_line(build):
    inputs = build(World(methods={"flex": (0.2, 0.2)}))
    inputs.layout.table("cost").unlink()
    with pytest.raises(FlexbenchError, match=r"cost\.csv: no such table"):
        render_page(inputs)


def test_mixed_versions_are_pointed_out(inputs, build):
    assert "mixed" not in Page(render_page(inputs)).text
    other = build(World(methods={"flex": (0.2, 0.2)}))
    receipt = other.layout.folder / "tables" / "scores.csv.receipt.json"
    receipt.write_text(receipt.read_text().replace('"flexbench": "0.1"', '"flexbench": "0.2"'))
    assert "0.1, 0.2 mixed" in Page(render_page(other)).text


def test_the_workflow_is_drawn_rule_by_rule(html):
    for rule in ("simulate", "train", "sample", "score", "tabulate", "figure", "report"):
        assert f">{rule}</text>" in html


def test_anchors_of_different_names_differ():
    names = ["a/b", "a-b", "A-b", "a b", "ä-b", "a--b"]
    anchors = [slug("task", name) for name in names]
    assert len(set(anchors)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]+", anchor) for anchor in anchors)
