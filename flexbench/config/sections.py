"""The sections of the configuration that say how one thing is done: simulated, trained, sampled."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from flexbench.config.base import (
    Count,
    Misfit,
    Name,
    NonNegative,
    Points,
    Probability,
    Reynolds,
    Seed,
    Settings,
    Steps,
    Unique,
    Workers,
)
from flexbench.errors import FlexbenchError
from flexbench.spec import STABLE_COURANT, Boundary, Observable

# Of a trajectory's file; at a million snapshots nobody waits for it.
MOST_SNAPSHOTS = 10**6

# Keys that say how often something is written, not what comes out: a change of them makes nothing
# stale, and a training goes on from its restart point.
PACE = {"solver": {"checkpoint_seconds"}, "train": {"checkpoint_seconds", "log_every"}}

# Samplers that draw from what validation tells of a network's errors.
FITTED = ("calibrated",)

Size = Literal["XXS", "XS", "S", "M", "L"]
# What a network is computed in.
NetworkPrecision = Literal["float32", "bfloat16"]
# Where fewer seeds than the tier's are enough.
TrainedSeeds = Annotated[
    Annotated[list[Seed], Unique] | None,
    Field(min_length=1, description="those of training_seeds that it has; null: all of them"),
]
# What a section is overridden with for one method or evaluation: keys of it that differ.
Differing = dict[str, bool | int | float | str | list[float] | None]


class SolverSettings(Settings):
    """How trajectories are simulated (2-D decaying Kraichnan turbulence on [0, 2 pi]^2)."""

    grid: Points = Field(256, description="points per side; even")
    t_start: NonNegative = Field(0.5, description="time of the first stored snapshot")
    t_end: PositiveFloat = Field(3.5, description="time of the last stored snapshot")
    interval: PositiveFloat = Field(0.1, description="time between two stored snapshots")
    dt: PositiveFloat | None = Field(
        None, description="fixed time step; null: the largest one below the CFL limit"
    )
    cfl: PositiveFloat = Field(
        0.8,
        le=STABLE_COURANT,
        description="Courant number, where dt is null; the integrator is stable up to "
        f"{STABLE_COURANT}",
    )
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
        if self.grid % 2 or self.grid < 4:
            raise Misfit(f"grid ({self.grid}) must be even, and at least 4", "grid")
        intervals = (self.t_end - self.t_start) / self.interval
        if not 0.5 < intervals < MOST_SNAPSHOTS or abs(intervals - round(intervals)) > 1e-6:
            raise Misfit(
                f"interval ({self.interval:g}) must divide the time between first and last "
                f"snapshot, t_end - t_start ({self.t_end:g} - {self.t_start:g}), into 1 to "
                f"{MOST_SNAPSHOTS} parts",
                *("interval", "t_start", "t_end"),
            )
        return self

    @property
    def snapshots(self) -> int:
        """T: that are stored of a trajectory."""
        return round((self.t_end - self.t_start) / self.interval) + 1


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

    shift: PositiveFloat = Field(
        1.0, ge=1e-6, le=1e6, description="s of the cosine log-SNR schedule"
    )
    target: Literal["v", "eps", "x"] = "v"
    loss: Literal["l1", "mse", "huber"] = "l1"
    weighting: Literal["none", "sigmoid"] = "none"
    times: Literal["independent", "spread"] = Field(
        "independent",
        description="of the rows of a training step, each uniform; spread: evenly over (0, 1), "
        "from a common random start",
    )


class TrainSettings(Settings):
    """How networks are trained; `method_settings` may differ from it, method by method."""

    steps: Steps = 1000
    batch: Count = Field(
        8,
        description="patches per optimiser step, over all processes and, where a network learns "
        "several tasks, over all of them",
    )
    accumulate: Count = Field(1, description="micro-batches per optimiser step")
    optimizer: Literal["adamw", "lion", "muon"] = Field(
        "adamw",
        description="muon: matrices and kernels by Muon, of which AdamW's learning rates hold; "
        "all else by AdamW",
    )
    learning_rate: Annotated[PositiveFloat, Field(le=1)] = 1e-3
    betas: tuple[Probability, Probability] = (0.9, 0.99)
    weight_decay: NonNegative = 0.0
    warmup_steps: Annotated[int, Field(ge=0, le=10**9)] = 50
    clip_norm: PositiveFloat | None = 1.0
    ema: Probability = Field(0.99, description="decay of the weights' moving average; 0: off")
    dropout: Probability = 0.0
    precision: NetworkPrecision = Field("float32", description="bfloat16: autocast")
    compile: bool = Field(False, description="torch.compile (needs a C++ compiler)")
    layout: Literal["auto", "contiguous", "channels_last"] = Field(
        "auto",
        description="order of a network's maps in memory, where its file allows both; auto: the "
        "one that is usually faster, or, of large networks and on GPUs, that is measured to be",
    )
    processes: Workers = Field(1, description="processes (GPUs) under torchrun")
    log_every: Steps = 10
    validate_every: Steps = 200
    validation_batches: Count = 4
    checkpoint_seconds: PositiveFloat = 60.0

    def check(self, *, tasks: int, place: str = "train") -> None:
        """FlexbenchError where a training of so many tasks cannot be done; place: the section."""
        if self.warmup_steps >= self.steps:
            raise FlexbenchError(
                f"{place}.warmup_steps: found {self.warmup_steps}, allowed: fewer than "
                f"train.steps ({self.steps})"
            )
        if self.learning_rate * self.weight_decay >= 1:
            raise FlexbenchError(
                f"{place}.weight_decay: found {self.weight_decay:g}, allowed: below 1 / "
                f"train.learning_rate ({1 / self.learning_rate:g}), or weights change their sign"
            )
        self.rows(tasks=tasks, place=place)

    def rows(self, *, tasks: int, place: str = "train") -> int:
        """Rows of each task per micro-batch and process; FlexbenchError if the batch has no even
        cut.

        Every micro-batch holds all tasks, so each is a step in small: no process, and no backward
        pass, is without one of the task encoders.
        """
        parts = self.accumulate * self.processes * tasks
        if self.batch % parts:
            shared = f" x {tasks} tasks" if tasks > 1 else ""
            raise FlexbenchError(
                f"{place}.batch: found {self.batch}, allowed: multiples of train.accumulate x "
                f"train.processes{shared} ({parts})"
            )
        return self.batch // parts


class SampleSettings(Settings):
    """How ensembles are drawn and which test snapshots are scored."""

    members: Count = Field(16, description="M")
    steps: Count = Field(2, description="N, reverse diffusion steps")
    sampler: Literal["ddim", "ddpm", "heun", "dpmpp_2m", "calibrated"] = Field(
        "ddim", description="calibrated: with noise like the network's errors on validation"
    )
    snapshots: Count = Field(2, description="scored snapshots per test trajectory")
    batch: Count = Field(64, description="patches x members evaluated at once")
    overlap: Annotated[int, Field(ge=0, le=2**16)] = Field(
        0,
        description="points that neighbouring tiles of a domain share, blended at every step; "
        "0: tiles are drawn apart and stitched",
    )
    precision: NetworkPrecision = Field(
        "float32",
        description="of the networks' products; bfloat16: autocast, for GPUs, and processors that "
        "have instructions for it",
    )
    consistent: bool = Field(
        True,
        description="hold samples to what is known of the target: a low-resolution field's block "
        "means; of forecasts, by a fitted sampler alone, the waves that are longer than a patch",
    )

    @property
    def is_fitted(self) -> bool:
        """Whether the sampler needs a fit to validation snapshots."""
        return self.sampler in FITTED


# Leads of a rollout that a sampler is fitted at: later ones are drawn as the last of them.
FITTED_LEADS = 2


class CalibrationSettings(Settings):
    """How a sampler that needs it is fitted to validation snapshots."""

    snapshots: Count = Field(
        3, description="of each validation trajectory, spread over it; fewer where it has fewer"
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
    leads: Count = Field(1, description="above 1: a rollout of so many leads, on forecasts alone")
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
    training_seeds: TrainedSeeds = None
    sample: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="keys of `sample` that differ for these flows"
    )


class MethodSettings(Settings):
    """One method: a network file, the mode it runs in, and its size."""

    network: Name | None = Field(None, description="file name; null: the method's own name")
    mode: Literal["denoiser", "crps", "regressor"] = Field(
        "denoiser",
        description="crps: a member is one evaluation on white noise, trained by the CRPS of two, "
        "so a step costs twice; ignored by files without weights (formula)",
    )
    together: Annotated[list[Name], Unique] | None = Field(
        None,
        min_length=2,
        description="tasks that one network learns, each an equal share of every batch; "
        "null: a network for each task",
    )
    size: Size | None = Field(None, description="FLEX's size; null: the tier's")
    width: Count | None = Field(
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
    training_seeds: TrainedSeeds = None
    train: Differing = Field(
        default_factory=dict, description="keys of `train` that differ for this method"
    )
    diffusion: Differing = Field(
        default_factory=dict, description="keys of `diffusion` that differ for this method"
    )

    @model_validator(mode="after")
    def _learns_one_task(self) -> "MethodSettings":
        if self.mode == "crps" and self.together is not None:
            raise Misfit(
                "mode: found crps and `together`; allowed: one task at a time", "mode", "together"
            )
        return self

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


class SubmittedSettings(Settings):
    """A method that others ran: what `flexbench submit` took in of it. Nothing here draws it."""

    cases: Annotated[list[str], Unique] = Field(min_length=1, description="that it answered")
    training_seeds: Annotated[list[Seed], Unique] = Field(
        min_length=1, description="of its own trainings"
    )
    ensemble: bool = Field(description="whether it has members; false: one prediction each")


class TheorySettings(Settings):
    """What theory says of residuals, measured: targets of every task that has some, and gradients.

    No other step depends on it.
    """

    snapshots: Count = Field(
        4, description="of each training trajectory, spread over it; fewer where it has fewer"
    )
    methods: Annotated[list[Name], Unique] = Field(
        default_factory=list,
        description="that are trained once more, to measure the noise of their gradients",
    )
    training_seeds: TrainedSeeds = None
    batches: Annotated[int, Field(ge=2, le=10**6)] = Field(
        32, description="whose gradients are taken, at each of three moments of a training"
    )


class ScoreSettings(Settings):
    """How scores are aggregated."""

    bootstrap: Count = Field(2000, description="resamples behind each interval")
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    bands: Points = Field(4, description="wavenumber bands, log-spaced")
