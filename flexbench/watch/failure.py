"""A job that failed: which one, where its log is, and what it said last."""

from pathlib import Path

from flexbench.killed import killed
from flexbench.paths import checkout, job_of_log
from flexbench.watch.progress import Running

LAST = 8  # lines


def failure_block(running: Running, doing: str, words: str) -> str:
    """doing: the job, in words. words: all that Snakemake and the jobs said on this machine."""
    log = running.log
    cause = killed(words).get(log)
    said = [cause] if cause else _last(words, log)
    lines = [f"flexbench: failed: {doing} ({job_of_log(log)})", *(f"    {line}" for line in said)]
    return "\n".join([*lines, f"    its log: {log}"])


def _last(words: str, log: Path) -> list[str]:
    """What the job said last: as it said it here, or else, of another machine's, by its log.

    A full disk does not keep a log, which is why it does not come first.
    """
    own = f"  {job_of_log(log)}: "
    said = [line.removeprefix(own) for line in words.splitlines() if line.startswith(own)]
    written = checkout() / log  # Snakemake works there
    if not said and written.is_file():
        said = written.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [line for line in said if line.strip()][-LAST:]
    return found or ["it said nothing"]
