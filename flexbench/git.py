"""The little that is asked of git, in the checkout's own repository and in no other."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from flexbench.environment import of_child
from flexbench.errors import FlexbenchError
from flexbench.paths import checkout

_CODE = ("Snakefile", "flexbench", "baselines", "workflow")


def commit(paths: Sequence[str], message: str) -> str:
    """Commit these paths alone, whatever else is staged, and return the commit's short name.

    Where nothing of them changed, the name is of the commit that holds them already.
    """
    _git("add", "--", *paths)
    if _git("diff", "--cached", "--name-only", "--", *paths):
        _git("commit", "--quiet", "--message", message, "--", *paths)
    return _git("rev-parse", "--short", "HEAD").strip()


def changed_code() -> list[str]:
    """Files of the code that a clone of the last commit would not have as they are here."""
    return [line[3:] for line in _git("status", "--porcelain", "--", *_CODE).splitlines()]


def not_held(path: Path) -> str | None:
    """Why a clone of the last commit would not have a file as it is here; None where it would."""
    inside = os.path.relpath(os.path.realpath(path), os.path.realpath(checkout()))
    if inside.partition(os.sep)[0] == os.pardir:
        return "it lies outside of the clone"
    try:
        held = _git("rev-parse", "--verify", "--quiet", f"HEAD:./{inside}").strip()
    except FlexbenchError:
        return "git does not hold it"
    if _git("hash-object", "--", inside).strip() != held:
        return "it has changed since the last commit"
    return None


def revision() -> str | None:
    """The commit of the checkout, with a "+" where files differ from it; None without git."""
    try:
        name = _git("rev-parse", "HEAD").strip()
        return name + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except FlexbenchError:
        return None


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=checkout(),
            env=of_child(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise FlexbenchError(f"git: {error.strerror}") from None
    if done.returncode:
        told = " ".join((done.stderr or done.stdout).split())
        raise FlexbenchError(f"git {arguments[0]}: {told}")
    return done.stdout
