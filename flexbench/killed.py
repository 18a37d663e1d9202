"""Jobs that somebody killed with SIGKILL: on a machine whose memory ran out, the system.

They say nothing themselves, and of Snakemake's own words nobody would guess it.
"""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from flexbench.graph.rules import RULES
from flexbench.paths import job_of_log

# How Snakemake tells it, of a job that Bash became and of one that Bash waited for.
_KILLED = re.compile(
    r"^Command '(?P<command>.*)' "
    r"(?:died with <Signals\.SIGKILL: 9>|returned non-zero exit status 137)\.$",
    flags=re.M,
)


def killed_jobs(logs: Iterable[str | Path]) -> list[str]:
    """A line for each job that was killed, by Snakemake's own logs of a run."""
    texts = (Path(log).read_text(encoding="utf-8", errors="replace") for log in logs)
    return [
        f"{job_of_log(log)}: {cause}; its log: {log}"
        for text in texts
        for log, cause in killed(text).items()
    ]


def killed(words: str) -> dict[Path, str]:
    """What happened to each job that was killed, and what helps, by its log; by Snakemake's words.

    The line of a rule is `... flexbench VERB ... --log FILE`.
    """
    commands = (shlex.split(found["command"]) for found in _KILLED.finditer(words))
    return {(log := Path(it[it.index("--log") + 1])): _cause(log) for it in commands}


def _cause(log: Path) -> str:
    name, _, _ = job_of_log(log).partition(" ")
    (rule,) = (rule for rule in RULES if rule.name == name)
    lower = f", or {rule.lowered_by}" if rule.lowered_by else ""
    return (
        "was killed (SIGKILL), probably because the memory of this machine ran out; less is "
        f"needed with fewer jobs at once (--cores){lower}"
    )
