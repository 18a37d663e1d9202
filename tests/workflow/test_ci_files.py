"""The CI files parse, ask for little, and name only commands, options and paths that exist."""

import re
import shlex

import pytest
import yaml
from typer.main import get_command

from flexbench.cli import app
from flexbench.config import TIERS
from flexbench.paths import checkout

GITHUB = sorted((checkout() / ".github" / "workflows").glob("*.yml"))
GITLAB = checkout() / ".gitlab-ci.yml"
PROGRAMS = {
    *("pip", "ruff", "snakefmt", "mypy", "pytest", "flexbench", "test", "cat"),
    *("cffconvert", "docs/build"),
}


def flat(values):
    return [it for value in values for it in (flat(value) if isinstance(value, list) else [value])]


def jobs_of(path):
    """(name, commands) of every job."""
    content = yaml.safe_load(path.read_text())
    if path == GITLAB:
        return [(n, flat(j["script"])) for n, j in content.items() if "script" in (j or {})]
    return [(n, [s["run"] for s in j["steps"] if "run" in s]) for n, j in content["jobs"].items()]


COMMANDS = [
    pytest.param(command, id=f"{path.stem} {name}: {command[:40]}")
    for path in (*GITHUB, GITLAB)
    for name, commands in jobs_of(path)
    for command in commands
]


def test_both_variants_are_there():
    assert [path.stem for path in GITHUB] == ["nightly", "pull-request"]
    gated = [
        n for p in (*GITHUB, GITLAB) for n, c in jobs_of(p) if "flexbench regress" in " ".join(c)
    ]
    assert len(gated) == 4


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.stem)
def test_github_workflows_ask_for_little(path):
    content = yaml.safe_load(path.read_text())
    assert content["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in path.read_text()
    for job in content["jobs"].values():
        assert job["timeout-minutes"] > 0
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/a@v1"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_real(command):
    verbs = get_command(app).commands
    for part in re.split(r"&&|\|\|", command):
        words = [word for word in shlex.split(part) if not re.match(r"[A-Z_]+=", word)]
        assert words[0] in PROGRAMS
        for word in words:
            if re.match(r"(tests|workflow|flexbench|docs)/|Snakefile$|constraints\.txt$", word):
                assert (checkout() / word).exists()
        if words[0] == "flexbench":
            options = {option for it in verbs[words[1]].params for option in it.opts}
            assert {word for word in words if word.startswith("--")} <= options
        if "--tier" in words:
            assert words[words.index("--tier") + 1] in TIERS
