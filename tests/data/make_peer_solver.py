"""Write peer_solver.npz: a flow as exponax (an independent pseudo-spectral solver) computes it.

    pip install exponax && python tests/data/make_peer_solver.py

exponax: ETDRK4, advective form, float64. It is told to keep the same modes as the solver does
(|kx|, |ky| < points / 3), so that nothing but the steps in time may differ.
"""

from pathlib import Path

import exponax
import jax
import numpy as np

GRID = 64
VISCOSITY = 0.02
DT = 1e-3
END = 1.0


def initial_vorticity() -> np.ndarray:
    """A random field (H, W) = (y, x) of wavenumbers up to 8 and vorticity rms 8."""
    rng = np.random.default_rng(7)
    spectrum = np.zeros((GRID, GRID // 2 + 1), dtype=complex)
    ky = np.fft.fftfreq(GRID, 1 / GRID)[:, None]
    kx = np.arange(GRID // 2 + 1)[None]
    band = (np.hypot(kx, ky) <= 8) & (np.hypot(kx, ky) > 0)
    spectrum[band] = np.exp(2j * np.pi * rng.random(band.sum()))
    field = np.fft.irfft2(spectrum, s=(GRID, GRID))
    return field * 8 / field.std()


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    start = initial_vorticity()
    # Its velocity is the gradient of psi turned the other way: scale -1 is our equation.
    stepper = exponax.stepper.NavierStokesVorticity(
        2,
        2 * np.pi,
        GRID,
        DT,
        diffusivity=VISCOSITY,
        vorticity_convection_scale=-1.0,
        order=4,
        # It keeps wavenumbers up to fraction * GRID / 2 - 1.
        dealiasing_fraction=((GRID - 1) // 3 + 1) / (GRID // 2),
    )
    # Its first axis is x.
    run = jax.jit(exponax.repeat(stepper, round(END / DT)))
    end = np.asarray(run(start.T[None]))[0].T
    np.savez(
        Path(__file__).with_name("peer_solver.npz"),
        start=start,
        end=end,
        viscosity=VISCOSITY,
        time=END,
    )


if __name__ == "__main__":
    main()
