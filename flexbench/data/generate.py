"""Generating one trajectory file: the solver's run, its restart points, and the final file.

A run leaves segments of snapshots and the solver's state in `state_dir`. A segment counts only
once the state that follows it has been written, so a kill at any moment costs the work since the
last restart point and nothing else.
"""

import logging
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TimeRemainingColumn

from flexbench.atomic import replacing
from flexbench.config import SolverSettings
from flexbench.data.schema import K_MAX_ETA, RESOLVED
from flexbench.data.store import write_trajectory
from flexbench.errors import FlexbenchError
from flexbench.provenance import digest_of
from flexbench.solver.penalised import PenalisedNavierStokes
from flexbench.solver.simulate import Simulation
from flexbench.solver.times import snapshot_times

STATE = "state.npz"

# Snapshots waiting in memory for the next restart point.
PENDING_BYTES = 2**28

log = logging.getLogger(__name__)

Field = NDArray[np.float32]


def generate_trajectory(
    settings: SolverSettings,
    *,
    reynolds: float,
    seed: int,
    path: Path,
    state_dir: Path,
    boundary: str = "periodic",
    device: str = "cpu",
    progress: bool = False,
    attributes: Mapping[str, str | int | float] | None = None,
) -> dict[str, Any]:
    """Simulate one trajectory and write it to `path`; goes on from `state_dir` after a kill.

    boundary: "periodic", or a channel with "free_slip" or "no_slip" walls (see `solver.boundary`).
    The file's bytes do not depend on whether, or where, the run was interrupted. What another
    run (other settings, code, ...) left in `state_dir` is discarded with a message, and
    `state_dir` is removed at the end. attributes: further root attributes of the file.

    Returns a summary (see `_summary`). Raises FlexbenchError for values that cannot be
    simulated, and where the flow blows up.
    """
    start = time.perf_counter()
    times = snapshot_times(settings)
    simulation = Simulation(
        settings, reynolds=reynolds, seed=seed, boundary=boundary, device=device
    )
    facts = _provenance(simulation) | dict(attributes or {})
    run = _Run(simulation, state_dir, identity=_identity(simulation, facts))
    run.restore()
    resumed_at = simulation.steps
    _simulate(run, times, progress=progress)
    _warn_where_coarse(run)
    walls = boundary != "periodic"
    write_trajectory(
        path,
        run.snapshots(),
        time=times,
        grid=settings.grid,
        reynolds=simulation.reynolds,
        seed=seed,
        attributes=facts | {K_MAX_ETA: run.k_max_eta},
        boundary=boundary,
        mask=simulation.equation.mask,
        mean_flow=run.mean_flow if walls else None,
    )
    run.clear()
    seconds = time.perf_counter() - start
    return _summary(run, resumed_at=resumed_at, seconds=seconds)


def _simulate(run: "_Run", times: NDArray[np.float64], *, progress: bool) -> None:
    """Advance to each of `times` that has no snapshot yet, and take it."""
    simulation = run.simulation
    start, first_step = time.perf_counter(), simulation.steps
    columns = ("{task.description}", BarColumn(), "{task.percentage:3.0f}%", "{task.fields[rate]}")
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not progress
    ) as bar:
        task = bar.add_task(simulation.name, total=times[-1], rate="")
        for moment in times[run.stored :].tolist():
            while simulation.time < moment:
                simulation.advance_leg(moment)
                run.save_if_due()
                rate = (simulation.steps - first_step) / (time.perf_counter() - start)
                bar.update(task, completed=simulation.time, rate=f"{rate:.1f} steps/s")
            run.store()
            run.save_if_due()


def _summary(run: "_Run", *, resumed_at: int, seconds: float) -> dict[str, Any]:
    """What is worth a line in a log: steps (of the run, and before this call), seconds of this
    call, mean dt, energy and enstrophy of the first and last snapshot, smallest k_max eta; of a
    penalised flow also how many grid points the layer inside the wall is thick."""
    simulation = run.simulation
    measures = np.array(run.records)
    summary = {
        "steps": simulation.steps,
        "resumed_at_step": resumed_at,
        "seconds_simulated": round(seconds, 3),
        "dt_mean": simulation.time / max(simulation.steps, 1),
        "energy": [float(measures[0, 0]), float(measures[-1, 0])],
        "enstrophy": [float(measures[0, 1]), float(measures[-1, 1])],
        K_MAX_ETA: run.k_max_eta,
    }
    if isinstance(simulation.equation, PenalisedNavierStokes):
        summary["layer_points"] = simulation.equation.layer_points
    return summary


def _warn_where_coarse(run: "_Run") -> None:
    """Say where the grid does not resolve the smallest scale of the flow."""
    if run.k_max_eta < RESOLVED:
        log.warning(
            "%s: k_max eta falls to %.2f; below %g the grid (%d) does not resolve the smallest "
            "scales, and the 2/3 rule's cut-off takes part in the dissipation",
            run.simulation.name, run.k_max_eta, RESOLVED, run.simulation.grid.points,
        )  # fmt: skip


EQUATIONS = {
    "periodic": "2-D vorticity equation, decaying, [0, 2 pi]^2, doubly periodic",
    "free_slip": "2-D vorticity equation, decaying, free-slip walls at y = 0 and y = pi by odd "
    "symmetry of [0, 2 pi]^2",
    "no_slip": "2-D Navier-Stokes equation, decaying, [0, 2 pi]^2 with a penalised no-slip wall "
    "about y = 0",
}


