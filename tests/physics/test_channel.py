"""The free-slip channel: against a sine-transform solver, and its symmetry to the last bit."""

import numpy as np
import pytest
import torch
from scipy import fft
from scipy.integrate import solve_ivp

from flexbench.config import SolverSettings
from flexbench.solver.simulate import Simulation

SETTINGS = SolverSettings(grid=64, peak_wavenumber=5, precision="float64", dt=1e-3)


class SineSolver:
    """Vorticity equation between free-slip walls at y = 0 and y = pi: sines in y, Fourier in x.

    Coefficients b (M - 1, kx) of w = sum b_n(x) sin(n y), n = 1 ... M - 1, in the advective form,
    2/3 rule in both directions; only the channel's own points are ever held.
    """

    def __init__(self, points, *, viscosity):
        self.points, self.rows = points, points // 2
        cutoff = (points - 1) // 3
        self.n = np.arange(1, self.rows)[:, None]
        self.k = np.arange(points // 2 + 1)[None]
        self.kept = (self.n <= cutoff) & (self.k <= cutoff)
        self.squared = self.n**2 + self.k**2
        self.viscosity = viscosity

    def coefficients(self, w):
        """Of a field (M - 1, N) on the inner points."""
        return fft.rfft(fft.dst(w, type=1, axis=0) / self.rows, axis=1) * self.kept

    def sines(self, b):
        return fft.dst(fft.irfft(b, n=self.points, axis=1), type=1, axis=0) / 2

    def cosines(self, c):
        """The inner points of sum c_n(x) cos(n y), which has no mean over y."""
        rows = fft.irfft(c, n=self.points, axis=1)
        return fft.dct(np.pad(rows, ((1, 1), (0, 0))), type=1, axis=0)[1:-1] / 2

    def slope(self, b):
        psi = b / self.squared
        u, v = self.cosines(self.n * psi), self.sines(-1j * self.k * psi)
        transport = u * self.sines(1j * self.k * b) + v * self.cosines(self.n * b)
        return -self.coefficients(transport) - self.viscosity * self.squared * b

    def run(self, w, time):
        """The field after `time`, by an eighth-order Runge-Kutta method with error control."""
        start = self.coefficients(w)
        found = solve_ivp(
            lambda _, y: self.slope(y.view(complex).reshape(start.shape)).ravel().view(float),
            (0, time),
            start.ravel().view(float),
            method="DOP853",
            rtol=1e-12,
            atol=1e-12 * np.abs(start).max(),
        )
        return self.sines(found.y[:, -1].view(complex).reshape(start.shape))


def test_against_a_sine_transform_solver():
    simulation = Simulation(SETTINGS, reynolds=100, seed=3, boundary="free_slip")
    inner = slice(1, SETTINGS.grid // 2)
    start = simulation.vorticity().numpy()
    expected = SineSolver(SETTINGS.grid, viscosity=1 / 100).run(start[inner], 0.3)
    simulation.advance_to(0.3)
    found = simulation.vorticity().numpy()[inner]
    assert np.abs(expected - start[inner]).max() > 0.3 * np.abs(expected).max()
    assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_symmetry_never_breaks(precision):
    settings = SolverSettings(grid=64, peak_wavenumber=5, precision=precision)
    simulation = Simulation(settings, reynolds=5000, seed=0, boundary="free_slip")
    simulation.advance_to(4.0)
    w = simulation.vorticity()
    assert torch.equal(w[1:], -w[1:].flip(0))
    assert not w[0].any()
    assert not w[32].any()
    u, v = simulation.equation.velocity(simulation.spectrum)
    scale = 1e-5 if precision == "float32" else 1e-14
    assert float(v[[0, 32]].abs().max()) < scale
    assert simulation.measure()["mean_u"] == 0
    assert abs(float(u.mean())) < scale


def test_the_initial_field():
    """Energy 1/2, a field of its own, and of another (seed, Re) another."""
    fields = {
        (boundary, reynolds, seed): Simulation(
            SETTINGS, reynolds=reynolds, seed=seed, boundary=boundary
        )
        for boundary, reynolds, seed in (
            ("free_slip", 100, 0),
            ("free_slip", 100, 1),
            ("free_slip", 200, 0),
            ("periodic", 100, 0),
        )
    }
    assert fields["free_slip", 100, 0].measure()["energy"] == pytest.approx(0.5, abs=1e-12)
    flat = torch.stack([simulation.vorticity() for simulation in fields.values()]).flatten(1)
    correlations = torch.corrcoef(flat) - torch.eye(len(fields))
    assert float(correlations.abs().max()) < 0.3


def test_mask_is_the_mirror_image():
    mask = Simulation(SETTINGS, reynolds=100, seed=0, boundary="free_slip").equation.mask
    assert mask.dtype == np.uint8
    assert mask[33:].all()
    assert not mask[:33].any()
