"""Jobs that somebody killed with SIGKILL: on a machine whose memory ran out, the system.

They say nothing themselves, and of Snakemake's own words nobody would guess it.
"""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from flexbench.graph.rules import RULES

# How Snakemake tells it, of a job that Bash became and of one that Bash waited for.
_KILLED = re.compile(
    r"^Command '(?P<command>.*)' "
    r"(?:died with <Signals\.SIGKILL: 9>|returned non-zero exit status 137)\.$",
    flags=re.M,
)


def killed_jobs(logs: Iterable[str | Path]) -> list[str]:
    """A line for each job that was killed, by Snakemake's own logs of a run."""
    texts = (Path(log).read_text(encoding="utf-8", errors="replace") for log in logs)
    return [_line(found["command"]) for text in texts for found in _KILLED.finditer(text)]


def _line(command: str) -> str:
    """Of the line of a rule: `... flexbench VERB ... --log FILE`."""
    words = shlex.split(command)
    log = Path(words[words.index("--log") + 1])
    job = log.with_suffix("").parts
    job = job[job.index("logs") + 1 :]
    (rule,) = (rule for rule in RULES if rule.name == job[0])
    lower = f", or {rule.lowered_by}" if rule.lowered_by else ""
    return (
        f"{' '.join(job)}: was killed (SIGKILL), probably because the memory of this machine ran "
        f"out; less is needed with fewer jobs at once (--cores){lower}; its log: {log}"
    )
