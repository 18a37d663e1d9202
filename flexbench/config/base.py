"""What every section of the configuration is made of: its base, kinds of values, misfits."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    StringConstraints,
    ValidationError,
    model_validator,
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
Reynolds = Annotated[PositiveFloat, AfterValidator(_nameable), Field(le=1e12)]
# A JSON number, and a column of a table, hold integers up to here.
Seed = Annotated[int, Field(ge=0, lt=2**53)]
Unique = AfterValidator(_unique)
# Whole numbers from 1, up to where nobody can mean them: of steps and resamples, of what one
# process holds at once, of points per side, of workers.
Steps = Annotated[int, Field(gt=0, le=10**9)]
Count = Annotated[int, Field(gt=0, le=10**6)]
Points = Annotated[int, Field(gt=0, le=2**16)]
Workers = Annotated[int, Field(gt=0, le=4096)]


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

    @model_validator(mode="before")
    @classmethod
    def _flags_are_no_numbers(cls, values: Any) -> Any:
        """Python counts True as 1. As the word that stands in the file it is refused where a number
        is needed, with the key."""
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        return {
            key: _without_flags(value)
            if key in fields and bool not in _leaves(fields[key].annotation)
            else value
            for key, value in values.items()
        }

    def overridden(self, own: Mapping[str, Any], *, place: str) -> Self:
        """This section with the keys that differ for one method or evaluation; they stand at
        `place`.

        Raises Misfit, in one line, for the first key that is unknown or has a wrong value.
        """
        allowed = type(self).model_fields
        unknown = sorted(set(own) - set(allowed))
        if unknown:
            text = f"{place}.{unknown[0]}: {unknown_key(unknown[0], allowed)}"
            raise Misfit(text, f"{place}.{unknown[0]}")
        try:
            return type(self).model_validate(self.model_dump() | dict(own))
        except ValidationError as error:
            wrong = error.errors()[0]
            key = ".".join(map(str, (place, *wrong["loc"])))
            message = wrong["msg"].removeprefix("Value error, ")
            shown = f", found {wrong['input']!r}" if wrong["loc"] else ""
            raise Misfit(f"{key}: {message}{shown}", key) from None


def unknown_key(key: str, allowed: Iterable[str], *, what: str = "unknown key") -> str:
    """What to say of a key, or name, that is none, with the nearest one that is."""
    known = list(allowed)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near and near[0] != key else ""
    return f"{what}{hint} (allowed: {', '.join(known)})"


def _leaves(annotation: Any) -> set[Any]:
    """The types that a value of this type is made of, without what holds them."""
    inner = get_args(annotation)
    return {leaf for part in inner for leaf in _leaves(part)} if inner else {annotation}


def _without_flags(value: Any) -> Any:
    """True and False as YAML's words for them, in lists too."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return [_without_flags(item) for item in value] if isinstance(value, list) else value
