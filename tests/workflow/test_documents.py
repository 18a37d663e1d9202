"""Every block of code on a page is true: it is run, or read by what would run it, or says why not.

Above a block may stand one comment:

    <!-- not run: WHY -->          for drawings, and for what other machines or other runs print
    <!-- run by: tests/FILE -->    the test takes the block from the page
    <!-- prints: COMMAND -->       the block is what a command prints, to the letter

A block of `bash` or `console` is split into its commands, and each of them is read by the parser of
its own program; what a verb is asked for goes through the reading of configurations. A block of
`yaml` is a configuration, or a part of one over tier `desk`.
"""

import importlib.util
import os
import re
import runpy
import shlex
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from typer.main import get_command
from typer.testing import CliRunner

from flexbench.cli import app
from flexbench.cli.app import asked_of, located
from flexbench.config import TIERS
from flexbench.config.reading import load_config
from flexbench.graph.rules import RULES
from flexbench.paths import checkout
from flexbench.profiles import profile_configuration
from flexbench.shared.folder import SharedNetworks, default_folder

PAGES = [
    *(checkout() / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted(checkout().glob("docs/**/*.md")),
    *(checkout() / folder / "README.md" for folder in ("baselines", "benchmarks", "results")),
    checkout() / "flexbench" / "data" / "FORMAT.md",
]
EXTEND = "docs/how-to/extend.md"

_MARK = re.compile(r"<!-- (not run|run by|prints): (.+?) -->\s*", re.S)


@dataclass(frozen=True)
class Block:
    """line: of its first one. info: what stands behind the fence. mark: what stands above it."""

    page: str
    line: int
    info: str
    text: str
    mark: tuple[str, str] | None

    @property
    def language(self) -> str:
        return self.info.partition(" ")[0]


def blocks_in(text: str, page: str) -> list[Block]:
    found, above = [], None
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type in ("fence", "code_block"):
            start = token.map[0] + 1
            found.append(Block(page, start, token.info.strip(), token.content, above))
        mark = _MARK.fullmatch(token.content) if token.type == "html_block" else None
        above = mark.groups() if mark else None
    return found


BLOCKS = [
    block
    for path in PAGES
    for block in blocks_in(path.read_text("utf-8"), path.relative_to(checkout()).as_posix())
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda it: f"{it.page}:{it.line}")
def test_a_block_is_true(block, tmp_path):
    kind, said = block.mark or (None, "")
    if kind == "not run":
        assert len(said.split()) >= 3, "why not?"
        check = CHECKS.get(block.language) if block.language == "console" else None
    elif kind == "run by":
        test = (checkout() / said).read_text(encoding="utf-8")
        assert re.search(r"^def test_", test, flags=re.M)
        assert Path(block.page).name in test, f"{said} does not read the page"
        check = None
    elif kind == "prints":
        assert printed(said) == block.text
        check = None
    else:
        assert block.language in CHECKS, "mark it, or say which language it is in"
        check = CHECKS[block.language]
    if check:
        check(block, tmp_path)


def test_the_page_on_additions_is_taken_by_its_test():
    """The blocks that name a file, all of them."""
    path = Path(__file__).with_name("test_additions.py")
    spec = importlib.util.spec_from_file_location("additions", path)
    additions = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(additions)
    assert additions.PAGE == EXTEND
    taken = [(how, path, text) for _, _, how, path, text in additions.blocks()]
    named = [block for block in BLOCKS if "=" in block.info]
    assert {block.page for block in named} == {EXTEND}
    assert [(*block.info.split(" ")[1].split("="), block.text) for block in named] == taken


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```bash\nflexbench sing\n```\n", "sing"),
        ("```bash\nflexbench run --louder\n```\n", "louder"),
        ("```bash\nflexbench run --set train.step=3\n```\n", "train.step"),
        ("```bash\nflexbench sample forecast flux\n```\n", "flux"),
        ("```bash\npip install -e '.[dance]'\n```\n", "dance"),
        ("```bash\npytest tests/nowhere\n```\n", "nowhere"),
        ("```bash\ncowsay\n```\n", "cowsay"),
        ("```bash\nif\n```\n", "bash"),
        ("```yaml\ntasks:\n  a: {kind: guess}\n```\n", "guess"),
        ("```python\nnot python\n```\n", "python"),
        ("```\nanything\n```\n", "mark it"),
        ("    anything\n", "mark it"),
        ("<!-- not run: no -->\n```\nanything\n```\n", "why not"),
        ("<!-- run by: tests/unit/test_nested.py -->\n```\nanything\n```\n", "does not read"),
        ("<!-- prints: flexbench --version -->\n```\nanything\n```\n", "anything"),
        ("<!-- not run: it is not the mark of the next -->\n\nWords.\n\n    anything\n", "mark it"),
    ],
)
def test_what_is_not_true_is_told(text, wrong, tmp_path):
    (block,) = blocks_in(text, "page.md")
    with pytest.raises(BaseException, match=re.escape(wrong)):  # programs leave by SystemExit
        test_a_block_is_true(block, tmp_path)


