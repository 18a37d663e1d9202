"""Where the results of a page come from: when, on what, how long, and how to get them again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from flexbench import __version__
from flexbench.config import TIERS, Config
from flexbench.config.reading import load_config
from flexbench.report.inputs import Receipt
from flexbench.report.numbers import duration


@dataclass(frozen=True, kw_only=True)
class Origin:
    """facts: of the run, each in a few words. command: what makes the results again."""

    facts: list[str]
    command: str


def origin_of(config: Config, receipts: Iterable[Receipt], *, revision: str | None) -> Origin:
    """What the receipts tell of a run; what none of them says is left out.

    revision: the commit of the code that writes the page, "+" behind it where files differ.
    """
    contents = [receipt.content for receipt in receipts]
    ends = [str(content["finished"]) for content in contents if content.get("finished")]
    processors = {str(content["processor"]) for content in contents if content.get("processor")}
    seconds = sum(float(content.get("cpu_seconds") or 0.0) for content in contents)
    facts = [f"finished {_date(max(ends))}"] if ends else []
    facts += [f"on {', '.join(sorted(processors))}"] if processors else []
    facts += [f"{duration(seconds)} of processor time"] if seconds else []
    written = f"written by flexbench {__version__}"
    if revision is not None:
        changed = " and changes" if revision.endswith("+") else ""
        written += f" at commit {revision.removesuffix('+')[:9]}{changed}"
    return Origin(facts=[*facts, written], command=_command(config))


def _date(text: str) -> str:
    """2 May 2026, 14:05 UTC."""
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _command(config: Config) -> str:
    """By the tier's name where nothing was changed of it, else by what the run wrote down."""
    own = {"tier": config.tier, "root": config.root}
    if config.tier in TIERS and load_config(own) == config:
        return f"flexbench run --tier {config.tier}"
    return "flexbench run --resolved config.yaml"
