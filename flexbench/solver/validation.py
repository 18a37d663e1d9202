"""Penalised flows whose answer is known: the lid-driven cavity, and shear between two walls.

Of turbulence near walls no answer is known; `turbulence_differences` compares it with itself on a
finer grid.

`benchmarks/walls.py` measures them at several resolutions; `docs/walls.md` shows what it found.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexbench.config import SolverSettings
from flexbench.solver import solids
from flexbench.solver.boundary import WALL_SHARE
from flexbench.solver.grid import COMPLEX, SpectralGrid
from flexbench.solver.penalised import PenalisedNavierStokes
from flexbench.solver.simulate import Simulation
from flexbench.solver.stepping import IntegratingFactorRK4

Profile = NDArray[np.float64]

# Solid to each side of the cavity, as a share of the box.
MARGIN = 1 / 16

# Penalisation time over the square of the grid spacing, so that the layer inside the wall, by
# which the lid slips, shrinks with the grid: 0.3 spacings / lid speed at 64 points. With much less
# the steps of the mask are felt more than the layer is.
CAVITY_PENALISATION = 3.0
COURANT = 0.5


class Cavity:
    """A square cavity, its lid (the wall above it) moving with u = 1, in walls at rest.

    The side is L = 2 pi 7/8 and Re = L / nu. The strip that is the lid spans the whole box in x,
    because a solid that moves has to be free of divergence; in its upper half it slows down to
    rest, because a jump to the wall beyond it would ring through the box. points: a multiple of 16.
    """

    def __init__(self, points: int, *, reynolds: float):
        self.points, self.reynolds = points, reynolds
        self.side = 2 * math.pi * (1 - 2 * MARGIN)
        margin = round(MARGIN * points)
        grid = SpectralGrid(points)
        lid = np.zeros((2, points, points))
        depth = np.linspace(0, 1, margin, endpoint=False)
        lid[0, points - margin :] = np.cos(np.pi / 2 * np.clip(2 * depth - 1, 0, 1))[:, None] ** 2
        self.equation = PenalisedNavierStokes(
            grid,
            viscosity=self.side / reynolds,
            solid=solids.around_square(points, margin=margin),
            eta=CAVITY_PENALISATION * grid.spacing**2,
            wall_velocity=lid,
        )
        self.state = torch.zeros(2, *grid.shape, dtype=COMPLEX[grid.dtype])
        self.steps = 0

    def advance(self, passes: float) -> None:
        """Go on for so many passes of the lid over the cavity's side."""
        time = passes * self.side
        limit = min(COURANT * self.equation.grid.spacing, self.equation.largest_step)
        count = math.ceil(time / limit)
        _advance(self.equation, self.state, time=time, steps=count)
        self.steps += count

    def refined(self, points: int) -> "Cavity":
        """The same flow on another grid."""
        other = Cavity(points, reynolds=self.reynolds)
        other.state = _on_grid(self.state, other.equation.grid)
        return other

    def profile(self, component: str) -> tuple[Profile, Profile]:
        """Coordinate from 0 to 1, and u(y) at x = 1/2 ("u") or v(x) at y = 1/2 ("v")."""
        u, v = (field.numpy() for field in self.equation.velocity(self.state))
        middle, margin = self.points // 2, round(MARGIN * self.points)
        line = u[:, middle] if component == "u" else v[middle]
        inside = slice(margin, self.points - margin + 1)
        return np.linspace(0, 1, len(line[inside])), line[inside]


def shear_decay_error(points: int, *, viscosity: float = 0.1) -> float:
    """Relative error of the rate at which u = sin(pi y / h) decays between walls at 0 and h.

    The rate is nu (pi / h)^2. The layer inside the wall, sqrt(nu eta), is half a grid spacing on
    every grid. Negative: too slow. points: a multiple of 8.
    """
    share = 1 / 8
    half = share / 2 * points
    grid = SpectralGrid(points)
    equation = PenalisedNavierStokes(
        grid,
        viscosity=viscosity,
        solid=solids.wall_strip(points, half_thickness=half),
        eta=(grid.spacing / 2) ** 2 / viscosity,
    )
    height = 2 * math.pi * (1 - share)
    y = (np.arange(points) - half) * grid.spacing
    shear = np.where((y > 0) & (y < height), np.sin(np.pi * y / height), 0)
    field = torch.from_numpy(np.repeat(shear[:, None], points, axis=1))
    u = grid.to_spectral(field) * grid.kept
    state = torch.stack([u, torch.zeros_like(u)])
    amounts = []
    for _ in range(2):
        # The first half lets the profile find its shape in the walls.
        _advance(equation, state, time=2.0, steps=math.ceil(2.0 / min(0.02, equation.eta)))
        amounts.append(equation.mean_flow(state)[0])
    rate = math.log(amounts[0] / amounts[1]) / 2.0
    return rate / (viscosity * (math.pi / height) ** 2) - 1


@dataclass(frozen=True, kw_only=True)
class Difference:
    """RMS difference of the vorticity from that on a finer grid, over the RMS of the latter.

    near: within half a wavelength of the initial spectrum's peak of where the wall is, or would be.
    away: at all other points of the flow.
    """

    points: int
    near: float
    away: float


def turbulence_differences(
    boundary: str, grids: Sequence[int], *, reynolds: float, time: float, peak: float = 10.0
) -> list[Difference]:
    """How far a turbulent flow on each grid is at `time` from the one on the last, finest grid.

    boundary: "no_slip", or "periodic": what the grid's cut-off alone does to the same kind of flow,
    looked at in the same places. All start from the very field of the first grid, whose number of
    points divides that of the others.
    """
    fields: list[NDArray[np.float64]] = []
    state = None
    for points in grids:
        settings = SolverSettings(grid=points, peak_wavenumber=peak, precision="float64")
        simulation = Simulation(settings, reynolds=reynolds, seed=0, boundary=boundary)
        state = simulation.spectrum.clone() if state is None else state
        simulation.spectrum.copy_(_on_grid(state, simulation.grid))
        simulation.advance_to(time)
        every = points // grids[0]
        fields.append(simulation.vorticity()[::every, ::every].numpy())
    row = np.arange(grids[0])
    distance = np.minimum(row, grids[0] - row) / grids[0] - WALL_SHARE / 2
    near = (distance > 0) & (distance <= 1 / (2 * peak))
    away = distance > 1 / (2 * peak)

    def relative(field: NDArray[np.float64], rows: NDArray[np.bool_]) -> float:
        other = fields[-1][rows]
        return float(np.sqrt(np.mean((field[rows] - other) ** 2) / np.mean(other**2)))

    return [
        Difference(points=points, near=relative(field, near), away=relative(field, away))
        for points, field in zip(grids[:-1], fields[:-1], strict=True)
    ]


def _on_grid(state: Tensor, grid: SpectralGrid) -> Tensor:
    """The same flow on another grid: the modes of a state (..., K + 1, N) that both keep."""
    other = torch.zeros(*state.shape[:-2], *grid.shape, dtype=state.dtype)
    kept = min(state.shape[-2] - 1, grid.cutoff)
    for ky in (slice(0, kept + 1), slice(-kept, None)):
        other[..., : kept + 1, ky] = state[..., : kept + 1, ky]
    return other * (grid.points / state.shape[-1]) ** 2


def _advance(equation: PenalisedNavierStokes, state: Tensor, *, time: float, steps: int) -> None:
    integrator = IntegratingFactorRK4(
        linear=equation.linear, nonlinear=equation.nonlinear, dtype=state.dtype
    )
    for _ in range(steps):
        integrator.step(state, time / steps)
