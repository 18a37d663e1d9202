"""What the main process writes while it trains: log rows, restart points, the checkpoint."""

import math
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from flexbench.config import TrainSettings
from flexbench.errors import FlexbenchError
from flexbench.training.batches import MicroBatch, PatchSource, fixed_batches
from flexbench.training.checkpoint import save_checkpoint
from flexbench.training.distributed import Processes
from flexbench.training.learner import Learner, StepResult
from flexbench.training.lock import HEARTBEAT_SECONDS, STALE_SECONDS, StateLock
from flexbench.training.log import Narrator, TrainingLog
from flexbench.training.state import StateFolder, TrainingState


class Records:
    """Context of one training's bookkeeping; holds the state folder's lock while it is open.

    All processes call the same methods; only the main one writes. The others wait for it where
    they would otherwise leave before it has written.
    """

    def __init__(
        self,
        folder: StateFolder,
        log_path: Path,
        *,
        settings: TrainSettings,
        narrator: Narrator,
        among: Processes,
    ) -> None:
        self.validation: dict[str, dict[str, float]] = {}
        self._folder = folder
        self._log_path = log_path
        self._settings = settings
        self._narrator = narrator
        self._processes = among
        # Slurm may start a job again before the heartbeat of its former life is old; refused, it
        # would use up a retry.
        wait = STALE_SECONDS + HEARTBEAT_SECONDS if "SLURM_JOB_ID" in os.environ else 0.0
        self._lock = StateLock(folder.root, say=narrator.say, wait_seconds=wait)
        self._open = ExitStack()

    def __enter__(self) -> "Records":
        if self._processes.is_main:
            self._open.enter_context(self._lock)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def newest_state(self) -> Path | None:
        """The restart point to go on from, the same for all processes."""
        return self._processes.share(self._folder.newest() if self._processes.is_main else None)

    def begin(
        self, learner: Learner, resumed: TrainingState | None, validation: PatchSource | None
    ) -> None:
        """Before the first step of this run: take up log and sums where `resumed` left them.

        validation: patches to look at now and then; None: no validation.
        """
        self._learner = learner
        self._fixed: list[MicroBatch] = []
        self._loss_sum = resumed.loss_sum if resumed else 0.0
        self._loss_count = resumed.loss_count if resumed else 0
        self._saved_step = resumed.step if resumed else None
        self._begin = time.monotonic() - (resumed.elapsed if resumed else 0.0)
        self._row_step = learner.step
        if resumed:
            self.validation = dict(resumed.validation)
        if self._processes.is_main:
            log = TrainingLog(self._folder.log, resumed_step=learner.step)
            self._log = self._open.enter_context(log)
            if validation is not None:
                self._fixed = list(fixed_batches(validation, self._settings, tasks=learner.tasks))
        self._row_time = self._save_time = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time of training, over all its runs."""
        return time.monotonic() - self._begin

    @property
    def last_loss(self) -> float | None:
        """Mean loss of the last log row; None in processes that write none."""
        return self._log.last_loss if self._processes.is_main else None

    def note(self, result: StepResult) -> None:
        """Take in a step; validate and write a log row where one is due."""
        if not self._processes.is_main:
            return
        self._loss_sum += result.loss
        self._loss_count += 1
        last = result.step == self._settings.steps
        validate = bool(self._fixed) and (last or result.step % self._settings.validate_every == 0)
        if not (last or validate or result.step % self._settings.log_every == 0):
            return
        row = {
            "step": result.step,
            "loss": self._loss_sum / self._loss_count,
            "lr": result.rate,
            "grad_norm": result.grad_norm,
            "seconds": round(self.seconds, 3),
            "examples_per_second": round(self._rate(result.step), 3),
        }
        if validate:
            row["validation_loss"] = self._validate(result.step)
        self._log.append(row)
        self._narrator.row(row)
        self._loss_sum, self._loss_count = 0.0, 0
        self._row_time, self._row_step = time.monotonic(), result.step

    def save_if_due(self) -> None:
        """Write a restart point if the last one is old enough."""
        waited = time.monotonic() - self._save_time
        if self._processes.is_main and waited >= self._settings.checkpoint_seconds:
            self._save()

    def save_and_tell(self, signal: str) -> None:
        """Write a restart point because a signal says so, and say so."""
        if self._processes.is_main:
            path = self._save()
            self._narrator.say(
                f"{signal}: stopped after step {self._learner.step} of {self._settings.steps}; "
                f"state saved ({path}), the same command goes on from there"
            )
        self._processes.wait()

    def finish(self, checkpoint_path: Path, metadata: Mapping[str, Any]) -> None:
        """Write the last restart point, then the checkpoint."""
        if self._processes.is_main:
            if self._saved_step != self._learner.step:
                self._save()
            self._lock.check()
            self._log.publish(self._log_path)
            found = {**metadata, "validation": self.validation}
            save_checkpoint(checkpoint_path, self._learner.average.state_dict(), found)
        self._processes.wait()

    def _save(self) -> Path:
        """Write a restart point and renew the readable copy of the log."""
        self._lock.check()
        state = self._learner.capture(self._folder.digest)
        state.elapsed = self.seconds
        state.loss_sum, state.loss_count = self._loss_sum, self._loss_count
        state.validation = self.validation
        path = self._folder.save(state)
        self._log.publish(self._log_path)
        self._save_time, self._saved_step = time.monotonic(), state.step
        return path

    def _validate(self, step: int) -> float:
        loss = self._learner.validation_loss(self._fixed)
        if not math.isfinite(loss):
            raise FlexbenchError(
                f"training: step {step}: validation loss {loss:g} is not finite; nothing was "
                "overwritten. Look at the validation trajectories, or try a smaller "
                "train.learning_rate"
            )
        found = {"step": step, "loss": loss}
        best = self.validation.get("best")
        self.validation["last"] = found
        if best is None or loss < best["loss"]:
            self.validation["best"] = found
        return loss

    def _rate(self, step: int) -> float:
        seconds = max(time.monotonic() - self._row_time, 1e-9)
        return (step - self._row_step) * self._settings.batch / seconds
