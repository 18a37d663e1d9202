"""The page: self-contained, in order, escaped, linked, the same bytes again."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from flexbench.config.reading import load_config
from flexbench.errors import FlexbenchError
from flexbench.findings.names import case_names
from flexbench.findings.output import findings_json, read_findings
from flexbench.findings.results import Alert, Sentence
from flexbench.metrics.definitions import DEFINITIONS_VERSION, definition_of
from flexbench.metrics.tables import COMPARISONS
from flexbench.report.catalogue import figures_of
from flexbench.report.figures import draw_figure, save
from flexbench.report.inputs import ReportInputs
from flexbench.report.numbers import with_interval
from flexbench.report.origin import origin_of
from flexbench.report.page import render_page, write_report
from flexbench.report.receipts import slug

from .conftest import World, copy_of

CASE = "superres_x4"
NOTE = Alert(kind="overconfident", method="flex", cases=[CASE], text="FLEX is too sure of itself.")
FLAG = Alert(
    kind="worse than formula", method="unet", cases=[CASE], text="U-Net is worse than a formula."
)
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
    found = replace(read_findings(inputs.layout.findings), defects=[FLAG], notes=[NOTE])
    inputs.layout.findings.write_text(findings_json(found), encoding="utf-8")
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
    assert len(html) < 6e6


def test_the_page_has_its_sections_in_order(inputs, page):
    sections = [values["id"] for tag, values in page.tags if tag == "section"]
    tasks = [slug("case", case) for case in inputs.config.tasks]
    parts = [slug("part", part) for part in ("accuracy", "uncertainty", "flows", "rollout", "cost")]
    assert sections == [
        "one-minute", "scorecard", "warnings", *tasks, "leaderboard", *parts, "comparisons",
        "explorer", "cost", "definitions", "provenance",
    ]  # fmt: skip
    assert {f"#{name}" for name in sections} <= set(page.links)


def test_flags_come_before_notes_and_both_before_what_they_are_about(page):
    text = page.text
    assert FLAG.kind in text
    assert text.index(FLAG.text) < text.index(NOTE.text) < text.index("One test snapshot")


def test_what_leads_is_not_folded_and_all_else_is(html):
    """One figure for each task, the scorecard, the flags."""
    shown = unfolded(html)
    assert shown.count("<figure>") == 2
    for words in ('id="scorecard"', 'id="warnings"', "RFNE, mean", FLAG.text):
        assert words in shown
    assert NOTE.text not in shown


def unfolded(html):
    """The page without what stands in a <details>."""
    parts = re.split(r"(<details|</details>)", html)
    kept, depth = [], 0
    for part in parts:
        depth += {"<details": 1, "</details>": -1}.get(part, 0)
        kept += [part] if depth == 0 else []
    assert depth == 0
    return "".join(kept)


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
    summary = html[html.index(f'<section id="{slug("case", CASE)}"') :]
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', summary, flags=re.S)
    flex = next(row for row in rows if "flex" in row)
    unet = next(row for row in rows if "unet" in row)
    assert 'class="best"' in flex[: flex.index("</td>")]
    assert 'class="best"' not in unet[: unet.index("</td>")]


def test_figures_are_embedded_and_missing_ones_named(inputs, page, html):
    images = [values for tag, values in page.tags if tag == "img"]
    figures = sum(len(figures_of(inputs.config, case)) for case in inputs.config.cases)
    assert len(images) == len(DRAWN)
    assert all(values["src"].startswith("data:image/webp;base64,") for values in images)
    assert all(int(values["width"]) > 300 for values in images)
    assert next(values["alt"] for values in images).startswith(
        "Super-resolution ×4. Rank histogram: "
    )
    assert html.count("Not drawn:") == figures - len(DRAWN)
    assert "figures/forecast/maps.png" in page.text


def test_a_rewrite_has_the_same_bytes(bare, tmp_path):
    for name in ("a.html", "b.html"):
        write_report(bare, tmp_path / name, edges=EDGES)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_text_from_files_is_escaped(bare, tmp_path):
    inputs = copy_of(bare, tmp_path)
    ratio = {"case": CASE, "reference": HOSTILE, "score": "crps", "reynolds": "all", "value": 0.5}
    alert = Alert(kind=HOSTILE, method=HOSTILE, cases=[HOSTILE], text=HOSTILE)
    said = Sentence(about=HOSTILE, text=HOSTILE)
    found = replace(
        read_findings(inputs.layout.findings),
        **{"minute": [said], "cannot_tell": [said], "defects": [alert], "notes": [alert]},
    )
    inputs.layout.findings.write_text(findings_json(found), encoding="utf-8")
    changed = {
        "scores": inputs.table("scores"),
        "cost": inputs.table("cost").assign(device=HOSTILE),
        "comparisons": COMPARISONS.of([ratio]),
    }
    for name, table in changed.items():
        table.assign(method=HOSTILE).to_csv(inputs.layout.table(name), index=False)
    html = render_page(inputs, edges=EDGES)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    page = Page(html)
    assert [tag for tag, _ in page.tags].count("script") == 2, "the scores, and what sorts them"
    assert page.text.count(HOSTILE) > 8
    assert HOSTILE in score_columns(html)[1]["texts"]


def score_columns(html):
    """The columns of the table of all scores, as its script reads them."""
    (content,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)
    return json.loads(content)


def test_the_table_of_all_scores_has_every_row_and_number_of_the_file(inputs, html):
    columns = score_columns(html)
    names = [column["name"] for column in columns]
    cells = {
        column["name"]: (
            [column["texts"][place] for place in column["at"]]
            if "texts" in column
            else column["cells"]
        )
        for column in columns
    }
    table = inputs.table("scores")
    assert names == [
        "Case", "Method", "Score", "Re", "Detail", "Value", "Interval", "Snapshots", "Flows",
        "Seeds", "Receipt",
    ]  # fmt: skip
    assert {len(own) for own in cells.values()} == {len(table)}
    titles = case_names(inputs.config)
    ids = set(Page(html).ids)
    for number, row in enumerate(table.to_dict("records")):
        own = {name: cells[name][number] for name in names}
        assert own["Case"] == titles[row["case"]]
        assert (own["Method"], own["Re"]) == (row["method"], row["reynolds"])
        assert own["Detail"] == row["detail"]
        assert own["Score"].startswith(definition_of(row["score"]).label)
        assert (own["Value"], own["Interval"]) == with_interval(
            row["value"], row["low"], row["high"]
        )
        assert int(own["Snapshots"]) == row["snapshots"]
        assert int(own["Flows"]) == row["trajectories"]
        assert int(own["Seeds"]) == row["training_seeds"]
        assert own["Receipt"] in ids
    # What sorts by the order of its texts has them in order.
    texts = dict(zip(names, (column.get("texts") for column in columns), strict=True))
    assert texts["Re"] == ["all", "500", "2000", "8000"]
    assert texts["Method"] == inputs.config.methods
    assert texts["Flows"] == sorted(texts["Flows"], key=int)


def test_the_header_says_when_where_and_how_to_get_it_again(bare, tmp_path):
    dated = copy_of(bare, tmp_path)
    for number, path in enumerate(sorted(dated.layout.folder.rglob("*.receipt.json"))):
        receipt = json.loads(path.read_text())
        own = {"finished": f"2026-05-0{1 + number % 3}T10:00:00+00:00", "processor": "Abacus 3"}
        path.write_text(json.dumps(receipt | own))
    text = Page(render_page(dated, edges=[], revision="0123456789abcdef+")).text
    assert "finished 3 May 2026, 10:00 UTC · on Abacus 3" in text
    assert "at commit 012345678 and changes" in text
    assert "flexbench run --resolved config.yaml" in text, "it is no tier's own configuration"
    origin = origin_of(load_config({"tier": "smoke"}), [], revision=None)
    assert origin.command == "flexbench run --tier smoke"
    assert len(origin.facts) == 1


def test_a_run_without_flags_says_so(bare):
    html = render_page(bare, edges=EDGES)
    assert "No red flag: no method is worse" in html
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


def test_the_page_says_what_was_found(html, inputs):
    """The sentences, what the run cannot tell, and the scorecard: those of the findings."""
    found = read_findings(inputs.layout.findings)
    text = " ".join(Page(unfolded(html)).text.split())
    for sentence in (*found.minute, *found.cannot_tell):
        assert " ".join(sentence.text.split()) in text
    assert found.minute
    cell = found.scorecard.cell(CASE, "unet")
    scorecard = text[text.index("The error of each method over") : text.index("Warnings", 2000)]
    assert f"{cell.ratio:.2f} {cell.width} ({cell.pull:.2f})" in scorecard

    changed = replace(found, minute=[Sentence(about="winner", text="Nobody is ahead.")])
    inputs.layout.findings.write_text(findings_json(changed), encoding="utf-8")
    assert "<li>Nobody is ahead.</li>" in render_page(inputs, edges=EDGES)
    inputs.layout.findings.write_text(findings_json(found), encoding="utf-8")
