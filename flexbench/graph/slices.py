"""Parts of slices that several rules share."""

from typing import TYPE_CHECKING, Any

from flexbench.config import PACE
from flexbench.config.own_data import WORDS

if TYPE_CHECKING:
    from flexbench.graph.jobs import Graph


# Of a method, and of an evaluation: what stands elsewhere in a slice.
_ELSEWHERE = {"train", "diffusion", "together", "training_seeds"}
_WHO_AND_HOW = {"tasks", "methods", "training_seeds", "sample"}


def common(graph: "Graph") -> dict[str, Any]:
    """Of every step that computes with threads, on a device."""
    return {"threads": graph.config.threads, "device": graph.config.device}


def section(graph: "Graph", name: str) -> dict[str, Any]:
    """A section without the keys that change the pace alone."""
    found: dict[str, Any] = getattr(graph.config, name).model_dump(exclude=PACE.get(name))
    return found


def split_slice(graph: "Graph", name: str) -> dict[str, Any]:
    """Which trajectories a split has."""
    if graph.config.data is not None:
        return {"trajectories": graph.stems(name)}
    return graph.split(name).model_dump()


def task_slice(graph: "Graph", case: str) -> dict[str, Any]:
    """A task's settings without the list of methods, which decides no number."""
    return graph.task_settings(case).model_dump(exclude={"methods"})


def method_slice(graph: "Graph", method: str) -> dict[str, Any]:
    """A method's settings without what stands elsewhere in a slice, resolved."""
    return graph.config.method(method).model_dump(exclude=_ELSEWHERE)


def flows_slice(graph: "Graph", case: str) -> dict[str, Any]:
    """What a case is scored on."""
    own = graph.case(case).settings.model_dump(exclude=_WHO_AND_HOW)
    return own | {"trajectories": [path.stem for path in graph.tested(case)]}


def words_slice(graph: "Graph") -> dict[str, Any]:
    """How own data is to be labelled; {} of simulated flows."""
    data = graph.config.data
    if data is None:
        return {}
    scale = {"subtract": data.subtract, "divide_by": data.divide_by}
    return {"words": data.model_dump(include=set(WORDS)) | scale}
