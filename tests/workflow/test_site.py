"""The site and its pages: no dead link, and nothing that code or results say otherwise."""

import importlib.util
import json
import re
import resource
import subprocess
import sys

import pytest

from flexbench.paths import checkout
from flexbench.report.catalogue import FIGURES

DOCS = checkout() / "docs"
NOTEBOOKS = sorted(DOCS.glob("notebooks/*.ipynb"))
WRITE = "run `python docs/pages.py`"

# Relative; another processor gives other last digits.
SAME = 0.02

# Seconds, of which a laptop makes twice as many in the three minutes that are promised.
PROCESSOR = 60

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")

spec = importlib.util.spec_from_file_location("pages", DOCS / "pages.py")
pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pages)


@pytest.mark.parametrize("path", pages.PAGES, ids=lambda path: path.stem)
def test_a_page_says_what_code_and_results_say(path):
    text = path.read_text(encoding="utf-8")
    assert "<!-- written: " in text
    assert pages.renewed(text) == text, WRITE


def test_pictures_are_those_of_the_committed_reports():
    held = {path: path.read_bytes() for path in pages.PICTURES.iterdir()}
    assert held == pages.pictures(), WRITE


def test_the_gallery_has_every_figure():
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- written: figure (\w+) -->", text)) == set(FIGURES)


def test_the_index_leads_to_every_page():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} - {"index.md"}
    there |= {path.relative_to(DOCS).as_posix() for path in NOTEBOOKS}
    assert there <= set(re.findall(r"\]\(([\w./-]+)\)", text))


# What `docs/build` is strict by, in a site of two pages.
CONF = f"""\
import runpy

own = runpy.run_path({str(DOCS / "conf.py")!r})
globals().update({{key: own[key] for key in own if key.startswith(("myst", "nb_", "ext"))}})
"""
DEAD = ("nowhere.md", "page.md#nowhere", "#no-place-here", "nothing.yaml")


@pytest.mark.parametrize("links", [("page.md", "page.md#a-place", "#index"), DEAD])
def test_dead_links_and_anchors_are_errors(tmp_path, links):
    pytest.importorskip("myst_nb")
    tree = "```{toctree}\npage\n```\n"
    text = "# Index\n\n" + "\n\n".join(f"[a link]({link})" for link in links)
    (tmp_path / "index.md").write_text(f"{text}\n\n{tree}")
    (tmp_path / "page.md").write_text("# Page\n\n## A place\n")
    (tmp_path / "conf.py").write_text(CONF)
    (command,) = re.findall(r"^python (-m sphinx .*) --builder", pages_build(), flags=re.M)
    built = subprocess.run(
        [sys.executable, *command.split(), "--builder", "dummy", tmp_path, tmp_path / "site"],
        capture_output=True,
        text=True,
    )
    told = re.findall(r"WARNING: .*: '(.+)' \[", built.stderr)
    dead = [link.rpartition("#")[2] for link in links if links == DEAD]
    assert (built.returncode != 0, told) == (links == DEAD, dead), built.stderr


def pages_build():
    return (DOCS / "build").read_text(encoding="utf-8")


@pytest.mark.nightly
def test_addresses_outside_answer(tmp_path):
    """Needs a network; where no address answers there is none."""
    pytest.importorskip("myst_nb")
    output = checkout() / "build" / "site" / "output.json"
    output.unlink(missing_ok=True)
    subprocess.run([DOCS / "build", "linkcheck"], capture_output=True, text=True)
    found = [json.loads(line) for line in output.read_text().splitlines()]
    asked = [it for it in found if it["status"] not in ("local", "unchecked", "ignored")]
    assert asked
    broken = [(it["filename"], it["uri"]) for it in asked if it["status"] in ("broken", "timeout")]
    if len(broken) == len(asked):
        pytest.skip("no network: no address answers")
    assert not broken


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_it_shows(path, monkeypatch):
    """Run anew: the same words, numbers that are close, and nobody waits for minutes.

    Pictures as well, where a shell's settings would draw them into files alone.
    """
    monkeypatch.setenv("MPLBACKEND", "agg")
    nbclient = pytest.importorskip("nbclient")
    import nbformat

    shown = nbformat.read(path, as_version=4)
    again = nbformat.read(path, as_version=4)
    spent = processor()
    nbclient.NotebookClient(
        again, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    assert processor() - spent < PROCESSOR
    then, now = ([outputs(cell) for cell in it.cells] for it in (shown, again))
    assert sum(map(len, then)) > 3
    for before, after in zip(then, now, strict=True):
        assert [kind for kind, _ in before] == [kind for kind, _ in after]
        for (_, old), (_, new) in zip(before, after, strict=True):
            assert _NUMBER.sub("", old) == _NUMBER.sub("", new)
            numbers = [float(it) for it in _NUMBER.findall(old)]
            assert [float(it) for it in _NUMBER.findall(new)] == pytest.approx(numbers, rel=SAME)


def processor():
    """Seconds of processors that ended children have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def outputs(cell):
    """(kind, text) of what a cell prints and draws; of a picture, without its bytes."""
    found = []
    for output in cell.get("outputs", ()):
        if output.output_type == "stream":
            found.append((output.name, output.text))
        else:
            found.append((", ".join(sorted(output.data)), ""))
    return found
