"""The page: self-contained, in order, escaped, linked, the same bytes again."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from flexbench.errors import FlexbenchError
from flexbench.metrics.definitions import DEFINITIONS_VERSION
from flexbench.metrics.tables import COMPARISONS, RED_FLAGS
from flexbench.report.catalogue import figures_of
from flexbench.report.figures import draw_figure, save
from flexbench.report.inputs import ReportInputs
from flexbench.report.page import render_page, slug, write_report

from .conftest import World, copy_of

CASE = "superres_x4"
NOTE = (CASE, "flex", "information", "pull ratio 1.3, outside 0.9 to 1.1")
FLAG = (CASE, "unet", "worse_than_formula", "0.31 of unet, 0.30 of interpolation")
DRAWN = ("rank", "coverage")
# Rules as they follow one another; what is skipped over is not drawn.
EDGES = [
    *pairwise(("simulate", "train", "sample", "score", "tabulate", "figure", "report")),
    ("simulate", "score"),
]
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
def inputs(usual: ReportInputs, tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    inputs = copy_of(usual, tmp_path_factory.mktemp("page"))
    flags = [dict(zip(RED_FLAGS.columns, ("smoke", *flag), strict=True)) for flag in (NOTE, FLAG)]
    RED_FLAGS.of(flags).to_csv(inputs.layout.table("red_flags"), index=False)
    for name in DRAWN:
        save(draw_figure(name, inputs, case=CASE), inputs.layout.figure(CASE, name))
    return inputs


@pytest.fixture(scope="module")
def html(inputs: ReportInputs) -> str:
    return render_page(inputs, edges=EDGES)


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


def test_red_flags_come_before_the_summary_and_the_rest_in_order(inputs, page):
    sections = [values["id"] for tag, values in page.tags if tag == "section"]
    cases = [slug("case", case) for case in inputs.config.cases]
    assert sections == [
        "red-flags", "summary", *cases, "comparisons", "scores", "cost", "definitions",
        "provenance",
    ]  # fmt: skip
    text = page.text
    assert text.index(FLAG[3]) < text.index("RFNE, mean")
    assert "worse than formula" in text
    assert text.index(FLAG[3]) < text.index(NOTE[3]) < text.index("RFNE, mean")


def test_the_version_of_the_definitions_is_told(html):
    assert f"score definitions {DEFINITIONS_VERSION} ·" in html
    assert f"definitions of version\n{DEFINITIONS_VERSION}." in html


def test_information_is_not_counted_as_a_flag(html):
    assert '<b class="count">1</b>' in html
    assert len(re.findall(r'<ul class="flags">.*?</ul>', html, flags=re.S)[0].split("<li>")) == 2


def test_every_link_leads_to_a_place(page):
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_numbers_lead_to_their_receipts(inputs, page):
    # Of one training seed it is that of the file of scores, of several that of the table.
    for output in (f"scores/{CASE}/interpolation/seed0.csv", "tables/scores.csv"):
        receipt = slug("receipt", output)
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
    scores = inputs.of_case("scores", CASE)
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


def test_figures_are_embedded_and_missing_ones_named(inputs, page, html):
    images = [values for tag, values in page.tags if tag == "img"]
    figures = sum(len(figures_of(inputs.config, case)) for case in inputs.config.cases)
    assert len(images) == len(DRAWN)
    assert all(values["src"].startswith("data:image/png;base64,") for values in images)
    assert all(values["alt"] and int(values["width"]) > 300 for values in images)
    assert html.count("Not drawn:") == figures - len(DRAWN)
    assert "figures/forecast/maps.png" in page.text


def test_histograms_are_told_by_figures_alone(page):
    scores = page.text[page.text.rindex("All scores") : page.text.rindex("Definitions")]
    assert "Rank histogram" not in scores
    assert "Coverage by nominal level" in scores


def test_a_rewrite_has_the_same_bytes(bare, tmp_path):
    for name in ("a.html", "b.html"):
        write_report(bare, tmp_path / name, edges=EDGES)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_text_from_files_is_escaped(bare, tmp_path):
    inputs = copy_of(bare, tmp_path)
    ratio = {"case": CASE, "reference": HOSTILE, "score": "crps", "reynolds": "all", "value": 0.5}
    flag = {"tier": "smoke", "case": CASE, "flag": HOSTILE, "message": HOSTILE}
    changed = {
        "scores": inputs.table("scores"),
        "cost": inputs.table("cost").assign(device=HOSTILE),
        "comparisons": COMPARISONS.of([ratio]),
        "red_flags": RED_FLAGS.of([flag]),
    }
    for name, table in changed.items():
        table.assign(method=HOSTILE).to_csv(inputs.layout.table(name), index=False)
    html = render_page(inputs, edges=EDGES)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    page = Page(html)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.text.count(HOSTILE) > 10


def test_a_run_without_flags_says_so(bare):
    html = render_page(bare, edges=EDGES)
    assert "None: no method is worse" in html
    assert 'class="best">0' not in html, "one method alone is not the best of anything"


def test_nan_is_shown_as_such(bare, tmp_path):
    inputs = copy_of(bare, tmp_path)
    scores = inputs.table("scores").assign(value=float("nan"))
    scores.to_csv(inputs.layout.table("scores"), index=False)
    html = render_page(inputs, edges=EDGES)
    assert re.search(r'<td class="bad">.{0,80}NaN', html)


def test_a_missing_table_is_one_clear_line(bare, tmp_path):
    inputs = copy_of(bare, tmp_path)
    inputs.layout.table("cost").unlink()
    with pytest.raises(FlexbenchError, match=r"cost\.csv: no such table"):
        render_page(inputs, edges=EDGES)


def test_mixed_versions_are_pointed_out(page, bare, tmp_path):
    assert "mixed" not in page.text
    other = copy_of(bare, tmp_path)
    receipt = other.layout.folder / "tables" / "scores.csv.receipt.json"
    receipt.write_text(receipt.read_text().replace('"flexbench": "0.1"', '"flexbench": "0.2"'))
    assert "0.1, 0.2 mixed" in Page(render_page(other, edges=EDGES)).text


def test_the_workflow_is_drawn_rule_by_rule(html):
    for rule in ("simulate", "train", "sample", "score", "tabulate", "figure", "report"):
        assert f">{rule}</text>" in html


def test_anchors_of_different_names_differ():
    names = ["a/b", "a-b", "A-b", "a b", "ä-b", "a--b"]
    anchors = [slug("case", name) for name in names]
    assert len(set(anchors)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]+", anchor) for anchor in anchors)


def test_claims_stand_on_the_page_with_their_verdicts(build, tmp_path):
    """Of a run that can judge some: in words, with each comparison, which leads to its case."""
    world = World(
        methods={"flex": (0.2, 0.2), "unet": (0.3, 0.1), "interpolation": (0.4, 0.0)},
        training_seeds=(0, 1, 2),
    )
    inputs = copy_of(build(world), tmp_path)
    page = Page(render_page(inputs, edges=EDGES))
    assert "#claims" in page.links
    judged = json.loads(inputs.layout.claims.read_text())["claims"]
    words = f"pull_ratio on {CASE}"
    (first,) = (it for it in judged["4a"]["comparisons"] if it["comparison"].startswith(words))
    assert first["low"] is not None, first
    text = " ".join(page.text.split())
    assert f"4a: {judged['4a']['statement']}" in text
    assert f"{100 * first['low']:+.1f} to {100 * first['high']:+.1f}" in text
    assert "Of 25 statements 0 hold in this run, 0 do not, and 25 stay open." in text
    assert f"#{slug('case', CASE)}" in page.links

    values = json.loads(inputs.layout.claims.read_text())
    values["claims"]["4a"]["verdict"] = "fails"
    inputs.layout.claims.write_text(json.dumps(values))
    assert "0 hold in this run, 1 do not, and 24" in render_page(inputs, edges=EDGES)
    values["claims"]["4a"]["verdict"] = "surely"
    inputs.layout.claims.write_text(json.dumps(values))
    with pytest.raises(FlexbenchError, match=r"claims\.json: no ledger of claims"):
        render_page(inputs, edges=EDGES)


def test_a_run_that_judges_no_claim_says_nothing_of_them(bare):
    assert "#claims" not in Page(render_page(bare, edges=EDGES)).links
