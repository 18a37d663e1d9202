"""Writes into the pages what the code and the committed runs say: `python docs/pages.py`.

A page holds such a part between two comments, `<!-- written: NAME -->` and `<!-- end -->`: what
scores are, captions and pictures of figures, what a committed run found. A test holds them to it.
"""

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from flexbench.findings.output import read_findings
from flexbench.findings.results import Findings
from flexbench.metrics.definitions import DEFINITIONS
from flexbench.paths import checkout
from flexbench.report.better import BETTER_WORDS
from flexbench.report.catalogue import FIGURES
from flexbench.report.labels import simulated

DOCS = checkout() / "docs"
PAGES = [DOCS / name for name in ("glossary.md", "gallery.md", "tutorials/first-report.md")]
PICTURES = DOCS / "images" / "gallery"

# Of each figure that a committed report holds, the tier and the case that the gallery shows.
SHOWN = {
    **dict.fromkeys(("spectra", "rfne_by_re", "accuracy_cost", "loss"), ("desk", "superres_x4")),
    **dict.fromkeys(("pull", "pull_members", "fifths", "spread_skill"), ("desk", "superres_x4")),
    **dict.fromkeys(("rank", "coverage", "matrix"), ("desk", "superres_x4")),
    **dict.fromkeys(("leads", "rollout"), ("desk", "forecast.rollout")),
    "frontier": ("frontier", "forecast"),
    "target_variance": ("study", "superres_x4"),
}

_PART = re.compile(r"(<!-- written: (\w+)(?: (\w+))? -->\n).*?(<!-- end -->)", flags=re.S)


def report(tier: str) -> str:
    """The page of a committed run."""
    return (checkout() / "results" / tier / "report.html").read_text(encoding="utf-8")


def pictures() -> dict[Path, bytes]:
    """The gallery's pictures (WebP), as committed reports hold them; of a rollout, the last."""
    found = {}
    for tier in sorted({tier for tier, _ in SHOWN.values()}):
        # A picture is named below it; between the two no other begins.
        image = re.compile(r'base64,([\w+/=]+)" [^>]*>(?:(?!base64,).)*?figures/([\w./]+)', re.S)
        held = {name: data for data, name in image.findall(report(tier))}
        for figure, (run, case) in SHOWN.items():
            if run == tier:
                name = f"{case}/{figure}.{'gif' if FIGURES[figure].animated else 'png'}"
                found[PICTURES / f"{figure}.webp"] = base64.b64decode(held[name])
    return found


def scores() -> Iterator[str]:
    """What every score is, group by group."""
    shown = {name: it for name, it in DEFINITIONS.items() if not it.helper}
    for group in dict.fromkeys(it.group for it in shown.values()):
        yield f"### {group}\n"
        for name, it in shown.items():
            if it.group == group:
                text = it.text.replace("<", r"\<").replace("|", r"\|").replace("*", r"\*")
                yield f"- **{it.label}** (`{name}`; {BETTER_WORDS[it.better]}): {text}."
        yield ""


def figure(name: str) -> Iterator[str]:
    """Its caption, and its picture where a committed report has one."""
    caption = simulated("w").worded(FIGURES[name].caption)
    if name in SHOWN:
        title = simulated("w").worded(FIGURES[name].title)
        yield f"![{title}: {caption.partition('. ')[0]}.](images/gallery/{name}.webp)\n"
    yield f"> {caption}"


def minute() -> Iterator[str]:
    """The sentences that the committed desk run begins with."""
    yield from (f"> - {it.text}" for it in desk().minute)


def limits() -> Iterator[str]:
    """What the committed desk run cannot tell."""
    yield from (f"> - {it.text}" for it in desk().cannot_tell)


def scorecard() -> Iterator[str]:
    """The first rows of the committed desk run's scorecard, of what learns."""
    found = desk()
    card, names = found.scorecard, found.method_names
    cases = card.cases[:4]
    cells = {it: [card.cell(case, it) for case in cases] for it in card.methods}
    learned = [it for it in card.methods if any(cell.pull is not None for cell in cells[it])]
    yield "| " + " | ".join(["flows", *(names[it] for it in learned)]) + " |"
    yield "|---" * (len(learned) + 1) + "|"
    for row, case in enumerate(cases):
        shown = (cells[it][row] for it in learned)
        texts = (
            it.text if it.ratio is None else f"{it.ratio:.2f}, {it.width} ({it.pull:.2f})"
            for it in shown
        )
        yield "| " + " | ".join([found.case_names[case], *texts]) + " |"


def desk() -> Findings:
    return read_findings(checkout() / "results" / "desk" / "tables" / "findings.json")


PARTS: dict[str, Callable[..., Iterator[str]]] = {
    it.__name__: it for it in (scores, figure, minute, limits, scorecard)
}


def renewed(text: str) -> str:
    """A page with all of its parts written anew."""

    def part(match: re.Match[str]) -> str:
        start, name, argument, end = match.groups()
        lines = PARTS[name](argument) if argument else PARTS[name]()
        return start + "\n" + "\n".join(lines).rstrip() + "\n\n" + end

    return _PART.sub(part, text)


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    for path in PAGES:
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
    for path, data in pictures().items():
        path.write_bytes(data)


if __name__ == "__main__":
    main()
