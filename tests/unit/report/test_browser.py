"""The page as a browser shows it: offline, wide and narrow, light and dark, by keyboard alone.

Debian's `chromium` through its executable, with axe-core out of the package that ships it. Where
FLEXBENCH_BROWSER names the executable, as continuous integration does, a missing browser fails.
"""

import io
import json
import os
import re
import shutil
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from flexbench.report.catalogue import figures_of
from flexbench.report.figures import draw_figure, save
from flexbench.report.page import write_report

from .conftest import copy_of

CASE, ROLLOUT = "superres_x4", "forecast.rollout"
DRAWN = ((CASE, "maps"), (CASE, "rank"), (ROLLOUT, "rollout"))
VARIABLE = "FLEXBENCH_BROWSER"
# Elements that reach over the right edge of the page, but for what scrolls and says so.
OVER = """() => [...document.querySelectorAll("main *, nav *")].filter((it) => {
    const place = it.closest(".scroll");
    const box = it.getBoundingClientRect();
    return box.width > 0 && box.right > innerWidth + 1 && (!place || place === it);
}).map((it) => it.outerHTML.slice(0, 120))"""
SILENT = """() => [...document.querySelectorAll(".scroll")].filter((it) =>
    it.scrollWidth > it.clientWidth + 1 && !(it.classList.contains("wide") && it.tabIndex === 0)
).length"""
VIOLATIONS = """async () => (await axe.run()).violations.map((it) =>
    `${it.id}: ${it.help}: ${it.nodes.map((node) => node.html.slice(0, 160)).slice(0, 3)}`)"""


