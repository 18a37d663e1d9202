"""What a shell offers in the place of a value: tiers, and names of the tier that is asked for."""

import typer


def tiers(incomplete: str) -> list[str]:
    """Tiers by name."""
    from flexbench.config import TIERS

    return [tier for tier in TIERS if tier.startswith(incomplete)]


def tasks(context: typer.Context, incomplete: str) -> list[str]:
    """Tasks of the tier."""
    return _names(context, incomplete, "tasks")


def trainings(context: typer.Context, incomplete: str) -> list[str]:
    """Tasks, and those that are learnt together."""
    return _names(context, incomplete, "trainings")


def cases(context: typer.Context, incomplete: str) -> list[str]:
    """Tasks, and those on other flows."""
    return _names(context, incomplete, "cases")


def methods(context: typer.Context, incomplete: str) -> list[str]:
    """Methods of the tier."""
    return _names(context, incomplete, "methods")


def _names(context: typer.Context, incomplete: str, kind: str) -> list[str]:
    """Names of a kind that begin so; none where what is typed so far asks for no configuration."""
    from flexbench.cli.app import graph_of
    from flexbench.errors import FlexbenchError

    given = {key: context.params.get(key) for key in ("tier", "config", "resolved", "set_")}
    try:
        graph = graph_of(**given)
    except FlexbenchError:
        return []
    names = {
        "tasks": graph.tasks,
        "trainings": dict.fromkeys(it.name for it in graph.trainings),
        "cases": graph.config.cases,
        "methods": graph.config.methods,
    }
    return [name for name in names[kind] if name.startswith(incomplete)]
