"""The configuration: one set of pydantic models, the only source of defaults, YAML and JSON schema.

A tier's YAML under `workflow/config/` holds only what differs from the defaults here. Unknown
keys are errors that name the nearest key.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from flexbench.settings import (
    ClusterName,
    Name,
    NonNegative,
    Probability,
    Reynolds,
    Seed,
    Settings,
    Unique,
    plain_path,
)
from flexbench.sources import DataSettings
from flexbench.spec import NO_SLIP_GRID, Boundary, Observable

TIERS = ("smoke", "gate", "desk", "lab", "paper")

# Keys that say how often something is written, not what comes out: a change of them makes nothing
# stale, and a training goes on from its restart point.
PACE = {"solver": {"checkpoint_seconds"}, "train": {"checkpoint_seconds", "log_every"}}

Section = TypeVar("Section", bound=Settings)


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
            raise ValueError(f"t_end ({self.t_end}) must be larger than t_start ({self.t_start})")
        if self.grid % 2:
            raise ValueError(f"grid ({self.grid}) must be even")
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
                        raise ValueError(
                            f"leak: Re {reynolds:g}, seed {seed} is in both {other} and {name}"
                        )
        return self


class TaskBase(Settings):
    """What every task has: the patch it is trained on, and how its residual is scaled."""

    patch: PositiveInt = Field(64, description="height and width of the training patches")
    normalisation: Literal["unit_variance", "official"] = Field(
        "unit_variance", description="official: residuals divided by the field's std, not their own"
    )
    methods: list[Name] | None = Field(
        None, description="the methods that run on this task; null: all of the tier's"
    )


class SuperResolutionSettings(TaskBase):
    """Super-resolution: a snapshot from its degraded version."""

    kind: Literal["superres"] = "superres"
    factor: Literal[2, 4, 8, 16] = 4
    degradation: Literal["block_mean", "strided", "bicubic", "spectral"] = "block_mean"
    upsampling: Literal["bicubic", "bilinear", "spectral"] = "bicubic"
    alignment: Literal["aligned", "official"] = Field(
        "aligned", description="official: half-pixel-centred up-sampling of strided samples"
    )


class ForecastSettings(TaskBase):
    """One-step forecasting: a snapshot from past ones."""

    kind: Literal["forecast"] = "forecast"
    past: Literal[2] = Field(2, description="number of past snapshots")
    lead: PositiveFloat = Field(0.1, description="time between two snapshots of a window")


TaskSettings = Annotated[SuperResolutionSettings | ForecastSettings, Field(discriminator="kind")]


class DiffusionSettings(Settings):
    """The diffusion that every denoiser of a tier shares."""

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
    size: Literal["XXS", "XS", "S", "M", "L"] | None = Field(
        None, description="FLEX's size; null: the tier's"
    )
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
    train: dict[str, bool | int | float | str | list[float] | None] = Field(
        default_factory=dict, description="keys of `train` that differ for this method"
    )

    @model_validator(mode="after")
    def _can_be_narrowed(self) -> "MethodSettings":
        if self.narrow and self.together is None:
            raise ValueError("narrow: found true without `together`; allowed: with it")
        if self.narrow and self.width is not None:
            raise ValueError(f"narrow: found true and width {self.width}; allowed: one of them")
        if self.narrow and self.match == "flops":
            raise ValueError("narrow: found true and match: flops; allowed: match: parameters")
        return self


class ScoreSettings(Settings):
    """How scores are aggregated."""

    bootstrap: PositiveInt = Field(2000, description="resamples behind each interval")
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    bands: PositiveInt = Field(4, description="wavenumber bands, log-spaced")


class Needs(Settings):
    """What one job of a rule asks the cluster for; its CPUs are `threads`."""

    minutes: PositiveInt = Field(
        20,
        description="time limit of one job; training, sampling and simulation go on in the next "
        "one, so it may be shorter than the work, as often as the profile's `retries` allow",
    )
    memory_mb: Annotated[int, Field(ge=500)] = Field(
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
    save_seconds: PositiveInt = Field(
        60, description="before the time limit a job is told to save its state and to end"
    )
    extra: str | None = Field(
        None, min_length=1, description="further options of sbatch, such as '--mail-type=FAIL'"
    )
    simulate: Needs = Needs(minutes=60)
    import_data: Needs = Needs(minutes=60)
    splits: Needs = Needs(minutes=10)
    statistics: Needs = Needs()
    train: Needs = Needs(minutes=60, memory_mb=4000)
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


def _overridden(section: Section, own: Mapping[str, Any], *, place: str) -> Section:
    """A section with the keys that differ for one method or evaluation, which stand at `place`.

    Raises ValueError, in one line, for the first key that is unknown or has a wrong value.
    """
    allowed = type(section).model_fields
    unknown = sorted(set(own) - set(allowed))
    if unknown:
        raise ValueError(f"{place}: unknown key '{unknown[0]}'; allowed: {', '.join(allowed)}")
    try:
        return type(section).model_validate(section.model_dump() | dict(own))
    except ValidationError as error:
        wrong = error.errors()[0]
        key, found = ".".join(map(str, wrong["loc"])), wrong["input"]
        raise ValueError(f"{place}.{key}: {wrong['msg']}, found {found!r}") from None


class Config(Settings):
    """A whole run of the benchmark."""

    tier: Name = Field(
        "desk", description="names the folder of results; smoke, gate, desk, lab, paper: shipped"
    )
    root: Annotated[str, AfterValidator(plain_path)] = Field(
        "results", description="where data and results go; may be outside the clone"
    )
    baseline_folders: list[str] = Field(
        default_factory=list, description="further folders with network files"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: PositiveInt = Field(
        1, description="CPU threads per job (changes bits, so it is set here)"
    )
    size: Literal["XXS", "XS", "S", "M", "L"] = "XS"
    training_seeds: Annotated[list[Seed], Unique] = Field([0], min_length=1)
    methods: Annotated[list[Name], Unique] = Field(min_length=1)
    method_settings: dict[Name, MethodSettings] = Field(default_factory=dict)
    solver: SolverSettings = SolverSettings()
    splits: SplitsSettings | None = Field(
        None, description="which trajectories to simulate; null where `data` is given"
    )
    data: DataSettings | None = Field(
        None, description="data of your own, in place of simulated trajectories"
    )
    tasks: dict[Name, TaskSettings] = Field(min_length=1)
    evaluations: dict[Name, EvaluationSettings] = Field(
        default_factory=dict, description="flows unlike the test split's, by name; null: none"
    )
    diffusion: DiffusionSettings = DiffusionSettings()
    train: TrainSettings = TrainSettings()
    sample: SampleSettings = SampleSettings()
    score: ScoreSettings = ScoreSettings()
    cluster: ClusterSettings = ClusterSettings()

    @field_validator("evaluations", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        """An override of null takes away what a tier's file holds."""
        return {} if value is None else value

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if (self.splits is None) == (self.data is None):
            raise ValueError("one of `splits` (simulated) and `data` (your own) is needed")
        for name, task in self.tasks.items():
            self._fits_overlap(name, task, self.sample.overlap, place="sample")
            if isinstance(task, SuperResolutionSettings):
                self._fits_factor(name, task)
            if self.data is None:
                self._fits_solver(name, task)
                self._fits_trajectories(Case(config=self, task=name))
            else:
                self._fits_data(name, task, self.data)
        for name, method in self.method_settings.items():
            _overridden(self.train, method.train, place=f"method_settings.{name}.train")
            self._check_together(name, method.together or [])
        for name, evaluation in self.evaluations.items():
            self._check_evaluation(name, evaluation)
        return self

    def _fits_overlap(self, name: str, task: TaskSettings, overlap: int, *, place: str) -> None:
        """Tiles get on by a whole low-resolution point at least."""
        if overlap >= task.patch:
            raise ValueError(
                f"{place}.overlap ({overlap}) must be smaller than "
                f"tasks.{name}.patch ({task.patch})"
            )
        if isinstance(task, SuperResolutionSettings) and overlap > task.patch - task.factor:
            raise ValueError(
                f"{place}.overlap ({overlap}) must be at most tasks.{name}.patch - "
                f"factor ({task.patch - task.factor})"
            )

    def _fits_factor(self, name: str, task: SuperResolutionSettings) -> None:
        """Patches and fields are made of whole low-resolution points."""
        if task.patch % task.factor:
            raise ValueError(f"tasks.{name}.factor ({task.factor}) must divide the patch")
        if self.data is None and self.solver.grid % task.factor:
            raise ValueError(
                f"tasks.{name}.factor ({task.factor}) must divide the grid ({self.solver.grid})"
            )

    def _fits_solver(self, name: str, task: TaskSettings) -> None:
        grid = self.solver.grid
        if task.patch > grid:
            raise ValueError(f"tasks.{name}.patch ({task.patch}) is larger than the field ({grid})")
        if grid % task.patch and not self.sample.overlap:
            raise ValueError(
                f"tasks.{name}.patch ({task.patch}) must divide the grid ({grid}), or "
                "sample.overlap be more than 0"
            )
        if isinstance(task, ForecastSettings):
            ratio = task.lead / self.solver.interval
            if abs(ratio - round(ratio)) > 1e-6 or round(ratio) < 1:
                raise ValueError(
                    f"tasks.{name}.lead ({task.lead:g}) must be a whole multiple of "
                    f"solver.interval ({self.solver.interval:g})"
                )

    def _fits_data(self, name: str, task: TaskSettings, data: DataSettings) -> None:
        if data.crop is not None and data.crop.size % task.patch:
            raise ValueError(
                f"data.crop.size ({data.crop.size}) must be a multiple of tasks.{name}.patch "
                f"({task.patch})"
            )
        spectral = isinstance(task, SuperResolutionSettings) and "spectral" in (
            task.degradation,
            task.upsampling,
        )
        if spectral and not data.is_periodic:
            raise ValueError(
                f"tasks.{name}: a spectral degradation or upsampling needs periodic data; "
                "data.periodic is false, or data.crop given"
            )

    def split(self, name: str) -> SplitSettings:
        """The trajectories of a split; of own data, its flows and the numbers of its sources."""
        if self.splits is not None:
            settings: SplitSettings = getattr(self.splits, name)
            return settings
        if self.data is None:
            raise ValueError("neither splits nor data")
        numbers = {source: number for number, source in enumerate(self.data.sources)}
        sources = self.data.sources_of(name)
        flows = sorted({self.data.sources[source].reynolds for source in sources})
        return SplitSettings(reynolds=flows, seeds=[numbers[source] for source in sources])

    @property
    def gap(self) -> float | None:
        """Time that has to lie between two splits of one source; None for simulated runs."""
        if self.data is None or self.data.gap is not None:
            return self.data.gap if self.data else None
        forecasts = [task for task in self.tasks.values() if isinstance(task, ForecastSettings)]
        return max((task.past * task.lead for task in forecasts), default=0.0)

    @property
    def side_step(self) -> int:
        """What the side of a field has to be a multiple of: every task's patch."""
        return math.lcm(*(task.patch for task in self.tasks.values()))

    def _check_together(self, method: str, together: list[str]) -> None:
        """ValueError unless these tasks are there and, where the method runs, agree in patch."""
        place = f"method_settings.{method}.together"
        for task in together:
            if task not in self.tasks:
                raise ValueError(f"{place}: no task '{task}'; allowed: {', '.join(self.tasks)}")
        patches = {task: self.tasks[task].patch for task in together}
        if method in self.methods and len(set(patches.values())) > 1:
            found = ", ".join(f"{task} {patch}" for task, patch in patches.items())
            raise ValueError(f"{place}: patches differ ({found}); allowed: one for all of them")

    def _check_evaluation(self, name: str, evaluation: EvaluationSettings) -> None:
        if name in SplitsSettings.model_fields:
            # Files are held against those of training by the names of splits and evaluations.
            raise ValueError(f"evaluations.{name}: a split's name; another one is needed")
        if evaluation.feedback == "mean" and evaluation.leads == 1:
            raise ValueError(
                f"evaluations.{name}.feedback: leads is 1, so nothing is fed back; allowed: leads "
                "above 1, or no feedback"
            )
        sample = _overridden(self.sample, evaluation.sample, place=f"evaluations.{name}.sample")
        missing = [task for task in evaluation.tasks or () if task not in self.tasks]
        if missing:
            raise ValueError(
                f"evaluations.{name}.tasks: no task '{missing[0]}'; "
                f"allowed: {', '.join(self.tasks)}"
            )
        if not self._tasks_of(evaluation):
            raise ValueError(
                f"evaluations.{name}: leads is {evaluation.leads}, and none of its tasks is a "
                "forecast; allowed: leads 1, or a forecast among its tasks"
            )
        for task in self._tasks_of(evaluation):
            settings = self.tasks[task]
            place = f"evaluations.{name}.sample"
            self._fits_overlap(task, settings, sample.overlap, place=place)
            if self.data is None:
                self._fits_trajectories(Case(config=self, task=task, evaluation=name))
        if self.data is not None:
            # A configuration that was written out holds every key, at its default or not.
            simulated = ("boundary", "observable", "reynolds", "seeds")
            fields = EvaluationSettings.model_fields
            asked = [key for key in simulated if getattr(evaluation, key) != fields[key].default]
            if asked:
                raise ValueError(
                    f"evaluations.{name}.{asked[0]}: data of your own is not simulated; allowed: "
                    "leads, feedback, tasks, methods, sample"
                )
            return
        test = self.split("test")
        if evaluation.boundary == "periodic":
            for split in ("train", "validation"):
                seen = self.split(split)
                both = set(seen.reynolds) & set(evaluation.reynolds or test.reynolds)
                seeds = set(seen.seeds) & set(evaluation.seeds or test.seeds)
                if both and seeds:
                    raise ValueError(
                        f"leak: Re {min(both):g}, seed {min(seeds)} is in both evaluations.{name} "
                        f"and {split}"
                    )

    def _fits_trajectories(self, case: "Case") -> None:
        """Trajectories that are asked for can be simulated, and hold what is scored of them."""
        if not self.methods_of(case.name):
            return
        task = self.tasks[case.task]
        if case.settings.boundary == "no_slip" and self.solver.grid < NO_SLIP_GRID:
            raise ValueError(
                f"evaluations.{case.evaluation}.boundary: a no-slip channel needs solver.grid of "
                f"at least {NO_SLIP_GRID}, found {self.solver.grid}"
            )
        if isinstance(task, ForecastSettings):
            self._fits_span(case, task)
        self._fits_stored(case, task)

    def _fits_span(self, case: "Case", task: ForecastSettings) -> None:
        """The trajectories last from the first past snapshot to the last lead."""
        there = self.solver.t_end - self.solver.t_start
        needed = (task.past - 1 + case.settings.leads) * task.lead
        if needed <= there * (1 + 1e-9):
            return
        key = f"tasks.{case.task}.lead ({task.lead:g})"
        if case.evaluation is not None:
            key = f"evaluations.{case.evaluation}.leads ({case.settings.leads})"
        raise ValueError(
            f"{key}: its snapshots span {needed:g} time units, and the trajectories "
            f"{there:g} (solver.t_start to t_end)"
        )

    def _fits_stored(self, case: "Case", task: TaskSettings) -> None:
        """A file holds as many snapshots as are scored, and those that they are made from."""
        solver = self.solver
        stride = round(task.lead / solver.interval) if isinstance(task, ForecastSettings) else 1
        stored = round((solver.t_end - solver.t_start) / solver.interval) + 1
        needed = case.snapshots_needed(stride)
        if needed <= stored:
            return
        own = case.evaluation is not None and "snapshots" in case.settings.sample
        place = f"evaluations.{case.evaluation}.sample" if own else "sample"
        raise ValueError(
            f"{place}.snapshots ({case.sample.snapshots}): '{case.name}' needs {needed} "
            f"snapshots of a trajectory, and the solver stores {stored}"
        )

    def _tasks_of(self, evaluation: EvaluationSettings) -> list[str]:
        """The tasks that an evaluation can be done on: a rollout needs a forecast."""
        return [
            task
            for task, settings in self.tasks.items()
            if (evaluation.tasks is None or task in evaluation.tasks)
            and (evaluation.leads == 1 or isinstance(settings, ForecastSettings))
        ]

    @property
    def cases(self) -> dict[str, "Case"]:
        """Every task on the test split, then on each evaluation that it can be done on."""
        found = [Case(config=self, task=task) for task in self.tasks]
        found += [
            Case(config=self, task=task, evaluation=name)
            for name, evaluation in self.evaluations.items()
            for task in self._tasks_of(evaluation)
        ]
        return {case.name: case for case in found}

    def method(self, name: str) -> MethodSettings:
        """The settings of a method; a name without an entry is a network file of that name."""
        settings = self.method_settings.get(name, MethodSettings())
        return settings.model_copy(update={"network": settings.network or name})

    def train_settings(self, method: str) -> TrainSettings:
        """`train`, with the keys that the method overrides."""
        own = self.method(method).train
        return _overridden(self.train, own, place=f"method_settings.{method}.train")

    def methods_of(self, case: str) -> list[str]:
        """The methods asked for that this task or case runs, in the order of `methods`.

        Which of them can do the task's kind is the registry's knowledge, not the configuration's.
        """
        here = self.cases[case]
        lists = (self.tasks[here.task].methods, here.settings.methods)
        return [name for name in self.methods if all(own is None or name in own for own in lists)]


