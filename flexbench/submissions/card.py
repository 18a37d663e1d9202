"""The card: who made predictions elsewhere, with what, how it was trained, and what it cost.

Every key has to be there. Nothing of it can be checked here, so tables and report say "submitted"
of all that it is about, and show it in its author's words.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from flexbench import registry
from flexbench.config import Config, Settings
from flexbench.config.base import Name, Seed, Unique
from flexbench.config.reading import Origin, explain
from flexbench.config.strict_yaml import read_yaml
from flexbench.errors import FlexbenchError

Words = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]


class Card(Settings):
    """What is said of a submission."""

    method: Name = Field(description="its name in tables and figures; none that is known here")
    who: Words = Field(description="who made the predictions")
    what: Words = Field(description="what the model is")
    trained: Words = Field(description="on what, and how")
    training_seeds: Annotated[list[Seed], Unique] = Field(
        min_length=1, description="one for each training; each file of the answer has one of them"
    )
    ensemble: bool = Field(description="whether it draws an ensemble; false: one field each")
    parameters: Annotated[int, Field(gt=0, lt=2**53)] | None = Field(
        description="of the whole model; null: not known"
    )
    cost: Words = Field(description="of training and of a prediction, as its authors state it")


def read_card(path: Path, config: Config) -> Card:
    """The card of a file.

    Raises FlexbenchError, with the file, the key and what is allowed, where a key is missing,
    unknown or wrong, and where the name is one that networks, formulas or methods here have.
    """
    values = read_yaml(path)
    keys = ", ".join(Card.model_fields)
    for key in Card.model_fields:
        if key not in values:
            raise FlexbenchError(f"{path}: {key}: the key is missing; needed: {keys}")
    try:
        card = Card.model_validate(values)
    except ValidationError as error:
        origin = Origin(str(path), values)
        lines = [explain(item, [origin], whole=Card) for item in error.errors()]
        raise FlexbenchError("\n".join(lines)) from None
    known = [*registry.names(config.baseline_folders), *config.methods, *config.method_settings]
    if card.method in known:
        raise FlexbenchError(
            f"{path}: method: found '{card.method}', which is a method here; allowed: any other "
            f"name than {', '.join(dict.fromkeys(known))}"
        )
    return card
