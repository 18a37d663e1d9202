"""One run of decaying turbulence, from its initial field to any later time, resumable."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexbench.config import SolverSettings
from flexbench.errors import FlexbenchError
from flexbench.solver import diagnostics
from flexbench.solver.boundary import start_flow
from flexbench.solver.grid import COMPLEX, SpectralGrid
from flexbench.solver.stepping import IntegratingFactorRK4

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}

# The step is chosen anew, and the field is checked, after this many steps.
LEG_STEPS = 16

# What a decaying flow cannot increase: growth by a tenth is the integrator's, not the flow's.
GROWTH_LIMIT = 1.1


class Simulation:
    """A flow at Reynolds number `reynolds` from an initial field of its own.

    The field is named by (seed, reynolds, boundary): flows that started from one field at several
    Reynolds numbers would stay alike for a while, and their scores would not be independent.

    boundary: see `boundary.BOUNDARIES`. The same settings, seed, device, number of threads and
    torch give the same bits, also across `state` and `load_state`. Attributes: spectrum (the state
    of `equation`, complex128 whatever the precision), time, steps (taken so far), dt (of the last
    step).
    """

    def __init__(
        self,
        settings: SolverSettings,
        *,
        reynolds: float,
        seed: int,
        boundary: str = "periodic",
        device: torch.device | str = "cpu",
    ):
        if not (math.isfinite(reynolds) and reynolds > 0):
            raise FlexbenchError(f"reynolds is {reynolds}; allowed: finite numbers above 0")
        if seed < 0:
            raise FlexbenchError(f"seed is {seed}; allowed: integers from 0")
        self.settings = settings
        self.reynolds = float(reynolds)
        self.seed = seed
        self.grid = SpectralGrid(settings.grid, dtype=PRECISIONS[settings.precision], device=device)
        self.boundary = boundary
        self.equation, start = start_flow(
            boundary, self.grid, settings, reynolds=self.reynolds, seed=seed
        )
        self.spectrum = start.to(torch.complex128)
        if settings.dt is not None and settings.dt > self.equation.largest_step:
            raise FlexbenchError(
                f"solver.dt is {settings.dt:g}; a {boundary} flow on a grid of {settings.grid} "
                f"needs at most {self.equation.largest_step:.3g}"
            )
        self.time = 0.0
        self.steps = 0
        self.dt = math.nan
        self._integrator = IntegratingFactorRK4(
            linear=self.equation.linear,
            nonlinear=self.equation.nonlinear,
            dtype=COMPLEX[self.grid.dtype],
        )
        self._limit = GROWTH_LIMIT * self.equation.never_grows(self.spectrum)

    @property
    def name(self) -> str:
        """The run, in a line of text."""
        walls = "" if self.boundary == "periodic" else f" ({self.boundary})"
        return f"Re {self.reynolds:g}, seed {self.seed}{walls}"

    def advance_to(self, time: float) -> None:
        """Advance to `time` exactly; raises FlexbenchError where the flow blows up."""
        while self.time < time:
            self.advance_leg(time)

    def advance_leg(self, time: float) -> None:
        """Take at most LEG_STEPS equal steps towards `time` (later than now).

        The time that is left is cut into the fewest equal steps that keep to the limit, so
        `time` is hit exactly. Between two legs the run may be stopped and resumed without a
        trace, as long as it then heads for the same `time`.
        """
        limit = self._step_limit()
        left = time - self.time
        count = max(1, math.ceil(left / limit - 1e-9))
        taken = min(count, LEG_STEPS)
        self.dt = left / count
        for _ in range(taken):
            self._integrator.step(self.spectrum, self.dt)
            self.equation.constrain(self.spectrum)
        self.time = time if taken == count else self.time + taken * self.dt
        self.steps += taken
        # A NaN fails this comparison, too.
        if not self.equation.never_grows(self.spectrum) <= self._limit:
            raise self._blown_up()

    def vorticity(self) -> Tensor:
        """The field (H, W) now, in the run's precision."""
        return self.equation.field(self.spectrum)

    def measure(self) -> dict[str, float]:
        """Energy, enstrophy, resolution (k_max eta of the flow) and mean velocity now.

        Means over the box, with what lies outside the flow.
        """
        vorticity = self.equation.vorticity(self.spectrum)
        mean_u, mean_v = self.equation.mean_flow(self.spectrum)
        return {
            "energy": diagnostics.energy(self.grid, vorticity) + (mean_u**2 + mean_v**2) / 2,
            "enstrophy": diagnostics.enstrophy(self.grid, vorticity),
            "resolution": self.equation.resolution(self.spectrum),
            "mean_u": mean_u,
            "mean_v": mean_v,
        }

    def state(self) -> dict[str, Any]:
        """All that a later run needs to go on to the same bits (arrays on the CPU)."""
        return {
            "spectrum": self.spectrum.cpu().numpy().copy(),
            "time": self.time,
            "steps": self.steps,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a `state` of a run with the same settings, reynolds and seed."""
        spectrum = torch.from_numpy(np.asarray(state["spectrum"]))
        if spectrum.shape != self.spectrum.shape or spectrum.dtype != self.spectrum.dtype:
            raise FlexbenchError(
                f"solver state is {spectrum.dtype} of shape {tuple(spectrum.shape)}; "
                f"allowed: {self.spectrum.dtype} of shape {tuple(self.spectrum.shape)}"
            )
        self.spectrum.copy_(spectrum)
        self.time = float(state["time"])
        self.steps = int(state["steps"])

    def _step_limit(self) -> float:
        """The largest step from here: the fixed one, or that of Courant or of the equation."""
        if self.settings.dt is not None:
            return self.settings.dt
        u, v = self.equation.velocity(self.spectrum)
        speed = float(u.abs_().add_(v.abs_()).max())
        courant = self.settings.cfl * self.grid.spacing / speed if speed > 0 else math.inf
        return min(courant, self.equation.largest_step)

    def _blown_up(self) -> FlexbenchError:
        key, value = ("dt", self.settings.dt) if self.settings.dt else ("cfl", self.settings.cfl)
        return FlexbenchError(
            f"simulation of {self.name} blew up before "
            f"t = {self.time:.4g} (step {self.dt:.3g}); use a solver.{key} below {value:g}, "
            f"or a solver.grid above {self.grid.points}"
        )
