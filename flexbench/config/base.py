"""What every section of the configuration is made of: its base, kinds of values, misfits."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    StringConstraints,
    ValidationError,
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


class Misfit(ValueError):
    """Settings that are right one by one and do not fit together.

    keys: the dotted paths of those that the message is about, so that whoever tells it can say in
    which file they stand.
    """

    def __init__(self, message: str, *keys: str):
        super().__init__(message)
        self.keys = keys


class Settings(BaseModel):
    """Base of every section: unknown keys are refused, values never change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def overridden(self, own: Mapping[str, Any], *, place: str) -> Self:
        """This section with the keys that differ for one method or evaluation; they stand at
        `place`.

        Raises Misfit, in one line, for the first key that is unknown or has a wrong value.
        """
        allowed = type(self).model_fields
        unknown = sorted(set(own) - set(allowed))
        if unknown:
            raise Misfit(
                f"{place}: unknown key '{unknown[0]}'; allowed: {', '.join(allowed)}", place
            )
        try:
            return type(self).model_validate(self.model_dump() | dict(own))
        except ValidationError as error:
            wrong = error.errors()[0]
            key, found = ".".join(map(str, wrong["loc"])), wrong["input"]
            text = f"{place}.{key}: {wrong['msg']}, found {found!r}"
            raise Misfit(text, f"{place}.{key}") from None
