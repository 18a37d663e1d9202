"""What the main process writes while it trains: log rows, restart points, the checkpoint."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flexbench.config import TrainSettings
from flexbench.training.batches import MicroBatch
from flexbench.training.checkpoint import save_checkpoint
from flexbench.training.learner import Learner, StepResult
from flexbench.training.lock import StateLock
from flexbench.training.log import Narrator, TrainingLog
from flexbench.training.state import StateFolder, TrainingState


class Records:
    """Bookkeeping of one run of a training that goes on from `resumed` (None: from nothing)."""

    def __init__(
        self,
        learner: Learner,
        *,
        settings: TrainSettings,
        folder: StateFolder,
        lock: StateLock,
        log: TrainingLog,
        log_path: Path,
        narrator: Narrator,
        validation: list[MicroBatch],
        resumed: TrainingState | None,
    ) -> None:
        self._learner = learner
        self._settings = settings
        self._folder = folder
        self._lock = lock
        self._log = log
        self._log_path = log_path
        self._narrator = narrator
        self._validation = validation
        self.validation: dict[str, dict[str, float]] = dict(resumed.validation) if resumed else {}
        self._loss_sum = resumed.loss_sum if resumed else 0.0
        self._loss_count = resumed.loss_count if resumed else 0
        self._saved_step = resumed.step if resumed else None
        self._begin = time.monotonic() - (resumed.elapsed if resumed else 0.0)
        self._row_time = self._save_time = time.monotonic()
        self._row_step = learner.step

    @property
    def seconds(self) -> float:
        """Wall time of training, over all its runs."""
        return time.monotonic() - self._begin

    @property
    def last_loss(self) -> float | None:
        """Mean loss of the last log row."""
        return self._log.last_loss

    @property
    def save_is_due(self) -> bool:
        return time.monotonic() - self._save_time >= self._settings.checkpoint_seconds

    def note(self, result: StepResult) -> None:
        """Take in a step; validate and write a log row where one is due."""
        self._loss_sum += result.loss
        self._loss_count += 1
        last = result.step == self._settings.steps
        validate = bool(self._validation) and (
            last or result.step % self._settings.validate_every == 0
        )
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

    def save(self) -> Path:
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

    def save_and_tell(self, signal: str) -> None:
        """Save because a signal says so, and say so."""
        path = self.save()
        self._narrator.say(
            f"{signal}: stopped after step {self._learner.step} of {self._settings.steps}; state "
            f"saved ({path}), the same command goes on from there"
        )

    def finish(self, checkpoint_path: Path, metadata: Mapping[str, Any]) -> None:
        """Write the last restart point, then the checkpoint."""
        if self._saved_step != self._learner.step:
            self.save()
        self._lock.check()
        self._log.publish(self._log_path)
        found = {**metadata, "validation": self.validation}
        save_checkpoint(checkpoint_path, self._learner.average.state_dict(), found)

    def _validate(self, step: int) -> float:
        loss = self._learner.validation_loss(self._validation)
        found = {"step": step, "loss": loss}
        best = self.validation.get("best")
        self.validation["last"] = found
        if best is None or loss < best["loss"]:
            self.validation["best"] = found
        return loss

    def _rate(self, step: int) -> float:
        seconds = max(time.monotonic() - self._row_time, 1e-9)
        return (step - self._row_step) * self._settings.batch / seconds
