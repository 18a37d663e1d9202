"""What every section of the configuration is made of: its base, and the kinds of values."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    StringConstraints,
)


def _unique(values: list[Any]) -> list[Any]:
    """What stands twice would count twice."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} stands in the list more than once")
    return values


def _nameable(reynolds: float) -> float:
    """Files are named by six digits of Re."""
    if float(f"{reynolds:g}") != reynolds or reynolds < 1e-4:
        raise ValueError("at most six digits, and at least 0.0001, are allowed")
    return reynolds


def plain_path(root: str) -> str:
    """What a rule's pattern of paths and Snakemake's command line can hold as it is."""
    if not root or not root.isprintable() or set(root) & set('{}"'):
        raise ValueError("a path without braces, double quotes and control characters is needed")
    return root


# Names become folders, words of a command line and labels: nothing in them may mean more.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$", max_length=64)]
# Of accounts, partitions and node features, which become words of a shell line, too.
ClusterName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_.,:@+&|*()\[\]][A-Za-z0-9_.,:@+&|*()\[\]-]*$")
]
Probability = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0)]
Reynolds = Annotated[PositiveFloat, AfterValidator(_nameable)]
Seed = Annotated[int, Field(ge=0)]
Unique = AfterValidator(_unique)


class Settings(BaseModel):
    """Base of every section: unknown keys are refused, values never change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