# --- what checks a language ------------------------------------------------------------------


def check_bash(block, folder):
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    for words in commands(block.text):
        check_command(words, block, folder)


def check_console(block, folder):
    """Its commands; what is printed is not, and a mark has to say so."""
    assert block.mark, "say where the output is from"
    typed = "".join(line[2:] for line in block.text.splitlines(True) if line.startswith("$ "))
    for words in commands(typed):
        check_command(words, block, folder)


def check_yaml(block, folder):
    values = yaml.safe_load(block.text)
    graph_of_file(block, folder) if "tier" in values else located(load_config(values))


def check_python(block, folder):
    if "=" in block.info:
        check_named(block, folder)
    else:
        script = folder / "block.py"
        script.write_text(block.text, encoding="utf-8")
        runpy.run_path(str(script), run_name="__main__")


def check_reference(block, folder):
    """The module is there, and says what it is for; the site's own build does the rest."""
    (name,) = re.findall(r"automodule:: (\S+)", block.text)
    assert importlib.import_module(name).__doc__


def check_named(block, folder):
    """`test_the_page_on_additions_is_taken_by_its_test`."""
    assert block.page == EXTEND
    assert "=" in block.info


CHECKS = {
    "bash": check_bash,
    "console": check_console,
    "yaml": check_yaml,
    "python": check_python,
    "diff": check_named,
    "snakemake": check_named,
    "{eval-rst}": check_reference,
}


# --- commands --------------------------------------------------------------------------------


def commands(text):
    """Each command's words, without the variables that stand before it."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for is_end, words in groupby(lexer, lambda word: word in ("&&", "||", ";", "|")):
            given = [word for word in words if not re.fullmatch(r"[A-Z_]+=\S+", word)]
            if given and not is_end:
                yield given


def check_command(words, block, folder):
    program, *rest = words
    if program in SHELL:
        return
    assert program in PROGRAMS, f"nobody checks `{program}`: mark the block"
    PROGRAMS[program](rest, block, folder)


@cache
def verbs():
    return get_command(app)


def check_flexbench(words, block, folder):
    if words[0].startswith("-"):
        assert {words[0]} <= {option for it in verbs().params for option in it.opts} | {"--help"}
        return
    name, *rest = words
    assert name in verbs().commands, name
    given = verbs().commands[name].make_context(name, list(rest)).params
    graph = graph_asked(given, block, folder)
    rule = next((rule for rule in RULES if rule.name == name.replace("-", "_")), None)
    if rule and graph:
        graph.step(rule.name, **{key: given[key] for key in rule.wildcards})
    if name == "run":
        names = {rule.name for rule in RULES}
        assert all(it in names or "/" in it for it in given["targets"] or ())
    if name == "try" and default_folder().is_dir():
        asked = (given[key] for key in ("task", "method", "seed"))
        SharedNetworks.read(default_folder()).network(*asked)
    if name in ("config", "methods") and "--output" not in rest:
        assert printed(shlex.join(["flexbench", *words]))


def graph_asked(given, block, folder):
    """What a verb's options ask for, read as the verb itself does; None where it asks for none."""
    own = given.get("config") or given.get("own")
    if (given.get("resolved") or Path()).name:
        assert given["resolved"].name == "config.yaml"
        assert given["resolved"].parent.name in TIERS
        return None
    if "set_" not in given:
        return None
    if own and not (checkout() / own).is_file():
        own = file_of(saved_as(own.name), folder)
    profile = profile_configuration(given.get("profile"))
    copied = [f"baseline_folders=[{folder}]"] if list(folder.glob("*.py")) else []
    asked = asked_of(given.get("tier"), own, [*(given["set_"] or ()), *copied], given=profile)
    return located(load_config(asked.values, origins=asked.origins))