@pytest.fixture(scope="module")
def chromium():
    needed = os.environ.get(VARIABLE)
    missing = pytest.fail if needed else pytest.skip
    executable = shutil.which(needed or "chromium")
    if executable is None:
        missing(f"no {needed or 'chromium'}; on Debian: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("no playwright; pip install -e '.[browser]'")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(usual, tmp_path_factory):
    """A page with pictures of each kind, flags of both kinds, and a claim that can be judged."""
    inputs = copy_of(usual, tmp_path_factory.mktemp("browser"))
    for case, name in DRAWN:
        assert name in figures_of(inputs.config, case)
        place = inputs.layout.animation if name == "rollout" else inputs.layout.figure
        path = place(case, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        save(draw_figure(name, inputs, case=case), path)
    # They all look alike, and each is hundreds of elements.
    for receipt in inputs.layout.folder.rglob("*.receipt.json"):
        if receipt.name.startswith("seed1") or receipt.parent.name == "data":
            receipt.unlink()
    ledger = json.loads(inputs.layout.claims.read_text())
    first = next(own for own in ledger["claims"].values() if own["comparisons"])
    numbers = {"effect": 0.1, "low": 0.05, "high": 0.15, "smallest_visible": 0.04}
    first["comparisons"][0] |= numbers
    inputs.layout.claims.write_text(json.dumps(ledger))
    path = inputs.layout.folder / "page.html"
    write_report(inputs, path, edges=[("simulate", "train"), ("train", "sample")])
    return path


@pytest.fixture
def opened(chromium, report):
    """Opens the page offline; what a browser complains of stands in `complaints`."""
    contexts = []

    def open_page(width=1280, scheme="light"):
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda it: page.complaints.append(f"{it.type}: {it.text}"))
        page.on("pageerror", lambda it: page.complaints.append(str(it)))
        page.on("requestfailed", lambda it: page.complaints.append(f"failed: {it.url[:100]}"))
        page.goto(report.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_fails_and_nothing_shuts_anybody_out(opened, width, scheme):
    page = opened(width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
    page.wait_for_timeout(300)  # until what is new has been measured
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVER) == []
    assert page.evaluate(SILENT) == 0
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text())
    assert page.evaluate(VIOLATIONS) == []
    broken = "[...document.images].filter((it) => it.complete && !it.naturalWidth).length"
    assert page.evaluate(broken) == 0
    assert page.complaints == []


def column(page, number):
    """The texts of a column of the table of all scores, from 1."""
    return page.locator(f"#all-scores tbody tr > :nth-child({number})").all_text_contents()


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def test_the_table_of_all_scores_is_used_by_keyboard(opened):
    page = opened()
    page.focus("#explorer summary")
    press(page, "Enter", "Tab")
    assert page.evaluate("document.activeElement.labels[0].textContent").startswith("Case")
    everything = page.locator("#found").text_content()
    press(page, "Tab", "f", "l", "e", "x")
    assert set(column(page, 2)) == {"flex"}
    press(page, "Tab", "Tab", "Tab")
    page.keyboard.type("rfne mean")
    assert set(column(page, 3)) == {"RFNE, mean ↓"}
    found = page.locator("#found").text_content()
    assert found != everything
    assert re.fullmatch(r"\d+ of \d+ rows, \d+ shown", found)

    heads = page.locator("#all-scores thead th")
    name = "document.activeElement.textContent"
    while page.evaluate(name) != "Value":
        press(page, "Tab")
    press(page, "Enter")
    assert heads.nth(5).get_attribute("aria-sort") == "ascending"
    values = [float(text) for text in column(page, 6)]
    assert len(set(values)) >= 3
    assert values == sorted(values)
    press(page, "Enter")
    assert heads.nth(5).get_attribute("aria-sort") == "descending"
    assert [float(text) for text in column(page, 6)] == sorted(values, reverse=True)
    press(page, "Shift+Tab", "Shift+Tab", "Enter")
    flows = [("all", "500", "2000", "8000").index(text) for text in column(page, 4)]
    assert all(one <= next_one for one, next_one in pairwise(flows))
    assert heads.nth(5).get_attribute("aria-sort") is None

    page.focus("#filters button")
    press(page, "Enter")
    page.wait_for_function("(text) => found.textContent === text", arg=everything)
    more = len(column(page, 1))
    page.focus("#more")
    press(page, "Enter")
    assert len(column(page, 1)) > more
    assert page.complaints == []


def test_links_open_what_they_lead_to(opened):
    page = opened()
    press(page, "Tab", "Enter")
    assert page.evaluate("document.activeElement.id") == "main", "the first leads past the rest"
    page.locator("#scorecard td a").first.press("Enter")
    target = page.evaluate("location.hash")
    assert target.startswith("#receipt-")
    page.wait_for_selector(f"{target}[open] dl", state="visible")
    page.locator('nav a[href="#explorer"]').press("Enter")
    page.wait_for_selector("#all-scores tbody tr", state="visible")


def test_pictures_that_follow_one_another_are_turned_by_keyboard(opened):
    page = opened()
    page.locator('nav a[href="#part-rollout"]').press("Enter")
    slider = page.locator(".frames input")
    slider.press("ArrowRight")
    assert page.locator(".frames output").text_content() == "2 of 3"
    assert page.locator(".frames img").nth(1).is_visible()
    assert not page.locator(".frames img").nth(0).is_visible()


def test_a_dark_page_has_dark_figures_whose_maps_keep_their_colours(opened):
    """Inside the map of the truth the same pixels as by light; around it the page's darkness."""
    place = """(it) => {
        const box = it.querySelector("clipPath rect").getBBox();
        const scale = it.clientWidth / it.viewBox.baseVal.width;
        return [box.x, box.y, box.x + box.width, box.y + box.height].map((end) => end * scale);
    }"""
    shots = {}
    for scheme in ("light", "dark"):
        picture = opened(scheme=scheme).locator("svg.map").first
        left, top, right, bottom = (round(end) for end in picture.evaluate(place))
        with Image.open(io.BytesIO(picture.screenshot())) as shot:
            shots[scheme] = np.asarray(shot.convert("RGB"), dtype=float)
    light, dark = shots["light"], shots["dark"]
    assert light[2, 2].min() > 250
    assert dark[2, 2].max() < 40
    inside = np.s_[top + 3 : bottom - 3, left + 3 : right - 3]
    assert np.ptp(light[inside], axis=2).max() > 100, "it has colours"
    np.testing.assert_array_equal(light[inside], dark[inside])
