"""Names of the graph: its splits, its jobs and trainings, and what the names of files tell."""

from dataclasses import dataclass
from typing import get_args

from flexbench.config import FitSetting
from flexbench.spec import Boundary, Observable

SPLITS = ("train", "validation", "test")

# Between the tasks in the name of a training that learns several.
TOGETHER = "+"


@dataclass(frozen=True)
class Job:
    """One file of samples to be made: a method on a case, with one training seed."""

    case: str
    method: str
    seed: int


@dataclass(frozen=True)
class Training:
    """One training: its name (that of its task, or of all of its tasks), a method, and a seed."""

    name: str
    method: str
    seed: int

    @property
    def tasks(self) -> list[str]:
        return self.name.split(TOGETHER)


@dataclass(frozen=True)
class Fit:
    """A sampler to be fitted to validation: its setting, whose weights, and a case that needs it.

    Cases that ask for the same share it; `case` is the first of them.
    """

    setting: FitSetting
    training: str
    method: str
    seed: int
    case: str


def imported_stem(source: str, split: str) -> str:
    """The name of a trajectory made of own data: tank_train."""
    return f"{source}_{split}"


def named(reynolds: float) -> str:
    """A Reynolds number as files have it, by six digits; one that needs more keeps them all."""
    short = f"{reynolds:g}"
    return short if float(short) == reynolds else str(reynolds)


def boundary_of(walls: str) -> Boundary:
    """The boundary that the name of a trajectory's file begins with: "no_slip_" or the like."""
    return next(name for name in get_args(Boundary) if name == (walls.rstrip("_") or "periodic"))


def observable_of(velocity: str) -> Observable:
    """The observable that the name of a file of statistics ends with: ".u" or the like."""
    return next(name for name in get_args(Observable) if name == (velocity.lstrip(".") or "w"))


def velocity_of(observable: str) -> str:
    """How the name of a file of statistics ends: nothing of vorticity, or ".u" or the like."""
    return "" if observable == "w" else f".{observable}"
