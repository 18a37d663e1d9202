"""The little that is asked of git."""

import subprocess
from collections.abc import Sequence

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


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=checkout(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = " ".join((done.stderr or done.stdout).split())
        raise FlexbenchError(f"git {arguments[0]}: {told}")
    return done.stdout
