"""The kinds of task: a file of this folder is a kind, and nothing is registered by hand.

`<kind>.py` holds the settings of a kind, and says which they are: `SETTINGS`, a class derived from
`base.TaskBase` whose field `kind` is the file's name. What of it needs tensors stands in
`flexbench/tasks/<kind>.py`. Nothing heavy is imported.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from flexbench.config.tasks.base import TaskBase

__all__ = ["KINDS", "TaskBase", "TaskSettings"]


def _settings_of(kind: str) -> type[TaskBase]:
    """What a file of this folder holds; RuntimeError where it is not the settings of that kind."""
    module = importlib.import_module(f"{__name__}.{kind}")
    found = getattr(module, "SETTINGS", None)
    if not (isinstance(found, type) and issubclass(found, TaskBase)):
        raise RuntimeError(f"{module.__file__}: SETTINGS must be a class derived from TaskBase")
    if found.model_fields["kind"].default != kind:
        raise RuntimeError(f"{module.__file__}: the field `kind` must be '{kind}', the file's name")
    return found


# The settings of each kind by its name.
KINDS: dict[str, type[TaskBase]] = {
    kind: _settings_of(kind)
    for kind in sorted(found.name for found in pkgutil.iter_modules(__path__))
    if kind != "base"
}

if TYPE_CHECKING:
    TaskSettings = TaskBase
else:
    # One of the kinds, told by its field `kind`.
    TaskSettings = Annotated[Union[tuple(KINDS.values())], Field(discriminator="kind")]  # noqa: UP007
