"""Section `cluster`: what jobs ask of a cluster; no result depends on it."""

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from flexbench.config.base import ClusterName, Count, Settings


class Needs(Settings):
    """What one job of a rule asks the cluster for; its CPUs are `threads`."""

    minutes: Count = Field(
        20,
        description="time limit of one job; training, sampling and simulation go on in the next "
        "one, so it may be shorter than the work, as often as the profile's `retries` allow",
    )
    memory_mb: Annotated[int, Field(ge=500, le=10**9)] = Field(
        2000, description="main memory; at least 500 (the two Snakemake processes of a job: 200)"
    )
    gpu: bool = Field(False, description="one GPU; to train: one for each of train.processes")


class ClusterSettings(Settings):
    """Where and how large the jobs are under a cluster's profile; it changes no result.

    Whatever is null here is left to the cluster, or to Snakemake's --default-resources.
    """

    account: ClusterName | None = Field(None, description="whom the hours are charged to")
    partition: ClusterName | None = Field(None, description="of jobs without a GPU")
    gpu_partition: ClusterName | None = Field(
        None, description="of jobs with a GPU; null: the same as `partition`"
    )
    constraint: ClusterName | None = Field(
        None, description="features that a node must have, such as 'ib&avx512'"
    )
    gpu_model: str | None = Field(
        None, pattern=r"^[a-zA-Z0-9_.]+$", description="kind of GPU, such as a100; null: any"
    )
    qos: str | None = Field(None, min_length=1, description="quality of service")
    save_seconds: Count = Field(
        60, description="before the time limit a job is told to save its state and to end"
    )
    extra: str | None = Field(
        None, min_length=1, description="further options of sbatch, such as '--mail-type=FAIL'"
    )
    simulate: Needs = Needs(minutes=60)
    import_data: Needs = Needs(minutes=60)
    splits: Needs = Needs(minutes=10)
    statistics: Needs = Needs()
    targets: Needs = Needs()
    train: Needs = Needs(minutes=60, memory_mb=4000)
    gradients: Needs = Needs(minutes=60, memory_mb=4000)
    calibrate: Needs = Needs(memory_mb=4000)
    sample: Needs = Needs(minutes=60, memory_mb=4000)
    score: Needs = Needs()
    tabulate: Needs = Needs()
    figure: Needs = Needs()
    report: Needs = Needs()

    @field_validator("*", mode="before")
    @classmethod
    def _complete(cls, value: Any, info: ValidationInfo) -> Any:
        """Needs that are given in part keep the rule's own defaults for the rest."""
        default = cls.model_fields[str(info.field_name)].default
        if isinstance(default, Needs) and isinstance(value, dict):
            return default.model_dump() | value
        return value
