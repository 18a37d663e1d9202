"""From every number and figure on the page of a real run back to what it was made from."""

import json
import re
from itertools import pairwise

import pandas as pd
import pytest

from flexbench.paths import receipt_of
from flexbench.report.catalogue import FIGURES
from flexbench.report.numbers import amount, duration
from flexbench.report.receipts import slug

# Of a task without evaluations.
OF_TASK = [name for name, e in FIGURES.items() if "task" in e.of and not e.needs_evaluations]

TASK = "superres_x4"


@pytest.fixture(scope="module")
def folder(made):
    return made / "smoke"


@pytest.fixture(scope="module")
def html(folder):
    return (folder / "report.html").read_text()


def anchor(output):
    return slug("receipt", output)


def rows_of(html, section):
    """Every row of the tables of a section, as HTML, without their heads."""
    body = re.search(rf'<section id="{section}">.*?</section>', html, flags=re.S)[0]
    return re.findall(r'<tr><th scope="row">.*?</tr>', body, flags=re.S)


def shown(html, output):
    """What the page shows of the receipt of an output, as HTML."""
    start = html.index(f'id="{anchor(output)}"')
    return html[start : html.index("</details>", start)]


@pytest.mark.parametrize("section", ["scorecard", "comparisons", "cost"])
def test_every_row_of_numbers_leads_to_a_receipt(html, section):
    rows = rows_of(html, section)
    assert rows
    for row in rows:
        assert set(re.findall(r'href="#(.*?)"', row)) & set(re.findall(r'id="(receipt.*?)"', html))


def test_cost_leads_to_the_step_that_took_the_time(html):
    row = next(row for row in rows_of(html, "cost") if "</i>flex" in row)
    for name in (f"checkpoints/{TASK}/flex/seed0.safetensors", f"samples/{TASK}/flex/seed0.h5"):
        assert f'href="#{anchor(name)}"' in row


def test_costs_are_those_of_a_whole_field(folder, html):
    """Where the task is shown, as in the table of costs: all calls of the network, on all tiles."""
    costs = pd.read_csv(folder / "tables" / "cost.csv")
    (cost,) = costs[(costs["case"] == TASK) & (costs["method"] == "flex")].to_dict("records")
    whole = cost["flops_per_call"] * cost["calls"] * cost["tiles"]
    assert cost["flops_per_member"] == pytest.approx(whole)
    for section in (slug("case", TASK), "cost"):
        row = next(row for row in rows_of(html, section) if "</i>flex" in row)
        cells = re.findall(r">([^<>]+)</a>", row)
        assert {amount(whole), duration(cost["seconds_per_member"])} <= set(cells)


def test_every_figure_leads_to_its_receipt(html):
    cards = re.findall(r"<figure>.*?</figure>", html, flags=re.S)
    assert len(cards) == len(OF_TASK)
    for name in OF_TASK:
        link = f'<a href="#{anchor(f"figures/{TASK}/{name}.png")}">'
        assert sum(link in card for card in cards) == 1


def test_inputs_lead_all_the_way_back_to_the_solver(html):
    chain = [
        "tables/scores.csv",
        f"scores/{TASK}/flex/seed0.csv",
        f"samples/{TASK}/flex/seed0.h5",
        f"checkpoints/{TASK}/flex/seed0.safetensors",
        f"data/statistics_{TASK}.json",
        "data/re100_seed0.h5",
    ]
    for output, source in pairwise(chain):
        assert f'<a href="#{anchor(source)}">{source}</a>' in shown(html, output)
    assert "inputs</dt>" not in shown(html, chain[-1])


def test_a_receipt_is_shown_whole(folder, html):
    output = f"checkpoints/{TASK}/flex/seed0.safetensors"
    receipt = json.loads(receipt_of(folder / output).read_text())
    part = shown(html, output)
    for key in ("code_digest", "slice_digest", "seconds", "cpu_seconds", "peak_memory_mib"):
        assert str(receipt[key]) in part
    assert receipt["finished"] in part.replace("&#43;", "+")
    for digest in (*receipt["outputs"].values(), *receipt["inputs"].values()):
        assert digest in part
    for size in receipt["bytes"].values():
        assert f"{size} bytes" in part
    for words in ("learning_rate", "&#34;seed&#34;: 0", "&#34;device&#34;", "torch"):
        assert words in part or words.replace("&#34;", '"') in part


def test_the_page_does_not_tell_where_the_results_stand(made, html):
    assert str(made) not in html
