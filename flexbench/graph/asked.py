"""Jobs that are asked for by hand: those of the graph, or a line that says which there are."""

from typing import TYPE_CHECKING

from flexbench.errors import FlexbenchError
from flexbench.graph.names import TOGETHER, boundary_of, observable_of
from flexbench.graph.rule import Names, Rule

if TYPE_CHECKING:
    from flexbench.graph.jobs import Graph

# Wildcards whose values settings and options have in other words than files' names.
_IN_WORDS = {"walls": ("boundary", boundary_of), "velocity": ("observable", observable_of)}


def require_job(graph: "Graph", rule: Rule, names: Names) -> None:
    """FlexbenchError unless a rule has the job of these wildcards.

    It names the first of them that no job has together with those before it, the values that there
    are, and the keys of the configuration that these come from.
    """
    jobs = rule.jobs(graph)
    if names in jobs:
        return
    asked = " ".join((rule.name, *filter(None, names.values())))
    if not jobs:
        raise FlexbenchError(f"{asked}: the configuration has no job of this kind")
    for wildcard in rule.wildcards:
        allowed = list(dict.fromkeys(job[wildcard] for job in jobs))
        jobs = [job for job in jobs if job[wildcard] == names[wildcard]]
        if not jobs:
            break
    what, word = _IN_WORDS.get(wildcard, (wildcard, str))
    why = _why_not(graph, names) if wildcard == "method" else None
    raise FlexbenchError(
        f"{asked}: {what} is '{word(names[wildcard])}'; allowed: {', '.join(map(word, allowed))} "
        f"({rule.wildcards[wildcard]})" + (f"; {why}" if why else "")
    )


def _why_not(graph: "Graph", names: Names) -> str | None:
    """What a method of the configuration lacks for a case, or a training; None of any other."""
    method = names["method"]
    if method not in graph.config.methods:
        return None
    if "training" in names and graph.is_formula(method):
        return f"method '{method}' is a formula: it has nothing to train"
    cases = names.get("case") or names["training"]
    reasons = (graph.unfit(case, method) for case in cases.split(TOGETHER))
    return next(filter(None, reasons), None)