class Run(NamedTuple):
    """One trajectory: its boundary, Reynolds number and seed."""

    boundary: Boundary
    reynolds: float
    seed: int

    @property
    def stem(self) -> str:
        """The name of its file, without the ending: re500_seed7, no_slip_re500_seed7."""
        return f"{self.walls}re{self.reynolds:g}_seed{self.seed}"

    @property
    def walls(self) -> str:
        """How that name begins: "no_slip_" or the like, nothing without walls."""
        return "" if self.boundary == "periodic" else f"{self.boundary}_"


@dataclass(frozen=True)
class Case:
    """A task on the flows it is scored on: the test split's, or those of an evaluation."""

    config: Config
    task: str
    evaluation: str | None = None

    @property
    def name(self) -> str:
        """What files and tables call it: `forecast`, or `forecast.no_slip`."""
        return self.task if self.evaluation is None else f"{self.task}.{self.evaluation}"

    @cached_property
    def settings(self) -> EvaluationSettings:
        """Its evaluation; the test split is the one where nothing differs."""
        if self.evaluation is None:
            return EvaluationSettings()
        return self.config.evaluations[self.evaluation]

    @property
    def is_rollout(self) -> bool:
        return self.settings.leads > 1

    @property
    def is_shifted(self) -> bool:
        """Whether its flows differ in kind from the test split's: the matrix shows it."""
        own, known = self.settings, self.config.split("test").reynolds
        if self.evaluation is None or self.is_rollout:
            return False
        others = set(own.reynolds or known) - set(known)
        return bool(others) or (own.boundary, own.observable) != ("periodic", "w")

    @cached_property
    def sample(self) -> SampleSettings:
        """`sample`, with the keys that its evaluation overrides."""
        place = f"evaluations.{self.evaluation}.sample"
        return _overridden(self.config.sample, self.settings.sample, place=place)

    def snapshots_needed(self, stride: int) -> int:
        """The fewest snapshots of a file that all that is scored of it fits in.

        stride: stored snapshots per lead of a forecast.
        """
        task = self.config.tasks[self.task]
        past = task.past if isinstance(task, ForecastSettings) else 0
        return (past + self.settings.leads - 1) * stride + self.sample.snapshots

    @cached_property
    def runs(self) -> list[Run]:
        """Its trajectories: every Re with every seed."""
        test, own = self.config.split("test"), self.settings
        return [
            Run(own.boundary, reynolds, seed)
            for reynolds in own.reynolds or test.reynolds
            for seed in own.seeds or test.seeds
        ]
