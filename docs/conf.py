"""How the site is built of the repository's own pages. `docs/build` calls Sphinx with it.

The source is the whole checkout, so that a link means the same on the site as it does on GitHub:
between pages it is a page, to any other file it is that file.
"""

import re
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from flexbench import __version__  # noqa: E402

project = "flexbench"
author = "The flexbench authors"
project_copyright = author
version = release = __version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc"]
root_doc = "docs/index"
include_patterns = [
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**", "baselines/README.md"),
    *("benchmarks/README.md", "flexbench/data/FORMAT.md", "results/README.md"),
    "results/*/networks/checkpoints/**/*.md",
]
# Folders that are not searched for pages: hidden ones, environments, what runs have written.
exclude_patterns = [".*", "*/.*", "build", "dist", "tests", "results/*/[!n]*", "**/__pycache__"]

# The order of pages in the sidebar; pages of this folder that are not named come last.
NAVIGATION = {
    "Begin here": [
        "Install and run <../README>",
        "tutorials/*",
        "notebooks/*",
        "concepts",
        "gallery",
        "glossary",
    ],
    "How to": ["how-to/your-own-data", "../baselines/README", "how-to/extend", "how-to/*"],
    "Why, and how good": ["calibration", "study", "walls", "architecture", "../benchmarks/README"],
    "Reference": ["reference/*", "../flexbench/data/FORMAT", "../results/README"],
    "Trained networks": ["../results/*/networks/checkpoints/*/*/*"],
    "Project": ["../CONTRIBUTING", "../CHANGELOG"],
}
_NAMED = {"index", *(page for pages in NAVIGATION.values() for page in pages)}
_PAGES = {page.stem for page in Path(__file__).parent.glob("*.md")}
NAVIGATION["Reference"] += sorted(_PAGES - _NAMED)

html_theme = "furo"
html_title = "flexbench"
html_extra_path = ["site"]
html_copy_source = False
html_show_sourcelink = False
pygments_style, pygments_dark_style = "default", "monokai"

# Anchors are those of GitHub; of one that is not there Sphinx warns, and `docs/build` fails.
myst_heading_anchors = 4
nb_execution_mode = "off"  # a test runs the notebook; the page shows what is committed

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False
linkcheck_anchors = False
linkcheck_timeout = 20


_MARKUP = re.compile(r"(``.+?``|\*\w[\w ]*\*)|(`[^`\n]+(?:\n[^`\n]+)?`)|([*_|\\])", flags=re.S)


def plain(app, what, name, obj, options, lines):
    """Docstrings are plain text: `names` and indented blocks are code, nothing else is markup."""

    def marked(match):
        literal, code, special = match.groups()
        return literal or (f"`{code}`" if code else f"\\{special}")

    written = []
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        if paragraph[:1].isspace():
            code = (f"   {line}" for line in paragraph.splitlines())
            written += [".. code-block:: text", "", *code, ""]
            continue
        text = re.sub(r"\n {2,}", " ", paragraph)  # an item that goes on
        # Each "name: what it is" has a line of its own.
        text = re.sub(r"\n(?=[\w, ]{1,40}: )", "\n\n", text)
        written += [*_MARKUP.sub(marked, text).splitlines(), ""]
    lines[:] = written


def told_in_the_signature(app, what, name, obj, skip, options):
    """Fields of a named tuple have no words of their own."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def navigation(app, docname, source):
    """The sidebar. In the page itself, which GitHub shows as well, it would be noise."""
    if docname == root_doc:
        for caption, pages in NAVIGATION.items():
            options = f":caption: {caption}\n:hidden:\n:glob:\n"
            source[0] += f"\n```{{toctree}}\n{options}\n" + "\n".join(pages) + "\n```\n"


def setup(app):
    from pygments.lexers import PythonLexer

    app.add_lexer("snakemake", PythonLexer)
    app.connect("autodoc-process-docstring", plain)
    app.connect("autodoc-skip-member", told_in_the_signature)
    app.connect("source-read", navigation)
