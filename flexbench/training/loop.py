"""Training, from the first step or from where it was stopped, to the checkpoint.

Everything random is found by step: step s uses patches s * batch ... (s + 1) * batch - 1 of the
sampler and one stream per patch of the batch. So a killed training that is started again, with
the same call, ends with the same bits (on a CPU with the same thread count; GPU kernels may add
in another order, and none of this was run on a GPU here), and the batch may be cut into
micro-batches and shared among processes without changing what is learnt beyond round-off
(dropout apart, whose masks follow the cut). Of K tasks that are learnt together each has
batch / K patches in every step, numbered as if it were trained alone with such a batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from flexbench.config import TrainSettings
from flexbench.methods import Method
from flexbench.models.layout import Layout, worth_measuring
from flexbench.training.batches import Batches, PatchSource
from flexbench.training.distributed import process_group
from flexbench.training.learner import ExampleSource, Learner
from flexbench.training.log import Narrator
from flexbench.training.records import Records
from flexbench.training.signals import StopSignals
from flexbench.training.state import StateFolder, TrainingState, read_state, training_digest


@dataclass(frozen=True, kw_only=True)
class TrainSummary:
    """What became of a training.

    resumed_step: steps that earlier runs had done. loss: mean of the last log row.
    seconds: of training, over all its runs. validation: {"last": {"step", "loss"}, "best": ...},
    empty without validation patches. layout: of the network's maps. Processes other than the main
    one know no loss.
    """

    steps: int
    resumed_step: int
    loss: float | None
    seconds: float
    parameters: int
    layout: Layout
    validation: dict[str, dict[str, float]]
    parameters_without_gradient: list[str]


def train(
    method: Method,
    sampler: PatchSource,
    task: ExampleSource,
    *,
    settings: TrainSettings,
    seed: int,
    checkpoint_path: Path,
    state_dir: Path,
    log_path: Path,
    validation: PatchSource | None = None,
    device: torch.device | str = "cpu",
    threads: int = 1,
    layouts: Sequence[Layout] = ("contiguous",),
    step_flops: float = 0.0,
    metadata: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> TrainSummary:
    """Train `method.network` and write its averaged weights to `checkpoint_path`.

    sampler, validation: patch samplers (`data/patches.py`) of the training and validation files.
    Where the method's problem is a joint one, they and `task` are those of all its tasks
    (`data/joint.py`, `tasks/joint.py`), and each task has an equal share of every batch.
    seed: of all draws of the training; the network's initial weights are the caller's.
    state_dir: restart points, the lock and the log live here; the same call goes on from there.
    log_path: a copy of the log (see `log.TrainingLog`), renewed with every restart point.
    layouts: that the network can be computed in (`models.layout`). step_flops: of a step, forwards
        and backwards.
    metadata: JSON-like, written with the weights; a state made under another one is not used.
    progress: a live line, if standard error is a terminal.

    Raises FlexbenchError if another training works in `state_dir`, if the loss is no longer
    finite, or if the settings do not fit together. SIGTERM and SIGINT save the state and leave
    by SystemExit 143 or 130. The restart points stay when all is done: `clear_state` removes them.
    """
    device, metadata = torch.device(device), dict(metadata or {})
    with ExitStack() as stack:
        enter = stack.enter_context
        processes = enter(process_group(device, expected=settings.processes))
        stop = enter(StopSignals())
        enter(_own_threads_and_generators(device, threads=threads))
        narrator = enter(Narrator(steps=settings.steps, live=progress, quiet=not processes.is_main))
        digest = training_digest(settings, seed=seed, metadata=metadata, network=method.network)
        folder = StateFolder(state_dir, digest, say=narrator.say)
        records = enter(
            Records(folder, Path(log_path), settings=settings, narrator=narrator, among=processes)
        )
        learner = Learner(
            method, task, settings=settings, seed=seed, device=device, processes=processes
        )
        settings.check(tasks=learner.tasks)
        batches = enter(
            Batches(
                sampler,
                settings=settings,
                processes=processes,
                device=device,
                tasks=learner.tasks,
            )
        )

        layouts = _layouts_to_try(settings, layouts, step_flops=step_flops, device=device)
        resumed = _start(learner, batches, records.newest_state(), narrator, layouts=layouts)
        records.begin(learner, resumed, validation)
        while learner.step < settings.steps:
            result = learner.advance(batches.take(learner.step), stop=stop.requested)
            records.note(result)
            if result.stopping and learner.step < settings.steps:
                records.save_and_tell(stop.name)
                raise SystemExit(stop.exit_code)
            records.save_if_due()
        records.finish(Path(checkpoint_path), metadata | _facts(learner, settings, seed=seed))

        return TrainSummary(
            steps=learner.step,
            resumed_step=resumed.step if resumed else 0,
            loss=records.last_loss,
            seconds=records.seconds,
            parameters=learner.parameters,
            layout=learner.layout,
            validation=records.validation,
            parameters_without_gradient=learner.without_gradient,
        )


def _start(
    learner: Learner,
    batches: Batches,
    restart: Path | None,
    narrator: Narrator,
    *,
    layouts: Sequence[Layout],
) -> TrainingState | None:
    """Make the learner ready for its next step; the state it goes on from, if there is one.

    layouts: of which a new training takes the fastest.
    """
    state = None
    if restart is None:
        batch = batches.take(0)[0]
        learner.lay_out(learner.fastest_layout(batch, layouts))
        learner.find_parameters_without_gradient(batch)
    else:
        state = read_state(restart)
        learner.restore(state)
        narrator.say(f"going on after step {state.step} ({restart})")
    for name in learner.without_gradient:
        narrator.say(f"warning: parameter '{name}' receives no gradient")
    learner.assemble()
    return state


def _layouts_to_try(
    settings: TrainSettings, layouts: Sequence[Layout], *, step_flops: float, device: torch.device
) -> Sequence[Layout]:
    """Of the network's layouts those that are worth a measurement; often one."""
    if settings.layout != "auto":
        return [settings.layout] if settings.layout in layouts else layouts[:1]
    return worth_measuring(layouts, step_flops=step_flops, device=device)


def _facts(learner: Learner, settings: TrainSettings, *, seed: int) -> dict[str, Any]:
    """What the training itself adds to a checkpoint's metadata; no times, so bytes repeat."""
    return {
        "training_seed": seed,
        "training": settings.model_dump(mode="json"),
        "steps": learner.step,
        "parameters": learner.parameters,
        "parameters_without_gradient": learner.without_gradient,
    }


@contextmanager
def _own_threads_and_generators(device: torch.device, *, threads: int) -> Iterator[None]:
    """Inside, this many CPU threads; torch's global generators are given back as they were."""
    former = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.set_num_threads(former)