def saved_as(name):
    """The block that a page tells its reader to save so."""
    pages = [it for it in BLOCKS if it.language == "yaml" and it.text.startswith("tier:")]
    (found,) = [it for it in pages if f"as `{name}`" in (checkout() / it.page).read_text("utf-8")]
    return found


def file_of(block, folder):
    path = folder / "own.yaml"
    path.write_text(block.text, encoding="utf-8")
    return path


def graph_of_file(block, folder):
    asked = asked_of(None, file_of(block, folder), None)
    return located(load_config(asked.values, origins=asked.origins))


@cache
def printed(command):
    """What a command prints, run in this process."""
    found = CliRunner().invoke(app, shlex.split(command)[1:], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def check_snakemake(words, block, folder):
    from snakemake.cli import get_argument_parser

    asked = get_argument_parser().parse_args(words)
    for text in asked.config or ():
        key, _, value = text.partition("=")
        assert key == "root" or (key == "tier" and value in TIERS), text


def check_dvc(words, block, folder):
    from dvc.cli.parser import get_main_parser

    get_main_parser().parse_args(words)


def check_paths(words, block, folder):
    """Every word that is a path of the checkout is there."""
    for word in words:
        if re.match(r"(tests|workflow|flexbench|baselines|benchmarks|docs)/|Snakefile$", word):
            assert (checkout() / word).exists(), word


def check_cp(words, block, folder):
    """A network of the reader's own is put where the verbs of the block find it."""
    source, target = words
    shutil.copy(checkout() / source, folder / Path(target).name)


def check_python_call(words, block, folder):
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]), words[1]
        check_paths(words[2:], block, folder)
    else:
        text = (checkout() / words[0]).read_text(encoding="utf-8")
        assert all(f'"{word}"' in text for word in words if word.startswith("--")), words


def check_pip(words, block, folder):
    project = tomllib.loads((checkout() / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"\.\[([\w,]+)\]", " ".join(words)):
        assert set(extras.split(",")) <= project["optional-dependencies"].keys(), extras
    for pinned in re.findall(r"\S+==\S+", " ".join(words)):
        assert pinned in (checkout() / "constraints.txt").read_text().split(), pinned


def check_script(name):
    def check(words, block, folder):
        assert os.access(checkout() / name, os.X_OK)

    return check


SHELL = {"cd", "git", "unzip", "."}
PROGRAMS = {
    "flexbench": check_flexbench,
    "snakemake": check_snakemake,
    "dvc": check_dvc,
    "pytest": check_paths,
    "python": check_python_call,
    "python3": check_python_call,
    "pip": check_pip,
    "cp": check_cp,
    "jupyter": check_paths,
    "$EDITOR": check_paths,
    **dict.fromkeys(("ruff", "snakefmt", "mypy"), check_paths),
    **{name: check_script(name) for name in (".ci/run", ".ci/nightly", "docs/build")},
    # Another program's command, on a node of a cluster.
    "srun": lambda words, block, folder: check_command(
        [word for word in words if not word.startswith("--gres")], block, folder
    ),
}
