"""The sections of the configuration that say how one thing is done: simulated, trained, sampled."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from flexbench.config.base import (
    Misfit,
    Name,
    NonNegative,
    Probability,
    Reynolds,
    Seed,
    Settings,
    Unique,
)
from flexbench.spec import Boundary, Observable

# Keys that say how often something is written, not what comes out: a change of them makes nothing
# stale, and a training goes on from its restart point.
PACE = {"solver": {"checkpoint_seconds"}, "train": {"checkpoint_seconds", "log_every"}}

Size = Literal["XXS", "XS", "S", "M", "L"]
# What a section is overridden with for one method or evaluation: keys of it that differ.
Differing = dict[str, bool | int | float | str | list[float] | None]


class SolverSettings(Settings):
    """How trajectories are simulated (2-D decaying Kraichnan turbulence on [0, 2 pi]^2)."""

    grid: PositiveInt = Field(256, description="points per side; even")
    t_start: NonNegative = Field(0.5, description="time of the first stored snapshot")
    t_end: PositiveFloat = Field(3.5, description="time of the last stored snapshot")
    interval: PositiveFloat = Field(0.1, description="time between two stored snapshots")
    dt: PositiveFloat | None = Field(
        None, description="fixed time step; null: the largest one below the CFL limit"
    )
    cfl: PositiveFloat = Field(0.8, description="Courant number, where dt is null")
    peak_wavenumber: PositiveFloat = Field(10.0, description="k0 of the initial spectrum")
    precision: Literal["float32", "float64"] = "float32"
    checkpoint_seconds: PositiveFloat = Field(
        60.0, description="wall time between two restart points"
    )

    @model_validator(mode="after")
    def _times(self) -> "SolverSettings":
        if self.t_end <= self.t_start:
            raise Misfit(
                f"t_end ({self.t_end}) must be larger than t_start ({self.t_start})",
                *("t_start", "t_end"),
            )
        if self.grid % 2:
            raise Misfit(f"grid ({self.grid}) must be even", "grid")
        return self


class SplitSettings(Settings):
    """The trajectories of one split: every Re with every seed."""

    reynolds: Annotated[list[Reynolds], Unique] = Field(min_length=1)
    seeds: Annotated[list[Seed], Unique] = Field(min_length=1)


class SplitsSettings(Settings):
    """Splits are by seed; a (Re, seed) pair may stand in one split only."""

    train: SplitSettings
    validation: SplitSettings
    test: SplitSettings

    @model_validator(mode="after")
    def _disjoint(self) -> "SplitsSettings":
        seen: dict[tuple[float, int], str] = {}
        for name in ("train", "validation", "test"):
            split: SplitSettings = getattr(self, name)
            for reynolds in split.reynolds:
                for seed in split.seeds:
                    other = seen.setdefault((reynolds, seed), name)
                    if other != name:
                        raise Misfit(
                            f"leak: Re {reynolds:g}, seed {seed} is in both {other} and {name}",
                            *(other, name),
                        )
        return self


class DiffusionSettings(Settings):
    """The diffusion of every denoiser; `method_settings` may differ from it, method by method."""

    shift: PositiveFloat = Field(1.0, description="s of the cosine log-SNR schedule")
    target: Literal["v", "eps", "x"] = "v"
    loss: Literal["l1", "mse", "huber"] = "l1"
    weighting: Literal["none", "sigmoid"] = "none"


class TrainSettings(Settings):
    """How networks are trained; `method_settings` may differ from it, method by method."""

    steps: PositiveInt = 1000
    batch: PositiveInt = Field(
        8,
        description="patches per optimiser step, over all processes and, where a network learns "
        "several tasks, over all of them",
    )
    accumulate: PositiveInt = Field(1, description="micro-batches per optimiser step")
    optimizer: Literal["adamw", "lion"] = "adamw"
    learning_rate: PositiveFloat = 1e-3
    betas: tuple[Probability, Probability] = (0.9, 0.99)
    weight_decay: NonNegative = 0.0
    warmup_steps: Annotated[int, Field(ge=0)] = 50
    clip_norm: PositiveFloat | None = 1.0
    ema: Probability = Field(0.99, description="decay of the weights' moving average; 0: off")
    dropout: Probability = 0.0
    precision: Literal["float32", "bfloat16"] = Field("float32", description="bfloat16: autocast")
    compile: bool = Field(False, description="torch.compile (needs a C++ compiler)")
    processes: PositiveInt = Field(1, description="processes (GPUs) under torchrun")
    log_every: PositiveInt = 10
    validate_every: PositiveInt = 200
    validation_batches: PositiveInt = 4
    checkpoint_seconds: PositiveFloat = 60.0


class SampleSettings(Settings):
    """How ensembles are drawn and which test snapshots are scored."""

    members: PositiveInt = Field(16, description="M")
    steps: PositiveInt = Field(2, description="N, reverse diffusion steps")
    sampler: Literal["ddim", "ddpm", "heun", "dpmpp_2m"] = "ddim"
    snapshots: PositiveInt = Field(2, description="scored snapshots per test trajectory")
    batch: PositiveInt = Field(64, description="patches x members evaluated at once")
    overlap: Annotated[int, Field(ge=0)] = Field(
        0,
        description="points that neighbouring tiles of a domain share, blended at every step; "
        "0: tiles are drawn apart and stitched",
    )


class EvaluationSettings(Settings):
    """Flows that trained methods are applied to besides the test split, without any training.

    The tasks keep their networks; fields are scaled by what the training split has of the same
    observable.
    """

    reynolds: Annotated[list[Reynolds], Unique] | None = Field(
        None, min_length=1, description="null: the test split's"
    )
    seeds: Annotated[list[Seed], Unique] | None = Field(
        None, min_length=1, description="null: the test split's"
    )
    boundary: Boundary = Field(
        "periodic", description="free_slip: an odd channel; no_slip: penalised walls"
    )
    observable: Observable = Field("w", description="vorticity, or a velocity derived from it")
    leads: PositiveInt = Field(
        1, description="above 1: a rollout of so many leads, on forecasts alone"
    )
    feedback: Literal["member", "mean"] = Field(
        "member",
        description="what a rollout goes on from: each member's own state, or, as the authors do, "
        "the ensemble mean",
    )
    tasks: Annotated[list[Name], Unique] | None = Field(
        None, min_length=1, description="null: all that it can be done on"
    )
    methods: Annotated[list[Name], Unique] | None = Field(
        None, min_length=1, description="null: all of the task's"
    )
    sample: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="keys of `sample` that differ for these flows"
    )


class MethodSettings(Settings):
    """One method: a network file, the mode it runs in, and its size."""

    network: Name | None = Field(None, description="file name; null: the method's own name")
    mode: Literal["denoiser", "regressor"] = Field(
        "denoiser", description="ignored by files without weights (formula)"
    )
    together: Annotated[list[Name], Unique] | None = Field(
        None,
        min_length=2,
        description="tasks that one network learns, each an equal share of every batch; "
        "null: a network for each task",
    )
    size: Size | None = Field(None, description="FLEX's size; null: the tier's")
    width: PositiveInt | None = Field(
        None,
        description="width of a baseline, null: solved to match FLEX; or of FLEX's bottleneck, "
        "null: its size's",
    )
    match: Literal["parameters", "flops"] = Field(
        "parameters", description="what a solved width matches"
    )
    narrow: bool = Field(
        False,
        description="of a network for the tasks of `together`: solve its width so that all of it "
        "has the parameters of FLEX for one task",
    )
    options: dict[str, bool | int | float | str | list[int]] = Field(
        default_factory=dict, description="further keyword arguments of build()"
    )
    train: Differing = Field(
        default_factory=dict, description="keys of `train` that differ for this method"
    )
    diffusion: Differing = Field(
        default_factory=dict, description="keys of `diffusion` that differ for this method"
    )

    @model_validator(mode="after")
    def _can_be_narrowed(self) -> "MethodSettings":
        if self.narrow and self.together is None:
            raise Misfit(
                "narrow: found true without `together`; allowed: with it", "narrow", "together"
            )
        if self.narrow and self.width is not None:
            raise Misfit(
                f"narrow: found true and width {self.width}; allowed: one of them",
                "narrow",
                "width",
            )
        if self.narrow and self.match == "flops":
            raise Misfit(
                "narrow: found true and match: flops; allowed: match: parameters", "narrow", "match"
            )
        return self


class ScoreSettings(Settings):
    """How scores are aggregated."""

    bootstrap: PositiveInt = Field(2000, description="resamples behind each interval")
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    bands: PositiveInt = Field(4, description="wavenumber bands, log-spaced")
