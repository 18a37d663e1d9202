"""How fast a machine is: measured by `flexbench plan --measure`, or a default that says so."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from flexbench.atomic import write_text
from flexbench.errors import FlexbenchError
from flexbench.spec import Boundary

FORMAT = 1
DEFAULTS = Path(__file__).with_name("default_rates.json")
# FLOP per second that one data-centre GPU is taken to keep up in bfloat16. Never measured here.
ASSUMED_GPU = 3e13
ANY = "*"  # stands for whatever was not measured

# Where the tier that was measured has none.
WALLS: dict[Boundary, float] = {"periodic": 1.0, "free_slip": 1.0, "no_slip": 1.5}

Seconds = PositiveFloat


class Rates(BaseModel):
    """What was measured, with as many processes at once as there will be jobs.

    start: seconds of a verb before its work begins, by "rule/method" or "rule" ("formula": of
    sampling one). solver: seconds per periodic step and point, over log2 of the grid. walls: a step
    with a boundary over a periodic one, measured where the tier has it. train, sample: FLOP
    per second by method, by network, or "*" for any other. gpu: FLOP per second of one GPU, where
    none was measured. formula, statistics: seconds per point
    and snapshot. score: seconds per point of one snapshot, and per point and member. tabulate:
    seconds per file of scores. figures: seconds of the whole verb, by name. write, digest: bytes
    per second. snakemake: seconds before the first job.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: dict[str, Seconds]
    solver: Seconds
    walls: dict[Boundary, PositiveFloat] = WALLS
    train: dict[str, PositiveFloat]
    sample: dict[str, PositiveFloat]
    formula: Seconds
    statistics: Seconds
    score: tuple[Seconds, Seconds]
    tabulate: Seconds
    figures: dict[str, Seconds]
    gpu: PositiveFloat = ASSUMED_GPU
    write: PositiveFloat
    digest: PositiveFloat
    snakemake: Seconds


class Measurement(BaseModel):
    """Rates, and of which machine and tier they are.

    together: processes that ran at once while it was measured. default: measured elsewhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    machine: str
    device: str
    threads: PositiveInt
    together: PositiveInt
    tier: str
    measured: str
    seconds: Seconds
    default: bool = False
    rates: Rates
    notes: list[str] = Field(default_factory=list)


def rates_file(root: Path) -> Path:
    """Where a results root keeps what was measured of this machine: once for each tier."""
    return root / "rates.json"


def save_measurement(root: Path, measurement: Measurement) -> Path:
    """Write a measurement, and keep those of the other tiers."""
    path = rates_file(root)
    kept = {tier: found.model_dump() for tier, found in _read(path).items()} if _has(path) else {}
    kept[measurement.tier] = measurement.model_dump()
    write_text(path, json.dumps(kept, indent=1) + "\n")
    return path


def load_measurement(root: Path, tier: str) -> Measurement:
    """The measurement of a tier; else the newest of another tier; else the default's.

    FlexbenchError where the file is there but cannot be used.
    """
    path = rates_file(root)
    found = _read(path) if _has(path) else {}
    if tier in found:
        return found[tier]
    if found:
        return max(found.values(), key=lambda measurement: measurement.measured)
    return Measurement.model_validate_json(DEFAULTS.read_bytes())


def rate(table: Mapping[str, float], method: str, network: str) -> float:
    """The most particular rate of a table: of this method, of its network, or of any."""
    return table.get(method, table.get(network, table[ANY]))


def _has(path: Path) -> bool:
    return path.is_file()


def _read(path: Path) -> dict[str, Measurement]:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = {tier: Measurement.model_validate(entry) for tier, entry in values.items()}
    except (ValueError, AttributeError, ValidationError) as error:
        reason = " ".join(str(error).split())[:120]
        raise FlexbenchError(
            f"{path}: not a measurement ({reason}); run `flexbench plan --measure` again"
        ) from None
    return found