def _provenance(simulation: Simulation) -> dict[str, str | int | float]:
    """Root attributes that say how the file was made; the same for every run of the same values."""
    settings, equation = simulation.settings, simulation.equation
    facts: dict[str, str | int | float] = {
        "step": f"cfl {settings.cfl:g}" if settings.dt is None else f"dt {settings.dt:g}",
        "equation": EQUATIONS[simulation.boundary],
        "scheme": "pseudo-spectral, 2/3 rule, RK4 with integrating factor",
        "initial_spectrum": "Kraichnan",
        "peak_wavenumber": settings.peak_wavenumber,
        "precision": settings.precision,
    }
    if isinstance(equation, PenalisedNavierStokes):
        facts |= {"penalisation_time": equation.eta, "layer_points": equation.layer_points}
    return facts


def _identity(simulation: Simulation, facts: Mapping[str, str | int | float]) -> str:
    """Digest of all that the bits of a run depend on."""
    return digest_of(
        {
            # How often restart points are written changes nothing.
            "settings": simulation.settings.model_dump(exclude={"checkpoint_seconds"}),
            "reynolds": simulation.reynolds,
            "seed": simulation.seed,
            "boundary": simulation.boundary,
            "device": simulation.grid.device.type,
            "threads": torch.get_num_threads(),
            "versions": [torch.__version__, np.__version__, h5py.__version__],
            "attributes": dict(facts),
        }
    )


class _Run:
    """A simulation, the snapshots taken of it, and the restart points in a folder."""

    def __init__(self, simulation: Simulation, folder: Path, *, identity: str):
        self.simulation = simulation
        self.folder = Path(folder)
        self.identity = identity
        self.pending: list[Field] = []
        self.segments: list[str] = []
        # Energy, enstrophy, k_max eta, mean u and mean v at each snapshot taken so far.
        self.records: list[list[float]] = []
        self._saved = time.monotonic()

    @property
    def stored(self) -> int:
        """Snapshots taken so far."""
        return len(self.records)

    @property
    def k_max_eta(self) -> float:
        """The smallest of the snapshots taken so far."""
        return min(record[2] for record in self.records)

    @property
    def mean_flow(self) -> NDArray[np.float64]:
        """(T, 2): means of u and v at the snapshots taken so far."""
        return np.array([record[3:5] for record in self.records])

    def restore(self) -> None:
        """Go on from the restart point in the folder if it is this very run's, else discard it."""
        path = self.folder / STATE
        state = _load(path) if path.is_file() else None
        if state is not None and str(state["identity"]) != self.identity:
            log.warning("%s: restart point of other settings or code, discarded", path)
            state = None
        if state is not None:
            self.simulation.load_state(state)
            self.segments = state["segments"].tolist()
            self.records = state["records"].tolist()
        declared = {STATE, *self.segments} if state is not None else set()
        for file in self._files():
            if file.name not in declared:
                file.unlink()

    def store(self) -> None:
        """Take a snapshot now."""
        self.pending.append(self.simulation.vorticity().float().cpu().numpy())
        self.records.append(list(self.simulation.measure().values()))

    def save_if_due(self) -> None:
        """Write a restart point where the last is too old, or too many snapshots wait."""
        waited = time.monotonic() - self._saved
        waiting = sum(field.nbytes for field in self.pending)
        if waited >= self.simulation.settings.checkpoint_seconds or waiting >= PENDING_BYTES:
            self.save()

    def save(self) -> None:
        """Write the waiting snapshots, then the state that declares them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.pending:
            name = f"segment_{self.stored - len(self.pending):06d}.npy"
            with replacing(self.folder / name) as temporary, temporary.open("wb") as file:
                np.save(file, np.stack(self.pending))
            self.segments.append(name)
            self.pending = []
        with replacing(self.folder / STATE) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                identity=np.array(self.identity),
                segments=np.array(self.segments, dtype=np.str_),
                records=np.array(self.records),
                **self.simulation.state(),
            )
        self._saved = time.monotonic()

    def snapshots(self) -> Iterator[Field]:
        """Every snapshot (H, W) taken so far, oldest first, one in memory at a time."""
        for name in self.segments:
            path = self.folder / name
            try:
                segment = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                reason = " ".join(str(error).split())
                raise FlexbenchError(
                    f"{path}: not a readable segment ({reason}); delete {path.parent} and run again"
                ) from None
            yield from segment
        yield from self.pending

    def clear(self) -> None:
        """Remove the restart points, and the folder unless something else lives there."""
        for file in self._files():
            file.unlink()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _files(self) -> list[Path]:
        """What runs leave in the folder; files of other names are not ours to remove."""
        patterns = (STATE, "segment_*.npy", ".*.tmp")
        return sorted(file for pattern in patterns for file in self.folder.glob(pattern))


def _load(path: Path) -> dict[str, Any] | None:
    """The arrays of a restart point, or None, with a message, where it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            state = dict(file)
        missing = {"identity", "segments", "records", "spectrum", "time", "steps"} - set(state)
        if not missing:
            return state
        reason = f"no {min(missing)}"
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = str(error)
    log.warning("%s: unreadable restart point discarded (%s)", path, reason)
    return None
